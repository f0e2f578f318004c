import pandas as pd
import pytest

from disentangle_pl.brain.split import split, split_of


def cohort(n: int) -> pd.DataFrame:
    return pd.DataFrame({"participant_id": [f"sub-{i // 2:04d}" for i in range(2 * n)]})


def test_no_participant_is_in_two_parts_and_every_visit_in_one() -> None:
    visits = cohort(1000)
    parts = split(visits)
    people = [set(part["participant_id"]) for part in parts]
    assert not people[0] & people[1]
    assert not people[0] & people[2]
    assert not people[1] & people[2]
    assert sorted(row for part in parts for row in part.index) == list(range(len(visits)))
    assert [len(who) / 1000 for who in people] == pytest.approx([0.8, 0.1, 0.1], abs=0.04)


def test_parts_stay_as_the_cohort_grows() -> None:
    small, large = split(cohort(200)), split(cohort(400))
    for before, after in zip(small, large, strict=True):
        assert set(before["participant_id"]) <= set(after["participant_id"])


def test_the_part_of_an_id_is_fixed_for_good() -> None:
    assert [split_of(f"sub-{i:02d}") for i in range(12)] == [split_of(f"{i:02d}") for i in range(12)]
    held_out = {who: part for i in range(30) if (part := split_of(who := f"{i:03d}")) != "train"}
    assert held_out == {"006": "val", "007": "val", "008": "val", "015": "val", "027": "test"}
    assert {split_of(f"{i}", (0.0, 0.5, 0.5)) for i in range(50)} == {"val", "test"}
    assert [split_of(f"{i}", salt="a") for i in range(50)] != [split_of(f"{i}", salt="b") for i in range(50)]


def test_two_participants_are_everywhere_and_this_is_said(caplog: pytest.LogCaptureFixture) -> None:
    parts = split(cohort(2))
    assert all(len(part) == 4 for part in parts)
    assert "2 of training also serve as validation and test; this is NOT held-out" in caplog.text


def test_an_empty_part_takes_training_and_this_is_said(caplog: pytest.LogCaptureFixture) -> None:
    visits = cohort(40)
    train = visits[visits["participant_id"].map(split_of) != "val"]
    parts = split(train)
    assert parts.val is parts.train
    assert not set(parts.test["participant_id"]) & set(parts.train["participant_id"])
    assert "also serve as validation;" in caplog.text
    caplog.clear()
    split(cohort(1000))
    assert not caplog.text
