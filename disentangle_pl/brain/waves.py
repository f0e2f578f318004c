"""Tables with one row a person and a column a visit, such as MMSE_W1, MMSE_W2, brought to one row a visit."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from disentangle_pl.brain.clocks import in_time
from disentangle_pl.brain.identities import visit_key
from disentangle_pl.brain.tables import listing

_COUNT = r"(?P<kind>w|wave|visit|ses|session|tp|timepoint)_?(?P<number>\d{1,2})"
_PATTERNS = (
    re.compile(rf"(?P<base>.+)_{_COUNT}"),
    re.compile(rf"{_COUNT}_(?P<base>.+)"),
    re.compile(r"(?P<base>.+)_(?P<label>bl|m\d{2,3})"),
)
_NUMBERED = re.compile(r"(?:w|wave|v|visit|ses|session|tp|timepoint|t|y|year)?[-_]?0*(\d{1,2})", re.IGNORECASE)


class Wave(NamedTuple):
    """What a column is of.

    Attributes:
        base: Name of the quantity.
        kind: w, wave, visit and so on; "" for labels of months.
        name: Number or label of the visit.
    """

    base: str
    kind: str
    name: str


def waves_of(columns: Iterable[str]) -> dict[str, Wave]:
    """Find the columns of a table that are of one visit each.

    Args:
        columns: Tidy names.

    Returns:
        What they are of; none unless some quantity is there at two visits or more.
    """
    waves = {name: wave for name in columns if (wave := _wave(name))}
    counts = pd.DataFrame(waves.values(), columns=Wave._fields).groupby(["kind", "base"])["name"].nunique()
    wide = {str(kind) for kind, _ in counts[counts > 1].index}
    return {name: wave for name, wave in waves.items() if wave.kind in wide}


def by_visit(people: pd.DataFrame, waves: dict[str, Wave], visits: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Bring the columns of visits to one row a visit.

    Args:
        people: participant_id and columns of text, one row a person.
        waves: Of `waves_of`.
        visits: participant_id, session_id and years of the scans.

    Returns:
        participant_id, session_id and a column a quantity; visits of no session are left out. And which wave is which
        session, in sentences.
    """
    sessions, how = _sessions(waves, visits)
    tables = []
    for key, session in sessions.items():
        columns = {name: wave.base for name, wave in waves.items() if (wave.kind, wave.name) == key}
        table = people[["participant_id", *columns]].rename(columns=columns)
        table = table.loc[:, ~table.columns.duplicated()]
        tables.append(table.assign(session_id=session).dropna(subset=list(table.columns[1:]), how="all"))
    lost = [name for name, wave in waves.items() if (wave.kind, wave.name) not in sessions]
    remarks = [
        f"columns a visit, {how}: {listing([f'{kind}{name} is {label}' for (kind, name), label in sessions.items()])}"
    ]
    remarks += [f"columns of visits without a scan are left out: {listing(lost)}"] if lost else []
    if not tables:
        return people[["participant_id"]].iloc[:0].assign(session_id=""), remarks
    return pd.concat(tables, ignore_index=True).groupby(
        ["participant_id", "session_id"], as_index=False
    ).first(), remarks


def _wave(name: str) -> Wave | None:
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(name):
            parts = match.groupdict()
            return Wave(parts["base"], parts.get("kind") or "", parts.get("label") or str(int(parts["number"])))
    return None


def _sessions(waves: dict[str, Wave], visits: pd.DataFrame) -> tuple[dict[tuple[str, str], str], str]:
    """Name the session of every wave: by months or numbers of the labels, or else by the order in time."""
    keys = sorted({(wave.kind, wave.name) for wave in waves.values()}, key=lambda key: (key[0], key[1].zfill(4)))
    labels = visits["session_id"].unique().tolist()
    numbers = {_number(label) or visit_key(label): label for label in labels}
    named = {
        key: numbers[key[1] if key[0] else visit_key(key[1])]
        for key in keys
        if (key[1] if key[0] else visit_key(key[1])) in numbers
    }
    if named or not any(kind for kind, _ in keys):
        return named, "by the labels of sessions"
    order = visits.groupby("session_id", as_index=False)["years"].median().assign(participant_id="")
    in_order = dict(enumerate(in_time(order)["session_id"], start=1))
    return {key: in_order[int(key[1])] for key in keys if key[0] and int(key[1]) in in_order}, "by their order in time"


def _number(label: str) -> str | None:
    match = _NUMBERED.fullmatch(re.sub("^ses-", "", label))
    return str(int(match[1])) if match else None
