"""Questions, what probes see, and answers that are kept."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.studies import clinical_probe
from disentangle_pl.studies.clinical_inputs import (
    fixed,
    images,
    joined,
    residual,
)
from disentangle_pl.studies.clinical_people import Sides
from disentangle_pl.studies.clinical_probe import ONE, answer, question, refitted_answer
from disentangle_pl.studies.clinical_targets import Target
from disentangle_pl.studies.clinical_words import signed
from tests.studies.clinic import small_question, visits_of

NAN = np.nan


def test_sources_differ_where_what_they_show_does() -> None:
    values = np.arange(12.0).reshape(6, 2)
    one, other = fixed("a", values), fixed("a", values + 1)
    assert one.digest == fixed("b", values).digest != other.digest
    both = joined(one, other)
    rows = np.array([1, 4])
    np.testing.assert_array_equal(both.at(rows)(np.array([0])), np.hstack((values, values + 1))[rows])
    assert both.name == "a+a"
    less = residual(one, np.ones((6, 1)), np.ones(6, bool))
    assert less.digest != one.digest
    assert images("pca", values @ values.T, 1).digest != images("pca", values @ values.T, 2).digest


def test_answers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, codes = small_question()
    plan = Plan(repeats=1)
    first = answer(to, fixed("z", codes), "linear", plan, tmp_path)
    assert first["r2"].value > 0.9
    monkeypatch.setitem(clinical_probe.PROBES, "linear", cast(Any, None))
    again = answer(to, fixed("z", codes), "linear", plan, tmp_path)
    np.testing.assert_array_equal(first["r2"].draws, again["r2"].draws)
    for other in (
        (to, fixed("z", 2 * codes), plan),
        (to._replace(targets=to.targets._replace(target=codes[:, 1])), fixed("z", codes), plan),
        (to, fixed("z", codes), plan._replace(seed=1)),
    ):
        with pytest.raises(TypeError):
            answer(other[0], other[1], "linear", other[2], tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(b"cut")
    with pytest.raises(TypeError):
        answer(to, fixed("z", codes), "linear", plan, tmp_path)


def test_refitted_answers_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, codes = small_question()
    plan = Plan(repeats=1)
    first = refitted_answer(to, fixed("z", codes), "linear", plan, tmp_path)
    assert first["r2"].low < answer(to, fixed("z", codes), "linear", plan, tmp_path)["r2"].value < first["r2"].high
    monkeypatch.setitem(clinical_probe.PROBES, "linear", cast(Any, None))
    assert refitted_answer(to, fixed("z", codes), "linear", plan, tmp_path) == first
    with pytest.raises(TypeError):
        refitted_answer(to, fixed("z", codes), "linear", plan._replace(seed=1), tmp_path)


def test_questions_are_of_held_out_people_whose_all_is_known() -> None:
    visits, _ = visits_of()
    sides = Sides(np.flatnonzero(visits.index < 40), np.flatnonzero(visits.index >= 40))
    values = visits["mmse"].to_numpy().copy()
    values[45] = NAN
    known = np.ones((len(visits), 1))
    known[50] = NAN
    target = Target("mmse", False, values)
    to = question(target, visits, sides, "held-out", known)
    assert set(to.rows) == set(range(40, len(visits))) - {45, 50}
    assert not len(to.train)
    one = question(target, visits, sides, "held-out", known, ONE)
    assert len(np.unique(one.targets.people)) == len(one.rows) == len(np.unique(to.targets.people))
    across = question(target, visits, sides, "train-test", known)
    assert set(across.rows[across.train]) == set(range(40))
    assert not set(across.targets.people[across.train]) & set(across.targets.people[across.test]) - {
        across.targets.people[40]
    }
    with pytest.raises(InputError, match="not known together of any held-out scan"):
        question(target, visits, sides, "held-out", known * NAN)


def test_the_ends_of_an_interval_keep_their_signs() -> None:
    def told(*numbers: float) -> str:
        return signed(dict(zip(("value", "low", "high"), numbers, strict=True)))

    assert told(0.05, 0.002, 0.1) == "+0.050 [+0.002, +0.100]"
    assert told(0.05, -0.0004, 0.1) == "+0.0500 [-0.0004, +0.1000]"
    assert told(0.05, 0.01, 0.1) == "+0.05 [+0.01, +0.10]"
    assert told(-0.004, -0.05, 0.03) == "0.00 [-0.05, +0.03]"
    assert told(0.0, 0.0, 0.0) == "0.000 [0.000, 0.000]"
