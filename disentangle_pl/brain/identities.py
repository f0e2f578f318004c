"""Whose row of a table it is, and of which visit: 1, SUB-01 and sub-01 are one person, ses-M48 and m048 one visit."""

import re
from collections.abc import Sequence

import pandas as pd

from disentangle_pl.brain.tables import listing

_MONTHS = re.compile(r"m0*(\d+)")
_DAYS = re.compile(r"d0*(\d+)")
_RUN = re.compile(r"_run-\d+$")

Key = tuple[str, ...]


def person_key(name: str) -> str:
    """Write a participant without sub-, blanks, upper case and leading zeros of a number."""
    bare = re.sub(r"^sub-", "", name.strip(), flags=re.IGNORECASE).casefold()
    return bare.lstrip("0") or "0" if bare.isdigit() else bare


def visit_key(label: str) -> str:
    """Write a session without ses-, blanks and upper case, and its months, days or number without leading zeros."""
    bare = re.sub(r"^ses-", "", label.strip(), flags=re.IGNORECASE).casefold()
    run = match[0] if (match := _RUN.search(bare)) else ""
    bare = bare.removesuffix(run)
    if months := _MONTHS.fullmatch(bare):
        return f"m{months[1]}{run}"
    if days := _DAYS.fullmatch(bare):
        return f"d{days[1]}{run}"
    if bare == "bl":
        return f"m0{run}"
    return (bare.lstrip("0") or "0" if bare.isdigit() else bare) + run


def as_scans_write(rows: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """Write the participants, and the sessions, of a table as the scans do.

    Args:
        rows: Column participant_id, and session_id if it has a row a visit.
        scans: The same columns, of the scans.

    Returns:
        The keys of the rows: those of a scan where one, and only one, is meant; others with sub- and ses- of BIDS if
        the scans have them.
    """
    names = [name for name in ("participant_id", "session_id") if name in rows.columns]
    exact = set(scans[names].itertuples(index=False, name=None))
    alike: dict[Key, set[Key]] = {}
    for key in exact:
        alike.setdefault(_canonical(key), set()).add(key)
    prefixes = [
        prefix if scans[name].astype("str").str.startswith(prefix).any() else ""
        for name, prefix in zip(names, ("sub-", "ses-"), strict=False)
    ]
    cells = [rows[name].fillna("").astype("str").str.strip() for name in names]
    written = [_written(key, exact, alike, prefixes) for key in zip(*cells, strict=True)]
    return pd.DataFrame(written, columns=names, index=rows.index)


def unlike(rows: pd.DataFrame, keys: pd.DataFrame) -> list[str]:
    """Say which participants and sessions a table writes otherwise than the scans, apart from sub- and ses-."""
    meanings = {}
    for name, prefix in zip(keys.columns, ("sub-", "ses-"), strict=False):
        for cell, meant in zip(rows[name].fillna(""), keys[name], strict=True):
            if cell.removeprefix(prefix) != meant.removeprefix(prefix):
                meanings[cell] = f"{cell!r} is {meant}"
    return (
        [f"{len(meanings)} names are written otherwise than those of the scans: {listing(list(meanings.values()), 3)}"]
        if meanings
        else []
    )


def _written(key: Key, exact: set[Key], alike: dict[Key, set[Key]], prefixes: Sequence[str]) -> Key:
    prefixed = tuple(prefix + cell.removeprefix(prefix) for cell, prefix in zip(key, prefixes, strict=True))
    if prefixed in exact or key in exact:
        return prefixed if prefixed in exact else key
    meant = alike.get(_canonical(key), set())
    return next(iter(meant)) if len(meant) == 1 else prefixed


def _canonical(key: Key) -> Key:
    return (person_key(key[0]), *map(visit_key, key[1:]))
