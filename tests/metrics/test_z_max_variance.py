import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.interventions import all_but_one
from disentangle_pl.metrics.score import MISSING, GroundTruth
from disentangle_pl.metrics.z_max_variance import z_max_variance
from tests.metrics.golden import draw

FACTORS = draw((3, 4, 5), 900)
CODES = perfect_codes(FACTORS, 4)


def test_groups_share_all_factors_but_one_which_varies() -> None:
    labels = np.array([[0, 0], [0, 1], [0, 1], [1, 1], [2, 5], [MISSING, 1]])
    groups = all_but_one(labels)
    # of column 0: rows of label 1 of the other factor, whose own labels are 0, 0 and 1
    assert [len(set(groups[rows, 0])) for rows in ([1, 2, 3],)] == [1]
    assert (groups[:, 0] != MISSING).tolist() == [False, True, True, True, False, False]
    assert (groups[:, 1] != MISSING).tolist() == [True, True, True, False, False, False]


def test_rows_that_lack_everything_are_in_no_group() -> None:
    assert (all_but_one(np.full((4, 2), MISSING)) == MISSING).all()


def test_a_perfect_code_tells_every_factor_and_noise_none() -> None:
    assert z_max_variance(CODES, FACTORS) == 1
    assert z_max_variance(noise_codes(900, 4), FACTORS) < 0.6


def test_a_latent_of_two_factors_cannot_tell_them() -> None:
    codes = np.stack([FACTORS[:, 0] + FACTORS[:, 1], FACTORS[:, 2]], axis=1).astype(float)
    assert z_max_variance(codes, FACTORS) == pytest.approx(2 / 3, abs=1e-3)


def test_the_vote_is_that_of_plain_loops() -> None:
    """Every group of two rows moves one latent only, so the draw does not matter."""
    grid = np.tile(np.stack(np.meshgrid([0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 2), (3, 1))
    swapped = grid[:, ::-1].astype(float)
    assert z_max_variance(swapped, grid, test=(swapped, grid), votes=40, test_votes=40) == 1
    assert z_max_variance(swapped, grid, test=(grid.astype(float), grid), votes=40, test_votes=40) == 0


def test_quantities_are_held_in_bins_and_rows_that_lack_a_factor_have_no_part() -> None:
    values = FACTORS + np.random.default_rng(0).random(FACTORS.shape) / 10
    values[::6, 1] = np.nan
    truth = GroundTruth(values, np.zeros(3, dtype=bool))
    assert z_max_variance(perfect_codes(truth, 4), truth, bins=5) > 0.95


def test_dead_codes_score_nothing() -> None:
    assert z_max_variance(np.zeros((900, 3)), FACTORS) == 0


def test_a_sparse_table_is_refused() -> None:
    sparse = np.stack([np.arange(60), np.random.default_rng(0).permutation(60)], axis=1)
    with pytest.raises(InputError, match="too sparse"):
        z_max_variance(perfect_codes(sparse, 2), sparse)
