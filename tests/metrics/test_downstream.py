from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting import Task, boost
from disentangle_pl.metrics.chance import noise_codes, perfect_codes
from disentangle_pl.metrics.dci import Predictor
from disentangle_pl.metrics.downstream import (
    Downstream,
    Probe,
    downstream,
    linear_probes,
    reduced_downstream,
    strong_downstream,
)
from disentangle_pl.metrics.score import GroundTruth, held_out_rows
from tests.metrics.golden import draw, rotate

FACTORS = draw((2, 3, 4), 600)
CODES = perfect_codes(FACTORS, 4)
EVERY_PROBE = pytest.mark.parametrize("probe", [boost, linear_probes])


def test_a_perfect_code_needs_few_labels_and_noise_learns_nothing_from_many() -> None:
    perfect = downstream(CODES, FACTORS, sizes=(100, 400))
    np.testing.assert_allclose(perfect.accuracy, 1)
    assert perfect.efficiency(100, 400) == 1
    noise = downstream(noise_codes(600, 4), FACTORS, sizes=(100, 400))
    np.testing.assert_allclose(noise.mean, np.mean([1 / 2, 1 / 3, 1 / 4]), atol=0.08)


def test_a_linear_probe_is_blind_to_rotation() -> None:
    single = FACTORS[:, 2:]
    straight, turned = (
        downstream(codes, single, probe=linear_probes, sizes=(100,)) for codes in (CODES, rotate(CODES))
    )
    assert straight.mean[0] == pytest.approx(turned.mean[0], abs=0.03)
    assert straight.mean[0] > 0.9


def test_the_trees_are_those_of_scikit_learn_on_the_labelled_rows() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 0.5, CODES.shape)
    single = FACTORS[:, 2:]
    chosen = held_out_rows(600)
    train, labels = codes[~chosen].astype(np.float32), single[~chosen, 0]
    rows = np.random.default_rng(0).permutation(400)[:50]
    trees = GradientBoostingClassifier(random_state=np.random.RandomState(0)).fit(train[rows], labels[rows])
    expected = trees.score(codes[chosen].astype(np.float32), single[chosen, 0])
    assert downstream(codes, single, sizes=(50,)).accuracy[0, 0] == pytest.approx(expected)


def test_the_penalty_of_the_linear_probe_is_chosen_by_held_out_rows() -> None:
    random = np.random.default_rng(0)
    codes = random.normal(size=(60, 20))
    target = (codes[:, 0] + 2 * random.normal(size=60) > 0).astype(float)
    new = random.normal(size=(500, 20))
    (chosen,) = linear_probes([Task(codes, target, True)])
    centre, scale = codes.mean(0), codes.std(0)
    inputs, others = (codes - centre) / scale, (new - centre) / scale
    grid = [LogisticRegression(C=strength).fit(inputs, target) for strength in np.logspace(-4, 4, 10)]
    alike = [np.array_equal(chosen.predict(new), probe.predict(others)) for probe in grid]
    assert any(alike)
    assert not alike[-1]


def test_units_do_not_matter_to_the_linear_probe() -> None:
    single = FACTORS[:, 2:]
    huge = downstream(CODES * 1e28, single, probe=linear_probes, sizes=(60,))
    assert huge.mean == downstream(CODES, single, probe=linear_probes, sizes=(60,)).mean


def test_sizes_beyond_the_rows_have_no_number() -> None:
    scores = downstream(CODES, FACTORS, sizes=(10, 1000))
    assert np.isfinite(scores.mean[0])
    assert np.isnan(scores.mean[1])
    with pytest.raises(InputError, match="none of 100"):
        scores.efficiency()


def test_efficiency_is_the_ratio_of_mean_accuracies() -> None:
    scores = Downstream((100, 10_000), np.array([[0.2, 0.4, np.nan], [0.6, 0.9, np.nan]]))
    assert scores.efficiency() == pytest.approx(0.3 / 0.75)


