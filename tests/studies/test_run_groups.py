"""Groups of runs that differ in their seed only."""

import math

import numpy as np
import pytest

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.studies.run_groups import (
    configured,
    copies,
    group_numbers,
    group_scores,
    meaningful,
    same,
    telling,
    varying,
)
from tests.studies.run_folders import MIG, table


def test_equal_settings_are_equal_however_they_were_written() -> None:
    equal: list[tuple[object, object]] = [(4, 4.0), (None, math.nan), (None, "null"), (None, "None"), (True, "True")]
    for one, other in equal:
        assert same(one) == same(other)
    pairs: list[tuple[object, object]] = [(1, True), (0, False), (0, None), ("4", 4), (4, 5), ("", None)]
    for one, other in pairs:
        assert same(one) != same(other)


def test_seed_and_place_make_no_other_experiment() -> None:
    found = table(
        score=[1, 2],
        seed_everything=[0, 1],
        run_id=["a", "b"],
        runs_dir=["x", "y"],
        checkpoint__dirpath=["x", "y"],
        trainer__devices=[1, 2],
        trainer__max_epochs=[1, 1],
        runs_dirs=[1, 1],
    )
    assert meaningful(found) == ["trainer.devices", "trainer.max_epochs", "runs_dirs"]
    assert varying(found, meaningful(found)) == ["trainer.devices"]
    assert group_numbers(found, meaningful(found)) == [0, 1]
    assert group_numbers(found, ["trainer.max_epochs"]) == group_numbers(found, []) == [0, 0]


def test_settings_that_only_follow_their_class_are_not_told() -> None:
    found = table(
        score=[1, 2, 3, 4],
        model=["A", "A", "B", "B"],
        model__beta=[1, 1, None, None],
        model__lr=[1, 1, 2, 2],
        model__width=[None, None, 3, 4],
        data__k=[5, 5, None, None],
    )
    assert telling(found, meaningful(found)) == ["model", "model.lr", "model.width", "data.k"]


def test_a_group_has_mean_and_interval_of_the_runs_that_finished() -> None:
    found = table(
        score=[0.1, 0.3, 0.8, 0.5, math.nan, 0.9],
        seed_everything=[0, 1, 2, 0, 1, 2],
        model__beta=[1, 1.0, 1, 4, 4, 4],
    )
    found[f"{MIG}_floor"] = [0.0, 0.02, 0.1, math.nan, math.nan, math.nan]
    found.loc[[2, 5], "state"] = ["failed", "diverged"]
    first, second = group_scores(found, meaningful(found)).to_dict("records")
    assert (first["model.beta"], first["runs"], first["score"], first["n"]) == (1, 3, MIG, 2)
    assert (first["mean"], first["low"], first["high"]) == mean_interval([0.1, 0.3])
    assert first["high"] == pytest.approx(0.2 + 12.706205 * 0.1), "Student's t of two runs, not their range"
    assert first["floor"] == pytest.approx(0.01)
    assert (second["model.beta"], second["runs"], second["n"], second["mean"]) == (4, 3, 1, 0.5)
    assert all(math.isnan(second[end]) for end in ("low", "high", "floor", "ceiling"))


def test_a_run_without_a_configuration_is_in_no_group() -> None:
    found = table(score=[1, 2, 3], model__beta=[1, None, 4], model=["A", None, "A"])
    assert configured(found)["run"].tolist() == ["r0", "r2"]
    assert len(configured(table(score=[1, 2]))) == 2


def test_a_group_without_a_finished_run_has_its_row() -> None:
    found = table(score=[0.1, 0.3], model__beta=[1, 4])
    found.loc[1, "state"] = "crashed"
    second = group_scores(found, ["model.beta"]).to_dict("records")[1]
    assert (second["runs"], second["n"]) == (1, 0)
    assert math.isnan(second["mean"])


def test_groups_by_chosen_settings() -> None:
    found = table(score=[1, 2, 3, 4], model=list("ABAB"), model__beta=[1, 1, 2, 2])
    assert group_scores(found, ["model"])["mean"].tolist() == [2, 3]
    assert group_scores(found, ["model.beta"])["mean"].tolist() == [1.5, 3.5]
    assert np.isfinite(group_scores(found, [])["mean"]).tolist() == [True]


def test_two_copies_of_one_seed_count_once() -> None:
    found = table(
        score=[1.0, 1.0, 3.0, 7.0, 9.0, 9.0],
        state=["running", *["finished"] * 5],
        seed_everything=[0, 0, 0, 1, None, None],
        run_id=["a", "b", "c", "d", "e", "f"],
        model__beta=[4, 4.0, 4, 4, 4, 4],
    )
    assert copies(found) == {0: 1, 2: 1}, "the first that has finished is the one; without a seed nobody knows"
    (row,) = group_scores(found, meaningful(found)).to_dict("records")
    assert (row["n"], row["runs"], row["mean"]) == (4, 4, 6.5)
    assert copies(found.drop(columns="seed_everything")) == {}
