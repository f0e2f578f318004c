from pathlib import Path

import pandas as pd
import pytest

from disentangle_pl.brain.split_file import extend_split, fractions_of, read_split, split_by, split_names, write_split
from disentangle_pl.errors import InputError

PART = pd.Series({"sub-a": "train", "sub-b": "val", "sub-c": "test", "sub-d": "train"})
VISITS = pd.DataFrame({"participant_id": ["sub-a", "sub-a", "sub-b", "sub-c"], "path": ["1", "2", "3", "4"]})
NONE = pd.Series([None] * 4, dtype=object)


@pytest.mark.parametrize("name", ["deep/split.tsv", "split.csv"])
def test_a_split_is_read_as_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_split(path, PART, "seed 0")
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# sha256:")
    assert lines[0].endswith(" seed 0")
    assert lines[1].replace(",", "\t") == "participant_id\tpart"
    assert read_split(path).to_dict() == {"a": "train", "b": "val", "c": "test", "d": "train"}


def test_it_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    write_split(path, PART, "seed 0")
    before = path.read_text()
    write_split(path, PART.iloc[::-1], "again")
    assert path.read_text() == before
    with pytest.raises(InputError, match=r"holds another split: delete it"):
        write_split(path, PART.replace("val", "test"), "seed 1")


def test_a_changed_file_is_refused_until_its_first_line_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    write_split(path, PART, "seed 0")
    text = path.read_text().replace("sub-a\ttrain", "sub-a\ttest")
    path.write_text(text)
    with pytest.raises(InputError, match=r"was changed after it was written: delete its first line if you mean it"):
        read_split(path)
    path.write_text(text.partition("\n")[2])
    assert read_split(path)["a"] == "test"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("participant_id\tpart\nsub-a\ttrain\na\ttest\n", "has a on two sides"),
        (
            "participant_id\tpart\nsub-a\tvalidation\n",
            "'validation' as the part of sub-a: write one of train, val, test",
        ),
        ("participant_id\tpart\nsub-a\t\n", "as the part of sub-a"),
        ("participant_id\tside\nsub-a\ttrain\n", "lacks the columns part"),
        ("", "cannot be read as a table"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "split.tsv").write_text(text)
    with pytest.raises(InputError, match=what):
        read_split(tmp_path / "split.tsv")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .*: write one by disentangle-pl scans"):
        read_split(tmp_path / "split.tsv")


def test_visits_go_where_the_file_says(caplog: pytest.LogCaptureFixture) -> None:
    part = PART.set_axis(PART.index.str.removeprefix("sub-"))
    with caplog.at_level("INFO"):
        parts = split_by(VISITS, part, NONE)
    assert [rows.index.tolist() for rows in parts] == [[0, 1], [2], [3]]
    assert "1 of 4 people of the split have no scan here: d" in caplog.text
    assert "NOT held-out" not in caplog.text
    only = split_by(VISITS, part.replace("val", "train"), NONE)
    assert only.val is only.train
    assert "NOT held-out" in caplog.text


def test_a_participant_without_a_part_and_a_shared_image_are_refused() -> None:
    part = PART.set_axis(PART.index.str.removeprefix("sub-"))
    with pytest.raises(
        InputError, match=r"no part for 1 of 3 participants \(sub-b\): .* scans with the same --split deals"
    ):
        split_by(VISITS, part.drop("b"), NONE)
    with pytest.raises(InputError, match="nobody of these visits in train"):
        split_by(VISITS, part.replace("train", "test"), NONE)
    with pytest.raises(InputError, match="the same image is on two sides of the split: 2; 4"):
        split_by(VISITS, part, pd.Series(["x", "y", "z", "y"]))
    assert len(split_by(VISITS, part, pd.Series(["x", "x", "z", "y"])).train) == 2


def test_people_are_added_and_the_other_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    write_split(path, PART, "seed 0, fractions 0.5 0.3 0.2, by sex")
    lines = path.read_text().splitlines()
    extend_split(path, PART[:0], "nobody")
    assert path.read_text().splitlines() == lines
    extend_split(path, pd.Series({"sub-e": "test"}), "1 later: fractions 0.8 0.1 0.1")
    assert path.read_text().splitlines()[1:] == [*lines[1:], "sub-e\ttest"]
    assert read_split(path).to_dict() == {"a": "train", "b": "val", "c": "test", "d": "train", "e": "test"}
    assert fractions_of(path) == (0.5, 0.3, 0.2), "those of the first time"
    hand = tmp_path / "hand.csv"
    hand.write_text("part,note,participant_id\ntrain,first,a\n")
    assert fractions_of(hand) is None
    extend_split(hand, pd.Series({"b": "val"}), "later")
    assert hand.read_text().splitlines()[1:] == ["part,note,participant_id", "train,first,a", "val,,b"]


def test_other_spellings_of_an_id_are_the_same_person(caplog: pytest.LogCaptureFixture) -> None:
    part = pd.Series({"01": "train", "S_0002": "val", "10": "test", "7": "train", "007": "test"})
    people = pd.Series(["sub-01", "s_0002 ", "SUB-010", "07", "2"])
    assert split_names(people, part).tolist() == ["01", "S_0002", "10", "07", "2"], "07 may be 7 or 007"
    assert split_names(pd.Series(["1", "001"]), part).tolist() == ["1", "001"], "two people, not one"
    assert split_names(pd.Series(["1", "01"]), part).tolist() == ["1", "01"]
    visits = pd.DataFrame({"participant_id": ["sub-1", "010"], "path": ["x", "y"]})
    with caplog.at_level("INFO"):
        parts = split_by(visits, part, NONE[:2])
    assert (parts.train.index.tolist(), parts.test.index.tolist()) == ([0], [1])
    assert "2 people are spelled otherwise in the split: 1 is 01; 010 is 10" in caplog.text
    assert "3 of 5 people of the split have no scan here: S_0002; 7; 007" in caplog.text
