"""Tables with one row a person and a column for every visit, such as 21003-2.0 of UK Biobank, as one row a visit."""

import re
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.fields import holds_for_life
from disentangle_pl.brain.mapping import Mapping
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.errors import InputError

SESSION = "session_id"


def long_rows(path: Path, mapping: Mapping) -> pd.DataFrame:
    """Read a wide table with one row a person and session.

    A column of the table that fits `mapping.wide` is the column `<column>` of the session `ses-<session>`. A column
    without a session (31, p31) is of all sessions, and so is what holds for life: sex, education, genes; of it the
    first cell that is not missing. Columns that the mapping does not name are not read.

    Args:
        path: A .csv or .tsv file.
        mapping: With a pattern `wide`.

    Returns:
        The columns of the mapping that have any cell, as text, and session_id. No row for a session of which nothing
        is there.

    Raises:
        InputError: If the table cannot be read, has no column of participants, a person twice, or none of the others.
    """
    pattern = re.compile(mapping.wide or "")
    columns: dict[tuple[str, str], str] = {}
    for name in read_table(path, head=True).columns:
        match = pattern.fullmatch(str(name).strip())
        if match and match["column"] in mapping.columns:
            columns.setdefault((match["column"], match["session"] or ""), str(name))
    who = mapping.participant.column
    if (who, "") not in columns or len(columns) == 1:
        raise InputError(
            f"{path} has no column {who}, or none of {listing(mapping.columns[1:])}, that fits {mapping.wide!r}: it "
            f"has {listing(list(map(str, read_table(path, head=True).columns)), 5)}"
        )
    wide = read_table(path, only=list(columns.values())).dropna(how="all")
    people = wide[columns[who, ""]]
    twice = people[people.duplicated() & people.notna()].unique().tolist()
    if twice:
        raise InputError(f"{path} has more than one row of {listing(twice, 3)}: keep one a person")
    life = [column.column for name, column in mapping.scores.items() if holds_for_life(name)]
    life += [mapping.traits["sex"].column] if "sex" in mapping.traits else []
    constant = {name: _first(wide, columns, name) for name in mapping.columns if name in life or (name, "") in columns}
    sessions = sorted({session for name, session in columns if session and name not in constant})
    rows = [_of_session(wide, columns, session, mapping, constant) for session in sessions]
    table = pd.concat(rows or [pd.DataFrame(constant)], ignore_index=True).reindex(columns=[*mapping.columns, SESSION])
    empty = [name for name in mapping.columns if name != who and table[name].isna().all()]
    return table.drop(columns=empty).astype("str").where(table.notna())


def _first(wide: pd.DataFrame, columns: dict[tuple[str, str], str], name: str) -> pd.Series:
    own = [column for (each, _), column in sorted(columns.items()) if each == name]
    return wide[own].bfill(axis=1).iloc[:, 0] if own else pd.Series(None, index=wide.index, dtype=object)


def _of_session(
    wide: pd.DataFrame,
    columns: dict[tuple[str, str], str],
    session: str,
    mapping: Mapping,
    constant: dict[str, pd.Series],
) -> pd.DataFrame:
    own = {name: wide[columns[name, session]] for name in mapping.columns if (name, session) in columns}
    filled = pd.DataFrame({name: cells for name, cells in own.items() if name not in constant}).notna().any(axis=1)
    return pd.DataFrame({**own, **constant, SESSION: f"ses-{session}"})[filled]
