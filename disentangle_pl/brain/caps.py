"""T1-weighted scans that Clinica's t1-linear pipeline has registered to MNI space.

Source: Routier et al. 2021, Clinica, Frontiers in Neuroinformatics 15:689675, and its definition of a CAPS folder.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.bids import in_order, one_each

CROPPED = "_desc-Crop_"


def is_caps(root: Path) -> bool:
    """Tell whether there is a t1_linear folder where Clinica puts it."""
    return next(_folders(root), None) is not None


def read_caps(root: Path) -> pd.DataFrame:
    """Find one registered scan a participant and session; the cropped one is preferred, and this is said.

    Scans are `[subjects/]sub-*/ses-*/t1_linear/*_T1w.nii[.gz]`.

    Args:
        root: A CAPS folder, or the `subjects` folder in it.

    Returns:
        Columns participant_id, session_id and path; a CAPS folder has no tables of its own, so ages and scores are
        unknown unless BIDS tables lie in it.
    """
    found = {folder: sorted(folder.glob("[!.]*_T1w.nii*"), key=_uncropped) for folder in _folders(root)}
    paths = {(folder.parent.parent.name, folder.parent.name): scans for folder, scans in found.items() if scans}
    chosen = {who: [path for path in scans if _uncropped(path) == _uncropped(scans[0])] for who, scans in paths.items()}
    cropped = sum(CROPPED in scans[0].name for scans in paths.values())
    rank_zero_info(f"{cropped} of {len(paths)} sessions of {root} have a cropped scan, which is taken")
    return in_order(one_each(chosen))


def _folders(root: Path) -> Iterator[Path]:
    return chain(root.glob("subjects/sub-*/ses-*/t1_linear"), root.glob("sub-*/ses-*/t1_linear"))


def _uncropped(path: Path) -> bool:
    return CROPPED not in path.name
