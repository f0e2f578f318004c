import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.score import GroundTruth, held_out_rows
from disentangle_pl.metrics.unfairness import total_variation, unfairness, unfairness_matrix
from tests.metrics.golden import draw

FACTORS = draw((2, 3, 4), 600)
CODES = perfect_codes(FACTORS, 4)
GRID = np.tile(np.stack(np.meshgrid(np.arange(3), np.arange(2), indexing="ij"), axis=-1).reshape(-1, 2), (20, 1))


def test_two_groups_of_unlike_predictions_have_the_distance_of_the_reference() -> None:
    """Of 300 predictions 100 fall to one group, all of one class, and 200 to the other, of both classes."""
    assert total_variation(np.array([[0, 1], [0.5, 0.5]]), np.array([1 / 3, 2 / 3])) == pytest.approx(2 / 9)


def test_predictions_without_errors_are_exactly_fair_even_of_correlated_factors() -> None:
    assert unfairness(CODES, FACTORS) == pytest.approx(0, abs=1e-12)
    random = np.random.default_rng(0)
    first = random.integers(0, 3, 600)
    second = np.where(random.random(600) < 0.5, first, random.integers(0, 3, 600))
    factors = np.stack([first, second], axis=1)
    assert unfairness(perfect_codes(factors, 2), factors) == pytest.approx(0, abs=1e-12)


def test_a_dead_code_is_fair() -> None:
    assert unfairness(np.zeros((600, 3)), FACTORS) == pytest.approx(0, abs=1e-12)


def test_a_latent_of_two_factors_is_unfair_and_two_latents_of_one_each_are_not() -> None:
    factors = draw((3, 3), 600)
    mixed = factors.sum(axis=1, keepdims=True).astype(float)
    assert unfairness(mixed, factors) > 0.2
    assert unfairness(np.hstack([mixed, perfect_codes(factors, 2)]), factors) == pytest.approx(0, abs=1e-12)


def test_a_code_that_takes_one_factor_for_another_has_the_distance_in_closed_form() -> None:
    """Predictions of the first factor are the second where both agree in fitting; scored on a full grid."""
    same = np.repeat([[0, 0], [1, 1]], 100, axis=0)
    grid = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (25, 1))
    code, other = same[:, 1:].astype(float), grid[:, 1:].astype(float)
    matrix = unfairness_matrix(code, same, test=(other, grid))
    # p = (1, 0) or (0, 1) against (.5, .5) for the first; the second is predicted without errors
    np.testing.assert_allclose(matrix, [[np.nan, 0.5], [0, np.nan]])


def test_it_is_the_distance_of_the_trees_of_scikit_learn_on_a_balanced_grid() -> None:
    codes = GRID + np.random.default_rng(0).normal(0, 0.7, GRID.shape)
    grid = np.tile(GRID[:6], (10, 1))
    noisy = grid + np.random.default_rng(1).normal(0, 0.7, grid.shape)
    trees = GradientBoostingClassifier(random_state=np.random.RandomState(0)).fit(codes.astype(np.float32), GRID[:, 0])
    predicted = trees.predict(noisy.astype(np.float32))
    overall = np.bincount(predicted, minlength=3) / 60
    groups = [np.bincount(predicted[grid[:, 1] == value], minlength=3) / 30 for value in (0, 1)]
    expected = np.mean([np.abs(group - overall).sum() / 2 for group in groups])
    assert unfairness_matrix(codes, GRID, test=(noisy, grid))[0, 1] == pytest.approx(expected)


def test_quantities_are_binned_and_missing_values_left_out() -> None:
    values = FACTORS.astype(float)
    values[:, 1] += np.random.default_rng(0).random(600) / 10
    values[::9, 2] = np.nan
    truth = GroundTruth(values, np.array([True, False, False]))
    assert unfairness(perfect_codes(truth, 3), truth) < 0.05


def test_people_are_not_split() -> None:
    people = np.repeat(np.arange(60), 4)
    random = np.random.default_rng(0)
    truth = GroundTruth(random.integers(0, 2, (60, 2))[people].astype(float), np.full(2, True), people)
    code, chosen = people[:, None].astype(float), held_out_rows(240, people)
    expected = unfairness(code[~chosen], truth[~chosen], test=(code[chosen], truth[chosen]))
    assert unfairness(code, truth) == expected != unfairness(code, truth.with_groups(None))


def test_a_factor_with_one_value_has_no_part() -> None:
    factors = np.hstack([FACTORS, np.ones((600, 1), dtype=int)])
    matrix = unfairness_matrix(CODES, factors)
    assert np.isnan(matrix[3]).all()
    assert unfairness(CODES, factors) == pytest.approx(0, abs=1e-12)


def test_factors_that_never_meet_are_refused() -> None:
    with pytest.raises(InputError, match="two values of another"):
        unfairness(CODES, np.repeat(FACTORS[:, 1:2], 2, axis=1))
    with pytest.raises(InputError, match="needs 2 that vary"):
        unfairness(CODES, FACTORS * np.array([1, 0, 0]))
