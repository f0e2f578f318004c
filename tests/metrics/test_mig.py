import numpy as np
import pytest

from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.mig import mig, mig_per_factor
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import CASES, draw, load, rotate

FACTORS = draw((3, 4, 5), 4000)
CODES = perfect_codes(FACTORS, 5)


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    assert mig(golden.codes, golden.factors) == pytest.approx(golden.values["mig_discrete_mig"], rel=1e-6)
    single = mig(golden.codes.astype(np.float64), golden.factors)
    assert single == pytest.approx(golden.values["f64_mig_discrete_mig"], rel=1e-6)


def test_a_perfect_code_has_one_and_zeros_have_none() -> None:
    assert mig(CODES, FACTORS) == pytest.approx(1, abs=0.02)
    assert mig(np.zeros_like(CODES), FACTORS) == 0


def test_the_order_of_latents_and_rows_does_not_matter() -> None:
    assert mig(CODES[:, [3, 1, 4, 0, 2]], FACTORS) == pytest.approx(mig(CODES, FACTORS), abs=1e-12)
    assert mig(CODES[::-1], FACTORS[::-1]) == pytest.approx(mig(CODES, FACTORS), abs=1e-12)


def test_a_duplicate_latent_closes_the_gap_of_its_factor_only() -> None:
    gaps = mig_per_factor(np.hstack([CODES, CODES[:, [0]]]), FACTORS)
    np.testing.assert_array_equal(gaps[0], 0)
    np.testing.assert_array_equal(gaps[1:], mig_per_factor(CODES, FACTORS)[1:])
    assert mig(np.hstack([CODES, CODES]), FACTORS) == 0


def test_a_rotation_lowers_the_gaps_of_both_factors() -> None:
    gaps = mig_per_factor(rotate(CODES), FACTORS)
    assert gaps[:2].max() < 0.5
    assert gaps[2] == mig_per_factor(CODES, FACTORS)[2]


def test_increasing_affine_maps_do_not_matter() -> None:
    moved = CODES * np.array([1e-3, 2.0, 50.0, 1.0, 7.0]) + np.arange(5)
    assert mig(moved, FACTORS) == pytest.approx(mig(CODES, FACTORS), abs=1e-9)


def test_dead_latents_change_nothing() -> None:
    dead = np.hstack([CODES, np.zeros((len(CODES), 1)), np.full((len(CODES), 1), 1.5)])
    assert mig(dead, FACTORS) == mig(CODES, FACTORS)


def test_a_constant_factor_is_left_out_of_the_mean() -> None:
    factors = np.hstack([FACTORS, np.full((len(FACTORS), 1), 2)])
    assert np.isnan(mig_per_factor(CODES, factors)).tolist() == [False, False, False, True]
    assert mig(CODES, factors) == pytest.approx(mig(CODES, FACTORS), abs=1e-12)


def test_rows_count_for_the_factors_they_have() -> None:
    codes = CODES + np.random.default_rng(1).normal(0, 0.5, CODES.shape)
    hidden = np.random.default_rng(2).random(len(codes)) < 0.4
    truth = GroundTruth(np.where(hidden[:, None] & [False, True, False], np.nan, FACTORS), np.array([True] * 3))
    gaps = mig_per_factor(codes, truth)
    np.testing.assert_array_equal(gaps[[0, 2]], mig_per_factor(codes, FACTORS)[[0, 2]])
    extremes = np.stack([codes.min(axis=0), codes.max(axis=0)])
    known = np.vstack([codes[~hidden], extremes]), np.vstack([FACTORS[~hidden], FACTORS[:2]])
    assert gaps[1] == pytest.approx(mig_per_factor(*known)[1], abs=0.005)


def test_a_quantity_is_cut_into_as_many_bins() -> None:
    ages = np.random.default_rng(0).uniform(50, 90, (4000, 2))
    codes = np.hstack([(ages - 70) / 10, np.zeros((4000, 1))])
    assert mig(codes, ages) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(mig_per_factor(rotate(codes), ages), 0, atol=0.05)
    assert mig(codes, ages, bins=2) == pytest.approx(1, abs=0.002)
    mixed = GroundTruth(np.hstack([FACTORS[:, :1], ages[:, :1]]), np.array([True, False]))
    gaps = mig_per_factor(np.hstack([CODES[:, :1], codes[:, :1]]), mixed)
    np.testing.assert_allclose(gaps, 1, atol=0.02)
