"""UDR over the seeds of configurations, and what it is worth."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.udr import udr_lasso
from disentangle_pl.studies.selection import UNCERTAIN, agreement, select, verdict
from disentangle_pl.studies.udr_codes import Latents
from tests.studies.run_folders import MIG, table

RNG = np.random.default_rng(0)
SOURCES = RNG.normal(size=(300, 3))


def latents(mixed: bool, seed: int) -> Latents:
    """Make the codes of a model that finds the sources, or one that mixes them in its own way."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] if mixed else np.eye(3)[[2, 0, 1]]
    return Latents(SOURCES @ turn, np.ones(3))


def encode(folders: Sequence[Path]) -> tuple[dict[Path, Latents], dict[Path, str]]:
    """Give aligned codes to even runs and mixed ones to odd runs; r9 has no checkpoint."""
    numbers = {folder: int(folder.name.removeprefix("r")) for folder in folders}
    found = {folder: latents(n % 2 == 1, n) for folder, n in numbers.items() if n != 9}
    return found, {folder: "no checkpoint" for folder, n in numbers.items() if n == 9}


def test_the_configuration_whose_seeds_agree_is_selected() -> None:
    found = table(score=[0.9, 0.1, 0.7, 0.3, 0.8, 0.2], model__beta=[1, 4] * 3, seed_everything=[0, 0, 1, 1, 2, 2])
    chosen = select(found, ["model.beta"], MIG, encode)
    assert chosen.left_out == []
    assert chosen.groups["group"].tolist() == [0, 1]
    assert chosen.groups["seeds"].tolist() == [3, 3]
    assert chosen.groups["metric"].tolist() == pytest.approx([0.8, 0.2])
    alone = udr_lasso([latents(True, n).codes for n in (1, 3, 5)], [np.ones(3)] * 3).scores
    assert chosen.runs[[1, 3, 5]].tolist() == pytest.approx(alone.tolist())
    assert chosen.groups["udr"].tolist() == pytest.approx([0.9, np.median(alone)], abs=2e-3)
    assert (chosen.runs[[0, 2, 4]] > chosen.runs[[1, 3, 5]].max()).all()


def test_a_group_has_the_median_of_its_runs() -> None:
    found = table(score=[1, 1, 1, 1], run=["a", "b", "c", "d"], folder=["/r0", "/r2", "/r1", "/r4"])
    chosen = select(found, [], MIG, encode)
    assert chosen.groups["udr"][0] == np.median(chosen.runs) != chosen.runs.mean()


def test_what_cannot_be_compared_is_left_out_with_a_reason() -> None:
    found = table(score=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], model__beta=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    found.loc[1, "state"] = "diverged"
    found.loc[3, "folder"] = ""
    chosen = select(found, ["model.beta"], MIG, encode)
    assert sorted(chosen.groups["group"]) == [2, 3]
    assert chosen.left_out == [
        "r1 is diverged",
        "the configuration of r0, r1 has 1 runs to compare, UDR needs 2",
        "r3 is known from an export only: it has no checkpoint here",
        "the configuration of r2, r3 has 1 runs to compare, UDR needs 2",
        "r9: no checkpoint",
        "the configuration of r8, r9 has 1 runs to compare, UDR needs 2",
    ]
    assert np.isfinite(chosen.runs).tolist() == [False] * 4 + [True] * 4 + [False] * 2


def test_nothing_to_rank_is_an_empty_table() -> None:
    chosen = select(table(score=[1], model__beta=[1]), ["model.beta"], "nowhere", encode)
    assert chosen.groups.empty
    assert len(chosen.left_out) == 1


def test_configurations_are_ranked_without_a_ground_truth_score() -> None:
    chosen = select(table(score=[1, 2], model__beta=[1, 1]), ["model.beta"], "nowhere", encode)
    assert math.isnan(chosen.groups["metric"][0])
    assert "how good it is cannot be said" in verdict(chosen.groups, "nowhere", "maximize")[-1]


def groups(udr: Sequence[float], metric: Sequence[float], seeds: int = 5) -> list[str]:
    """Say what a ranking is worth; the larger metric is better."""
    found = table(metric="metric", score=metric).assign(udr=udr, seeds=seeds).sort_values("udr", ascending=False)
    return verdict(found, "m", "maximize")


def test_the_choice_is_held_against_the_best_and_the_median() -> None:
    said = groups([0.1, 0.5, 0.9, 0.2], [0.1, 0.9, 0.6, 0.3])
    assert said[0] == (
        "the configuration that UDR selects has a mean m of 0.600 (rank 2 of 4); "
        "the best has 0.900, the median one 0.450"
    )
    assert "over 4 configurations: 0.80" in said[1]
    assert "too few for an interval" in said[1]
    assert len(said) == 2


def test_a_smaller_score_may_be_better() -> None:
    found = table(metric="metric", score=[0.2, 0.9, 0.1, 0.3]).assign(udr=[0.9, 0.1, 0.8, 0.2], seeds=5)
    said = verdict(found, "m", "minimize")
    assert "0.200 (rank 2 of 4); the best has 0.100, the median one 0.250" in said[0]
    assert "4 configurations: 0.80" in said[1]


def test_too_little_to_say_is_said() -> None:
    assert groups([0.5, 0.6], [1, 2], seeds=3)[0] == UNCERTAIN
    assert groups([0.5, 0.6], [1, 2])[-1] == "2 configurations are too few for a rank correlation of UDR with m"
    assert "nothing to choose from" in groups([0.5], [1])[-1]
    assert "nothing to choose from" in groups([0.6, 0.5], [1, math.nan])[-1]
    assert "cannot be said" in groups([0.5, 0.6], [1, math.nan])[-1]


def test_an_interval_of_enough_configurations() -> None:
    said = groups(np.arange(10).tolist(), [0, 2, 1, 4, 3, 6, 5, 8, 7, 9])
    assert "10 configurations: 0.95, 95 % interval 0.7" in said[-1]


def test_agreement_is_spearman_with_the_interval_of_bonett_and_wright() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    found = agreement(x.tolist(), np.exp(y).tolist())
    ranks = np.corrcoef(x.argsort().argsort(), y.argsort().argsort())[0, 1]
    width = 1.959964 * math.sqrt((1 + ranks**2 / 2) / 37)
    assert found.correlation == pytest.approx(ranks)
    assert found[1:3] == pytest.approx([math.tanh(math.atanh(ranks) - width), math.tanh(math.atanh(ranks) + width)])
    assert found.n == 40


def test_a_perfect_agreement_is_not_certain() -> None:
    for sign in (1, -1):
        found = agreement(np.arange(12).tolist(), (sign * np.arange(12)).tolist())
        assert found.correlation == pytest.approx(sign)
        inner, outer = sorted(map(abs, found[1:3]))
        assert 0.9 < inner < outer <= 1
    assert all(math.isnan(end) for end in agreement([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])[1:3])


def test_columns_without_order_agree_in_nothing() -> None:
    for udr, metric in (([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 1, 1]), ([1, 2], [1, 2])):
        assert agreement(udr, metric).correlation == 0
    for wrong in ([1, 2], [1, 2, math.nan]):
        with pytest.raises(InputError, match="finite numbers"):
            agreement(wrong, [1, 2, 3])
