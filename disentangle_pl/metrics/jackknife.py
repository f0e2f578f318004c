"""How far scores of one table would be off with other rows: the jackknife of blocks of rows, or of whole groups."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval

BLOCKS = 10
Rows: TypeAlias = NDArray[np.bool_]


def blocks_left_out(
    rows: int, groups: NDArray[np.integer[Any]] | None = None, *, blocks: int = BLOCKS, seed: int = 0
) -> list[Rows]:
    """Return for every block the rows (N,) that stay when it is left out: random blocks of equal size.

    Args:
        rows: N.
        groups: (N,) whose row it is: groups are then dealt into blocks as a whole.
        blocks: Their number.
        seed: Of the deal.

    Raises:
        InputError: If there are fewer rows, or groups, than blocks, or fewer than 2 blocks.
    """
    unit = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(unit.max()) + 1 if rows else 0
    if not 2 <= blocks <= units:
        kind = "rows" if groups is None else "groups"
        raise InputError(
            f"an interval needs 2 blocks or more, each with rows or groups, got {blocks} for {units} {kind}"
        )
    dealt = np.random.default_rng(seed).permutation(np.arange(units) % blocks)
    return [dealt[unit] != block for block in range(blocks)]


def jackknife_intervals(
    values: Mapping[str, float],
    measure: Callable[[Rows], Mapping[str, float]],
    stays: Iterable[Rows],
    *,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return the values of scores with their intervals, from what they are when each block is left out.

    Rows are never repeated, which estimators of nearest neighbours would take for information. The interval says what
    other rows of the same number would give; the bias of a score at that number stays in it.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 11.5 and its grouped jackknife; the
        quantile is that of Student's t with as many degrees of freedom as blocks less one.

    Args:
        values: The scores of all rows.
        measure: Maps the rows (N,) that stay to the scores.
        stays: For every block, see `blocks_left_out`.
        level: Coverage, in (0, 1).

    Returns:
        Intervals of the scores that every block has.
    """
    sheets = [measure(rows) for rows in stays]
    count = len(sheets)
    reach = float(stats.t.ppf((1 + level) / 2, count - 1))
    intervals = {}
    for name, value in values.items():
        if all(name in sheet for sheet in sheets):
            draws = np.array([sheet[name] for sheet in sheets])
            error = float(np.sqrt((count - 1) / count * np.square(draws - draws.mean()).sum()))
            intervals[name] = Interval(value, value - reach * error, value + reach * error)
    return intervals
