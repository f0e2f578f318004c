import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import ceiling, perfect_codes, permuted_floor
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Codes, Factors, Score
from tests.metrics.golden import draw

DSPRITES = (3, 6, 40, 32, 32)


@pytest.mark.parametrize(("score", "expected"), [(mig, 0.895), (modularity, 0.837), (sap, 0.243)])
def test_ceilings_on_dsprites_factors(score: Score, expected: float) -> None:
    assert ceiling(score, draw(DSPRITES, 10_000), 10) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("score", "expected"), [(mig, 0.0), (modularity, 0.671)])
def test_floors_on_dsprites_factors(score: Score, expected: float) -> None:
    factors = draw(DSPRITES, 10_000)
    noise = np.random.default_rng(1).normal(size=(10_000, 10))
    assert permuted_floor(score, noise, factors) == pytest.approx(expected, abs=0.01)


def test_the_floor_breaks_the_pairs_and_keeps_the_rows() -> None:
    factors = draw((2,), 1000)
    codes = np.hstack([factors, factors]).astype(float)

    def agreement(codes: Codes, factors: Factors) -> float:
        np.testing.assert_array_equal(codes[:, 0], codes[:, 1])
        return float(np.mean(codes[:, 0] == factors[:, 0]))

    assert agreement(codes, factors) == 1
    assert permuted_floor(agreement, codes, factors) == pytest.approx(0.5, abs=0.05)
    assert permuted_floor(agreement, codes, factors) == permuted_floor(agreement, codes, factors)
    assert permuted_floor(agreement, codes, factors) != permuted_floor(agreement, codes, factors, seed=1)


def test_a_floor_without_permutations_is_refused() -> None:
    with pytest.raises(InputError, match="permutations"):
        permuted_floor(mig, np.zeros((3, 2)), draw((2,), 3), permutations=0)


def test_perfect_codes_are_standardised_ordinal_and_then_collapsed() -> None:
    factors = np.hstack([draw((4, 3), 2000), np.full((2000, 1), 6)])
    codes = perfect_codes(factors, 5, noise=0.02)
    np.testing.assert_allclose(codes.std(axis=0)[:3], [1, 1, 0], atol=1e-12)
    np.testing.assert_allclose(codes.std(axis=0)[3:], 0.02, rtol=0.1)
    np.testing.assert_array_equal(np.argsort(codes[:, 0], kind="stable"), np.argsort(factors[:, 0], kind="stable"))


def test_too_few_latents_for_the_factors_are_refused() -> None:
    with pytest.raises(InputError, match="2 latents cannot hold 3 factors"):
        ceiling(mig, draw((2, 2, 2), 9), 2)
