"""The one table that everything about brain scans starts from: one row a scan."""

from pathlib import Path

import pandas as pd

from disentangle_pl.brain.bids import read_bids, since_first
from disentangle_pl.brain.tables import listing, natural, numbers, read_table
from disentangle_pl.errors import InputError

COLUMNS = ["participant_id", "session_id", "path", "age", "years"]


def read_visits(source: Path) -> pd.DataFrame:
    """Read one row a scan from a BIDS directory or a table.

    Args:
        source: A BIDS directory (see `read_bids`), or a .tsv or .csv table with the columns participant_id,
            session_id and path (absolute, or relative to the table's folder) and, where known, age and years.

    Returns:
        Columns participant_id, session_id, path (absolute), age in years, and years since the participant's
        first visit in `source` (float, NaN unknown), sorted by participant and session with numbers in their
        order (ses-2 before ses-10), indexed 0..N-1.

    Raises:
        InputError: If the source is missing, empty or unreadable, lacks a column, repeats a visit, or lists
            files that are not there.
    """
    if not source.exists():
        raise InputError(f"{source} does not exist: give a BIDS directory, or a .tsv or .csv table of scans")
    visits = read_bids(source) if source.is_dir() else read_scan_table(source)
    visits = visits.sort_values(["participant_id", "session_id"], key=natural, ignore_index=True)
    absent = [path for path in visits["path"] if not Path(path).is_file()]
    if absent:
        raise InputError(f"{len(absent)} scans of {source} are links to nothing: {listing(absent)}")
    visits["years"] = visits["years"].fillna(since_first(visits["age"], visits["participant_id"]))
    return visits[COLUMNS]


def read_scan_table(path: Path) -> pd.DataFrame:
    """Read a table of scans, checked row by row.

    Returns:
        The columns of `read_visits`, in the order of the file; years as far as the table gives them.

    Raises:
        InputError: As `read_visits`; the message has the lines of the file.
    """
    table = read_table(path, COLUMNS[:3])
    table = table.dropna(how="all")
    if table.empty:
        raise InputError(f"{path} lists no scan: add one row a scan")
    _refuse(path, table, table[COLUMNS[:3]].isna().any(axis=1), "lacks participant_id, session_id or path")
    _refuse(path, table, table.duplicated(COLUMNS[:2], keep=False), "repeats a visit")
    folder = path.absolute().parent
    visits = table[COLUMNS[:3]].assign(
        path=[str(folder / name) for name in table["path"]],
        age=numbers(table, "age", path),
        years=numbers(table, "years", path),
    )
    gone = [not Path(name).is_file() for name in visits["path"]]
    _refuse(path, visits, pd.Series(gone, index=table.index), "lists a file that does not exist")
    return visits


def _refuse(path: Path, table: pd.DataFrame, wrong: "pd.Series[bool]", what: str) -> None:
    if wrong.any():
        rows = table[wrong]
        lines = [
            f"line {i + 2} ({row.participant_id}, {row.session_id}, {row.path})"
            for i, row in zip(rows.index, rows.itertuples(), strict=True)
        ]
        raise InputError(f"{path} {what}: {listing(lines)}")
