"""Tables of numbers a person, and whose they are among the genotyped people."""

import csv
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.brain.tables import decoded
from disentangle_pl.brain.withdrawals import remaining
from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import PERSON

MISSING = ["na", "n/a", "#n/a", "nan", ""]
PLINK_MISSING = -9
_IID = ("iid", "participant_id")
_COMPONENT = re.compile(r"(?<![a-z])(pcs?|pca|ev|eigenvec(tor)?|component|ancestry|c)[ _.]*\d+|22009")
_ALIKE = 1e-8


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

    NA, nan, n/a and #N/A in any case are missing, and so is -9 however it is written, as in PLINK. Empty cells
    beyond the header, as of a tab at the end of lines, are left out of account. Other encodings than UTF-8 are read as
    `decoded` says.

    Raises:
        InputError: If it cannot be read, has no column of people or no other one, a column or a person twice, or more
            cells in a line than the header.
    """
    try:
        text = decoded(path).lstrip("\r\n")
        first, _, rows = text.partition("\n")
        separator = "," if path.suffix.lower() == ".csv" else "\t" if "\t" in first else None
        names = _header(first.rstrip("\r"), separator, path)
        widest = max((line.count(separator) + 1 for line in rows.splitlines()), default=0) if separator else len(names)
        surplus = [f"cell {k + 1}" for k in range(len(names), widest)]
        table = pd.read_csv(
            StringIO(rows),
            sep=separator or r"\s+",
            dtype=object,
            keep_default_na=False,
            na_filter=False,
            header=None,
            names=[*names, *surplus],
            index_col=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table of people ({error}): give FID, IID and columns") from error
    more = (table[surplus].fillna("").apply(lambda cells: cells.str.strip()) != "").any(axis=1).to_numpy(bool)
    if more.any():
        raise InputError(
            f"{path} has more cells than the header has names, in line {int(more.argmax()) + 2}: name every column"
        )
    table = table[names].fillna("")
    others = _others(names)
    return people_table(table.assign(**{name: _without_missing(table[name]) for name in others}), str(path))


def _header(line: str, separator: str | None, path: Path) -> list[str]:
    """Return the names of the columns, without empty ones at the end."""
    cells = next(csv.reader([line], delimiter=separator), []) if separator else line.split()
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path} has {listing(twice, 3)} more than once in its header: give every column its own name")
    return names


def _without_missing(cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce")
    missing = numbers == PLINK_MISSING
    words = numbers.isna()
    missing[words] = cells[words].str.strip().str.lower().isin(MISSING)
    return cells.mask(missing)


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
            f"{table.name} has none of the genotyped people: it has {listing(theirs.tolist(), 2)}, the genotypes "
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


def with_columns(table: PeopleTable, names: Sequence[str], flag: str) -> PeopleTable:
    """Keep some columns; without names, all.

    Args:
        table: Of people.
        names: Of columns, in their order; several may stand in one text, between commas.
        flag: What asked for them, for messages.

    Raises:
        InputError: If a column is not there.
    """
    chosen = _separate(names, table, flag)
    return PeopleTable(table.name, table.people, table.values[chosen]) if chosen else table


def as_categories(table: PeopleTable, names: Sequence[str], flag: str) -> PeopleTable:
    """Take columns as names of groups also where they are numbers, such as those of centres.

    Args:
        table: Of people.
        names: Of columns; several may stand in one text, between commas.
        flag: What asked for them, for messages.

    Raises:
        InputError: If a column is not there.
    """
    chosen = set(_separate(names, table, flag))
    parts = [
        pd.DataFrame(_levels(name, table.values[name])) if name in chosen else table.values[[name]]
        for name in map(str, table.values.columns)
    ]
    return PeopleTable(
        table.name, table.people, pd.concat([each.set_axis(table.values.index) for each in parts], axis=1)
    )


def _separate(names: Sequence[str], table: PeopleTable, flag: str) -> list[str]:
    chosen = [part for name in names for part in name.split(",") if part]
    lacking = [name for name in chosen if name not in table.values]
    if lacking:
        there = listing([str(name) for name in table.values.columns], 20)
        raise InputError(f"{table.name} has no column {listing(lacking, 3)} for {flag}, but {there}")
    return list(dict.fromkeys(chosen))


def _levels(name: str, cells: pd.Series) -> dict[str, Values]:
    """Return a column of 0 and 1 a value but the first; a missing cell is NaN in all."""
    levels = sorted(cells.dropna().unique())[1:]
    return {
        f"{name}={level}": np.where(cells.isna(), np.nan, (cells == level).to_numpy(np.float64)) for level in levels
    }


def covariates_of(table: PeopleTable) -> tuple[list[str], Values]:
    """Return names and values (N, c) of covariates; a column of text becomes one of 0 and 1 a value but the first.

    A missing cell is NaN in all columns that it makes.

    Raises:
        InputError: If a number is infinite, or a column has numbers and texts.
    """
    names: list[str] = []
    columns: list[Values] = []
    for name in map(str, table.values.columns):
        cells = table.values[name]
        values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
        texts = cells[np.isnan(values) & cells.notna().to_numpy()]
        if len(texts):
            if len(texts) < cells.notna().sum():
                raise InputError(
                    f"{table.name} has numbers and {texts.iloc[0]!r} in column {name}: write NA for what is missing, "
                    "or a word in every cell"
                )
            levels = _levels(name, cells)
            names += levels
            columns += levels.values()
        elif np.isinf(values).any():
            raise InputError(f"{table.name} has an infinite number in column {name}: write a number, or NA")
        else:
            names.append(name)
            columns.append(values)
    return names, np.column_stack(columns) if columns else np.empty((len(table.people), 0))


def joined_covariates(own: PeopleTable, given: PeopleTable) -> tuple[PeopleTable, list[str]]:
    """Put given covariates beside those that are known of the scans anyway, which give way where they say the same.

    Args:
        own: Known of the scans, of the people to analyse.
        given: Of these people, by IID with or without sub-, and of any others.

    Returns:
        The given columns and those of the scans that are no combination of them, and what is to be said of it.

    Raises:
        InputError: If nobody of the scans is among the given people, or one of them is there twice.
    """
    here, there = (each.people["iid"].astype("str").str.removeprefix("sub-") for each in (own, given))
    used = there.isin(here)
    if not used.any():
        raise InputError(
            f"{given.name} has none of the people of the scans: it has {listing(there.tolist(), 2)}, the scans have "
            f"{listing(here.tolist(), 2)}"
        )
    twice = there[used & there.duplicated()].tolist()
    if twice:
        raise InputError(f"{given.name} has {listing(twice, 3)} of the scans more than once: keep one line a person")
    rows = pd.Index(there[used]).get_indexer(pd.Index(here))
    values = given.values[used.to_numpy()].iloc[rows].reset_index(drop=True)
    values[rows < 0] = np.nan
    names, columns = covariates_of(own)
    named = {str(name).casefold() for name in values.columns}
    kept = _not_combined(covariates_of(PeopleTable(given.name, own.people, values))[1], columns)
    kept &= [name.partition("=")[0].casefold() not in named for name in names]
    mine = np.array(names)[kept].tolist()
    lost = [name for name in names if name not in mine]
    both = pd.concat([values, pd.DataFrame(columns[:, kept], columns=mine)], axis=1)
    said = [f"covariates of {given.name} join those of {own.name}, which are {listing(mine, 20) or 'none'}"]
    said += (
        [f"{listing(lost, 5)} of {own.name} is left out: {given.name} or another column says the same"] if lost else []
    )
    return PeopleTable(f"{given.name} and {own.name}", own.people, both), said


def has_component(names: Sequence[str]) -> bool:
    """Tell whether one of some covariates is named like a principal component of ancestry: PC1, EV2, C3, 22009-0.4."""
    return any(_COMPONENT.search(name.casefold()) for name in names)


def _not_combined(given: Values, own: Values) -> NDArray[np.bool_]:
    """Tell which columns of (N, c) own covariates are no combination of (N, g) given ones and own ones before."""
    found = np.ones(own.shape[1], dtype=np.bool_)
    known = ~np.isnan(given).any(axis=1) & ~np.isnan(own).any(axis=1)
    basis = np.column_stack((np.ones(int(known.sum())), given[known]))
    for i, column in enumerate(own[known].T if known.any() else []):
        left = column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0]
        found[i] = (left**2).sum() > _ALIKE * ((column - column.mean()) ** 2).sum()
        basis = np.column_stack((basis, column)) if found[i] else basis
    return found
