import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.omes import encoding_strength, omes, omes_score
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import draw, rotate

FACTORS = draw((6, 7), 1500)
CODES = perfect_codes(FACTORS, 3)


def by_hand(strength: np.ndarray, alpha: float) -> float:
    """The definition in plain loops."""
    latents, factors = strength.shape
    scores = []
    for k in range(factors):
        total = 0.0
        for j in range(latents):
            overlap = 1 - np.mean([abs((m == k) - strength[j, m]) for m in range(factors)])
            encodings = 1 - np.mean([abs((i == j) - strength[i, k]) for i in range(latents)])
            total += strength[j, k] * strength[j, k] * (alpha * overlap + (1 - alpha) * encodings)
        scores.append(total / strength[:, k].sum())
    return float(np.mean(scores))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_score_of_a_table_is_that_of_plain_loops(alpha: float) -> None:
    strength = np.random.default_rng(0).random((4, 3))
    assert omes_score(strength, alpha=alpha) == pytest.approx(by_hand(strength, alpha))


def test_one_latent_a_factor_is_all_and_overlap_and_copies_cost_their_part() -> None:
    assert omes_score(np.eye(3)) == 1
    copied = np.array([[1, 0], [1, 0], [0, 1]])
    assert omes_score(copied, alpha=1.0) == 1
    assert omes_score(copied, alpha=0.0) == pytest.approx((2 / 3 + 1) / 2)
    mixed = np.array([[1, 1], [0, 0]])
    assert omes_score(mixed, alpha=1.0) == 0.5
    assert omes_score(mixed, alpha=0.0) == 1
    assert omes_score(np.zeros((2, 2))) == 0


def test_the_strength_is_that_of_the_correlation_of_different_values() -> None:
    """Two different values of n, drawn evenly, correlate by -1 / (n - 1)."""
    strength = encoding_strength(CODES[:, :2], FACTORS)
    np.testing.assert_allclose(strength, [[1 - 1 / 5, 0], [0, 1 - 1 / 6]], atol=0.1)
    assert strength[0, 1] == strength[1, 0] == pytest.approx(0, abs=1e-9)


def test_a_factor_of_two_values_is_not_seen() -> None:
    binary = draw((2, 2), 400)
    np.testing.assert_allclose(encoding_strength(binary.astype(float), binary), 0, atol=1e-9)


def test_a_rotation_lowers_it_and_a_dead_latent_has_no_part() -> None:
    perfect = omes(CODES, FACTORS)
    assert omes(rotate(CODES), FACTORS) < perfect - 0.2
    assert omes(CODES[:, :2], FACTORS) == pytest.approx(perfect)
    assert omes(np.zeros((1500, 2)), FACTORS) == 0


def test_quantities_are_held_in_bins_and_rows_that_lack_a_factor_have_no_part() -> None:
    values = FACTORS + np.random.default_rng(0).random(FACTORS.shape) / 10
    values[::6, 1] = np.nan
    truth = GroundTruth(values, np.zeros(2, dtype=bool))
    assert omes(perfect_codes(truth, 2), truth, bins=7) > 0.5


def test_sparse_tables_and_other_weights_are_refused() -> None:
    sparse = np.stack([np.arange(60), np.random.default_rng(0).permutation(60)], axis=1)
    with pytest.raises(InputError, match="too sparse"):
        omes(perfect_codes(sparse, 2), sparse)
    with pytest.raises(InputError, match="between 0 and 1"):
        omes(CODES, FACTORS, alpha=2.0)
