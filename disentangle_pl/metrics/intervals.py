"""Intervals of a mean over independent runs, seeds or people."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Values

MANY = 20  # values from which on their own distribution stands in for that of the population


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float] | Values, level: float = 0.95, *, seed: int = 0) -> Interval:
    """Return the mean of independent values with its interval: Student's t below 20 of them, a bootstrap from 20 on.

    One value has no interval: its ends are NaN. The coverage, at 2 to 50 values, is measured in
    `benchmarks/results/intervals.md`. Ends of t may lie beyond the range of a score.

    Source: Student 1908, Biometrika 6:1, for the interval of few; `bootstrap_interval` for that of many.

    Args:
        values: One finite number a run, seed or person.
        level: Coverage wanted, in (0, 1).
        seed: Of the bootstrap.

    Raises:
        InputError: If there is no value, one is not finite, or the level makes no sense.
    """
    numbers = _checked(values, level)
    if len(numbers) >= MANY:
        return bootstrap_interval(numbers, level=level, seed=seed)
    mean = float(numbers.mean())
    if len(numbers) == 1:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf((1 + level) / 2, len(numbers) - 1) * numbers.std(ddof=1)) / len(numbers) ** 0.5
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(
    values: Sequence[float] | Values, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean of many independent values with its percentile bootstrap interval.

    It is too narrow for few: of 3 values it is their range and covers 75 %, not 95 %. See `mean_interval`.
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.

    Args:
        values: One finite number a run, seed or person.
        level: Coverage wanted, in (0, 1).
        resamples: Bootstrap samples, at least 1.
        seed: Seed of the resampling.

    Raises:
        InputError: If there is no value, one is not finite, or a setting makes no sense.
    """
    numbers = _checked(values, level)
    if resamples < 1:
        raise InputError(f"an interval needs one bootstrap sample or more, got resamples={resamples}")
    chosen = np.random.default_rng(seed).integers(len(numbers), size=(resamples, len(numbers)))
    low, high = np.quantile(numbers[chosen].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(numbers.mean()), float(low), float(high))


def _checked(values: Sequence[float] | Values, level: float) -> Values:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise InputError(f"an interval needs finite numbers, one a run, got {list(values)}")
    if not 0 < level < 1:
        raise InputError(f"the level of an interval must lie in (0, 1), got {level}")
    return numbers
