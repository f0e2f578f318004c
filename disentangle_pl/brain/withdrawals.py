"""People who have withdrawn from a study, and are left out of whatever is made of it."""

from pathlib import Path

import pandas as pd

from disentangle_pl.brain.tables import decoded, inform
from disentangle_pl.errors import InputError


def read_withdrawn(path: Path) -> frozenset[str]:
    """Read who has withdrawn: the first column of a text file, one participant a line, such as w12345_20260101.csv.

    Blank lines, a header, quotes, repeated lines and the sub- of BIDS are of no account. A minus sign, by which some
    files mark who is gone, is read both ways: -1000001 is that, and 1000001.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        lines = decoded(path).splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"the withdrawals {path} cannot be read ({error}): give a text of one id a line") from error
    people = [cell for line in lines if (cell := _first_cell(line))]
    if len(people) > 1 and not _is_number(people[0]) and all(map(_is_number, people[1:])):
        people = people[1:]  # a header
    return frozenset(people) | {person.removeprefix("-") for person in people}


def remaining(table: pd.DataFrame, withdrawn: Path | None, column: str = "participant_id") -> pd.DataFrame:
    """Leave the people of a file of withdrawals out of a table, and say how many these are.

    Args:
        table: N rows.
        withdrawn: See `read_withdrawn`; None leaves nobody out.
        column: Of the table, who the rows are of, with or without sub-.

    Returns:
        The other rows, under the index that they had.

    Raises:
        InputError: If the file cannot be read, or nobody remains.
    """
    if withdrawn is None:
        return table
    out = has_withdrawn(table[column], withdrawn)
    people = table[column][out].astype("str").str.strip().str.removeprefix("sub-").nunique()
    inform(f"{people} people with {int(out.sum())} rows are left out, as {withdrawn} says that they have withdrawn")
    if len(table) and out.all():
        raise InputError(f"everybody has withdrawn, by {withdrawn}: nobody remains")
    return table[~out]


def has_withdrawn(people: pd.Series, withdrawn: Path | None) -> "pd.Series[bool]":
    """Tell which people (N,), with or without sub-, a file of withdrawals names; None names nobody.

    Raises:
        InputError: If the file cannot be read.
    """
    gone = read_withdrawn(withdrawn) if withdrawn else frozenset()
    return people.astype("str").str.strip().str.removeprefix("sub-").isin(gone) & people.notna()


def remaining_parts(part: pd.Series, withdrawn: Path | None) -> pd.Series:
    """Leave the people of a file of withdrawals out of a split (see `read_split`).

    Raises:
        InputError: If the file cannot be read.
    """
    return part[~has_withdrawn(part.index.to_series(), withdrawn)]


def _first_cell(line: str) -> str:
    cells = line.replace(",", " ").replace(";", " ").split()
    return cells[0].strip("\"'").removeprefix("sub-") if cells else ""


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").isdigit()
