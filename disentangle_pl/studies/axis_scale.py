"""Where the values of a setting lie on an axis: numbers, powers of ten, or categories."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.labels import short_value
from disentangle_pl.studies.run_groups import same

DECADES = 1.5
SLOT = 0.14
NEAREST = 0.055
MOST_TICKS = 10


class Scale(NamedTuple):
    """An axis from 0 to 1.

    Attributes:
        positions: (n,) of the values.
        ticks: Positions and labels, from below, none on top of another.
        log: Whether numbers lie by their order of magnitude.
    """

    positions: Values
    ticks: list[tuple[float, str]]
    log: bool


def place(values: Sequence[Any]) -> Scale:
    """Place settings on an axis.

    Numbers lie as on a ruler, by their logarithm if they span more than 1.5 decades; null, and a 0 among such numbers,
    have places of their own below. Anything else is a category: evenly spaced, in the order of the labels.

    Args:
        values: (n,) settings.
    """
    return _numbers(values) if is_numeric(values) else _categories(values)


def is_numeric(values: Sequence[Any]) -> bool:
    """Tell whether all values that are not null are finite numbers, and there is one."""
    known = [value for value in values if same(value) is not None]
    numbers = (isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    return bool(known) and all(numbers) and all(math.isfinite(value) for value in known)


def spans_decades(values: Sequence[float]) -> bool:
    """Tell whether numbers, none negative, span more than 1.5 decades above zero."""
    above = [value for value in values if value > 0]
    return bool(above) and min(values) >= 0 and math.log10(max(above) / min(above)) > DECADES


def near_runs(axes: Axes, values: Values) -> None:
    """Cut the y axis at half a span of the runs beyond them: intervals of two or three seeds may be many times as wide.

    Args:
        axes: With everything drawn.
        values: What must be seen; NaN is left out.
    """
    shown = values[np.isfinite(values)]
    if len(shown) and (span := float(np.ptp(shown))) > 0:
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, float(shown.min()) - span / 2), min(top, float(shown.max()) + span / 2))


def ruler(values: Sequence[float]) -> Scale:
    """Place numbers as on a ruler, with ticks at round numbers; a single number lies in the middle."""
    low, high = min(values), max(values)
    if low == high:
        return Scale(np.full(len(values), 0.5), [(0.5, short_value(low))], False)
    ticks = [(_share(float(tick), low, high, False), f"{tick:.3g}") for tick in _round_numbers(low, high, False)]
    return Scale(np.array([_share(value, low, high, False) for value in values]), ticks, False)


def _numbers(values: Sequence[Any]) -> Scale:
    kinds = [None if same(value) is None else float(value) for value in values]
    known = sorted({kind for kind in kinds if kind is not None})
    log = spans_decades(known)
    below: list[float | None] = [None] if None in kinds else []
    if log and known[0] == 0:
        below.append(known.pop(0))
    low, high, foot = known[0], known[-1], SLOT * len(below)
    where: dict[float | None, float] = {kind: SLOT * i for i, kind in enumerate(below)}
    shown = known if len(known) <= MOST_TICKS else [low, *_round_numbers(low, high, log), high]
    for kind in {*known, *shown}:
        where[kind] = foot + (1 - foot) * _share(kind, low, high, log)
    ticks = [(where[kind], short_value(kind)) for kind in [*below, *shown]]
    return Scale(np.array([where[kind] for kind in kinds]), thin(ticks), log)


def _share(value: float, low: float, high: float, log: bool) -> float:
    if high == low:
        return 0.5
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _categories(values: Sequence[Any]) -> Scale:
    names = {same(value): short_value(value) for value in values}
    order = sorted(names, key=lambda name: (name is not None, names[name], str(name)))
    places = np.linspace(0, 1, len(order)) if len(order) > 1 else np.array([0.5])
    where = dict(zip(order, places.tolist(), strict=True))
    ticks = [(where[name], names[name]) for name in order]
    return Scale(np.array([where[same(value)] for value in values]), thin(ticks), False)


def thin(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Leave ticks out that are too near to the one below; the topmost stays."""
    kept: list[tuple[float, str]] = []
    for tick in ticks:
        if not kept or tick[0] - kept[-1][0] >= NEAREST:
            kept.append(tick)
        elif tick is ticks[-1]:
            kept[-1] = tick
    return kept


def _round_numbers(low: float, high: float, log: bool) -> list[float]:
    locator = LogLocator(subs=(1.0,)) if log else MaxNLocator(5)
    return [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
