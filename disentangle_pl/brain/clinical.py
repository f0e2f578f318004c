"""Clinical tables, read through a mapping of their columns."""

import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from disentangle_pl.brain.cells import meanings, measured
from disentangle_pl.brain.clocks import DAYS_A_YEAR, label_years
from disentangle_pl.brain.fields import sexes
from disentangle_pl.brain.mapping import Age, Column, Mapping, Time
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.brain.wide_tables import SESSION, absent_columns, long_rows
from disentangle_pl.errors import InputError

_YEARS = {"years": 1.0, "months": 12.0, "days": DAYS_A_YEAR}


class Clinical(NamedTuple):
    """A clinical table under our names.

    Attributes:
        rows: Columns participant_id as the scans have it, session_id of a wide table (see `long_rows`), time (years
            since study entry), age (at the row's time; at study entry in a table without time), the traits and scores
            of the mapping.
        remarks: What was left out or changed, in sentences.
    """

    rows: pd.DataFrame
    remarks: list[str]


def read_clinical(path: Path, mapping: Mapping, bounds: bool = False) -> Clinical:
    """Read a clinical table.

    Args:
        path: A .csv or .tsv file; or a BIDS folder, of which all sub-*/sub-*_sessions.tsv are read as one table with
            the name of the folder sub-* as participant_id.
        mapping: What the columns mean.
        bounds: Take numbers behind a comparison sign (`>1700`, `<80`) at their bound; otherwise they are missing.

    Returns:
        The rows that have a participant, and at least one trait, score or age.

    Raises:
        InputError: If the table lacks a column of the mapping, no participant fits the pattern, or a cell is wrong.
    """
    table = _read(path, mapping)
    people = _participants(table, mapping, path)
    rows = pd.DataFrame({"participant_id": people, "time": _time(table, mapping, people, path)})
    remarks = []
    if mapping.wide:
        rows["session_id"] = table[SESSION]
        remarks += absent_columns(table, mapping)
        there = {name: column for name, column in mapping.scores.items() if table[column.column].notna().any()}
        mapping = replace(mapping, scores=there)
    rows["age"] = _age(table, mapping, path, rows["time"])
    for name, column in mapping.traits.items():
        rows[name] = meanings(table, column, mapping).map(str, na_action="ignore").astype(object)
    if "sex" in rows.columns:
        rows["sex"] = sexes(rows["sex"])
    for name, column in mapping.scores.items():
        rows[name], signed = measured(table, column, mapping, path, bounds)
        if signed:
            taken = "taken at its bound" if bounds else "missing"
            remarks.append(f"{mapping.table}: {signed} cells of {column.column} have a comparison sign: {taken}")
    return _usable(rows, mapping, remarks)


def _read(path: Path, mapping: Mapping) -> pd.DataFrame:
    if mapping.wide:
        return long_rows(path, mapping)
    if not path.is_dir():
        table = read_table(path, mapping.columns)
        return table.astype("str").where(table.notna())
    files = sorted(path.glob("sub-*/sub-*_sessions.tsv"))
    tables = [read_table(file).assign(participant_id=file.parent.name) for file in files]
    if not tables:
        raise InputError(f"{path} has no sub-*/sub-*_sessions.tsv: give a table, or a BIDS folder with such tables")
    table = pd.concat(tables, ignore_index=True)
    missing = [name for name in mapping.columns if name not in table.columns]
    if missing:
        raise InputError(
            f"no sub-*_sessions.tsv of {path} has {', '.join(missing)}: there are {', '.join(map(str, table.columns))}"
        )
    return table.astype("str").where(table.notna())


def _participants(table: pd.DataFrame, mapping: Mapping, path: Path) -> pd.Series:
    who = mapping.participant
    matches = table[who.column].str.strip().map(re.compile(who.pattern).fullmatch, na_action="ignore")
    try:
        people = matches.map(lambda match: match.expand(who.template) if match else None, na_action="ignore").astype(
            object
        )
    except (re.error, IndexError) as error:
        raise InputError(f"the template {who.template!r} does not fit the pattern {who.pattern!r} ({error})") from error
    if people.isna().all():
        cells = listing([repr(cell) for cell in table[who.column].dropna().head(3)]) or "nothing"
        raise InputError(f"{path} has no participant that fits {who.pattern!r}: its {who.column} has {cells}")
    return people


def _time(table: pd.DataFrame, mapping: Mapping, people: pd.Series, path: Path) -> pd.Series:
    told = mapping.time
    if told is None:
        return pd.Series(float("nan"), index=table.index)
    if told.unit in _YEARS:
        return measured(table, Column(told.column), mapping, path, bounds=False)[0] / _YEARS[told.unit]
    cells = meanings(table, Column(told.column), mapping)
    if told.unit == "label":
        return label_years(cells)
    days = _days(cells, told, path)
    return (days - days.groupby(people).transform("min")) / DAYS_A_YEAR


def _days(cells: pd.Series, told: Time, path: Path) -> pd.Series:
    try:
        dates = pd.to_datetime(cells, format=told.format, utc=True)
    except ValueError as error:
        said = str(error).split(". ")[0]
        raise InputError(f"{path} has a wrong date as {told.column} ({said}): set format in the mapping") from error
    return (dates - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)


def _age(table: pd.DataFrame, mapping: Mapping, path: Path, time: pd.Series) -> pd.Series:
    told: Age | None = mapping.age
    if told is None:
        return pd.Series(float("nan"), index=table.index)
    age = measured(table, Column(told.column), mapping, path, bounds=False)[0]
    return age + time if told.at == "entry" and mapping.time else age


def _usable(rows: pd.DataFrame, mapping: Mapping, remarks: list[str]) -> Clinical:
    strangers = rows["participant_id"].isna()
    untimed = ~strangers & rows[["time", "age"]].isna().all(axis=1) & (mapping.time is not None and not mapping.wide)
    told = [*mapping.traits, *mapping.scores, *([] if mapping.time else ["age"])]
    empty = rows[told].isna().all(axis=1) & ~strangers & ~untimed
    for count, what in (
        (strangers.sum(), f"have a {mapping.participant.column} that does not fit {mapping.participant.pattern!r}"),
        (untimed.sum(), "have no time"),
        (empty.sum(), "have no diagnosis and no score"),
    ):
        if count:
            remarks.append(f"{mapping.table}: {count} of {len(rows)} rows {what} and are left out")
    return Clinical(rows[~(strangers | untimed | empty)].reset_index(drop=True), remarks)
