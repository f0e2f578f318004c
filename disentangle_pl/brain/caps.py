"""Structural scans that Clinica's t1-linear and flair-linear pipelines have registered to MNI space.

Source: Routier et al. 2021, Clinica, Frontiers in Neuroinformatics 15:689675, and its definition of a CAPS folder.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.bids import USUAL, in_order
from disentangle_pl.brain.scan_choice import Candidate, Choice, Entities, Suffix, entities_of, is_scan, one_each

PIPELINES: dict[Suffix, str] = {"T1w": "t1_linear", "T2w": "t2_linear", "FLAIR": "flair_linear"}


def is_caps(root: Path, choice: Choice = USUAL) -> bool:
    """Tell whether there is a folder of the pipeline where Clinica puts it."""
    return next(_folders(root, choice), None) is not None


def read_caps(root: Path, choice: Choice = USUAL) -> pd.DataFrame:
    """Find one registered scan a participant and session.

    Scans are `[subjects/]sub-*/ses-*/t1_linear/*_T1w.nii[.gz]`. The cropped ones are taken, but of a person who lacks
    one of them the others; this is said.

    Args:
        root: A CAPS folder, or the `subjects` folder in it.
        choice: Which scans are wanted.

    Returns:
        Columns participant_id, session_id and path; a CAPS folder has no tables of its own, so ages and scores are
        unknown unless BIDS tables lie in it.

    Raises:
        InputError: If no scan has the entities asked for.
    """
    candidates = [
        Candidate((folder.parent.parent.name, folder.parent.name), path, entities_of(path))
        for folder in _folders(root, choice)
        for path in sorted(folder.iterdir())
        if is_scan(path, choice.suffix)
    ]
    scans = one_each(candidates, choice, _uncropped)
    cropped = sum(entities_of(Path(path)).get("desc") == "Crop" for path in scans["path"])
    rank_zero_info(f"{cropped} of {len(scans)} scans of {root} are cropped ones")
    return in_order(scans)


def _folders(root: Path, choice: Choice) -> Iterator[Path]:
    pipeline = PIPELINES[choice.suffix]
    return chain(root.glob(f"subjects/sub-*/ses-*/{pipeline}"), root.glob(f"sub-*/ses-*/{pipeline}"))


def _uncropped(entities: Entities) -> int:
    return int(entities.get("desc") != "Crop")
