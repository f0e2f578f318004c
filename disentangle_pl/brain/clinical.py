"""Clinical tables, read through a mapping of their columns."""

import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from disentangle_pl.brain.cells import (
    DAYS_A_YEAR,
    CellRules,
    Fault,
    numeric,
    read_numbers,
    read_times,
    read_words,
    refuse,
    sentence,
)
from disentangle_pl.brain.clocks import phase_years
from disentangle_pl.brain.fields import sexes
from disentangle_pl.brain.mapping import Age, Column, Mapping, Time
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.brain.wide_tables import SESSION, long_rows
from disentangle_pl.errors import InputError

PLANNED = "planned_years"
"""Column of the time that the label of a clinical visit names."""

_YEARS = {"years": 1.0, "months": 12.0, "days": DAYS_A_YEAR}


class Clinical(NamedTuple):
    """A clinical table under our names.

    Attributes:
        rows: Columns participant_id as the scans have it, session_id of a wide table (see `long_rows`), time (years
            since study entry), `PLANNED` if the mapping has labels beside the time, age (at the row's time; at study
            entry in a table without time), the traits and scores of the mapping.
        remarks: What was left out or changed, in sentences.
    """

    rows: pd.DataFrame
    remarks: list[str]


class _Source(NamedTuple):
    """A table of text, how it is to be read, and what there was to say of it so far."""

    table: pd.DataFrame
    mapping: Mapping
    path: Path
    rules: CellRules
    remarks: list[str]

    def has(self, name: str | None) -> bool:
        return name in self.table.columns

    def report(self, name: str, faults: list[Fault]) -> None:
        """Remark on cells, or refuse them in strict mode."""
        refuse(name, faults, self.path, self.rules)
        if faults:
            self.remarks.append(f"{self.mapping.table}: {sentence(name, faults)}")


def read_clinical(path: Path, mapping: Mapping, bounds: bool = False, strict: bool = False) -> Clinical:
    """Read a clinical table; cells that cannot be read, or cannot be true, are missing, and this is said.

    Args:
        path: A .csv or .tsv file; or a BIDS folder, of which all sub-*/sub-*_sessions.tsv are read as one table with
            the name of the folder sub-* as participant_id.
        mapping: What the columns mean.
        bounds: Take numbers behind a comparison sign (`>1700`, `<80`, `89+`) at their bound, and ranges at their
            middle; otherwise they are missing.
        strict: Stop at the first cell that cannot be read.

    Returns:
        The rows that have a participant, and at least one trait, score or age.

    Raises:
        InputError: If the table lacks a column of the mapping that is not optional, or no participant fits the pattern;
            in strict mode, if a cell cannot be read.
    """
    source = _Source(_read(path, mapping), mapping, path, CellRules(bounds, strict), [])
    _remark_on_columns(source)
    people = _participants(source.table, mapping, path)
    rows = pd.DataFrame({"participant_id": people, "time": _time(source, people)})
    if mapping.wide:
        rows[SESSION] = source.table[SESSION]
    if mapping.time and source.has(mapping.time.label):
        rows[PLANNED] = phase_years(source.table[mapping.time.label], people)
    rows["age"] = _age(source, rows["time"])
    for name, column in mapping.traits.items():
        if source.has(column.column):
            rows[name] = _words(source, name, column)
    for name, column in mapping.scores.items():
        if source.has(column.column):
            rows[name] = _numbers(source, name, column)
    return _usable(rows, source)


def _read(path: Path, mapping: Mapping) -> pd.DataFrame:
    if mapping.wide:
        return long_rows(path, mapping)
    if not path.is_dir():
        table = read_table(path, mapping.required)
        return table.astype("str").where(table.notna())
    files = sorted(path.glob("sub-*/sub-*_sessions.tsv"))
    tables = [read_table(file).assign(participant_id=file.parent.name) for file in files]
    if not tables:
        raise InputError(f"{path} has no sub-*/sub-*_sessions.tsv: give a table, or a BIDS folder with such tables")
    table = pd.concat(tables, ignore_index=True)
    missing = [name for name in mapping.required if name not in table.columns]
    if missing:
        raise InputError(
            f"no sub-*_sessions.tsv of {path} has {', '.join(missing)}: there are {', '.join(map(str, table.columns))}"
        )
    return table.astype("str").where(table.notna())


