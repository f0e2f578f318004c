"""Intervals of a mean over runs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from disentangle_pl.errors import InputError


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: Sequence[float], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean of independent runs with its percentile bootstrap interval.

    With fewer than about ten runs the interval is too narrow: quote their number. One run has none: its ends are the
    value.
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.

    Args:
        values: One finite number a run.
        level: Coverage wanted, in (0, 1).
        resamples: Bootstrap samples, at least 1.
        seed: Seed of the resampling.

    Raises:
        InputError: If there is no run, a value is not finite, or a setting makes no sense.
    """
    runs = np.asarray(values, dtype=np.float64)
    if runs.ndim != 1 or not len(runs) or not np.isfinite(runs).all():
        raise InputError(f"an interval needs finite numbers, one a run, got {list(values)}")
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"level must lie in (0, 1) and resamples be at least 1, got {level} and {resamples}")
    chosen = np.random.default_rng(seed).integers(len(runs), size=(resamples, len(runs)))
    low, high = np.quantile(runs[chosen].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(runs.mean()), float(low), float(high))
