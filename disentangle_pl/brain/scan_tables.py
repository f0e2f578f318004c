"""Tables of scans as users write them: one row a scan."""

from pathlib import Path

import pandas as pd

from disentangle_pl.brain.bids import NO_SESSION
from disentangle_pl.brain.cells import CellRules
from disentangle_pl.brain.fields import COLUMNS, KEYS, fields, typed
from disentangle_pl.brain.image_files import ABSENT, absence
from disentangle_pl.brain.tables import read_table
from disentangle_pl.errors import InputError

Skipped = list[tuple[str, str]]


def read_scan_table(path: Path, rules: CellRules | None = None) -> tuple[pd.DataFrame, Skipped]:
    """Read a .tsv or .csv table of scans, checked row by row.

    Args:
        path: A table with participant_id, session_id ("n/a" where there is but one) and path (absolute, or relative to
            the table's folder) and, where known, age, years, acq_time, sex, site, diagnosis and columns of numbers.
        rules: What becomes of cells that are no plain numbers.

    Returns:
        The columns of `read_visits` and the scores, in the order of the file, years as far as the table gives them, and
        time, of acq_time, in years since 1970;
        and what was left out: rows without a participant or path, later rows of the same visit, rows whose file is not
        there.

    Raises:
        InputError: If the table cannot be read, lacks a column, or has no row; in strict mode, if a cell is not read.
    """
    table = read_table(path, [*KEYS, "path"]).dropna(how="all")
    if table.empty:
        raise InputError(f"{path} lists no scan: add one row a scan")
    given = fields(table, path, rules)
    keys = table[["participant_id"]].assign(
        session_id=table["session_id"].fillna(NO_SESSION),
        path=table["path"].map(lambda name: str(path.absolute().parent / name), na_action="ignore"),
    )
    visits = keys.join(given).reindex(columns=[*COLUMNS, *given.columns.difference(COLUMNS, sort=False)])
    reasons = _reasons(visits)
    names = visits["path"].fillna(str(path))
    skipped = [(str(names[row]), f"line {row + 2} of {path.name} {reason}") for row, reason in reasons]
    return typed(visits.drop(index=[row for row, _ in reasons])), skipped


def _reasons(visits: pd.DataFrame) -> list[tuple[int, str]]:
    """Tell for each unusable row what is wrong with it."""
    first: dict[tuple[str, str], int] = {}
    reasons = []
    for row, who, session, path in visits[[*KEYS, "path"]].itertuples():
        if pd.isna(who) or pd.isna(path):
            reasons.append((row, "lacks participant_id or path"))
        elif fault := absence(Path(path)):
            missing = "does not exist" if fault == ABSENT else fault
            reasons.append((row, f"({who}, {session}) lists a file that {missing}"))
        elif (who, session) in first:
            reasons.append((row, f"repeats a visit: {who}, {session} of line {first[who, session] + 2}"))
        else:
            first[who, session] = row
    return reasons
