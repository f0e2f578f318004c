import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.information import discretise, mutual_information
from disentangle_pl.metrics.mig import mig
from disentangle_pl.metrics.modularity import modularity
from disentangle_pl.metrics.null import above_chance, corrected_information, mig_corrected, modularity_corrected
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import draw, rotate

DSPRITES = draw((3, 6, 40, 32, 32), 10_000)
FACTORS = draw((5, 5, 4), 4000)
CODES = perfect_codes(FACTORS, 5)


def test_information_that_a_permutation_reaches_is_none() -> None:
    """The largest excess over all permutations and latents is 2 for the first factor and .5 for the second."""
    chance = np.array([[[1.0, 0.0], [5.0, 1.0]], [[1.0, 1.0], [5.0, 1.0]], [[4.0, 0.5], [5.0, 1.0]]])
    excess = above_chance(np.array([[3.9, 0.9], [7.1, 1.6]]), chance)
    np.testing.assert_allclose(excess, np.array([[0, 0], [2.1, 0.6]]))
    np.testing.assert_allclose(
        above_chance(np.array([[4.1, 1.01], [7.0, 1.5]]), chance), np.array([[2.1, 0.51], [0, 0]])
    )


def test_rounding_above_a_chance_that_never_varies_is_none() -> None:
    assert not above_chance(np.array([[1 + 1e-15]]), np.ones((20, 1, 1))).any()


def test_chance_is_the_bias_of_mutual_information() -> None:
    information = mutual_information(discretise(CODES), FACTORS)
    corrected = corrected_information(CODES, FACTORS)
    np.testing.assert_array_equal(corrected > 0, np.eye(5, 3, dtype=bool))
    own = np.arange(3)
    bias = (information - corrected)[own, own]
    np.testing.assert_allclose(bias, (np.array([5, 5, 4]) - 1) ** 2 / 8000, rtol=0.35)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_modular_by_chance_alone(seed: int) -> None:
    noise = noise_codes(10_000, 10, seed=seed)
    assert modularity(noise, DSPRITES) == pytest.approx(0.67, abs=0.04)
    assert modularity_corrected(noise, DSPRITES) == (0, 0)
    assert mig_corrected(noise[:2000], DSPRITES[:2000]) == (0, 0)


def test_dead_and_noisy_latents_have_no_say() -> None:
    turned = rotate(CODES)
    expected = modularity_corrected(turned[:, :3], FACTORS)
    assert expected.informative == 3
    more = np.hstack([turned, noise_codes(4000, 3), np.full((4000, 2), 0.1)])
    assert modularity_corrected(more, FACTORS) == expected
    assert mig_corrected(more, FACTORS) == mig_corrected(turned[:, :3], FACTORS)


def test_latents_count_by_their_information() -> None:
    codes = np.stack([CODES[:, 0] + CODES[:, 1], CODES[:, 2]], axis=1)
    information = corrected_information(codes, FACTORS)
    weights = information.max(axis=1)
    squares = information**2
    each = 1 - (squares.sum(axis=1) - squares.max(axis=1)) / (2 * squares.max(axis=1))
    score = modularity_corrected(codes, FACTORS).score
    assert score == pytest.approx((weights * each).sum() / weights.sum())
    assert abs(score - each.mean()) > 0.02


def test_a_perfect_code_has_one_and_a_rotation_lowers_both() -> None:
    assert modularity_corrected(CODES, FACTORS) == (1, 3)
    assert mig_corrected(CODES, FACTORS).score == pytest.approx(mig(CODES, FACTORS), abs=0.01)
    turned = rotated_codes(FACTORS, 5)
    assert modularity_corrected(turned, FACTORS).score < 0.9
    assert mig_corrected(turned, FACTORS).score < 0.5


def test_zeros_have_none() -> None:
    assert modularity_corrected(np.zeros_like(CODES), FACTORS) == (0, 0)
    assert mig_corrected(np.full_like(CODES, 0.1), FACTORS) == (0, 0)


def test_a_factor_with_one_value_is_left_out() -> None:
    factors = np.hstack([FACTORS, np.full((4000, 2), 3)])
    turned = rotate(CODES)
    np.testing.assert_allclose(modularity_corrected(turned, factors), modularity_corrected(turned, FACTORS), atol=1e-3)
    assert mig_corrected(turned, factors) == mig_corrected(turned, FACTORS)


def test_values_are_permuted_among_the_rows_that_have_one() -> None:
    """Codes that tell only whether a value is missing must not look informative."""
    hidden = np.random.default_rng(0).random(4000) < 0.5
    spread = np.where(np.arange(4000)[:, None] < 3600, 0.0, noise_codes(4000, 2))
    late = np.where(np.arange(4000)[:, None] < 3600, np.nan, FACTORS[:, :2])
    assert modularity_corrected(spread, GroundTruth(late, np.array([True, True]))) == (0, 0)
    values = np.where(hidden[:, None], np.nan, FACTORS[:, :2])
    truth = GroundTruth(values, np.array([True, True]))
    tell = np.stack([np.where(hidden, noise_codes(4000, 1)[:, 0], 3.0), hidden], axis=1)
    assert modularity_corrected(tell, truth) == (0, 0)
    assert modularity_corrected(CODES, truth) == (1, 2)
    assert mig_corrected(CODES, truth).score == pytest.approx(1, abs=0.02)


def test_quantities_are_binned() -> None:
    ages = np.random.default_rng(0).uniform(60, 90, (4000, 2))
    assert modularity_corrected(perfect_codes(ages, 4), ages).score == pytest.approx(1, abs=1e-4)
    assert mig_corrected(perfect_codes(ages, 4), ages).score == pytest.approx(1, abs=0.05)


def test_rows_with_a_value_of_their_own_are_no_information() -> None:
    factors = np.stack([np.arange(50), np.arange(50)[::-1]], axis=1)
    assert modularity_corrected(noise_codes(50, 3), factors) == (0, 0)


def test_the_seed_decides_the_permutations() -> None:
    scores = [corrected_information(CODES, FACTORS, seed=seed)[0, 0] for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_one_permutation_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 permutations"):
        modularity_corrected(CODES, FACTORS, permutations=1)
