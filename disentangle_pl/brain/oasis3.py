"""T1-weighted scans as OASIS-3 hands them out.

Source: LaMontagne et al. 2019, OASIS-3, medRxiv 2019.12.13.19014902.
"""

import re
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.bids import in_order, one_each

_EXPERIMENT = re.compile(r"(OAS3\d{4})_MR_(d\d{4,5})")


def is_oasis3(root: Path) -> bool:
    """Tell whether there is an MR session named as OASIS-3 names them."""
    return any(_EXPERIMENT.fullmatch(path.name) for path in root.glob("OAS3*_MR_d*"))


def read_oasis3(root: Path) -> pd.DataFrame:
    """Find one scan a session: `OAS30001_MR_d0757/anat*/[NIFTI/]*T1w.nii[.gz]`, d0757 being days since study entry.

    Of several the lowest scan number is taken, then the lowest run, and this is said.

    Args:
        root: The folder of the OAS3*_MR_d* folders.

    Returns:
        Columns participant_id, session_id and path; participants are sub-OAS30001, sessions ses-d0757. Ages and scores
        come from the clinical tables.
    """
    found = {}
    for folder in sorted(root.glob("OAS3*_MR_d*")):
        name = _EXPERIMENT.fullmatch(folder.name)
        scans = [*folder.glob("anat*/[!.]*T1w.nii*"), *folder.glob("anat*/NIFTI/[!.]*T1w.nii*")]
        if name and scans:
            found[f"sub-{name[1]}", f"ses-{name[2]}"] = sorted(scans, key=_by_number)
    return in_order(one_each(found))


def _by_number(path: Path) -> tuple[int, str]:
    number = re.search(r"/anat(\d+)/", path.as_posix())
    return (int(number[1]) if number else 0), path.name
