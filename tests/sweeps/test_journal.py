"""The journal: what was written is there after any kill, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.sweeps.journal import FINISHED, QUEUED, RUNNING, Journal

SOURCE: dict[str, Any] = {"method": "grid", "parameters": {"a": {"values": [1, 2]}}}


def test_a_journal_is_read_back_as_it_was(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", SOURCE, "s")
    first, second = journal.add({"a": 0}, {"a": 1}), journal.add({"a": 1}, {"a": 2})
    journal.note(first, state=RUNNING, pid=7, attempts=1)
    journal.note(first, state=FINISHED, message="well")
    again = Journal(tmp_path / "j", SOURCE, "s")
    assert again.trials == [first, second]
    assert again.token == journal.token
    assert [trial.state for trial in again.trials] == [FINISHED, QUEUED]
    assert first.pid == 7
    assert first.name == f"s-{journal.token}-000"


def test_run_ids_differ_between_sweeps_of_one_name(tmp_path: Path) -> None:
    names = {Journal(tmp_path / str(number), SOURCE, "s").add({}, {}).name for number in range(20)}
    assert len(names) == 20


@pytest.mark.parametrize("cut", range(1, 40, 4))
def test_a_last_line_cut_by_a_kill_is_forgotten_and_not_written_into(cut: int, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", SOURCE, "s")
    trial = journal.add({"a": 0}, {"a": 1})
    whole = (tmp_path / "j").read_bytes()
    journal.note(trial, state=FINISHED, message="to be lost for good")
    (tmp_path / "j").write_bytes((tmp_path / "j").read_bytes()[:-cut])
    again = Journal(tmp_path / "j", SOURCE, "s")
    assert again.trials[0].state == QUEUED
    assert (tmp_path / "j").read_bytes() == whole
    again.note(again.trials[0], state=RUNNING)
    assert Journal(tmp_path / "j", SOURCE, "s").trials[0].state == RUNNING


def test_a_kill_before_the_first_line_leaves_a_fresh_sweep(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"swee')
    assert Journal(tmp_path / "j", SOURCE, "s").trials == []
    assert len((tmp_path / "j").read_text().splitlines()) == 1


def test_another_sweep_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j", SOURCE, "s")
    for parameters in ({"a": {"values": [3, 4]}}, {"b": {"values": [1, 2]}}, {"a": {"values": [1]}, "b": {"value": 1}}):
        with pytest.raises(InputError, match=r"parameters differ.*--out"):
            Journal(tmp_path / "j", SOURCE | {"parameters": parameters}, "s")
    with pytest.raises(InputError, match=r"method differ.*--out"):
        Journal(tmp_path / "j", SOURCE | {"method": "random"}, "s")


def test_a_grid_may_grow_and_shrink_and_the_journal_remembers(tmp_path: Path) -> None:
    Journal(tmp_path / "j", SOURCE, "s").add({"a": 0}, {"a": 1})
    wider = SOURCE | {"parameters": {"a": {"values": [2, 3]}}}
    assert len(Journal(tmp_path / "j", wider, "s").trials) == 1
    assert len((tmp_path / "j").read_text().splitlines()) == 3
    widest = SOURCE | {"parameters": {"a": {"values": [3, 4]}}}
    Journal(tmp_path / "j", widest, "s")  # what was wider is what it is compared with
    Journal(tmp_path / "j", widest, "s")
    assert len((tmp_path / "j").read_text().splitlines()) == 4


@pytest.mark.parametrize("middle", ["not json", '{"name": "nobody", "state": "running"}', "[]", '{"state": "x"}'])
def test_damage_in_the_middle_is_an_error_not_a_loss(middle: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", SOURCE, "s")
    journal.add({"a": 0}, {"a": 1})
    lines = (tmp_path / "j").read_text().splitlines()
    (tmp_path / "j").write_text("\n".join([lines[0], middle, lines[1]]) + "\n")
    with pytest.raises(InputError, match="damaged"):
        Journal(tmp_path / "j", SOURCE, "s")
