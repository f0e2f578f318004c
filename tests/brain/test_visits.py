from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.brain.fields import COLUMNS
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import REAL, keys, touch


def test_bids_with_sessions_is_sorted_with_numbers_in_their_order(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *[f"sub-10/ses-{s}/anat/sub-10_ses-{s}_T1w.nii.gz" for s in (10, 2)],
        "sub-2/ses-1/anat/sub-2_ses-1_T1w.nii",
        "sub-2/ses-1/anat/sub-2_ses-1_T2w.nii.gz",
        "sub-2/ses-1/anat/._sub-2_ses-1_T1w.nii",
    )
    visits = read_visits(tmp_path)
    assert keys(visits) == [("sub-2", "ses-1"), ("sub-10", "ses-2"), ("sub-10", "ses-10")]
    assert list(visits.columns) == COLUMNS
    assert all(Path(path).is_absolute() for path in visits["path"])
    assert visits[COLUMNS[3:]].isna().all(axis=None)


def test_bids_without_a_session_level(tmp_path: Path) -> None:
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t71.5\nsub-77\tn/a\n")
    visits = read_visits(tmp_path)
    assert keys(visits) == [("sub-01", "n/a")]
    assert visits["age"].tolist() == [71.5]
    assert visits["years"].tolist() == [0.0]


def test_of_several_runs_the_first_is_taken_and_this_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, *[f"sub-01/anat/sub-01_run-{run}_T1w.nii.gz" for run in ("10", "2", "1")])
    with caplog.at_level("INFO"):
        visits = read_visits(tmp_path)
    assert Path(visits["path"][0]).name == "sub-01_run-1_T1w.nii.gz"
    assert "sub-01_run-1_T1w.nii.gz" in caplog.text


def test_ages_and_times_of_sessions(tmp_path: Path) -> None:
    touch(tmp_path, *[f"sub-01/ses-{s}/anat/sub-01_ses-{s}_T1w.nii.gz" for s in (1, 2, 3)])
    sessions = tmp_path / "sub-01" / "sub-01_sessions.tsv"
    sessions.write_text("session_id\tage\nses-1\t70\nses-2\tn/a\nses-3\t72.5\n")
    visits = read_visits(tmp_path)
    np.testing.assert_equal(visits["age"].to_numpy(), [70, np.nan, 72.5])
    np.testing.assert_equal(visits["years"].to_numpy(), [0, np.nan, 2.5])
    sessions.write_text("session_id\tacq_time\nses-1\t2001-01-01T10:00:00\nses-2\tn/a\nses-3\t2003-01-01\n")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\n01\t60\n")
    visits = read_visits(tmp_path)
    np.testing.assert_allclose(visits["years"], [0, np.nan, 2], atol=0.01)
    np.testing.assert_allclose(visits["age"], [60, np.nan, 62], atol=0.01)


