import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.dcimig import dcimig, exclusive_information
from tests.metrics.golden import draw, load, rotate

GRID = np.tile(np.stack(np.meshgrid([0, 1], [0, 1, 2, 3], indexing="ij"), axis=-1).reshape(-1, 2), (5, 1))
CODE = GRID.astype(np.float64)
FACTORS = draw((3, 4, 5), 4000)
CODES = perfect_codes(FACTORS, 5)


def test_every_factor_takes_the_best_gap_of_its_own_latents() -> None:
    information = np.array([[0.9, 0.2, 0.0], [0.8, 0.5, 0.6], [0.1, 0.4, 0.3]])
    np.testing.assert_allclose(exclusive_information(information), [0.7, 0.1, 0.0])


def test_a_code_equal_to_the_factors_has_one() -> None:
    assert dcimig(CODE, GRID) == pytest.approx(1, abs=1e-12)
    assert dcimig(CODES, FACTORS) == pytest.approx(1, abs=0.02)
    assert dcimig(np.zeros_like(CODES), FACTORS) == 0


def test_a_latent_of_both_factors_counts_for_the_gap_of_their_entropies() -> None:
    codes = np.stack([CODE[:, 0], 4 * CODE[:, 0] + CODE[:, 1]], axis=1)
    assert dcimig(codes, GRID) == pytest.approx(2 / 3, abs=1e-12)
    assert dcimig(codes[:, 1:], GRID) == pytest.approx(1 / 3, abs=1e-12)


def test_a_rotation_lowers_it_and_a_duplicate_does_not() -> None:
    assert dcimig(rotate(CODES), FACTORS) < dcimig(CODES, FACTORS) - 0.3
    assert dcimig(np.hstack([CODES, CODES]), FACTORS) == dcimig(CODES, FACTORS)


def test_the_perfect_code_of_dsprites_scores_above_its_rotation() -> None:
    straight, turned = load("disentangled", ""), load("rotated", "")
    assert dcimig(straight.codes, straight.factors) > 5 * dcimig(turned.codes, turned.factors)


def test_a_factor_with_one_value_changes_nothing() -> None:
    factors = np.hstack([FACTORS, np.full((len(FACTORS), 1), 2)])
    assert dcimig(CODES, factors) == dcimig(CODES, FACTORS)


def test_quantities_are_binned_and_rows_without_them_left_out() -> None:
    values = np.stack([GRID[:, 0] + 0.5, GRID[:, 1] / 7], axis=1)
    values[8:16, 1] = np.nan
    assert dcimig(CODE, values) == pytest.approx(1, abs=1e-12)


def test_one_factor_that_varies_is_not_enough() -> None:
    with pytest.raises(InputError, match="needs 2 that vary"):
        dcimig(CODES, FACTORS * np.array([0, 1, 0]))


def test_one_bin_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        dcimig(CODES, FACTORS, bins=1)