@EVERY_PROBE
def test_labels_of_one_class_alone_are_predicted_as_that_class(probe: Probe) -> None:
    factors = np.stack([np.arange(60) == 59, np.arange(60) % 2], axis=1).astype(int)
    test = perfect_codes(factors, 2), factors
    scores = downstream(*test, probe=probe, sizes=(10,), test=test)
    assert scores.accuracy[0].tolist() == pytest.approx([59 / 60, 1])


@EVERY_PROBE
def test_quantities_have_their_share_of_variance_and_missing_values_are_not_labels(probe: Probe) -> None:
    values = FACTORS[:, 1:].astype(float)
    values[::3, 0] = np.nan
    truth = GroundTruth(values, np.array([True, False]))
    scores = downstream(CODES, truth, probe=probe, sizes=(200, 300))
    assert (scores.accuracy[0] > 0.9).all()
    assert np.isnan(scores.accuracy[1, 0])
    assert scores.accuracy[1, 1] > 0.9


def test_people_are_labelled_one_after_another_and_not_split() -> None:
    people = np.repeat(np.arange(60), 4)
    random = np.random.default_rng(0)
    truth = GroundTruth(random.integers(0, 2, (60, 1))[people].astype(float), np.full(1, True), people)
    codes = random.normal(size=(60, 8))[people]
    seen: list[Task] = []

    def probe(tasks: Sequence[Task]) -> Sequence[Predictor]:
        seen.extend(tasks)
        return linear_probes(tasks)

    downstream(codes, truth, probe=probe, sizes=(40,))
    assert len(np.unique(seen[0].codes[:, 0])) == 10
    assert not np.isin(seen[0].codes, codes[held_out_rows(240, people)]).any()
    downstream(codes, truth.with_groups(None), probe=probe, sizes=(40,))
    assert len(np.unique(seen[1].codes[:, 0])) > 20


def test_a_perfect_code_holds_under_a_shift_and_a_mixed_one_does_not() -> None:
    perfect = strong_downstream(CODES, FACTORS)
    assert perfect.strong == perfect.accuracy == pytest.approx(1)
    assert perfect.gap == pytest.approx(0)
    factors = draw((4, 4), 800)
    mixed = strong_downstream(rotate(perfect_codes(factors, 2)), factors)
    assert mixed.gap > 0.2
    assert mixed.gap == pytest.approx(1 - mixed.strong / mixed.accuracy)


def test_a_shift_is_scored_on_values_that_were_not_seen() -> None:
    """The code is the first factor where the second is 0, and its opposite where it is 1."""
    grid = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (50, 1))
    code = np.stack([grid[:, 0] ^ grid[:, 1], np.zeros(200)], axis=1).astype(float)
    first = strong_downstream(code, grid, test=(code, grid))
    assert first.strong == 0  # either factor is predicted as its opposite
    assert first.accuracy == pytest.approx(0.5, abs=0.2)


def test_without_its_latent_a_perfect_code_knows_nothing_of_a_factor_but_of_all_others() -> None:
    scores = reduced_downstream(CODES, FACTORS)
    assert scores.others == 1
    assert scores.reduced == pytest.approx(np.mean([1 / 2, 1 / 3, 1 / 4]), abs=0.08)


def test_a_second_copy_of_a_latent_is_found_and_left_out_too() -> None:
    codes = np.hstack([CODES[:, :3], CODES[:, :3]])
    assert reduced_downstream(codes, FACTORS).reduced == 1
    assert reduced_downstream(codes, FACTORS, removed=2).reduced < 0.6


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(InputError, match="5 labels"):
        downstream(CODES, FACTORS, sizes=(3,))
    with pytest.raises(InputError, match="no factor has 1000 labels"):
        downstream(CODES, FACTORS, sizes=(1000,))
    with pytest.raises(InputError, match="left out"):
        reduced_downstream(CODES, FACTORS, removed=4)
    with pytest.raises(InputError, match="needs 2 that vary"):
        strong_downstream(CODES, FACTORS * np.array([1, 0, 0]))
