"""T1-weighted scans of a BIDS directory, found by their paths.

Source: Gorgolewski et al. 2016, The brain imaging data structure, Scientific Data 3:160044, and its
specification 1.9.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.fields import KEYS
from disentangle_pl.brain.tables import listing, natural, read_table

NO_SESSION = "n/a"


def is_bids(root: Path) -> bool:
    """Tell whether there is a T1-weighted scan where BIDS puts it."""
    return any(next(_scans(folder), None) for folder in _anat(root))


def read_bids(root: Path) -> pd.DataFrame:
    """Find one T1-weighted scan a participant and session.

    Scans are `sub-*/[ses-*/]anat/*_T1w.nii[.gz]`; of several in one session those that the session's scans.tsv lists
    and of these the lowest run is taken, and this is said.

    Args:
        root: The directory that holds the sub-* folders.

    Returns:
        Columns participant_id, session_id and path; session_id is "n/a" without a session level.

    Raises:
        InputError: If a table is wrong.
    """
    return in_order(find_scans(root))


def find_scans(root: Path) -> pd.DataFrame:
    """Glob the tree for one scan a participant and session: columns participant_id, session_id, path."""
    found = {folder: sorted(_scans(folder), key=_by_run) for folder in _anat(root)}
    return one_each({_who(folder): _listed(folder.parent, paths) for folder, paths in found.items() if paths})


def one_each(found: dict[tuple[str, str], list[Path]]) -> pd.DataFrame:
    """Take the first of the scans of every participant and session, and say where there were several.

    Returns:
        Columns participant_id, session_id, path (absolute).
    """
    several = sorted(paths[0].name for paths in found.values() if len(paths) > 1)
    if several:
        rank_zero_info(f"{len(several)} sessions have several T1-weighted scans; taken: {listing(several)}")
    return pd.DataFrame([(*who, str(paths[0].absolute())) for who, paths in found.items()], columns=[*KEYS, "path"])


def in_order(scans: pd.DataFrame) -> pd.DataFrame:
    """Sort scans by participant and session, ses-2 before ses-10, indexed 0..N-1."""
    return scans.sort_values(KEYS, key=natural, ignore_index=True)


def _anat(root: Path) -> Sequence[Path]:
    return [*root.glob("sub-*/anat"), *root.glob("sub-*/ses-*/anat")]


def _scans(folder: Path) -> "filter[Path]":
    return filter(_is_scan, folder.glob("[!.]*_T1w.nii*"))


def _is_scan(path: Path) -> bool:
    return path.name.endswith(("_T1w.nii", "_T1w.nii.gz"))


def _listed(session: Path, paths: list[Path]) -> list[Path]:
    """Keep the scans that scans.tsv lists, if there are several and it lists any of them."""
    tables = sorted(session.glob("sub-*_scans.tsv")) if len(paths) > 1 else []
    names = {Path(name).name for table in tables for name in read_table(table, ["filename"])["filename"].dropna()}
    return [path for path in paths if path.name in names] or paths


def _by_run(path: Path) -> tuple[int, str]:
    run = re.search(r"_run-(\d+)_", path.name)
    return (int(run[1]) if run else 0), path.name


def _who(anat: Path) -> tuple[str, str]:
    above = anat.parent
    return (above.parent.name, above.name) if above.name.startswith("ses-") else (above.name, NO_SESSION)
