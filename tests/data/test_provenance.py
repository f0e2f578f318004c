"""Whom weights were trained on: hashes that tell it of the asked people, and of nobody else."""

from typing import Any

import pytest

from disentangle_pl.data.provenance import (
    UNKNOWN,
    UNTRAINED,
    chosen_by,
    extended,
    from_plain,
    hash_people,
    joined,
    to_plain,
    trained_on,
)
from disentangle_pl.errors import InputError

PARTS = {"sub-001": "train", "sub-002": "train", "sub-003": "val", "sub-004": "test"}


def test_people_are_told_however_they_are_spelled() -> None:
    record = extended(UNTRAINED, PARTS)
    assert trained_on(record, PARTS) == {"sub-001", "sub-002"}
    assert chosen_by(record, PARTS) == {"sub-003"}
    for respelled in ("001", "1", "SUB-01", " sub-001 "):
        assert trained_on(record, [respelled, "004", "x"]) == {respelled}


def test_people_whom_only_zeros_or_capitals_tell_apart_stay_two() -> None:
    record = extended(UNTRAINED, {"01": "train", "1": "test", "b": "test", "B": "train", "c": "train"})
    assert trained_on(record, ["01", "1", "b", "B", "sub-01", "C"]) == {"01", "B", "sub-01", "C"}


def test_nobody_is_named_and_two_records_share_nothing() -> None:
    one, other = (extended(UNTRAINED, PARTS) for _ in range(2))
    text = str(to_plain(one))
    assert not any(name.removeprefix("sub-") in text.split("'") for name in PARTS)
    assert not set(text.split("'")) & {h for each in other.trainings for h in each.train | each.val | {each.split}}
    assert trained_on(other, PARTS) == trained_on(one, PARTS)
    assert hash_people(["a"], "salt") != hash_people(["a"], "pepper")


def test_the_same_split_adds_nothing_and_another_keeps_who_was_in_before() -> None:
    first = extended(UNTRAINED, PARTS)
    assert extended(first, dict(reversed(PARTS.items()))) is first
    grown = extended(first, {"sub-002": "val", "sub-005": "train", "sub-001": "test"})
    assert trained_on(grown, ["sub-001", "sub-002", "sub-004", "sub-005"]) == {"sub-001", "sub-002", "sub-005"}
    assert chosen_by(grown, ["sub-002", "sub-003", "sub-005"]) == {"sub-002", "sub-003"}
    assert joined(grown, first) == grown


def test_a_record_travels_as_plain_values_and_a_missing_one_is_never_complete() -> None:
    record = extended(UNTRAINED, PARTS)
    assert from_plain(to_plain(record)) == record
    assert from_plain(None) == UNKNOWN
    later = extended(joined(from_plain(None), UNTRAINED), PARTS)
    assert not later.complete, "whom an old checkpoint was trained on stays unknown"
    assert not from_plain(to_plain(later)).complete
    wrong: list[Any] = [[], {"trainings": [{"salt": "x"}], "complete": True}, "text", {"trainings": 3}]
    for damaged in wrong:
        with pytest.raises(InputError, match="is damaged"):
            from_plain(damaged)
