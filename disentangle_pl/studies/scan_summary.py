"""A table of scans in a few lines."""

from collections.abc import Sequence

import pandas as pd

from disentangle_pl.brain.fields import GAP, scores_of
from disentangle_pl.brain.rescans import visit_rows

_MOST = 10


def summary(visits: pd.DataFrame, same: pd.Series) -> list[str]:
    """Say who and what is in a table of `read_visits`.

    Args:
        visits: The table.
        same: (N,) of `twins`: contents of the scans that are there more than once.

    Returns:
        Lines; sexes, sites and diagnoses count people, at the first visit where they are known.
    """
    people = visits["participant_id"]
    first = visits.groupby("participant_id", sort=False)[["sex", "site", "diagnosis"]].first()
    lines = [
        ("people", f"{people.nunique()} with {len(visits)} scans"),
        ("visits a person", _counted(people[visit_rows(visits)].value_counts().astype(str), by_name=True)),
        ("age", _range(visits["age"])),
        ("years of follow-up", _range(visits.groupby("participant_id")["years"].max()[people.value_counts() > 1])),
        *[(name, _counted(first[name], by_name=False)) for name in first.columns],
        ("scores", _known(visits, scores_of(visits))),
        *[(name, _range(visits[name].abs())) for name in map(str, visits.columns) if name.endswith(GAP)],
    ]
    twice = visits["path"][same.dropna().sort_values(kind="stable").index].tolist()
    said = [f"  {name:<20} {text}" for name, text in lines]
    return said + ([f"the same image more than once, {len(twice)} scans:", *_indented(most(twice))] if twice else [])


def most(items: Sequence[str]) -> list[str]:
    """Return the first ten of many, and how many more there are."""
    return [*items[:_MOST], *([f"and {len(items) - _MOST} more"] if len(items) > _MOST else [])]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _range(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "unknown"
    return (
        f"{known.min():.3g} to {known.max():.3g}, median {known.median():.3g}, known of {len(known)} of {len(values)}"
    )


def _counted(values: pd.Series, by_name: bool) -> str:
    counts = values.fillna("unknown").value_counts()
    if by_name:
        counts = counts.sort_index(key=lambda names: names.astype(int))
    return ", ".join(most([f"{name}: {count}" for name, count in counts.items()]))


def _known(visits: pd.DataFrame, names: Sequence[str]) -> str:
    return ", ".join(most([f"{name} {visits[name].notna().sum()}" for name in names])) or "none"
