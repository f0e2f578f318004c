"""The history of a run, read from a metrics.csv in whatever condition it is found."""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class History(NamedTuple):
    """What was logged over a training.

    Attributes:
        steps: Steps by metric, ascending as logged.
        values: Finite values by metric.
        remark: What could not be read, in a sentence; empty if all could.
    """

    steps: Mapping[str, list[float]]
    values: Mapping[str, list[float]]
    remark: str = ""


def read_history(path: Path) -> History:
    """Read the numbers of a training; cells and rows that cannot be read are left out, and counted.

    Args:
        path: The metrics.csv.
    """
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        return History({}, {}, f"there is no {path.name}: nothing was logged" if not path.exists() else "")
    steps: dict[str, list[float]] = {}
    values: dict[str, list[float]] = {}
    rows = csv.reader(line for line in text.replace("\0", "\N{REPLACEMENT CHARACTER}").splitlines() if line)
    torn = not_finite = 0
    try:
        header = next(rows, [])
        at = header.index("step")
        for row in rows:
            if len(row) != len(header) or not row[at].isdecimal():
                torn += 1
                continue
            for name, value in _numbers(header, row, at):
                if math.isfinite(value):
                    steps.setdefault(name, []).append(float(row[at]))
                    values.setdefault(name, []).append(value)
                else:
                    not_finite += 1
    except (ValueError, csv.Error):
        return History(steps, values, f"{path.name} is no table of steps: its end, or all of it, is left out")
    return History(steps, values, _remark(path.name, torn, not_finite))


def _numbers(header: list[str], row: list[str], at: int) -> Iterable[tuple[str, float]]:
    for i, (name, text) in enumerate(zip(header, row, strict=True)):
        if text and i != at:
            try:
                yield name, float(text)
            except ValueError:
                yield name, math.nan


def _remark(name: str, torn: int, not_finite: int) -> str:
    said = []
    if torn:
        said.append(f"{torn} {'row' if torn == 1 else 'rows'} cut short or damaged")
    if not_finite:
        said.append(f"{not_finite} {'cell' if not_finite == 1 else 'cells'} without a finite number")
    return f"{name} has {' and '.join(said)}: left out of the curves" if said else ""
