import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.sap import sap, sap_matrix
from disentangle_pl.metrics.score import GroundTruth, held_out_rows
from tests.metrics.golden import CASES, draw, load, rotate

FACTORS = draw((2, 2, 2), 600)
CODES = perfect_codes(FACTORS, 5)
TEST = held_out_rows(600)


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    # the reference stops its solver early: a few rows on a cut fall on the other side
    scores = sap_matrix(golden.codes, golden.factors, test=golden.test)
    np.testing.assert_allclose(scores, golden.values["sap_score_matrix"], atol=1e-3)
    assert sap(golden.codes, golden.factors, test=golden.test) == pytest.approx(
        golden.values["sap_SAP_score"], abs=1e-4
    )


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_quantities_equal_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    test = golden.test[0], golden.test[1].astype(float)
    scores = sap_matrix(golden.codes, golden.factors.astype(float), test=test)
    np.testing.assert_allclose(scores, golden.values["sap_continuous_score_matrix"], rtol=1e-6, atol=1e-12)
    expected = pytest.approx(golden.values["sap_continuous_SAP_score"], rel=1e-6)
    assert sap(golden.codes, golden.factors.astype(float), test=test) == expected


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
    factors[~TEST, 1] = 0
    assert np.isnan(sap_matrix(CODES, factors)).tolist() == [[False, True, False]] * 5
    assert sap(CODES, factors) == pytest.approx(sap(CODES, FACTORS[:, [0, 2]]), abs=1e-12)


def test_a_value_seen_in_the_test_rows_only_counts_as_missed() -> None:
    factors = FACTORS.copy()
    factors[TEST, 0] = 5
    np.testing.assert_array_equal(sap_matrix(CODES, factors)[:, 0], 0)


def test_kinds_may_be_mixed_and_values_missing() -> None:
    kinds = np.array([True, False, True])
    hidden = np.random.default_rng(0).random(FACTORS.shape) < 0.3
    scores = sap_matrix(CODES, GroundTruth(np.where(hidden, np.nan, FACTORS), kinds))
    np.testing.assert_allclose(scores[[0, 1, 2], [0, 1, 2]], 1)
    known = ~hidden[~TEST, 1]
    truth = np.corrcoef(np.hstack([CODES, FACTORS[:, 1:2]])[~TEST][known].T)[-1, :-1] ** 2
    np.testing.assert_allclose(scores[:, 1], truth, rtol=1e-9)
    assert sap(CODES, GroundTruth(np.where(hidden, np.nan, FACTORS), kinds)) > 0.4


def test_a_dead_latent_knows_nothing_of_a_quantity_whatever_its_value() -> None:
    codes = np.hstack([CODES, np.full((600, 1), 0.1)])
    np.testing.assert_array_equal(sap_matrix(codes, FACTORS + 0.5)[-1], 0)


def test_a_factor_missing_where_it_is_scored_is_left_out() -> None:
    factors = FACTORS.astype(float)
    factors[TEST, 1] = np.nan
    truth = GroundTruth(factors, np.array([True] * 3))
    assert np.isnan(sap_matrix(CODES, truth)[0]).tolist() == [False, True, False]
    with pytest.raises(InputError, match="missing in the rows to score on"):
        sap(CODES, truth.columns(np.array([False, True, False])))
