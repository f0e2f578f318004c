"""Scores of layers: the published ones on few rows, axes that mean something and axes that do not, dead units."""

import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import random_rotation
from disentangle_pl.metrics.dci import disentanglement, fit_probes, importance_matrix
from disentangle_pl.metrics.infomec import active_latents, concentration, infomec, normalised_information
from disentangle_pl.metrics.layerwise import alive, coarse, layer_scores
from disentangle_pl.metrics.score import GroundTruth, Values, ground_truth, sampled_rows

RANDOM = np.random.default_rng(0)
FACTORS: NDArray[np.int64] = np.stack([RANDOM.integers(0, size, 400) for size in (2, 3, 4)], axis=1)
PERFECT: Values = np.repeat(FACTORS / FACTORS.std(axis=0), 2, axis=1) + 0.5 * RANDOM.normal(size=(400, 6))
TURNED: Values = PERFECT @ random_rotation(6, seed=5)


def test_axes_that_mean_something_stand_above_their_rotation() -> None:
    alone = layer_scores(PERFECT, FACTORS)
    assert (alone.alive, alone.units) == (6, 6)
    for axes in alone.scores.values():
        assert axes.value > 0.8
        assert axes.value > axes.rotated + 0.3
    assert alone.scores["dci_disentanglement"].floor < 0.1


def test_axes_that_mean_nothing_do_not() -> None:
    for name, axes in layer_scores(TURNED, FACTORS).scores.items():
        assert axes.value == pytest.approx(axes.rotated, abs=0.2), name


def test_values_are_the_published_scores_on_the_stated_rows() -> None:
    scores = layer_scores(TURNED, FACTORS).scores
    assert scores["infom"].value == pytest.approx(infomec(TURNED, FACTORS).infom)
    rows = sampled_rows(400, 300)
    probes = fit_probes(TURNED[rows], FACTORS[rows])
    assert scores["dci_disentanglement"].value == disentanglement(importance_matrix(probes, 6))


def test_people_not_their_visits_are_drawn_and_permuted() -> None:
    people = np.repeat(np.arange(40), 10)
    factors = ground_truth(np.random.default_rng(0).integers(0, 4, (40, 2))[people])
    codes = np.random.default_rng(1).normal(size=(40, 4))[people]
    visits = layer_scores(codes, factors).scores["infom"]
    persons = layer_scores(codes, factors.with_groups(people)).scores["infom"]
    assert persons.value == visits.value
    assert persons.floor != visits.floor
    rows = sampled_rows(400, 300, groups=people)
    grouped = layer_scores(codes, factors.with_groups(people)).scores["dci_disentanglement"].value
    assert grouped == disentanglement(importance_matrix(fit_probes(codes[rows], factors[rows]), 4))


def test_rows_in_order_are_scored_like_others() -> None:
    order = np.argsort(FACTORS[:, 0], kind="stable")
    shuffled, ordered = layer_scores(PERFECT, FACTORS), layer_scores(PERFECT[order], FACTORS[order])
    for name, axes in ordered.scores.items():
        assert axes.value == pytest.approx(shuffled.scores[name].value, abs=0.1), name
    repeated = np.repeat(order, np.where(FACTORS[order, 0] == 0, 2, 1))
    assert np.ptp(FACTORS[repeated[:300], 0]) == 0
    assert layer_scores(PERFECT[repeated], FACTORS[repeated]).scores["dci_disentanglement"].value > 0.8


def test_the_floor_knows_nothing_of_the_factors() -> None:
    noise = layer_scores(RANDOM.normal(size=(400, 6)), FACTORS).scores["dci_disentanglement"]
    perfect = layer_scores(PERFECT, FACTORS).scores["dci_disentanglement"]
    for chance in (noise.value, noise.floor, noise.rotated):
        assert chance == pytest.approx(perfect.floor, abs=0.05)


def test_dead_units_change_nothing() -> None:
    constant = np.full((400, 2), 3.0)
    constant[7] *= 1 + 1e-7
    padded = np.hstack([constant[:, :1], PERFECT, constant[:, 1:]])
    found = layer_scores(padded, FACTORS)
    assert (found.alive, found.units) == (6, 8)
    assert found.scores == layer_scores(PERFECT, FACTORS).scores
    assert alive(padded).tolist() == [False, *(6 * [True]), False]


@pytest.mark.parametrize("living", [0, 1])
def test_a_layer_with_too_few_units_alive_has_no_value(living: int) -> None:
    units = np.zeros((400, 3))
    units[:, :living] = PERFECT[:, :living]
    assert layer_scores(units, FACTORS) == (living, 3, {})


def test_units_of_a_wide_layer_speak_for_all() -> None:
    wide = np.repeat(FACTORS / FACTORS.std(axis=0), 27, axis=1) + RANDOM.normal(size=(400, 81))
    for _, axes in sorted(layer_scores(wide, FACTORS).scores.items()):
        assert axes.value > axes.rotated + 0.05
    known = normalised_information(wide, FACTORS)[active_latents(wide)]
    assert axes.value == pytest.approx(concentration(known), abs=0.05)
    assert axes.value != concentration(known)
    turned = wide @ random_rotation(81)[:, :64]
    known = normalised_information(turned, FACTORS)[active_latents(turned)]
    assert axes.rotated == pytest.approx(concentration(known))


def test_many_values_are_merged_with_their_neighbours() -> None:
    many = ground_truth(np.stack([np.arange(32), np.arange(32) % 9 * 10, np.arange(32) % 3], axis=1))
    merged = coarse(many)
    assert merged.discrete.all()
    assert merged.values[:, 0].tolist() == [row // 4 for row in range(32)]
    assert merged.values[:9, 1].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]
    assert merged.values[:3, 2].tolist() == [0, 1, 2]


def test_missing_values_stay_missing_and_quantities_become_classes() -> None:
    truth = coarse(GroundTruth(np.array([[0.0, 5.0], [np.nan, 6.0], [80.0, np.nan]]), np.array([False, True])))
    np.testing.assert_array_equal(truth.values, [[0, 0], [np.nan, 1], [7, np.nan]])
    assert truth.discrete.all()


def test_missing_rows_and_constant_factors_are_left_out() -> None:
    values = np.hstack([FACTORS.astype(float), np.full((400, 1), 2.0)])
    values[::5, 1] = np.nan
    truth = GroundTruth(values, np.ones(4, dtype=bool))
    scores = layer_scores(PERFECT, truth).scores
    for name, axes in layer_scores(PERFECT, FACTORS).scores.items():
        assert scores[name].value == pytest.approx(axes.value, abs=0.1)


def test_concentration_by_hand() -> None:
    assert concentration(np.array([[1.0, 0.0], [0.0, 2.0]])) == 1
    assert concentration(np.array([[1.0, 1.0]])) == 0
    assert concentration(np.array([[3.0, 1.0], [0.0, 0.0]])) == pytest.approx(((0.75 + 0.5) / 2 - 0.5) / 0.5)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(InputError, match="needs 2 that vary"):
        layer_scores(PERFECT, FACTORS * [1, 0, 0])
    with pytest.raises(InputError, match="pairs of codes and factors"):
        layer_scores(PERFECT[:5], FACTORS)
    with pytest.raises(InputError, match="NaN or infinite"):
        layer_scores(np.where(PERFECT > 2, np.nan, PERFECT), FACTORS)
