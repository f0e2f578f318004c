import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from statsmodels.regression.mixed_linear_model import MixedLM

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.random_intercept import permuted_spearman, random_intercept
from disentangle_pl.metrics.score import Values


def grouped(groups: int, spread: float, seed: int = 0) -> tuple[Values, Values, NDArray[np.int64]]:
    """Outcome, design and labels of groups of 5 to 9 rows, whose intercepts have a standard deviation."""
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(groups, dtype=np.int64), random.integers(5, 10, groups))
    between = random.normal(size=groups)[label]  # as measures of data sets are
    design = np.column_stack([np.ones(len(label)), between, random.normal(size=len(label))])
    noise = spread * random.normal(size=groups)[label] + random.normal(size=len(label))
    return design @ np.array([1.0, 0.5, -2.0]) + noise, design, label


@pytest.mark.parametrize(("groups", "spread"), [(12, 1.5), (30, 0.6), (5, 3.0)])
def test_it_is_the_mixed_model_of_statsmodels(groups: int, spread: float) -> None:
    outcome, design, label = grouped(groups, spread)
    ours = random_intercept(outcome, design, label)
    theirs = MixedLM(outcome, design, label).fit(reml=True)
    np.testing.assert_allclose(ours.slopes, theirs.fe_params, rtol=1e-3)
    np.testing.assert_allclose(
        np.sqrt(ours.covariance.diagonal()), theirs.bse_fe, rtol=5e-3
    )  # theirs by a numerical Hessian
    assert ours.between == pytest.approx(float(theirs.cov_re[0, 0]), rel=1e-2)
    assert ours.within == pytest.approx(theirs.scale, rel=1e-3)
    assert ours.groups == groups


def test_groups_that_do_not_differ_leave_least_squares() -> None:
    label, x = np.repeat(np.arange(6), 5), np.tile(np.linspace(-1, 1, 5), 6)
    noise = np.random.default_rng(0).normal(size=(6, 5))
    outcome = 3 * x + (noise - noise.mean(1, keepdims=True)).ravel()  # groups with one mean: less than chance between
    design = np.column_stack([np.ones(30), x])
    fit = random_intercept(outcome, design, label)
    assert fit.between == 0
    np.testing.assert_allclose(fit.slopes, np.linalg.lstsq(design, outcome, rcond=None)[0], atol=1e-12)


def test_balanced_groups_have_the_error_of_their_means() -> None:
    random = np.random.default_rng(1)
    label, x = np.repeat(np.arange(6), 4), np.repeat(random.normal(size=6), 4)
    outcome = 2 * x + np.repeat(3 * random.normal(size=6), 4) + 0.1 * random.normal(size=24)
    fit = random_intercept(outcome, np.column_stack([np.ones(24), x]), label)
    means, places = outcome.reshape(6, 4).mean(1), np.column_stack([np.ones(6), x[::4]])
    slopes, rest, *_ = np.linalg.lstsq(places, means, rcond=None)
    expected = np.sqrt(rest[0] / 4 * np.linalg.inv(places.T @ places)[1, 1])  # six rows of data, not 24
    np.testing.assert_allclose(fit.slopes, slopes)
    assert float(np.sqrt(fit.covariance[1, 1])) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("fault", ["nan", "constant", "collinear", "few"])
def test_what_cannot_be_solved_is_refused(fault: str) -> None:
    outcome, design, label = grouped(4, 1.0)
    if fault == "nan":
        outcome[0] = np.nan
    elif fault == "constant":
        outcome[:] = 1
    elif fault == "collinear":
        design[:, 1] = 2 * design[:, 0]
    else:
        outcome, design, label = outcome[:3], design[:3], label[:3]
    with pytest.raises(InputError, match="a regression"):
        random_intercept(outcome, design, label)


def test_rank_correlations_and_their_p_count_permutations() -> None:
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5])
    found = permuted_spearman(x, y)
    assert found.rho == pytest.approx(spearmanr(x, y).statistic)
    every = [abs(spearmanr(x, order).statistic) for order in itertools.permutations(y)]
    assert found.p == pytest.approx(np.mean(np.array(every) >= abs(found.rho) - 1e-9), abs=0.02)
    assert permuted_spearman(x, np.ones(5)) == (0.0, 1.0)
    assert permuted_spearman(x, -x).rho == pytest.approx(-1)
    with pytest.raises(InputError, match="needs 3 rows"):
        permuted_spearman(x[:2], y[:2])
