"""Tables as real folders have them: codes, bounds, dates, long and wide forms, other names, other encodings."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.clinical import read_clinical
from disentangle_pl.brain.clocks import date_visits, in_time, phase_years, with_years
from disentangle_pl.brain.identities import as_scans_write
from disentangle_pl.brain.mapping import load_mapping
from disentangle_pl.brain.nearest import join_clinical
from disentangle_pl.brain.tables import read_table
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.brain.waves import waves_of
from disentangle_pl.errors import InputError
from tests.brain.scans import keys, touch

CASES = Path(__file__).parents[3] / "shared" / "cases" / "brain"
NAN = float("nan")
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the small inputs of ../shared/cases/brain are not here")


def people(root: Path, sessions: list[str], *names: str) -> Path:
    """Write empty scans of every session of some people."""
    return touch(root, *[f"sub-{who}/ses-{s}/anat/sub-{who}_ses-{s}_T1w.nii.gz" for who in names for s in sessions])


def acquired(root: Path, who: str, **times: str) -> None:
    """Write the scans.tsv of the sessions of a person."""
    for session, time in times.items():
        name = f"sub-{who}_ses-{session}"
        (root / f"sub-{who}" / f"ses-{session}" / f"{name}_scans.tsv").write_text(
            f"filename\tacq_time\nanat/{name}_T1w.nii.gz\t{time}\n"
        )


@needs_cases
def test_a_folder_with_every_kind_of_cell(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        visits = read_visits(CASES / "bids")
    assert len(visits) == 24
    assert visits["session_id"].tolist() == ["ses-baseline", "ses-followup", "ses-final"] * 8
    np.testing.assert_allclose(visits["years"].to_numpy().reshape(8, 3), [[0, 3, 7]] * 8, atol=0.01)
    first = visits[visits["years"] == 0]
    np.testing.assert_equal(first["age"].to_numpy(), [NAN, 39.5, NAN, 71, NAN, NAN, 66, NAN])
    np.testing.assert_equal(first["mmse"].to_numpy(), [29, NAN, NAN, 28, NAN, NAN, 30, 27])
    assert first["sex"].fillna("?").tolist() == ["?", "?", "F", "M", "M", "F", "F", "?"]
    for words in (
        "participants.tsv: mmse: 3 cells outside 0..30 (-4, 999, -1): missing",
        "age: 2 cells with a bound or a range ('89+', '>90'): missing without --bounds",
        "1 cell without a number ('unknown')",
        "1 cell outside 0..120 (852)",
        "sex: 2 cells with a number and no Levels in participants.json",
        "time between visits of 8 people: by acq_time of scans.tsv for 8",
    ):
        assert words in caplog.text, words
    bounded = find_visits(CASES / "bids", bounds=True).visits.groupby("participant_id")["age"].first()
    assert bounded["sub-01"] == 89
    assert bounded["sub-03"] == 90
    with pytest.raises(InputError, match=r"'89\+' as age in line 2"):
        find_visits(CASES / "bids", strict=True)


@needs_cases
@pytest.mark.parametrize("form", ["long", "wide"])
def test_people_in_long_and_in_wide_form(tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(CASES / "bids", tmp_path / "bids")
    shutil.copy(CASES / f"{form}_participants.tsv", tmp_path / "bids" / "participants.tsv")
    with caplog.at_level("INFO"):
        visits = read_visits(tmp_path / "bids").set_index(["participant_id", "session_id"])
    ages, scores = ((70, 73), (29, 28)) if form == "long" else ((70.1, 74.3), (29, 27))
    assert visits["age"].xs("sub-01").tolist()[:2] == list(ages)
    np.testing.assert_equal(visits["mmse"].xs("sub-01").to_numpy(), [*scores, NAN])
    if form == "wide":
        assert "by their order in time: w1 is ses-baseline; w2 is ses-followup" in caplog.text
        assert "ages contradict the time between visits of 1 people: sub-01 4.2 years by ages, 3.0 by" in caplog.text
        assert not [name for name in visits if str(name).endswith(("_w1", "_w2"))]
    else:
        assert "participants.tsv: 7 people with scans have no row" in caplog.text


@needs_cases
def test_visit_codes_join_adnimerge_without_dates(tmp_path: Path) -> None:
    people(tmp_path, ["bl", "m36"], "ADNI011S0001")
    people(tmp_path, ["M000", "M012"], "ADNI011S0002")
    mapping = load_mapping("adnimerge")
    clinical = read_clinical(CASES / "adnimerge_like.csv", mapping)
    assert "adnimerge: mmse: 1 cell with a code of missing (-4): missing, as the mapping says" in clinical.remarks
    assert (
        "adnimerge: cdr_sb: 2 cells with a code of missing (-1, -4): missing, as the mapping says" in clinical.remarks
    )
    visits, _ = join_clinical(read_visits(tmp_path), clinical, mapping)
    assert not {"adas11", "faq", "moca"} & set(visits.columns), "optional, and not there"
    np.testing.assert_equal(visits["mmse"].to_numpy(), [29, NAN, 26, 22])
    np.testing.assert_equal(visits["cdr_sb"].to_numpy(), [0, NAN, 1.5, NAN])
    assert visits["diagnosis"].tolist() == ["CN", "MCI", "MCI", "AD"]
    np.testing.assert_allclose(visits["age"], [70.1, 73.1, 81.4, 82.4])
    np.testing.assert_allclose(visits["years"], [0, 3, 0, 1])


def test_the_row_of_the_same_label_comes_first(tmp_path: Path) -> None:
    people(tmp_path, ["m12"], "ADNI011S0001")
    head = "PTID,VISCODE,Years_bl,AGE,MMSE\n"
    (tmp_path / "merge.csv").write_text(head + "011_S_0001,m06,0.98,70,20\n011_S_0001,m12,1.61,70,29\n")
    mapping = load_mapping("adnimerge")
    visits, _ = join_clinical(read_visits(tmp_path), read_clinical(tmp_path / "merge.csv", mapping), mapping)
    assert visits["mmse"].tolist() == [29]
    assert visits["adnimerge_gap_years"].tolist() == [pytest.approx(-0.61)]


def test_a_table_that_tells_no_time_is_refused(tmp_path: Path) -> None:
    (tmp_path / "merge.csv").write_text("PTID,MMSE\n011_S_0001,29\n")
    with pytest.raises(InputError, match="tells no time: it has no Years_bl and VISCODE"):
        read_clinical(tmp_path / "merge.csv", load_mapping("adnimerge"))


def test_levels_and_units_of_the_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["1"], "1", "2", "3")
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tSex\tgroup\tMMSE\tsite\nsub-1\t852\t1\t1\t-9\t1\nsub-2\t38-40\t2\t2\t30\t2\nsub-3\tN/A\t2\t9\t29\t2\n"
    )
    about = {
        "age": {"Units": "months"},
        "Sex": {"Levels": {"1": "male participant", "2": {"Description": "female"}}},
        "group": {"Levels": {"1": "control", "2": "patient", "9": "missing"}},
        "MMSE": {"Levels": {"-9": "not available"}},
        "site": {"Levels": {"Leipzig": "the first"}},
    }
    (tmp_path / "participants.json").write_text(json.dumps(about))
    with caplog.at_level("INFO"):
        visits = find_visits(tmp_path, bounds=True).visits
    np.testing.assert_allclose(visits["age"], [71, 3.25, NAN])
    assert visits["sex"].tolist() == ["M", "F", "F"]
    assert visits["diagnosis"].fillna("?").tolist() == ["control", "patient", "?"]
    assert visits["site"].tolist() == ["1", "2", "2"]
    np.testing.assert_equal(visits["mmse"].to_numpy(), [NAN, 30, 29])
    assert "age is in months by its .json" in caplog.text


def test_a_broken_json_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["1"], "1")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-1\t70\n")
    (tmp_path / "participants.json").write_text("{")
    with caplog.at_level("INFO"):
        assert read_visits(tmp_path)["age"].tolist() == [70]
    assert "participants.json is left out, as it cannot be read" in caplog.text


def test_sexes_that_are_numbers_alone_stay_and_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["1"], "1", "2")
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\nsub-1\t1\nsub-2\t2\n")
    with caplog.at_level("INFO"):
        assert read_visits(tmp_path)["sex"].tolist() == ["1", "2"]
    assert "to say which is which (1, 2): taken as they are" in caplog.text


def test_the_date_of_the_chosen_file_is_trusted_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["a", "b"], "1", "2", "3")
    acquired(tmp_path, "1", a="2015-01-01", b="2013-01-01T10:00:00.5")
    for who in ("1", "2"):
        (tmp_path / f"sub-{who}" / f"sub-{who}_sessions.tsv").write_text(
            "session_id\tacq_time\tage\nses-a\t2001-01-01\t60\nses-b\t2002-01-01\t61\n"
        )
    (tmp_path / "sub-3" / "sub-3_sessions.tsv").write_text("session_id\tage\nses-a\t62.5\nses-b\t61\n")
    with caplog.at_level("INFO"):
        visits = read_visits(tmp_path)
    assert keys(visits)[:2] == [("sub-1", "ses-b"), ("sub-1", "ses-a")], "the earlier visit first"
    assert keys(visits)[4:] == [("sub-3", "ses-b"), ("sub-3", "ses-a")]
    np.testing.assert_allclose(visits["years"], [0, 2, 0, 1, 0, 1.5], atol=0.01)
    assert (
        "time between visits of 3 people: by acq_time of scans.tsv for 1, by acq_time for 1, by ages for 1"
        in caplog.text
    )
    assert "ages contradict the time between visits of 1 people: sub-1" in caplog.text


def test_dates_that_were_removed_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["M000", "M012"], "1", "2")
    for who in ("1", "2"):
        acquired(tmp_path, who, M000="1800-01-01T00:00:00", M012="1800-01-01T00:00:00")
    with caplog.at_level("INFO"):
        assert read_visits(tmp_path)["years"].tolist() == [0, 1, 0, 1]
    assert "of one day, and so not taken as dates" in caplog.text
    assert "by labels of sessions for 2" in caplog.text


def test_whole_years_of_age_do_not_overrule_labels_of_months(tmp_path: Path) -> None:
    people(tmp_path, ["M000", "M006"], "1")
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_text("session_id\tage\nses-M000\t70\nses-M006\t70\n")
    assert read_visits(tmp_path)["years"].tolist() == [0, 0.5]


@pytest.mark.parametrize(
    ("sessions", "years"),
    [
        (["bl", "m06", "m120"], [0, 0.5, 10]),
        (["d0129", "d0494"], [0, 365 / 365.25]),
        (["wave1", "wave2", "wave10"], [NAN] * 3),
        (["pre", "post"], [NAN] * 2),
        (["screening", "followup", "final"], [NAN] * 3),
    ],
)
def test_sessions_are_in_the_order_of_their_labels(tmp_path: Path, sessions: list[str], years: list[float]) -> None:
    people(tmp_path, sessions, "1")
    visits = read_visits(tmp_path)
    assert visits["session_id"].tolist() == [f"ses-{name}" for name in sessions]
    np.testing.assert_allclose(visits["years"], years)


def test_clocks_complete_one_another() -> None:
    person = pd.Series(["a", "a", "a", "b", "b", "c"])
    first = pd.Series([10.0, NAN, 12.0, NAN, NAN, NAN])
    second = pd.Series([50.0, 51.0, 52.5, 7.0, 9.0, NAN])
    years, source = date_visits(person, {"dates": first, "ages": second})
    np.testing.assert_allclose(years, [0, 0.75, 2, 0, 2, NAN])
    assert source.fillna("?").tolist() == ["dates", "ages", "dates", "ages", "ages", "?"]


def test_rows_are_sorted_by_time_only_where_all_is_dated() -> None:
    visits = pd.DataFrame({"participant_id": ["2", "2", "10", "10"], "session_id": ["b", "a", "b", "a"]})
    by_time = in_time(visits.assign(years=[0.0, 1.0, 0.0, NAN]))
    assert keys(by_time) == [("2", "b"), ("2", "a"), ("10", "a"), ("10", "b")]


def test_wide_columns_stand_on_the_visits_of_their_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["wave2", "wave3"], "1")
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tMMSE_W1\tMMSE_W2\tMMSE_W3\tW3_FAQ\tW2_FAQ\tsex\tvolume_T1\tvolume_T2\nsub-1\t30\t29\t28\t3\t2\tF\t5\t6\n"
    )
    with caplog.at_level("INFO"):
        visits = read_visits(tmp_path)
    assert visits["mmse"].tolist() == [29, 28]
    assert visits["faq"].tolist() == [2, 3]
    assert visits["sex"].tolist() == ["F", "F"]
    assert "columns of visits without a scan are left out: mmse_w1" in caplog.text
    assert "volume_t1" in visits, "no wave, but a sequence"


def test_what_is_a_wave() -> None:
    assert waves_of(["mmse_bl", "mmse"]) == {}
    assert waves_of(["mmse_w1", "faq_w2"]) == {}
    assert {wave.name for wave in waves_of(["mmse_bl", "mmse_m06", "mmse_m12"]).values()} == {"bl", "m06", "m12"}


@pytest.mark.parametrize("written", ["1", "001", " sub-01 ", "SUB-01", "Sub-1", "01"])
def test_people_are_known_by_number_blanks_and_case(
    tmp_path: Path, written: str, caplog: pytest.LogCaptureFixture
) -> None:
    people(tmp_path, ["1"], "01", "02")
    (tmp_path / "participants.tsv").write_text(f"participant_id\tage\n{written}\t70\nsub-02\t60\n")
    with caplog.at_level("INFO"):
        assert read_visits(tmp_path)["age"].tolist() == [70, 60]
    assert ("is sub-01" in caplog.text) == (written.strip() not in ("01", "sub-01"))


def test_who_is_meant_must_be_clear() -> None:
    scans = pd.DataFrame({"participant_id": ["sub-1", "sub-01"], "session_id": ["ses-M048", "ses-1"]})
    names = as_scans_write(pd.DataFrame({"participant_id": ["1", "001", "01"]}), scans)["participant_id"]
    assert names.tolist() == ["sub-1", "sub-001", "sub-01"]
    rows = pd.DataFrame({"participant_id": ["1", "sub-01"], "session_id": ["m48", "001"]})
    assert keys(as_scans_write(rows, scans)) == [("sub-1", "ses-M048"), ("sub-01", "ses-1")]


def test_nobody_in_common_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people(tmp_path, ["1"], "A1")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nB7\t70\n")
    with caplog.at_level("INFO"):
        assert read_visits(tmp_path)["age"].isna().all()
    assert "participants.tsv has nobody with a scan, and is of no use: it has sub-B7, the scans are of" in caplog.text


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-8-sig", "cp1252"])
def test_tables_of_other_encodings(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "table.tsv"
    path.write_bytes("participant_id\tsite\nsub-01\tKöln\nsub-02\tMünster\n".encode(codec))
    assert read_table(path)["site"].tolist() == ["Köln", "Münster"]
    assert read_table(path, head=True).columns.tolist() == ["participant_id", "site"]
    assert read_table(path, only=["participant_id"])["participant_id"].tolist() == ["sub-01", "sub-02"]


def test_blanks_and_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id ; age; x\na ; 39,5 ; N/a\nb;40; \n")
    table = read_table(path)
    assert table.columns.tolist() == ["id", "age", "x"]
    assert table["age"].tolist() == ["39,5", "40"]
    assert table["x"].isna().all()
    assert read_table(path, head=True).columns.tolist() == ["id", "age", "x"]
    part = read_table(path, ["age"], only=["age", "x"])
    assert part.equals(table[["age", "x"]])


def test_a_table_of_which_a_part_is_asked_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("id,age\na,39\n")
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("the whole file was read"))
    assert read_table(path, only=["age"])["age"].tolist() == ["39"]


def test_a_scans_tsv_that_is_not_downloaded_is_refused(tmp_path: Path) -> None:
    people(tmp_path, ["a", "b"], "1")
    acquired(tmp_path, "1", a="2015-01-01", b="2013-01-01")
    path = tmp_path / "sub-1" / "ses-a" / "sub-1_ses-a_scans.tsv"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n")
    with pytest.raises(InputError, match=r"_scans.tsv is a Git LFS pointer .*`git lfs pull`"):
        read_visits(tmp_path)


def test_years_of_adni3_count_from_entry_only_of_people_who_entered_by_it() -> None:
    visits = {"new": ["bl", "y1", "Y2 "], "old": ["bl", "m12", "y1"], "back": ["init", "y1"], "late": ["y1", "y4"]}
    people = pd.Series([who for who, labels in visits.items() for _ in labels])
    labels = pd.Series([label for each in visits.values() for label in each])
    nan = float("nan")
    expected = [0.0, 1.0, 2.0, 0.0, 1.0, *[nan] * 5]
    np.testing.assert_array_equal(phase_years(labels, people), expected)


def test_a_rescan_makes_no_time_between_visits() -> None:
    visits = pd.DataFrame(
        {"participant_id": ["a", "a", "b", "b"], "session_id": ["ses-1", "ses-1_run-2", "ses-1", "ses-2"]}
    ).assign(years=[0.0, 0.0, 0.0, 1.0], age=float("nan"))
    assert with_years(visits)[1] == ["time between visits of 1 people: by years for 1"]
