import numpy as np
import pytest

from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.sap import sap, sap_matrix
from tests.metrics.golden import CASES, draw, load, rotate

FACTORS = draw((2, 2, 2), 600)
CODES = perfect_codes(FACTORS, 5)


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    scores = sap_matrix(golden.codes, golden.factors, test=golden.test)
    np.testing.assert_allclose(scores, golden.values["sap_score_matrix"], atol=1e-6)
    ranked = np.sort(scores, axis=0)
    assert np.mean(ranked[-1] - ranked[-2]) == pytest.approx(golden.values["sap_SAP_score"], abs=1e-6)


def test_a_perfect_code_of_even_factors_has_a_half_and_zeros_have_none() -> None:
    assert sap(CODES, FACTORS) == pytest.approx(0.5, abs=0.07)
    assert sap(np.zeros_like(CODES), FACTORS) == 0


def test_the_order_of_latents_does_not_matter() -> None:
    assert sap(CODES[:, [3, 1, 4, 0, 2]], FACTORS) == pytest.approx(sap(CODES, FACTORS), abs=1e-12)


def test_duplicate_latents_have_no_gap() -> None:
    assert sap(np.hstack([CODES, CODES]), FACTORS) == 0


def test_a_rotation_lowers_it() -> None:
    assert sap(rotate(CODES), FACTORS) < 0.6 * sap(CODES, FACTORS)


def test_dead_latents_change_nothing() -> None:
    dead = np.hstack([CODES, np.zeros((600, 1)), np.full((600, 1), 1.5)])
    np.testing.assert_array_equal(sap_matrix(dead, FACTORS)[:5], sap_matrix(CODES, FACTORS))


def test_the_given_test_set_is_the_one_scored() -> None:
    wrong = sap_matrix(CODES, FACTORS, test=(CODES, 1 - FACTORS))
    np.testing.assert_array_equal(np.diag(wrong[:3]), 0)


def test_a_factor_constant_in_the_rows_fitted_on_is_left_out() -> None:
    factors = FACTORS.copy()
    factors[:400, 1] = 0
    assert np.isnan(sap_matrix(CODES, factors)).tolist() == [[False, True, False]] * 5
    assert sap(CODES, factors) == pytest.approx(sap(CODES, FACTORS[:, [0, 2]]), abs=1e-12)


def test_a_value_seen_in_the_test_rows_only_counts_as_missed() -> None:
    factors = FACTORS.copy()
    factors[400:, 0] = 5
    np.testing.assert_array_equal(sap_matrix(CODES, factors)[:, 0], 0)
