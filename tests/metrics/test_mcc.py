import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.mcc import Correlation, mcc, mcc_per_factor, pearson, spearman
from disentangle_pl.metrics.score import Codes, Values
from tests.metrics.golden import draw, rotate

GRID = np.stack(np.meshgrid(*3 * [np.arange(4)], indexing="ij"), axis=-1).reshape(-1, 3)
CODES = perfect_codes(GRID, 3)
RANDOM = np.random.default_rng(0)


def test_correlations_equal_those_of_scipy() -> None:
    codes, factor = RANDOM.normal(size=(50, 4)), RANDOM.normal(size=50)
    codes[:, 1] = np.round(codes[:, 1])
    expected = [pearsonr(column, factor).statistic for column in codes.T]
    np.testing.assert_allclose(pearson(codes, factor), expected, atol=1e-12)
    expected = [spearmanr(column, factor).statistic for column in codes.T]
    np.testing.assert_allclose(spearman(codes, factor), expected, atol=1e-12)


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_order_sign_and_scale_do_not_matter(correlation: Correlation) -> None:
    moved = CODES[:, [2, 0, 1]] * np.array([-1.0, 1e-3, 50]) + 7
    assert mcc(moved, GRID, correlation=correlation) == pytest.approx(1, abs=1e-9)


def test_a_rotation_by_45_degrees_leaves_the_cosine() -> None:
    expected = [0.5**0.5, 0.5**0.5, 1]
    np.testing.assert_allclose(mcc_per_factor(rotate(CODES), GRID), expected, atol=1e-12)
    assert mcc(rotate(CODES), GRID) == pytest.approx(np.mean(expected))


def test_increasing_maps_do_not_matter_to_ranks() -> None:
    assert mcc(np.exp(3 * CODES), GRID, correlation=spearman) == pytest.approx(1, abs=1e-12)
    assert mcc(np.exp(3 * CODES), GRID) < 0.9


def test_the_matching_is_the_best_of_all_rather_than_greedy() -> None:
    strengths = iter([np.array([0.9, -0.8]), np.array([0.8, 0.1])])

    def given(codes: Codes, factor: Values) -> Values:
        return next(strengths)

    assert mcc_per_factor(CODES[:, :2], GRID[:, :2], correlation=given).tolist() == [0.8, 0.8]


def test_factors_without_a_latent_count_as_zero_and_latents_without_a_factor_not_at_all() -> None:
    assert mcc_per_factor(CODES[:, [2]], GRID) == pytest.approx([0, 0, 1])
    assert mcc(CODES[:, [2]], GRID) == pytest.approx(1 / 3)
    assert mcc(CODES, GRID[:, [1]]) == pytest.approx(1)


def test_constant_latents_and_factors() -> None:
    constant = np.full((len(GRID), 1), 0.1, dtype=np.float32)
    assert mcc(constant, GRID) == 0
    factors = np.hstack([GRID[:, :1] * 0, GRID])
    assert np.isnan(mcc_per_factor(CODES, factors)).tolist() == [True, False, False, False]
    assert mcc(CODES, factors) == pytest.approx(1)


def test_noise_scores_little() -> None:
    assert mcc(RANDOM.normal(size=(2000, 3)), draw((4, 4, 4), 2000)) < 0.1


def test_rows_without_a_factor_are_left_out_for_it() -> None:
    values = GRID.astype(np.float64)
    codes = CODES.copy()
    values[:10, 1], codes[:10, 1] = np.nan, 99
    np.testing.assert_allclose(mcc_per_factor(codes, values), 1, atol=1e-12)
