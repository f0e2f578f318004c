import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import (
    ceiling,
    noise_codes,
    noise_floor,
    perfect_codes,
    permutation_p_value,
    permuted,
    permuted_floor,
    random_rotation,
    rotated,
    rotated_codes,
)
from disentangle_pl.metrics.irs import irs
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.null import Corrected, mig_corrected
from disentangle_pl.metrics.sap import sap
from disentangle_pl.metrics.score import Codes, Factors, GroundTruth, Score
from tests.metrics.golden import draw

DSPRITES = (3, 6, 40, 32, 32)


@pytest.mark.parametrize(("score", "expected"), [(mig, 0.895), (modularity, 0.837), (sap, 0.243)])
def test_ceilings_on_dsprites_factors(score: Score, expected: float) -> None:
    assert ceiling(score, draw(DSPRITES, 10_000), 10) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("score", "expected"), [(mig, 0.0), (modularity, 0.67), (irs, 0.38)])
def test_floors_on_dsprites_factors(score: Score, expected: float) -> None:
    factors = draw(DSPRITES, 10_000)
    assert permuted_floor(score, noise_codes(10_000, 10, seed=1), factors) == pytest.approx(expected, abs=0.03)
    assert noise_floor(score, factors, 10) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("score", "least", "most"), [(mig, 0.02, 0.3), (modularity, 0.68, 0.8), (sap, 0.01, 0.15)])
def test_a_rotation_is_far_from_the_ceiling_on_dsprites_factors(score: Score, least: float, most: float) -> None:
    assert least < rotated(score, draw(DSPRITES, 10_000), 10, rotations=3) < most


def agreement(codes: Codes, factors: Factors) -> float:
    assert isinstance(factors, np.ndarray)
    np.testing.assert_array_equal(codes[:, 0], codes[:, 1])
    return float(np.mean(codes[:, 0] == factors[:, 0]))


def test_the_floor_breaks_the_pairs_and_keeps_the_rows() -> None:
    factors = draw((2,), 1000)
    codes = np.hstack([factors, factors]).astype(float)

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


def test_perfect_codes_stand_the_mean_for_missing_values() -> None:
    values = np.array([[1.0, 60.0], [np.nan, np.nan], [3.0, 90.0], [2.0, np.nan]])
    codes = perfect_codes(GroundTruth(values, np.array([True, False])), 2)
    np.testing.assert_allclose(codes[:, 0] * np.sqrt(0.5), [-1, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(codes[:, 1] * 15 / np.sqrt(2), [-15, 0, 15, 0], atol=1e-12)
    assert not perfect_codes(np.full((4, 1), np.nan), 1).any()


def test_the_generators_follow_their_seeds() -> None:
    factors = draw((3, 3), 50)
    codes = noise_codes(50, 4, seed=1)
    assert not np.array_equal(codes, noise_codes(50, 4))
    np.testing.assert_array_equal(np.sort(permuted(codes), axis=0), np.sort(codes, axis=0))
    assert not np.array_equal(permuted(codes), permuted(codes, seed=1))
    assert not np.array_equal(rotated_codes(factors, 4), rotated_codes(factors, 4, seed=1))
    np.testing.assert_array_equal(rotated_codes(factors, 4), rotated_codes(factors, 4))


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_a_rotation_is_orthogonal_with_determinant_one(dim: int) -> None:
    for seed in range(4):
        rotation = random_rotation(dim, seed=seed)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(dim), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_all_directions_are_as_probable() -> None:
    first = np.stack([random_rotation(3, seed=seed)[:, 0] for seed in range(2000)])
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(first.T @ first / 2000, np.eye(3) / 3, atol=0.03)


def test_rotated_codes_mix_the_factors_that_vary_and_nothing_else() -> None:
    factors = np.hstack([draw((4, 3), 500), np.full((500, 1), 6)])
    straight, turned = perfect_codes(factors, 5), rotated_codes(factors, 5, seed=3)
    np.testing.assert_array_equal(turned[:, 2:], perfect_codes(factors, 5, seed=3)[:, 2:])
    np.testing.assert_allclose(turned[:, :2], straight[:, :2] @ random_rotation(2, seed=3))
    np.testing.assert_allclose(rotated_codes(factors[:, 1:], 2), perfect_codes(factors[:, 1:], 2))


def test_scores_of_several_numbers_keep_their_names() -> None:
    factors = draw((3, 3), 300)
    floor = noise_floor(mig_corrected, factors, 3, draws=2)
    assert floor == Corrected(0, 0)
    assert rotated(mig_corrected, factors, 3).informative == 2
    assert ceiling(mig_corrected, factors, 3).score > 0.9
    assert isinstance(permuted_floor(mig_corrected, noise_codes(300, 2), factors).score, float)


def test_the_p_value_of_a_good_code_is_the_smallest_and_of_noise_is_even() -> None:
    factors = draw((3, 3), 200)
    assert permutation_p_value(mig, perfect_codes(factors, 2), factors, permutations=19) == 0.05
    assert permutation_p_value(mig, np.zeros((200, 2)), factors, permutations=4) == 1
    values = [permutation_p_value(mig, noise_codes(200, 2, seed=seed), factors, permutations=9) for seed in range(50)]
    assert np.mean(values) == pytest.approx(0.55, abs=0.12)
    assert np.mean(np.array(values) <= 0.1) < 0.25


def test_no_draws_rotations_or_permutations_are_refused() -> None:
    factors = draw((2, 2), 9)
    with pytest.raises(InputError, match="at least 1"):
        noise_floor(mig, factors, 2, draws=0)
    with pytest.raises(InputError, match="at least 1"):
        rotated(mig, factors, 2, rotations=0)
    with pytest.raises(InputError, match="at least 1"):
        permutation_p_value(mig, noise_codes(9, 2), factors, permutations=0)
