import numpy as np
import pytest

from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.modularity import modularity, modularity_per_latent
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import CASES, draw, load, rotate

FACTORS = draw((5, 5), 4000)
CODES = perfect_codes(FACTORS, 2)


@pytest.mark.parametrize(("case", "prefix"), CASES)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    expected = golden.values["modularity_score"]
    assert modularity(golden.codes, golden.factors) == pytest.approx(expected, rel=1e-6)


def test_closed_form_of_one_shared_one_exclusive_and_one_dead_latent() -> None:
    information = np.array([[2.0, 1.0, 1.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(modularity_per_latent(information), [1 - 2 / (4 * 2), 1, 0])


def test_a_perfect_code_has_one_and_zeros_have_none() -> None:
    assert modularity(CODES, FACTORS) == pytest.approx(1, abs=0.001)
    assert modularity(np.zeros_like(CODES), FACTORS) == 0


def test_a_latent_of_both_factors_lowers_it_and_the_order_does_not() -> None:
    assert modularity(rotate(CODES), FACTORS) < 0.5
    assert modularity(CODES[:, ::-1], FACTORS) == pytest.approx(modularity(CODES, FACTORS), abs=1e-12)


def test_duplicates_and_increasing_affine_maps_do_not_matter() -> None:
    expected = pytest.approx(modularity(CODES, FACTORS), abs=1e-9)
    assert modularity(np.hstack([CODES, CODES]), FACTORS) == expected
    assert modularity(CODES * np.array([0.01, 30.0]) - 4, FACTORS) == expected


def test_a_dead_latent_counts_as_zero() -> None:
    dead = np.hstack([CODES, np.full((len(CODES), 2), 1.5)])
    assert modularity(dead, FACTORS) == pytest.approx(modularity(CODES, FACTORS) / 2, abs=1e-12)


def test_a_factor_with_one_value_is_left_out() -> None:
    factors = np.hstack([FACTORS, np.full((len(FACTORS), 3), 7)])
    assert modularity(rotate(CODES), factors) == modularity(rotate(CODES), FACTORS)


def test_quantities_and_missing_values() -> None:
    ages = np.where(np.random.default_rng(0).random(FACTORS.shape) < 0.3, np.nan, FACTORS + 0.5)
    for factors in (ages, GroundTruth(ages - 0.5, np.array([True, False]))):
        assert modularity(CODES, factors) == pytest.approx(1, abs=0.001)
        assert modularity(rotate(CODES), factors) < 0.5
