"""Structural scans of a BIDS directory, found by their paths.

Source: Gorgolewski et al. 2016, The brain imaging data structure, Scientific Data 3:160044, and its
specification 1.9.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.fields import KEYS
from disentangle_pl.brain.scan_choice import Candidate, Choice, Suffix, entities_of, is_scan, one_each
from disentangle_pl.brain.tables import natural, read_table

NO_SESSION = "n/a"
USUAL = Choice()


def is_bids(root: Path, choice: Choice = USUAL) -> bool:
    """Tell whether there is a scan of the suffix where BIDS puts it."""
    return any(next(_scans(folder, choice.suffix), None) for folder in _anat(root))


def read_bids(root: Path, choice: Choice = USUAL) -> pd.DataFrame:
    """Find one scan a participant and session.

    Scans are `sub-*/[ses-*/]anat/*_T1w.nii[.gz]` or .mgz; of several in one session those that the session's scans.tsv
    lists, and of these one is taken by `one_each`.

    Args:
        root: The directory that holds the sub-* folders.
        choice: Which scans are wanted.

    Returns:
        Columns participant_id, session_id and path; session_id is "n/a" without a session level.

    Raises:
        InputError: If a scans.tsv is wrong, or no scan has the entities asked for.
    """
    return in_order(one_each(find_scans(root, choice.suffix), choice))


def find_scans(root: Path, suffix: Suffix = "T1w") -> list[Candidate]:
    """Glob the tree for all scans of a suffix."""
    scans = {folder: sorted(_scans(folder, suffix)) for folder in _anat(root)}
    return [
        Candidate(_who(folder), path, entities_of(path), path.name in names)
        for folder, paths in scans.items()
        for names in [_listed(folder.parent) if len(paths) > 1 else ()]
        for path in paths
    ]


def in_order(scans: pd.DataFrame) -> pd.DataFrame:
    """Sort scans by participant and session, ses-2 before ses-10, indexed 0..N-1."""
    return scans.sort_values(KEYS, key=natural, ignore_index=True)


def _anat(root: Path) -> Sequence[Path]:
    return [*root.glob("sub-*/anat"), *root.glob("sub-*/ses-*/anat")]


def _scans(folder: Path, suffix: Suffix) -> Iterator[Path]:
    return (path for path in folder.glob(f"*_{suffix}.*") if is_scan(path, suffix))


def _listed(session: Path) -> set[str]:
    """Name the files that the scans.tsv of a session lists."""
    tables = sorted(session.glob("sub-*_scans.tsv"))
    return {Path(name).name for table in tables for name in read_table(table, ["filename"])["filename"].dropna()}


def _who(anat: Path) -> tuple[str, str]:
    above = anat.parent
    return (above.parent.name, above.name) if above.name.startswith("ses-") else (above.name, NO_SESSION)
