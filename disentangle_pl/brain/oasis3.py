"""Structural scans as OASIS-3 hands them out.

Source: LaMontagne et al. 2019, OASIS-3, medRxiv 2019.12.13.19014902.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.bids import USUAL, in_order
from disentangle_pl.brain.scan_choice import Candidate, Choice, entities_of, is_scan, one_each

_EXPERIMENT = re.compile(r"(OAS3\d{4})_MR_(d\d{4,5})")


def is_oasis3(root: Path, choice: Choice = USUAL) -> bool:
    """Tell whether there is a scan of the suffix in an MR session named as OASIS-3 names them."""
    return next(_scans(root, choice), None) is not None


def read_oasis3(root: Path, choice: Choice = USUAL) -> pd.DataFrame:
    """Find one scan a session: `OAS30001_MR_d0757/anat*/[NIFTI/]*T1w.nii[.gz]`, d0757 being days since study entry.

    Of several one is taken by `one_each`: the kind that the person has in most sessions, the lowest number of anat*,
    then the lowest run. The others of its kind are its rescans (see `with_rescans`).

    Args:
        root: The folder of the OAS3*_MR_d* folders.
        choice: Which scans are wanted.

    Returns:
        Columns participant_id, session_id and path; participants are sub-OAS30001, sessions ses-d0757. Ages and scores
        come from the clinical tables.

    Raises:
        InputError: If no scan has the entities asked for.
    """
    return in_order(one_each([*_scans(root, choice)], choice))


def _scans(root: Path, choice: Choice) -> Iterator[Candidate]:
    for folder in sorted(root.glob("OAS3*_MR_d*")):
        name = _EXPERIMENT.fullmatch(folder.name)
        for path in sorted([*folder.glob("anat*/*"), *folder.glob("anat*/NIFTI/*")]) if name else ():
            if name and is_scan(path, choice.suffix):
                yield Candidate((f"sub-{name[1]}", f"ses-{name[2]}"), path, entities_of(path))
