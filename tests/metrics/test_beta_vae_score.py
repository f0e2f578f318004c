from functools import partial

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.beta_vae_score import (
    beta_vae_score,
    difference_points,
    mean_differences,
    points_accuracy,
)
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.interventions import Table
from disentangle_pl.metrics.score import GroundTruth
from tests.metrics.golden import codebook, draw, load

NORB = draw((5, 9, 18, 6), 6000)
FACTORS = draw((3, 4, 5), 1500)
CODES = perfect_codes(FACTORS, 5)
quick = partial(beta_vae_score, points=600, test_points=300)


@pytest.mark.parametrize("case", ["disentangled", "rotated"])
def test_accuracy_of_the_points_of_the_reference(case: str) -> None:
    values = load(case, "").values
    train, held_out = (
        (values[f"betavae_{part}_points"], values[f"betavae_{part}_labels"]) for part in ("train", "eval")
    )
    assert points_accuracy(train, held_out) == pytest.approx(values["betavae_eval_accuracy"], abs=2e-3)
    assert points_accuracy(train, train) == pytest.approx(values["betavae_train_accuracy"], abs=2e-3)


def test_differences_of_the_pairs_of_the_reference() -> None:
    golden, (codes, factors) = load("disentangled", "").values, codebook()
    left, right = golden["betavae_first_pairs_states"].transpose(1, 0, 2)
    shared = golden["betavae_train_labels"][:300, None]
    np.testing.assert_array_equal(factors[left, shared], factors[right, shared])
    points = mean_differences(codes.astype(np.float64), left, right)
    np.testing.assert_allclose(points, golden["betavae_train_points"][:300], rtol=1e-4)


@pytest.mark.parametrize("case", ["disentangled", "rotated"])
def test_points_drawn_from_the_table_are_those_of_the_simulator_on_average(case: str) -> None:
    golden = load(case, "")
    points, shared = difference_points(
        Table(golden.codes.astype(float), golden.factors), 2000, pairs=64, random=np.random.default_rng(0)
    )
    for factor in range(5):
        theirs = golden.values["betavae_train_points"][golden.values["betavae_train_labels"] == factor]
        np.testing.assert_allclose(points[shared == factor].mean(axis=0), theirs.mean(axis=0), rtol=0.03)
        np.testing.assert_allclose(points[shared == factor].std(axis=0), theirs.std(axis=0), rtol=0.25)
    score = beta_vae_score(golden.codes, golden.factors, test=golden.test)
    assert score == pytest.approx(golden.values["betavae_eval_accuracy"], abs=0.01)


def test_the_shared_factor_does_not_differ_and_the_others_do_by_their_mean_difference() -> None:
    factors = draw((4, 4), 4000)
    points, shared = difference_points(
        Table(factors.astype(float), factors), 400, pairs=64, random=np.random.default_rng(0)
    )
    assert shared.tolist() == [0, 1] * 200
    np.testing.assert_array_equal(points[np.arange(400), shared], 0)
    expected = np.abs(np.subtract.outer(np.arange(4), np.arange(4))).mean()
    np.testing.assert_allclose(points[np.arange(400), 1 - shared].mean(), expected, rtol=0.03)


def test_a_perfect_code_has_one_and_so_may_a_rotated_one() -> None:
    assert quick(perfect_codes(NORB, 10), NORB) == 1
    assert quick(rotated_codes(NORB, 10, seed=3), NORB) > 0.99
    assert quick(rotated_codes(NORB, 10, seed=7), NORB) < 0.9


def test_noise_has_chance_even_where_a_factor_has_many_values() -> None:
    factors = draw((2, 2, 80), 1200)
    scores = [beta_vae_score(noise_codes(1200, 6, seed=seed), factors, seed=seed) for seed in range(5)]
    assert np.mean(scores) == pytest.approx(1 / 3, abs=0.03)


def test_zeros_have_the_share_of_one_factor() -> None:
    assert quick(np.zeros_like(CODES), FACTORS) == pytest.approx(1 / 3, abs=0.01)


def test_order_duplicates_and_dead_latents_hardly_matter() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1, CODES.shape)
    score = beta_vae_score(codes, FACTORS)
    for other in (codes[:, ::-1], np.hstack([codes, codes]), np.hstack([codes, np.full((1500, 1), 0.1)])):
        assert beta_vae_score(other, FACTORS) == pytest.approx(score, abs=0.03)
    assert 0.6 < score < 1


def test_the_test_points_come_from_the_test_rows() -> None:
    blind = CODES[:, :1] * 0
    assert quick(CODES, FACTORS, test=(np.hstack([blind] * 5), FACTORS)) < 0.5
    swapped = CODES[:, [1, 2, 0, 3, 4]]
    assert quick(CODES, FACTORS, test=(swapped, FACTORS)) < 0.05
    assert quick(CODES, FACTORS, test=(CODES, FACTORS)) == 1


def test_a_factor_with_one_value_has_no_part() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1, CODES.shape)
    constant = np.full((len(FACTORS), 1), 4)
    assert beta_vae_score(codes, np.hstack([constant, FACTORS])) == beta_vae_score(codes, FACTORS)


def test_quantities_and_missing_values() -> None:
    ages = np.random.default_rng(0).uniform(60, 90, (1500, 3))
    ages[::7, 1] = np.nan
    codes = perfect_codes(ages, 4)
    assert quick(codes, ages) == 1
    mixed = GroundTruth(np.hstack([ages[:, :2], FACTORS[:, :1]]), np.array([False, False, True]))
    assert quick(perfect_codes(mixed, 4), mixed) == 1


def test_the_seed_decides_the_draw() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1, CODES.shape)
    scores = [quick(codes, FACTORS, seed=seed) for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_too_few_points_pairs_or_factors_are_refused() -> None:
    with pytest.raises(InputError, match="2 points cannot cover 3 factors"):
        beta_vae_score(CODES, FACTORS, points=2)
    with pytest.raises(InputError, match="1 points"):
        beta_vae_score(CODES, FACTORS, test_points=1)
    with pytest.raises(InputError, match="at least 1 pair"):
        beta_vae_score(CODES, FACTORS, pairs=0)
    with pytest.raises(InputError, match=r"factors \[1\] have one value: this score needs 2"):
        beta_vae_score(CODES, FACTORS[:, :2] * np.array([1, 0]))
