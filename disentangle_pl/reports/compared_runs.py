"""Runs that are compared, in groups that differ in their seed alone."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.reports.run_details import Details
from disentangle_pl.studies.labels import short_names, short_value
from disentangle_pl.studies.run_folder import CORRUPT
from disentangle_pl.studies.run_groups import configured, group_numbers, meaningful, telling


class Group(NamedTuple):
    """Runs that differ in their seed alone.

    Attributes:
        name: The settings that tell it from other groups.
        runs: Rows of the table.
        settings: Values of the telling settings.
    """

    name: str
    runs: Sequence[int]
    settings: Mapping[str, object]


class Runs(NamedTuple):
    """What is compared.

    Attributes:
        table: A tidy table of runs.
        details: One a row.
        groups: Of runs that differ in their seed alone.
        keys: The settings that tell groups apart.
    """

    table: pd.DataFrame
    details: Sequence[Details]
    groups: Sequence[Group]
    keys: Sequence[str]

    @property
    def group(self) -> list[int]:
        """The number of the group of every run."""
        owner = {run: number for number, group in enumerate(self.groups) for run in group.runs}
        return [owner[run] for run in range(len(self.table))]


def compared(table: pd.DataFrame, details: Sequence[Details]) -> Runs:
    """Group runs that differ in their seed alone, and name the groups after what tells them apart."""
    keys = meaningful(table)
    told = telling(configured(table), keys)
    names = short_names(told)
    groups = []
    numbers = np.array(group_numbers(table, keys))
    for number in range(numbers.max(initial=-1) + 1):
        runs = np.flatnonzero(numbers == number).tolist()
        own = table.iloc[runs[0]]
        values = {key: own[key] for key in told}
        if len(runs) == 1 and own["state"] == CORRUPT and not details[runs[0]].config:
            name = f"{own['run']} (settings not known)"
        else:
            name = _words({names[key]: value for key, value in values.items()}) or "all runs"
        groups.append(Group(name, runs, values))
    return Runs(table, details, _told_apart(groups), told)


def _words(values: Mapping[str, object]) -> str:
    plain = [
        short_value(value) if isinstance(value, str) and "." in value else f"{name} {short_value(value)}"
        for name, value in values.items()
        if value is not None and value == value
    ]
    plain = plain or [f"no {name}" for name in values]
    return ", ".join(plain[:4]) + (", …" if len(plain) > 4 else "")


def _told_apart(groups: Sequence[Group]) -> list[Group]:
    names = [group.name for group in groups]
    return [
        group._replace(name=f"{group.name} ({number + 1})") if names.count(group.name) > 1 else group
        for number, group in enumerate(groups)
    ]
