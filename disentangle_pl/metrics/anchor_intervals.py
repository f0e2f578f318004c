"""Intervals of what is averaged over a sample of anchors."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.metrics.intervals import Interval

Statistic: TypeAlias = Callable[[Tensor], Tensor]


def fixed(value: float) -> Interval:
    """Return a number that is known exactly."""
    return Interval(value, value, value)


def resampled_counts(anchors: int, resamples: int, seed: int) -> Tensor:
    """Return how often each anchor is drawn in every bootstrap resample: (resamples, anchors) float64."""
    chances = np.full(anchors, 1 / anchors)
    return torch.from_numpy(np.random.default_rng(seed).multinomial(anchors, chances, size=resamples)).double()


def interval_of(value: Tensor, resampled: Tensor, level: float = 0.95) -> Interval:
    """Return a value () with the percentiles of its resamples (R,); the interval is widened to hold the value."""
    low, high = np.quantile(resampled.double().numpy(), [(1 - level) / 2, (1 + level) / 2])
    mean = float(value)
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))


def over_anchors(
    statistic: Statistic, anchors: int, *, sampled: bool, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Return a statistic over anchors with its 95 % percentile bootstrap interval.

    Args:
        statistic: Maps counts (R, A), how often each anchor is drawn, to values (R,).
        anchors: A.
        sampled: Whether the anchors are a sample; if they are all there are, the value is exact.
        resamples: R of the bootstrap.
        seed: Of the bootstrap.
    """
    value = statistic(torch.ones(1, anchors, dtype=torch.float64))[0]
    if not sampled:
        return fixed(float(value))
    return interval_of(value, statistic(resampled_counts(anchors, resamples, seed)))