def test_years_stay_unknown_where_the_first_visit_is_undated(tmp_path: Path) -> None:
    touch(tmp_path, *[f"sub-01/ses-{s}/anat/sub-01_ses-{s}_T1w.nii.gz" for s in (1, 2)])
    (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\nses-2\t71\n")
    assert read_visits(tmp_path)["years"].isna().all()


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("participants.tsv", "id\tage\nsub-01\t3\n", "lacks the columns participant_id: it has id, age"),
        ("participants.tsv", "participant_id\tage\nsub-01\t1\n01\t2\n", "more than one row of sub-01"),
        ("sub-01/sub-01_sessions.tsv", "", "cannot be read as a table"),
        (
            "sub-01/sub-01_sessions.tsv",
            "session_id\tage\nses-1\t1\n1\t2\n",
            "more than one row of sub-01 ses-1",
        ),
    ],
)
def test_wrong_bids_tables_are_named(tmp_path: Path, name: str, text: str, what: str) -> None:
    touch(tmp_path, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz")
    (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text("session_id\tage\nses-1\t70\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=what) as error:
        read_visits(tmp_path)
    assert Path(name).name in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("participants.tsv", "participant_id\tage\nsub-01\told\n", "'old' as age in line 2: cells"),
        ("sub-01/sub-01_sessions.tsv", "session_id\tacq_time\nses-1\tyesterday\n", "'yesterday' as acq_time in line 2"),
        ("sub-02/sub-02_sessions.tsv", "session_id\tage\nses-1\t?\n", r"'\?' as age in line 2"),
        ("sub-02/sub-02_sessions.tsv", "session_id\tMMSE\nses-1\t-4\n", "'-4' as mmse in line 2: cells outside 0..30"),
        (
            "participants.tsv",
            "participant_id\tdiagnosis\nsub-01\tCN\nsub-02\t-9999\n",
            "'-9999' as diagnosis in line 3",
        ),
    ],
)
def test_one_cell_stops_nothing_unless_asked_to(tmp_path: Path, name: str, text: str, what: str) -> None:
    touch(tmp_path, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz")
    (tmp_path / name).write_text(text)
    assert len(read_visits(tmp_path)) == 2
    with pytest.raises(InputError, match=f"{Path(name).name} has {what}"):
        find_visits(tmp_path, strict=True)


@pytest.mark.parametrize(("column", "cell"), [("age", "inf"), ("age", "-4"), ("years", "soon"), ("acq_time", "0000")])
def test_one_cell_of_a_table_of_scans_is_missing(tmp_path: Path, column: str, cell: str) -> None:
    touch(tmp_path, "a.nii")
    table = tmp_path / "scans.tsv"
    table.write_text(f"participant_id\tsession_id\tpath\t{column}\n1\t1\ta.nii\t{cell}\n")
    assert read_visits(table)[["age", "years"]].isna().all(axis=None)
    with pytest.raises(InputError, match=f"'{cell}' as {column} in line 2"):
        find_visits(table, strict=True)


def test_missing_empty_and_dangling_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        read_visits(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no sub-\*/\[ses-\*/\]anat"):
        read_visits(tmp_path)
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz").symlink_to(tmp_path / "annex")
    with pytest.raises(InputError, match=r"no scan that can be used: .*sub-01_T1w.nii.gz: links to nothing"):
        read_visits(tmp_path)


@pytest.mark.parametrize(("suffix", "separator"), [(".tsv", "\t"), (".csv", ",")])
def test_tables(tmp_path: Path, suffix: str, separator: str) -> None:
    touch(tmp_path, "a.nii", "deep/b.nii")
    path = tmp_path / f"scans{suffix}"
    lines = [
        "path,age,participant_id,session_id",
        "deep/b.nii,61,007,m12",
        "",
        f"{tmp_path / 'a.nii'},60,007,bl",
        "a.nii,n/a,8,bl",
    ]
    path.write_text("\n".join(lines).replace(",", separator))
    visits = read_visits(path)
    assert keys(visits) == [("007", "bl"), ("007", "m12"), ("8", "bl")]
    assert [Path(name) for name in visits["path"]] == [
        tmp_path / "a.nii",
        tmp_path / "deep" / "b.nii",
        tmp_path / "a.nii",
    ]
    np.testing.assert_equal(visits["years"].to_numpy(), [0, 1, 0])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("participant_id\tage\n1\t2\n", "lacks the columns session_id, path: it has participant_id, age"),
        ("participant_id,session_id,path\n", "lacks the columns .* tabs"),
        ("participant_id\tsession_id\tpath\n", "lists no scan"),
        (
            "participant_id\tsession_id\tpath\n1\t1\ta.nii\n1\t1\ta.nii\n",
            "a.nii: line 3 .* repeats a visit: 1, 1 of line 2$",
        ),
        (
            "participant_id\tsession_id\tpath\n1\t1\ta.nii\n1\t2\tb.nii\n",
            r"b.nii: line 3 of scans.tsv \(1, 2\) lists a file that does not exist",
        ),
        ("participant_id\tsession_id\tpath\n1\t1\ta.nii\n1\t2\tn/a\n", "line 3 .* lacks participant_id or path"),
        ("participant_id\tsession_id\tpath\n1\tn/a\ta.nii\n1\tn/a\ta.nii\n", "line 3 .* repeats a visit: 1, n/a"),
        ("participant_id\tsession_id\tpath\n1\t1\ta\tb\tc\n1\t1\ta\tb\tc\td\n", "cannot be read as a table"),
        ("\x00\xff\xfe", "scans.tsv"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, what: str) -> None:
    touch(tmp_path, "a.nii")
    (tmp_path / "scans.tsv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=what) as error:
        read_visits(tmp_path / "scans.tsv")
    assert "scans.tsv" in str(error.value)


def test_what_cannot_be_used_is_named_and_the_rest_stays(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "b.nii")
    lines = ["participant_id,session_id,path", "1,1,a.nii", "1,1,b.nii", "1,2,gone.nii", ",3,a.nii", "2,n/a,b.nii"]
    (tmp_path / "scans.csv").write_text("\n".join(lines))
    visits, skipped, layout = find_visits(tmp_path / "scans.csv")
    assert keys(visits) == [("1", "1"), ("2", "n/a")]
    assert visits.index.tolist() == [0, 1]
    assert layout == "table"
    assert [Path(path).name for path in skipped["path"]] == ["b.nii", "gone.nii", "a.nii"]
    assert [reason.split(" of scans.csv ")[0] for reason in skipped["reason"]] == ["line 3", "line 4", "line 5"]
    with pytest.raises(InputError, match=r"^\S+b.nii: line 3 of scans.csv repeats a visit: 1, 1 of line 2$"):
        find_visits(tmp_path / "scans.csv", strict=True)
    with pytest.raises(InputError, match=r"3 scans of \S+ cannot be used: \S+b.nii: .*gone.nii.*; \S+a.nii: line 5"):
        read_visits(tmp_path / "scans.csv")


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_longitudinal_scans() -> None:
    visits = read_visits(REAL / "longitudinal-ms")
    assert keys(visits) == [("sub-01", "ses-1"), ("sub-01", "ses-2"), ("sub-03", "ses-2")]
