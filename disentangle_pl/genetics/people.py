"""Tables of numbers a person, and whose they are among the genotyped people."""

from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.brain.tables import decoded, listing
from disentangle_pl.brain.withdrawals import remaining
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.genotypes import PERSON
from disentangle_pl.metrics.score import Values

MISSING = ["NA", "N/A", "n/a", "nan", "NaN", "NAN", ""]
PLINK_MISSING = "-9"
_IID = ("iid", "participant_id")


class PeopleTable(NamedTuple):
    """What is known of people.

    Attributes:
        name: Where it comes from, for messages.
        people: Columns fid (missing where the table has none) and iid.
        values: The other columns as text, missing cells as such.
    """

    name: str
    people: pd.DataFrame
    values: pd.DataFrame


def read_people(path: Path) -> PeopleTable:
    """Read a table with a header of FID and IID, or IID or participant_id alone, split at blanks, tabs or commas.

    NA, nan and n/a are missing, and so is -9, as in PLINK. Other encodings than UTF-8 are read as `decoded` says.

    Raises:
        InputError: If it cannot be read, has no column of people or no other one, or a person twice.
    """
    try:
        text = decoded(path)
        first = text.partition("\n")[0]
        separator = "," if path.suffix.lower() == ".csv" else "\t" if "\t" in first else None
        others = _others(first.rstrip("\r").split(separator))
        table = pd.read_csv(
            StringIO(text),
            sep=separator or r"\s+",
            dtype=str,
            keep_default_na=False,
            na_values={name: [*MISSING, PLINK_MISSING] for name in others},
            index_col=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table of people ({error}): give FID, IID and columns") from error
    return people_table(table, str(path))


def people_table(table: pd.DataFrame, name: str) -> PeopleTable:
    """Find out which columns name the people of a table of text.

    Raises:
        InputError: As `read_people`.
    """
    plain = {str(column).lstrip("#").lower(): column for column in table.columns}
    iid = next((plain[spelling] for spelling in _IID if spelling in plain), None)
    others = _others([str(column) for column in table.columns])
    if iid is None or not others:
        raise InputError(
            f"{name} has the columns {listing([str(c) for c in table.columns])}: it needs IID (or participant_id), "
            "better FID and IID, and at least one more"
        )
    fid = table[plain["fid"]] if "fid" in plain else pd.Series(None, index=table.index, dtype=object)
    people = pd.DataFrame({"fid": fid.where(fid != "0"), "iid": table[iid]})
    twice = people.loc[people.duplicated(), "iid"].astype(str).tolist()
    if twice or (people["iid"].fillna("") == "").any():
        raise InputError(f"{name} has {listing(twice, 3) or 'a person without IID'}: keep one line a person")
    return PeopleTable(name, people, table[others])


def without_withdrawn(table: PeopleTable, withdrawn: Path | None) -> PeopleTable:
    """Leave people out who have withdrawn.

    Args:
        table: Of N people.
        withdrawn: See `read_withdrawn`; None leaves nobody out.

    Raises:
        InputError: If the file cannot be read, or nobody remains.
    """
    people = remaining(table.people, withdrawn, "iid")
    return PeopleTable(table.name, people.reset_index(drop=True), table.values.loc[people.index].reset_index(drop=True))


def _others(columns: list[str]) -> list[str]:
    return [name for name in columns if name.lstrip("#").lower() not in ("fid", *_IID, "sid")]


def rows_of(people: pd.DataFrame, table: PeopleTable) -> NDArray[np.intp]:
    """Find the row (N,) of every genotyped person in a table, -1 where there is none.

    People are known by FID and IID; by IID alone where the table has no FID, or no FID of it fits, which takes IIDs
    that are there once. The sub- of BIDS is left out of account.

    Raises:
        InputError: If nobody is found, or IIDs alone do not tell people apart.
    """
    if table.people["fid"].notna().all():
        wanted = pd.MultiIndex.from_frame(people[PERSON].astype(str))
        found = pd.MultiIndex.from_frame(table.people[PERSON].astype(str)).get_indexer(wanted)
        if (found >= 0).any():
            return found
    mine, theirs = (each["iid"].str.removeprefix("sub-") for each in (people, table.people))
    twice = [name for each in (mine, theirs) for name in each[each.duplicated()]]
    if twice:
        raise InputError(f"{table.name} can be matched by IID alone, but IID {listing(twice, 3)} is not of one person")
    found = pd.Index(theirs).get_indexer(pd.Index(mine))
    if not (found >= 0).any():
        raise InputError(
            f"{table.name} has none of the genotyped people: it has {listing(theirs.tolist(), 2)}, the .fam "
            f"{listing(mine.tolist(), 2)}"
        )
    return found


def numbers_of(table: PeopleTable) -> tuple[list[str], Values]:
    """Return names (K,) and values (N, K) of columns that must all be numbers, NaN where missing.

    Raises:
        InputError: If a cell is no number.
    """
    names = [str(name) for name in table.values.columns]
    columns = [pd.to_numeric(table.values[name], errors="coerce").to_numpy(np.float64) for name in names]
    for name, column in zip(names, columns, strict=True):
        wrong = table.values[name][np.isnan(column) & table.values[name].notna().to_numpy()]
        if len(wrong) or np.isinf(column).any():
            cell = wrong.iloc[0] if len(wrong) else "an infinite number"
            raise InputError(f"{table.name} has {cell!r} in column {name}: write a number, or NA")
    return names, np.column_stack(columns)


def covariates_of(table: PeopleTable) -> tuple[list[str], Values]:
    """Return names and values (N, c) of covariates; a column of text becomes one of 0 and 1 a value but the first.

    A missing cell is NaN in all columns that it makes.

    Raises:
        InputError: If a number is infinite.
    """
    names: list[str] = []
    columns: list[Values] = []
    for name in map(str, table.values.columns):
        cells = table.values[name]
        values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
        if (np.isnan(values) & cells.notna().to_numpy()).any():
            for level in sorted(cells.dropna().unique())[1:]:
                names.append(f"{name}={level}")
                columns.append(np.where(cells.isna(), np.nan, (cells == level).to_numpy(np.float64)))
        elif np.isinf(values).any():
            raise InputError(f"{table.name} has an infinite number in column {name}: write a number, or NA")
        else:
            names.append(name)
            columns.append(values)
    return names, np.column_stack(columns) if columns else np.empty((len(table.people), 0))
