from functools import partial

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.factor_vae_score import (
    batch_variances,
    factor_vae_score,
    local_variances,
    quietest,
    vote_accuracy,
    vote_table,
)
from disentangle_pl.metrics.interventions import Table
from tests.metrics.golden import codebook, draw, load

NORB = draw((5, 9, 18, 6), 6000)
FACTORS = draw((3, 4, 5), 1500)
CODES = perfect_codes(FACTORS, 5)
quick = partial(factor_vae_score, votes=600, test_votes=300)


@pytest.mark.parametrize("case", ["disentangled", "rotated"])
def test_votes_and_accuracy_of_the_reference_are_exact(case: str) -> None:
    values = load(case, "").values
    active = values["factorvae_active_dims"]
    spread = values["factorvae_global_variances"]
    np.testing.assert_array_equal(np.sqrt(spread) >= 0.05, active)
    latents = quietest(values["factorvae_local_variances"][:, active], spread[active])
    np.testing.assert_array_equal(latents, values["factorvae_argmin_among_active"])
    fixed, shape = values["factorvae_factor_index"], (5, int(active.sum()))
    train, held_out = (vote_table(fixed[part], latents[part], shape) for part in (slice(10_000), slice(10_000, None)))
    np.testing.assert_array_equal(train, values["factorvae_train_votes"][:, : shape[1]])
    np.testing.assert_array_equal(held_out, values["factorvae_eval_votes"][:, : shape[1]])
    assert vote_accuracy(train, held_out) == pytest.approx(values["factorvae_eval_accuracy"], abs=1e-12)
    assert vote_accuracy(train, train) == pytest.approx(values["factorvae_train_accuracy"], abs=1e-12)


def test_variances_of_the_batches_of_the_reference() -> None:
    golden, (codes, factors) = load("disentangled", "").values, codebook()
    states, fixed = golden["factorvae_first_batches_states"], golden["factorvae_factor_index"][:300]
    held = factors[states, fixed[:, None]]
    assert (held == held[:, :1]).all()
    variances = batch_variances(codes.astype(np.float64), states)
    np.testing.assert_allclose(variances, golden["factorvae_local_variances"][:300], rtol=1e-4)


def test_the_held_factor_does_not_vary_and_the_others_do() -> None:
    factors = draw((4, 4), 4000)
    local, fixed = local_variances(
        Table(factors.astype(float), factors), 400, batch=64, random=np.random.default_rng(0)
    )
    assert fixed.tolist() == [0, 1] * 200
    np.testing.assert_array_equal(local[np.arange(400), fixed], 0)
    np.testing.assert_allclose(local[np.arange(400), 1 - fixed].mean(), 1.25, rtol=0.03)


def test_closed_form_of_a_vote() -> None:
    train, held_out = np.array([[5, 0, 2], [1, 3, 2]]), np.array([[2, 4, 0], [1, 1, 2]])
    assert vote_accuracy(train, held_out) == (2 + 1 + 0) / 10
    assert quietest(np.array([[2.0, 3.0], [1.0, 30.0]]), np.array([2.0, 6.0])).tolist() == [1, 0]
    table = vote_table(np.array([0, 1, 1, 1]), np.array([2, 0, 0, 1]), (2, 3))
    assert table.tolist() == [[0, 0, 1], [2, 1, 0]]


def test_the_table_gives_nearly_the_score_of_the_simulator() -> None:
    for case in ("disentangled", "rotated"):
        golden = load(case, "")
        score = factor_vae_score(golden.codes, golden.factors, test=golden.test)
        assert score == pytest.approx(golden.values["factorvae_eval_accuracy"], abs=0.02)


def test_a_perfect_code_has_one_and_so_may_a_rotated_one() -> None:
    assert quick(perfect_codes(NORB, 10), NORB) == 1
    assert quick(rotated_codes(NORB, 10, seed=3), NORB) > 0.99
    assert quick(rotated_codes(NORB, 10, seed=7), NORB) < 0.9


def test_noise_has_chance_and_zeros_have_none() -> None:
    scores = [factor_vae_score(noise_codes(1500, 5, seed=seed), FACTORS, seed=seed) for seed in range(5)]
    assert np.mean(scores) == pytest.approx(1 / 3, abs=0.02)
    assert factor_vae_score(np.zeros_like(CODES), FACTORS) == 0
    assert factor_vae_score(np.full_like(CODES, 0.1), FACTORS, threshold=0) == 0


def test_latents_below_the_threshold_have_no_vote() -> None:
    codes = CODES * np.array([1, 1, 0.049, 1, 1])
    assert quick(codes, FACTORS) == pytest.approx(2 / 3, abs=0.01)
    assert quick(codes, FACTORS, threshold=0.048) == 1
    assert factor_vae_score(CODES, FACTORS, threshold=1.1) == 0


def test_scale_order_duplicates_and_dead_latents_hardly_matter() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1.5, CODES.shape)
    score = factor_vae_score(codes, FACTORS)
    assert 0.5 < score < 0.95
    others = (codes * [1, 9, 0.5, 3, 1] + 4, codes[:, ::-1], np.hstack([codes, codes, np.full((1500, 1), 0.1)]))
    for other in others:
        assert factor_vae_score(other, FACTORS) == pytest.approx(score, abs=0.03)


def test_the_test_votes_come_from_the_test_rows() -> None:
    swapped = CODES[:, [1, 2, 0, 3, 4]]
    assert quick(CODES, FACTORS, test=(swapped, FACTORS)) < 0.05
    assert quick(CODES, FACTORS, test=(CODES, FACTORS)) == 1


def test_a_factor_with_one_value_has_no_part() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1.5, CODES.shape)
    constant = np.full((len(FACTORS), 1), 4)
    assert factor_vae_score(codes, np.hstack([constant, FACTORS])) == factor_vae_score(codes, FACTORS)


def test_quantities_and_missing_values() -> None:
    ages = np.random.default_rng(0).uniform(60, 90, (1500, 3))
    ages[::7, 1] = np.nan
    assert quick(perfect_codes(ages, 4), ages) == 1


def test_the_seed_decides_the_draw() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1.5, CODES.shape)
    scores = [quick(codes, FACTORS, seed=seed) for seed in (0, 0, 1)]
    assert scores[0] == scores[1] != scores[2]


def test_too_few_votes_rows_or_factors_are_refused() -> None:
    with pytest.raises(InputError, match="2 points cannot cover 3 factors"):
        factor_vae_score(CODES, FACTORS, votes=2)
    with pytest.raises(InputError, match="at least 2 rows, got 1"):
        factor_vae_score(CODES, FACTORS, batch=1)
    with pytest.raises(InputError, match=r"factors \[1\] have one value: this score needs 2"):
        factor_vae_score(CODES, FACTORS[:, :2] * np.array([1, 0]))
