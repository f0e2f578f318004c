"""What the tables of a BIDS directory know of its scans: ages, times, sexes, sites, diagnoses and scores.

Source: Gorgolewski et al. 2016, The brain imaging data structure, Scientific Data 3:160044, and its
specification 1.9.
"""

from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.clocks import since_first
from disentangle_pl.brain.fields import COLUMNS, KEYS, TRAITS, fields, fill, holds_for_life, is_score, tidied, typed
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.errors import InputError


def describe(scans: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Join scans with sub-*_sessions.tsv, phenotype/*.tsv and participants.tsv, in this order of trust.

    A table with session_id is joined by visit. One without has one row a person: sex, site, education and texts hold
    for every visit, and so does the diagnosis unless sessions have their own; an age or a score counts at the first
    visit only. Every column of numbers is a score, except identifiers.

    Args:
        scans: participant_id, session_id, path; the visits of a participant in order.
        root: The directory that holds the sub-* folders.

    Returns:
        The columns of `read_visits`, unknown cells NaN.

    Raises:
        InputError: If a table cannot be read, lacks its key, repeats it, or has a wrong age or time.
    """
    known = scans.reindex(columns=[*COLUMNS, "time"])
    for table in _by_visit(root):
        known = fill(known, table, KEYS)
        _say_unused(table, scans)
    person = known["participant_id"]
    known["years"] = known["years"].astype("float64").fillna(since_first(known["time"].astype("float64"), person))
    for table in _by_person(root):
        known = _fill_person(known, table)
    return typed(known.drop(columns="time"))


def _by_visit(root: Path) -> list[pd.DataFrame]:
    paths = sorted(root.glob("sub-*/sub-*_sessions.tsv"))
    tools = [table for table in map(_read_keyed, sorted(root.glob("phenotype/*.tsv"))) if "session_id" in table.columns]
    return [*([_read_sessions(paths)] if paths else []), *tools]


def _by_person(root: Path) -> list[pd.DataFrame]:
    paths = [*root.glob("participants.tsv"), *sorted(root.glob("phenotype/*.tsv"))]
    return [table for table in map(_read_keyed, paths) if "session_id" not in table.columns]


def _read_sessions(paths: list[Path]) -> pd.DataFrame:
    """Read the sessions of all participants; together, since what `fields` does costs as much for one as for all."""
    tables = [tidied(read_table(path, ["session_id"])) for path in paths]
    people = [path.parent.name for path in paths]
    table = pd.concat(tables, keys=people, names=["participant_id"]).reset_index("participant_id")
    keys = table[["participant_id"]].assign(session_id=_labelled(table["session_id"], "ses-"))
    try:
        return _keyed(keys.reset_index(drop=True), table.reset_index(drop=True), paths[0])
    except InputError:
        for path, each in zip(paths, tables, strict=True):
            _keyed(pd.DataFrame({"session_id": _labelled(each["session_id"], "ses-")}), each, path)
        raise


def _read_keyed(path: Path) -> pd.DataFrame:
    """Read a table of people, or of visits if it has a session_id."""
    table = read_table(path, ["participant_id"])
    keys = pd.DataFrame({"participant_id": _labelled(table["participant_id"], "sub-")})
    if "session_id" in table.columns:
        keys["session_id"] = _labelled(table["session_id"], "ses-")
    return _keyed(keys, table, path)


def _keyed(keys: pd.DataFrame, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    twice = keys[keys.duplicated()]
    if len(twice):
        names = [" ".join(row) for row in twice.to_numpy().tolist()]
        raise InputError(f"{path} has more than one row of {listing(names)}: keep one each")
    return keys.join(fields(table, path))


def _fill_person(known: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Fill from a table with one row a person what is true at each visit."""
    person = known["participant_id"]
    first = person.map(people.set_index("participant_id")["age"])
    age, years = known["age"].astype("float64"), known["years"]
    others = [name for name in people.columns if name not in (*COLUMNS, "time")]
    always = [name for name in others if holds_for_life(name) or not is_score(name, people[name])]
    always += TRAITS if known["diagnosis"].isna().all() else ["sex", "site"]
    filled = fill(known, people[["participant_id", *always]], ["participant_id"])
    filled["age"] = age.fillna(first + years).fillna(first.where(~person.duplicated()))
    once = [name for name in others if name not in always]
    at_first = known.loc[(years == 0) | (years.isna() & ~person.duplicated()), KEYS]
    scores = at_first.merge(people[["participant_id", *once]], how="left", on="participant_id")
    return fill(filled, scores, KEYS)


def _say_unused(table: pd.DataFrame, scans: pd.DataFrame) -> None:
    unused = len(table) - len(table.merge(scans, on=KEYS))
    if unused:
        rank_zero_info(f"{unused} of {len(table)} visits of the tables have no T1-weighted scan")


def _labelled(names: pd.Series, prefix: str) -> pd.Series:
    return names.fillna("").map(lambda name: prefix + name.removeprefix(prefix))
