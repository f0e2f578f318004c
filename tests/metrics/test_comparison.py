"""Comparisons of probes, by their closed form and by what they would say of no difference."""

import numpy as np
import pytest
from scipy import stats

from disentangle_pl.metrics.comparison import compared, stretched
from disentangle_pl.metrics.prediction_scores import Scored


def test_the_variance_is_stretched_as_by_nadeau_and_bengio() -> None:
    """Of J = 1 split, whose variance is that over people who are scored: (1/J + n_scored/n_fitted) S^2."""
    assert stretched(0.1, 50, 40) == pytest.approx((0.01 * (1 + 50 / 40)) ** 0.5)
    assert stretched(0.1, 50, 1e12) == pytest.approx(0.1), "only those who are scored matter"


def test_a_comparison_is_students() -> None:
    draws = np.random.default_rng(0).normal(size=1000)
    found = compared(Scored(0.5, 0.5 + 0.1 * draws), Scored(0.3, np.full(1000, 0.3)), 21, 84)
    error = 0.1 * draws.std(ddof=1) * 1.25**0.5
    half = stats.t.ppf(0.975, 20) * error
    assert found[:3] == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(0.2 / error, 20))
    assert (found.p < 0.05) == (found.low > 0)


def test_differences_without_spread_have_no_interval() -> None:
    same = Scored(0.5, np.array([0.4, np.nan, 0.6]))
    assert compared(same, same, 10, 8) == (0, 0, 0, 1)
    assert compared(same, Scored(0.2, same.draws - 0.3), 10, 8)[1:] == pytest.approx((0.3, 0.3, 0))
