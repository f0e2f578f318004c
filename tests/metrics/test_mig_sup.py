import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.mig_sup import mig_sup, mig_sup_per_latent
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import draw, load, rotate

GRID = np.tile(np.stack(np.meshgrid([0, 1], [0, 1, 2, 3], indexing="ij"), axis=-1).reshape(-1, 2), (5, 1))
JOINT = (4 * GRID[:, 0] + GRID[:, 1]).astype(np.float64)
FACTORS = draw((3, 4, 5), 4000)
CODES = perfect_codes(FACTORS, 5)


def test_a_latent_of_one_factor_has_one_and_a_latent_of_both_or_none_has_zero() -> None:
    codes = np.stack([GRID[:, 0], JOINT, np.zeros(len(GRID)), GRID[:, 1] // 2], axis=1).astype(np.float64)
    np.testing.assert_allclose(mig_sup_per_latent(codes, GRID), [1, 0, 0, 0.5], atol=1e-12)
    assert mig_sup(codes, GRID) == pytest.approx(1.5 / 4, abs=1e-12)


def test_only_the_second_best_factor_counts_against_a_latent() -> None:
    factors = np.stack([GRID[:, 0], GRID[:, 1], GRID[:, 0]], axis=1)
    assert mig_sup_per_latent(GRID.astype(np.float64), factors).tolist() == pytest.approx([0, 1])


def test_a_perfect_code_is_held_down_by_the_latents_it_does_not_use() -> None:
    assert mig_sup(CODES, FACTORS) == pytest.approx(3 / 5, abs=0.01)
    assert mig_sup(CODES[:, :3], FACTORS) == pytest.approx(1, abs=0.01)


def test_two_factors_in_one_latent_are_seen() -> None:
    gaps = mig_sup_per_latent(rotate(CODES), FACTORS)
    assert gaps[:2].max() < 0.2
    assert gaps[2] == mig_sup_per_latent(CODES, FACTORS)[2]


def test_the_perfect_code_of_dsprites_scores_above_its_rotation() -> None:
    straight, turned = load("disentangled", ""), load("rotated", "")
    assert mig_sup(straight.codes, straight.factors) > 3 * mig_sup(turned.codes, turned.factors)


def test_a_factor_with_one_value_changes_nothing() -> None:
    factors = np.hstack([FACTORS, np.full((len(FACTORS), 1), 2)])
    np.testing.assert_allclose(mig_sup_per_latent(CODES, factors), mig_sup_per_latent(CODES, FACTORS), atol=1e-12)


def test_quantities_are_binned_and_rows_without_them_left_out() -> None:
    values = np.stack([GRID[:, 0] + 0.5, GRID[:, 1] / 7], axis=1)
    assert mig_sup(GRID.astype(np.float64), values) == pytest.approx(1, abs=1e-12)
    holes = values.copy()
    holes[8:16, 1] = np.nan
    assert mig_sup(GRID.astype(np.float64), GroundTruth(holes, np.array([False, False]))) == pytest.approx(1, abs=1e-12)


def test_one_factor_that_varies_is_not_enough() -> None:
    with pytest.raises(InputError, match="needs 2 that vary"):
        mig_sup(CODES, FACTORS * np.array([0, 1, 0]))


def test_one_bin_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        mig_sup(CODES, FACTORS, bins=1)
