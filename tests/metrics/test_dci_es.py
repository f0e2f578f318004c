from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.dci_es import area_score, dci_es, loss_capacity
from disentangle_pl.metrics.score import Values, held_out_rows
from tests.metrics.golden import draw

FACTORS = draw((2, 3), 900)
CODES = perfect_codes(FACTORS, 4)
TEST = held_out_rows(900)
RANDOM = np.random.default_rng(0)
NOISY = CODES + RANDOM.normal(0, 0.4, CODES.shape)
LINE = np.array([1.0, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("losses", "score"),
    [
        ([0.3, 0.3, 0.3, 0.3, 0.3], 1),
        ([0.8, 0.6, 0.4, 0.2, 0.0], 0),
        ([0.8, 0.7, 0.6, 0.5, 0.4], 0.5),
        ([0.4, 0.0, 0.0, 0.0, 0.0], 1 - 2 * 0.2 / (4 * 0.8)),
        ([0.8, 0.8, 0.8, 0.8, 0.0], 1 - 2 * 2.8 / (4 * 0.8)),
        ([0.4, 0.7, 0.2, 0.5, 0.3], 1 - 2 * (0.2 + 0.1) / (4 * 0.8)),
        ([0.9, 0.8, 0.85, 0.8, 0.8], 0),
        ([9.0, 0.4, 0.4, 0.4, 0.4], 1 - 2 * 0.2 / (4 * 0.8)),
    ],
)
def test_the_area_has_a_closed_form(losses: list[float], score: float) -> None:
    assert area_score(LINE, np.array(losses), 0.8) == pytest.approx(score)


def test_uneven_capacities_weigh_by_their_distance() -> None:
    assert area_score(np.array([0.0, 1, 4]), np.array([1.0, 0.5, 0]), 1) == pytest.approx(1 - 2 * (0.75 + 0.75) / 4)


@pytest.mark.parametrize(
    ("capacities", "losses", "baseline"),
    [(LINE[:1], LINE[:1], 1.0), (LINE[::-1], LINE, 1.0), (LINE, LINE[:3], 1.0), (LINE, LINE, 0.0)],
)
def test_what_is_no_curve_is_refused(capacities: Values, losses: Values, baseline: float) -> None:
    with pytest.raises(InputError, match="area"):
        area_score(capacities, losses, baseline)


def test_the_deepest_loss_is_that_of_the_whole_forest() -> None:
    values = np.stack([FACTORS[:, 1], NOISY[:, 0] ** 2], axis=1)
    classes = loss_capacity(NOISY, FACTORS, depth=6, trees=5, seed=3)
    numbers = loss_capacity(NOISY, values, depth=6, trees=5, seed=3)
    forest = RandomForestClassifier(5, max_depth=6, random_state=3).fit(NOISY[~TEST], FACTORS[~TEST, 1])
    assert classes.losses[-1, 1] == pytest.approx(1 - forest.score(NOISY[TEST], FACTORS[TEST, 1]))
    regression = RandomForestRegressor(5, max_depth=6, random_state=3).fit(NOISY[~TEST], values[~TEST, 1])
    errors = regression.predict(NOISY[TEST]) - values[TEST, 1]
    assert numbers.losses[-1, 1] == pytest.approx(np.mean(errors**2), rel=1e-4)


@pytest.mark.parametrize(("digits", "classes", "depth"), [(9, 3, 6), (1, 2, 40), (1, 30, 40), (0, 5, 40)])
def test_forests_of_classes_equal_those_of_scikit_learn(digits: int, classes: int, depth: int) -> None:
    codes = np.hstack([np.round(NOISY, digits), np.zeros((900, 2)), np.round(NOISY[:, :1], digits)])
    values = np.digitize(NOISY[:, 0] + RANDOM.normal(size=900), np.linspace(-2, 2, classes - 1))[:, None] * 7 + 2
    ours = loss_capacity(codes, values, depth=depth, trees=8, seed=4, jobs=3).losses[-1, 0]
    forest = RandomForestClassifier(8, max_depth=depth, random_state=4).fit(codes[~TEST], values[~TEST, 0])
    assert ours == np.mean(forest.predict(codes[TEST].astype(np.float32)) != values[TEST, 0])
    np.testing.assert_array_equal(
        loss_capacity(codes, values, depth=depth, trees=8, seed=4, jobs=1).losses[-1, 0], ours
    )


def test_a_shallow_cut_is_like_a_shallow_forest() -> None:
    curve = loss_capacity(NOISY, FACTORS, depth=12, trees=40).losses[:, 1]
    for depth in (2, 4):
        forest = RandomForestClassifier(40, max_depth=depth, random_state=1).fit(NOISY[~TEST], FACTORS[~TEST, 1])
        assert curve[depth - 1] == pytest.approx(1 - forest.score(NOISY[TEST], FACTORS[TEST, 1]), abs=0.05)


def test_baselines_are_those_of_the_best_constant() -> None:
    values = np.stack([np.where(FACTORS[:, 1] == 2, 1, 0), FACTORS[:, 0] * 3], axis=1)
    share = np.mean(values[TEST, 0] != 0)
    assert loss_capacity(CODES, values, depth=2, trees=2).baselines[0] == pytest.approx(share)
    variance = np.mean((values[TEST, 1] - values[~TEST, 1].mean()) ** 2)
    assert loss_capacity(CODES, values.astype(float), depth=2, trees=2).baselines[1] == pytest.approx(variance)


def test_a_code_to_cut_once_is_easier_than_one_to_cut_twice() -> None:
    codes = RANDOM.uniform(-1, 1, (900, 2))
    once = (codes[:, :1] > 0).astype(np.int64)
    twice = (codes.prod(axis=1, keepdims=True) > 0).astype(np.int64)
    easy, hard = dci_es(codes[:, :1], once, depth=8, trees=10), dci_es(codes, twice, depth=8, trees=10)
    assert easy.explicitness == pytest.approx(1)
    assert hard.explicitness < 0.95
    assert easy.informativeness == pytest.approx(1, abs=0.02)
    assert hard.informativeness > 0.9


def test_size_is_factors_per_latent_and_noise_informs_of_nothing() -> None:
    scores = dci_es(RANDOM.normal(size=(900, 8)), FACTORS, depth=4, trees=10)
    assert scores.size == 2 / 8
    assert scores.informativeness < 0.1


def test_probes_worse_than_a_constant_count_as_one() -> None:
    swapped = dci_es(CODES, FACTORS[:, :1], depth=3, trees=3, test=(CODES, 1 - FACTORS[:, :1]))
    assert (swapped.explicitness, swapped.informativeness) == (0, 0)


def test_the_scores_are_means_over_the_curves() -> None:
    curves = loss_capacity(NOISY, FACTORS, depth=5, trees=5)
    assert curves.capacities.tolist() == [1, 2, 3, 4, 5]
    scores = dci_es(NOISY, FACTORS, depth=5, trees=5)
    pairs = zip(curves.losses.T, curves.baselines, strict=True)
    areas = [area_score(LINE, losses, baseline) for losses, baseline in pairs]
    assert scores.explicitness == pytest.approx(np.mean(areas))
    assert scores.informativeness == pytest.approx(np.mean(1 - curves.losses.min(axis=0) / curves.baselines))
    assert areas[0] != areas[1]


def test_a_factor_without_a_curve_is_left_out() -> None:
    factors = np.hstack([FACTORS, np.full((900, 1), 4), FACTORS[:, :1]])
    curves = loss_capacity(CODES, factors, depth=3, trees=3)
    assert np.isnan(curves.baselines).tolist() == [False, False, True, False]
    factors[:, 3] = 1
    factors[np.flatnonzero(~TEST)[0], 3] = 0
    assert np.isnan(loss_capacity(CODES, factors, depth=3, trees=3).losses).any(axis=0).tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert dci_es(CODES, factors, depth=3, trees=3).size == 3 / 4
    with pytest.raises(InputError, match="no factor varies among the rows to score on"):
        dci_es(CODES, factors[:, 3:], depth=3, trees=3)


def test_rows_without_a_factor_are_left_out_for_it() -> None:
    holes = FACTORS.astype(np.float64)
    holes[TEST, 0] = np.nan
    assert np.isnan(loss_capacity(CODES, holes, depth=2, trees=2).baselines).tolist() == [True, False]
    holes[::3, 1] = np.nan
    codes = CODES.copy()
    codes[::3, 1] = 99
    assert dci_es(codes, holes[:, 1:], depth=4, trees=5).informativeness == pytest.approx(1, abs=0.01)


def test_rows_and_test_set_are_those_given() -> None:
    chosen = (np.random.default_rng(0).permutation(rows)[:200] for rows in (600, 300))
    fitted, scored = (np.flatnonzero(part)[np.sort(rows)] for part, rows in zip((~TEST, TEST), chosen, strict=True))
    few = loss_capacity(CODES, FACTORS, depth=3, trees=3, rows=200)
    kept = loss_capacity(CODES[fitted], FACTORS[fitted], depth=3, trees=3, test=(CODES[scored], FACTORS[scored]))
    np.testing.assert_array_equal(few.losses, kept.losses)


@pytest.mark.parametrize("option", [{"depth": 1}, {"trees": 0}, {"rows": 0}])
def test_options_out_of_range_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="curves need"):
        dci_es(CODES, FACTORS, **option)