def _remark_on_columns(source: _Source) -> None:
    mapping = source.mapping
    absent = [name for name in (mapping.columns if mapping.wide else mapping.optional) if not source.has(name)]
    if absent:
        source.remarks.append(f"{mapping.table}: without the optional columns {', '.join(absent)}")


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


def _time(source: _Source, people: pd.Series) -> pd.Series:
    time = source.mapping.time
    lacking = pd.Series(float("nan"), index=source.table.index)
    if time is None or (source.mapping.wide and not source.has(time.column)):
        return lacking
    if not source.has(time.column) and not source.has(time.label):
        columns = " and ".join(filter(None, (time.column, time.label)))
        raise InputError(f"{source.path} tells no time: it has no {columns}; name the column of time in the mapping")
    measured = _measured_time(source, time, people) if source.has(time.column) else lacking
    if not source.has(time.label):
        return measured
    labels = source.table[time.label]
    years = measured.fillna(phase_years(labels, people))
    lost = years.isna() & labels.str.strip().str.fullmatch(r"[Yy]\d{1,2}|init").fillna(False).astype(bool)
    if lost.any():
        source.remarks.append(
            f"{source.mapping.table}: {lost.sum()} rows with {listing(sorted(labels[lost].unique()), 3)} count from a "
            "later phase of the study, which tells no time since entry: give a table with dates, or with VISCODE2"
        )
    return years


def _measured_time(source: _Source, time: Time, people: pd.Series) -> pd.Series:
    if time.unit in _YEARS:
        return _numbers(source, "time", Column(time.column)) / _YEARS[time.unit]
    cells, _ = _meanings(source, Column(time.column))
    if time.unit == "label":
        return phase_years(cells, people)
    years, faults = read_times(cells, time.format)
    source.report("time", faults)
    return years - years.groupby(people).transform("min")


def _age(source: _Source, time: pd.Series) -> pd.Series:
    age: Age | None = source.mapping.age
    if age is None or not source.has(age.column):
        return pd.Series(float("nan"), index=source.table.index)
    years = _numbers(source, "age", Column(age.column))
    return years + time if age.at == "entry" and source.mapping.time else years


def _words(source: _Source, name: str, column: Column) -> pd.Series:
    cells, coded = _meanings(source, column)
    words, faults = read_words(cells.map(str, na_action="ignore"))
    source.report(name, [*coded, *faults])
    return sexes(words) if name == "sex" else words


def _numbers(source: _Source, name: str, column: Column) -> pd.Series:
    cells, coded = _meanings(source, column)
    values, faults = read_numbers(cells, name, source.rules)
    source.report(name, [*coded, *faults])
    return values


def _meanings(source: _Source, column: Column) -> tuple[pd.Series, list[Fault]]:
    """Replace cells by what the mapping says they mean; codes of missing that are no empty cells are faults."""
    cells = source.table[column.column].str.strip()
    lacking = cells.isin([str(cell) for cell in source.mapping.missing])
    numbers = pd.to_numeric(pd.Series(list(source.mapping.missing), dtype=object), errors="coerce").dropna()
    lacking |= numeric(cells).isin(numbers)
    coded = cells[lacking]
    meant = cells.where(~lacking).map(lambda cell: _meaning(cell, column), na_action="ignore")
    return meant, [Fault("with a code of missing", coded, "missing, as the mapping says")] if len(coded) else []


def _meaning(cell: str, column: Column) -> str | float | None:
    for pattern, meaning in column.values.items():
        if re.fullmatch(str(pattern), cell, re.IGNORECASE):
            return meaning
    return cell


def _usable(rows: pd.DataFrame, source: _Source) -> Clinical:
    mapping, remarks = source.mapping, source.remarks
    strangers = rows["participant_id"].isna()
    untimed = ~strangers & rows[["time", "age"]].isna().all(axis=1) & (mapping.time is not None and not mapping.wide)
    contents = [*mapping.traits, *mapping.scores, *([] if mapping.time else ["age"])]
    empty = rows.reindex(columns=contents).isna().all(axis=1) & ~strangers & ~untimed
    for count, what in (
        (strangers.sum(), f"have a {mapping.participant.column} that does not fit {mapping.participant.pattern!r}"),
        (untimed.sum(), "have no time"),
        (empty.sum(), "have no diagnosis and no score"),
    ):
        if count:
            remarks.append(f"{mapping.table}: {count} of {len(rows)} rows {what} and are left out")
    return Clinical(rows[~(strangers | untimed | empty)].reset_index(drop=True), remarks)
