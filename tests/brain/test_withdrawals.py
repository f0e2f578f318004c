from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.brain.withdrawals import read_withdrawn, remaining
from disentangle_pl.errors import InputError
from disentangle_pl.genetics.people import people_table, without_withdrawn
from tests.brain.scans import bids
from tests.command_line import refused


def gone(folder: Path, text: str) -> Path:
    path = folder / "w12345_20260101.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "1000001\n1000003\n",
        "eid\r\n1000001\r\n\r\n1000003\r\n1000001\r\n",
        '"eid","date"\n"1000001","2026-01-01"\n\n  \n"1000003",""',
        "sub-1000001\n sub-1000003 \n",
        "1000003\n-1000001\n",
    ],
)
def test_ids_are_read_however_they_are_written(tmp_path: Path, text: str) -> None:
    people = read_withdrawn(gone(tmp_path, text))
    assert {person.removeprefix("-") for person in people} == {"1000001", "1000003"}
    assert {"1000001", "1000003"} <= people


def test_nobody_has_withdrawn_by_an_empty_file_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    assert read_withdrawn(gone(tmp_path, "\n\n")) == frozenset()
    with pytest.raises(InputError, match=r"the withdrawals .*no.csv cannot be read"):
        read_withdrawn(tmp_path / "no.csv")


def test_their_rows_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = pd.DataFrame({"participant_id": ["sub-1", "sub-1", "2", "sub-3", None, "10"], "x": range(6)})
    with caplog.at_level("INFO"):
        assert remaining(table, gone(tmp_path, "eid\n1\n2\n77\n"))["x"].tolist() == [3, 4, 5], "1 is not 10"
    assert "2 people with 3 rows are left out, as" in caplog.text
    assert "w12345_20260101.csv says that they have withdrawn" in caplog.text
    assert remaining(table, None) is table
    with pytest.raises(InputError, match="everybody has withdrawn"):
        remaining(table[:2], gone(tmp_path, "1\n"))


def test_a_folder_a_table_and_phenotypes_lose_them(tmp_path: Path) -> None:
    root, left = bids(tmp_path / "bids", {"1": 2, "2": 1, "3": 2}), gone(tmp_path, "2\n3\n3\n")
    visits = read_visits(root, left)
    assert visits["participant_id"].tolist() == ["sub-1", "sub-1"]
    assert visits.index.tolist() == [0, 1]
    read_visits(root).to_csv(tmp_path / "scans.tsv", sep="\t", index=False, na_rep="n/a")
    assert len(find_visits(tmp_path / "scans.tsv", check=True, withdrawn=left).visits) == 2
    people = people_table(pd.DataFrame({"FID": ["1", "3", "4"], "IID": ["1", "3", "4"], "z0": ["5", "6", "7"]}), "z")
    table = without_withdrawn(people, left)
    assert table.people["iid"].tolist() == ["1", "4"]
    assert table.values["z0"].tolist() == ["5", "7"]
    assert table.values.index.tolist() == table.people.index.tolist() == [0, 1]
    np.testing.assert_array_equal(without_withdrawn(people, None).people["iid"], ["1", "3", "4"])


def test_a_missing_file_is_said_before_any_table_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans, missing = tmp_path / "scans.tsv", tmp_path / "no.csv"
    scans.write_text("no table of scans\n")
    out, said = f"--out={tmp_path / 'out'}", "no.csv cannot be read"
    for verb in (["scans", str(scans), out], ["prepare", str(scans), out]):
        assert said in refused(capsys, *verb, f"--withdrawn={missing}")
    tables = [f"--bed={tmp_path / 'no.bed'}", f"--phenotypes={scans}", out]
    assert said in refused(capsys, "gwas", *tables, f"--withdrawn={missing}")
    with pytest.raises(InputError, match=said):
        LongitudinalData(str(scans), (4, 4, 4), 1.0, withdrawn=str(missing))
