"""Intervals of a mean: Student's t of few, a bootstrap of many, and that they cover."""

import math

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import bootstrap_interval, mean_interval

T = {2: 12.706205, 3: 4.302653, 5: 2.776445, 10: 2.262157, 19: 2.100922}  # quantiles of .975, from a printed table


@pytest.mark.parametrize(("n", "quantile"), T.items())
def test_interval_of_few_runs_is_that_of_student(n: int, quantile: float) -> None:
    values = np.random.default_rng(n).normal(3, 2, n)
    half = quantile * math.sqrt(((values - values.mean()) ** 2).sum() / (n - 1) / n)
    expected = values.mean(), values.mean() - half, values.mean() + half
    assert mean_interval(values.tolist()) == pytest.approx(expected, rel=1e-6)


def test_three_seeds_of_brains_have_a_wide_interval() -> None:
    """Their range is [.57, .73]: what a bootstrap would return."""
    _, low, high = mean_interval([0.57, 0.66, 0.73])
    assert [low, high] == pytest.approx([0.454, 0.852], abs=1e-3)


def test_interval_of_many_runs_is_a_bootstrap_near_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    half = 1.959964 * values.std() / 400**0.5
    assert mean_interval(values) == pytest.approx((values.mean(), values.mean() - half, values.mean() + half), abs=0.02)
    assert mean_interval(values[:20], seed=3) == bootstrap_interval(values[:20], seed=3)
    assert mean_interval(values[:19], seed=3) != bootstrap_interval(values[:19], seed=3)


def test_interval_narrows_with_the_level_and_one_run_has_none() -> None:
    wide, narrow = (mean_interval([1.0, 2.0, 4.0], level) for level in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    one = mean_interval([5.0])
    assert one.mean == 5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert mean_interval([5.0, 5.0]) == (5, 5, 5)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
def test_intervals_cover_the_mean_as_often_as_they_say(n: int) -> None:
    draws = np.random.default_rng(n).normal(size=(400, n))
    found = np.array([mean_interval(values) for values in draws])
    assert ((found[:, 1] < 0) & (found[:, 2] > 0)).mean() > 0.91


@pytest.mark.parametrize(("values", "level"), [([], 0.95), ([1.0, np.nan], 0.95), ([1.0], 1.0), ([[1.0]], 0.95)])
def test_what_has_no_interval_is_refused(values: list[float], level: float) -> None:
    with pytest.raises(InputError):
        mean_interval(values, level)
    with pytest.raises(InputError):
        bootstrap_interval(values, level=level)
    with pytest.raises(InputError, match="resamples=0"):
        bootstrap_interval([1.0], resamples=0)
