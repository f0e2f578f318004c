import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.irs import irs, robustness
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import CASES, draw, load, rotate

FACTORS = draw((3, 4, 5), 3000)
CODES = perfect_codes(FACTORS, 3)


@pytest.mark.parametrize(("case", "prefix"), CASES)
@pytest.mark.parametrize(("name", "quantile"), [("irs", 0.99), ("irs_q100", 1.0)])
def test_equals_the_reference(case: str, prefix: str, name: str, quantile: float) -> None:
    golden = load(case, prefix)
    score = irs(golden.codes, golden.factors, quantile=quantile)
    assert score == pytest.approx(golden.values[f"{name}_IRS"], rel=1e-6)
    parts = robustness(golden.codes, golden.factors, quantile=quantile)
    alive = parts.parents >= 0
    np.testing.assert_allclose(parts.matrix[alive], golden.values[f"{name}_IRS_matrix"], atol=1e-6)
    np.testing.assert_array_equal(parts.parents[alive], golden.values[f"{name}_parents"])
    np.testing.assert_allclose(parts.deviations[alive], golden.values[f"{name}_max_deviations"], rtol=1e-6)
    np.testing.assert_allclose(
        parts.matrix.max(axis=1)[alive], golden.values[f"{name}_disentanglement_scores"], rtol=1e-6
    )


def test_closed_form_of_a_latent_held_by_half() -> None:
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    codes = np.array([[-3.0], [-1.0], [1.0], [3.0]])
    parts = robustness(codes, factors, quantile=1)
    np.testing.assert_allclose(parts.matrix, [[1 - 1 / 3, 1 - 2 / 3]])
    assert parts.deviations.tolist() == [3]
    assert irs(codes, factors, quantile=1) == pytest.approx(2 / 3)


def test_latents_count_by_how_far_they_go() -> None:
    codes = np.hstack([CODES[:, :1], noise_codes(3000, 1)])
    parts = robustness(codes, FACTORS)
    best = parts.matrix.max(axis=1)
    assert best[0] == pytest.approx(1)
    assert best[1] < 0.6
    for scale in (1.0, 5.0):
        weights = parts.deviations * [scale, 1]
        assert irs(codes * [scale, 1], FACTORS) == pytest.approx((best * weights).sum() / weights.sum())


def test_a_perfect_code_has_one_and_its_parents_and_a_rotation_lowers_it() -> None:
    assert irs(CODES, FACTORS) == pytest.approx(1)
    assert robustness(CODES[:, [2, 0, 1]], FACTORS).parents.tolist() == [2, 0, 1]
    assert irs(rotate(CODES), FACTORS) < 0.8
    assert irs(rotated_codes(FACTORS, 3, seed=1), FACTORS) < 0.8


def test_noise_has_more_than_nothing() -> None:
    factors = draw((3, 6, 40, 32, 32), 10_000)
    assert irs(noise_codes(10_000, 10), factors) == pytest.approx(0.38, abs=0.03)


def test_dead_latents_change_nothing_and_alone_score_zero() -> None:
    dead = np.hstack([CODES, np.full((3000, 1), 0.1), np.zeros((3000, 1))])
    assert irs(dead, FACTORS) == irs(CODES, FACTORS)
    parts = robustness(dead, FACTORS)
    assert parts.parents.tolist() == [0, 1, 2, -1, -1]
    np.testing.assert_array_equal(parts.deviations[3:], 0)
    assert irs(dead[:, 3:], FACTORS) == 0


def test_affine_maps_of_the_codes_and_duplicates() -> None:
    codes = rotate(CODES)
    assert irs(np.hstack([codes, codes]), FACTORS) == pytest.approx(irs(codes, FACTORS))
    assert irs(-7 * codes + 3, FACTORS) == pytest.approx(irs(codes, FACTORS))


def test_more_classes_than_bins_are_merged_by_their_order() -> None:
    factors = draw((30, 30), 3000)
    merged = np.minimum(factors * 20 // 29, 19)
    codes = rotate(perfect_codes(factors, 2))
    assert irs(codes, factors) == pytest.approx(irs(codes, merged), abs=1e-12)
    assert irs(codes, factors * 1000 - 4) == irs(codes, factors)
    assert irs(codes, factors, bins=30) > irs(codes, factors)


def test_a_factor_with_one_value_holds_nothing() -> None:
    factors = np.hstack([np.full((3000, 1), 2), FACTORS])
    parts = robustness(rotate(CODES), factors)
    np.testing.assert_array_equal(parts.matrix[:, 0], 0)
    assert (parts.parents > 0).all()
    assert irs(rotate(CODES), factors) == irs(rotate(CODES), FACTORS)


def test_closed_form_of_uneven_groups() -> None:
    factors = np.repeat([[0], [1]], [2, 98], axis=0)
    codes = np.concatenate([[-1.0, 1.0], np.full(98, 0.9)])[:, None]
    assert robustness(codes, factors, quantile=1).matrix[0, 0] == pytest.approx(1 - 0.5 / 1.881, abs=1e-3)


def test_a_latent_that_goes_further_while_held_scores_zero_and_keeps_its_parent() -> None:
    codes = np.array([[0.0], [10], [10], [10], [0], [0], [0], [10]])
    factors = np.repeat([[5, 0], [5, 1]], 4, axis=0)
    parts = robustness(codes, factors, quantile=1)
    np.testing.assert_allclose(parts.matrix, [[0, -0.5]])
    assert parts.parents.tolist() == [1]
    assert irs(codes, factors, quantile=1) == irs(codes, factors[:, 1:], quantile=1) == 0


def test_quantities_and_missing_values() -> None:
    ages = np.random.default_rng(0).uniform(60, 90, (3000, 2))
    hidden = np.random.default_rng(1).random((3000, 2)) < 0.3
    codes = perfect_codes(ages, 2)
    assert irs(codes, ages) == pytest.approx(1 - 0.99 / 20, abs=0.003)
    assert irs(codes, np.where(hidden, np.nan, ages)) == pytest.approx(irs(codes, ages), abs=0.01)
    classes = GroundTruth(np.where(hidden, np.nan, FACTORS[:, :2]), np.array([True, True]))
    assert irs(CODES[:, :2], classes) == pytest.approx(1)


def test_a_quantile_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match="quantile"):
        irs(CODES, FACTORS, quantile=99)
