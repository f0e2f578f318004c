from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.visits import read_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import REAL


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def keys(visits: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(visits["participant_id"], visits["session_id"], strict=True))


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
    assert list(visits.columns) == ["participant_id", "session_id", "path", "age", "years"]
    assert all(Path(path).is_absolute() for path in visits["path"])
    assert visits[["age", "years"]].isna().all(axis=None)


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
        ("participants.tsv", "participant_id\tage\nsub-01\told\n", "'old' as age in line 2"),
        ("participants.tsv", "id\tage\nsub-01\t3\n", "lacks the columns participant_id: it has id, age"),
        ("participants.tsv", "participant_id\nsub-01\n01\n", "more than one row of sub-01"),
        ("sub-01/sub-01_sessions.tsv", "session_id\tacq_time\nses-1\tyesterday\n", "no ISO 8601 time"),
        ("sub-01/sub-01_sessions.tsv", "", "cannot be read as a table"),
    ],
)
def test_wrong_bids_tables_are_named(tmp_path: Path, name: str, text: str, what: str) -> None:
    touch(tmp_path, "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz")
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=what) as error:
        read_visits(tmp_path)
    assert Path(name).name in str(error.value)


def test_missing_empty_and_dangling_sources(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        read_visits(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"has no sub-\*/\[ses-\*/\]anat"):
        read_visits(tmp_path)
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz").symlink_to(tmp_path / "annex")
    with pytest.raises(InputError, match=r"links to nothing.*sub-01_T1w"):
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
    np.testing.assert_equal(visits["years"].to_numpy(), [0, 1, np.nan])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("participant_id\tage\n1\t2\n", "lacks the columns session_id, path: it has participant_id, age"),
        ("participant_id,session_id,path\n", "lacks the columns .* tabs"),
        ("participant_id\tsession_id\tpath\n", "lists no scan"),
        ("participant_id\tsession_id\tpath\n1\t1\ta.nii\n1\t1\ta.nii\n", "repeats a visit: line 2 .* line 3"),
        (
            "participant_id\tsession_id\tpath\n1\t1\ta.nii\n1\t2\tb.nii\n",
            r"not exist: line 3 \(1, 2, .*b.nii",
        ),
        (
            "participant_id\tsession_id\tpath\n1\tn/a\ta.nii\n",
            "lacks participant_id, session_id or path: line 2",
        ),
        ("participant_id\tsession_id\tpath\tyears\n1\t1\ta.nii\tsoon\n", "'soon' as years in line 2"),
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


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_longitudinal_scans() -> None:
    visits = read_visits(REAL / "longitudinal-ms")
    assert keys(visits) == [("sub-01", "ses-1"), ("sub-01", "ses-2"), ("sub-03", "ses-2")]
