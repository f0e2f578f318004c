import numpy as np
import pytest

from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.mig import mig, mig_per_factor
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
