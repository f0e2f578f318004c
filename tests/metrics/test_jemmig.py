import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.jemmig import jemmig, jemmig_per_factor
from tests.metrics.golden import draw, load, rotate

GRID = np.tile(np.stack(np.meshgrid([0, 1], [0, 1, 2, 3], indexing="ij"), axis=-1).reshape(-1, 2), (5, 1))
CODE = GRID.astype(np.float64)
JOINT = 4 * CODE[:, 0] + CODE[:, 1]
FACTORS = draw((3, 4, 5), 4000)
CODES = perfect_codes(FACTORS, 5)


def test_a_code_equal_to_the_factors_has_one() -> None:
    np.testing.assert_allclose(jemmig_per_factor(CODE, GRID), [1, 1], atol=1e-12)


def test_what_else_the_best_latent_knows_counts_against_a_factor() -> None:
    codes = np.stack([JOINT, 0 * JOINT], axis=1)
    expected = [1 - np.log(4) / np.log(2 * 20), 1 - np.log(2) / np.log(4 * 20)]
    np.testing.assert_allclose(jemmig_per_factor(codes, GRID), expected, atol=1e-12)
    expected = [1 - np.log(4) / np.log(2 * 9), 1 - np.log(2) / np.log(4 * 9)]
    np.testing.assert_allclose(jemmig_per_factor(codes, GRID, bins=9), expected, atol=1e-12)
    assert jemmig(codes, GRID, bins=9) == pytest.approx(np.mean(expected), abs=1e-12)


def test_what_the_second_latent_knows_counts_against_a_factor() -> None:
    codes = np.stack([CODE[:, 1], CODE[:, 1] // 2], axis=1)
    np.testing.assert_allclose(jemmig_per_factor(codes, GRID), [0, 1 - np.log(2) / np.log(4 * 20)], atol=1e-12)


def test_noise_scores_nothing_and_neither_does_a_constant() -> None:
    noise = np.random.default_rng(0).uniform(size=(4000, 3))
    assert jemmig(noise, FACTORS) == pytest.approx(0, abs=0.01)
    assert jemmig(np.zeros((4000, 3)), FACTORS) == 0


def test_a_rotation_lowers_it() -> None:
    scores = jemmig_per_factor(rotate(CODES), FACTORS)
    assert (scores[:2] < jemmig_per_factor(CODES, FACTORS)[:2] - 0.4).all()
    assert scores[2] == jemmig_per_factor(CODES, FACTORS)[2]


def test_the_perfect_code_of_dsprites_scores_above_its_rotation() -> None:
    straight, turned = load("disentangled", ""), load("rotated", "")
    assert jemmig(straight.codes, straight.factors) > 3 * jemmig(turned.codes, turned.factors)


def test_a_factor_with_one_value_is_left_out_of_the_mean() -> None:
    factors = np.hstack([FACTORS, np.full((len(FACTORS), 1), 2)])
    assert np.isnan(jemmig_per_factor(CODES, factors)).tolist() == [False, False, False, True]
    assert jemmig(CODES, factors) == pytest.approx(jemmig(CODES, FACTORS), abs=1e-12)


def test_a_quantity_is_binned_and_scored_on_the_rows_that_have_it() -> None:
    values = np.stack([GRID[:, 0] + 0.5, GRID[:, 1] / 7], axis=1)
    values[:16, 1] = np.nan
    codes = CODE.copy()
    codes[0, 1] = 3.0
    np.testing.assert_allclose(jemmig_per_factor(codes, values), [1, 1], atol=0.01)
    assert jemmig_per_factor(codes, values)[1] == pytest.approx(1, abs=1e-12)


def test_one_bin_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        jemmig(CODES, FACTORS, bins=1)
