import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.bids import is_bids
from disentangle_pl.brain.caps import is_caps
from disentangle_pl.brain.clocks import entry_years, label_years
from disentangle_pl.brain.fields import COLUMNS, scores_of, tidy
from disentangle_pl.brain.oasis3 import is_oasis3
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import keys, touch

UNCROPPED = "sub-1_ses-M000_space-MNI152NLin2009cSym_res-1x1x1_T1w.nii.gz"
CROPPED = "sub-1_ses-M000_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz"


def two_people(root: Path) -> Path:
    """Write a BIDS tree of sub-1 with ses-1 and ses-2 and of sub-2 with ses-1."""
    return touch(root, *[f"sub-{who}/ses-{s}/anat/sub-{who}_ses-{s}_T1w.nii.gz" for who, s in ((1, 1), (1, 2), (2, 1))])


def test_tables_of_people_and_sessions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    two_people(tmp_path)
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tsex\tsite_id\tGroup\tEducation Years\tMMSE\tscanner\tstudy_id\tempty\n"
        "sub-1\t70\tFemale\tA\tAD\t12\t25\tPrisma\t7\tn/a\nsub-2\t60\tm\tB\tCN\tn/a\t30\tn/a\t8\tn/a\n"
    )
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_text(
        "session_id\tyears\tCDRSB\tabeta\nses-1\t0\t4.5\t>1700\nses-2\t1.5\tn/a\t800\nses-3\t3\t7\t700\n"
    )
    with caplog.at_level("INFO"):
        visits = read_visits(tmp_path)
    assert visits.columns.tolist()[: len(COLUMNS)] == COLUMNS
    assert visits["age"].tolist() == [70, 71.5, 60]
    assert visits["sex"].tolist() == ["F", "F", "M"]
    assert visits["site"].tolist() == ["A", "A", "B"]
    assert visits["diagnosis"].tolist() == ["AD", "AD", "CN"]
    assert scores_of(visits) == ["cdr_sb", "abeta", "education_years", "mmse"]
    np.testing.assert_equal(visits["abeta"].to_numpy(), [np.nan, 800, np.nan])
    np.testing.assert_equal(visits["cdr_sb"].to_numpy(), [4.5, np.nan, np.nan])
    np.testing.assert_equal(visits["education_years"].to_numpy(), [12, 12, np.nan])
    np.testing.assert_equal(visits["mmse"].to_numpy(), [25, np.nan, 30], "a score of a person is of the first visit")
    assert visits["study_id"].tolist() == ["7", "7", "8"]
    assert visits["scanner"].tolist()[:2] == ["Prisma", "Prisma"]
    assert "empty" not in visits
    assert "1 of 3 visits of the tables have no T1-weighted scan" in caplog.text
    assert "is read as BIDS" in caplog.text


def test_mostly_numbers_are_a_score_and_what_is_none_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.nii")
    rows = [f"1\t{i}\ta.nii\t{cell}\t{i}\n" for i, cell in enumerate([800, ">1700", 900])]
    (tmp_path / "s.tsv").write_text("participant_id\tsession_id\tpath\tabeta\tage\n" + "".join(rows))
    with caplog.at_level("INFO"):
        visits = read_visits(tmp_path / "s.tsv")
    np.testing.assert_equal(visits["abeta"].to_numpy(), [800, np.nan, 900])
    assert scores_of(visits) == ["abeta"]
    assert "s.tsv: abeta: 1 cell with a bound or a range ('>1700'): missing without --bounds" in caplog.text
    assert find_visits(tmp_path / "s.tsv", bounds=True).visits["abeta"].tolist() == [800, 1700, 900]


def test_columns_of_sessions_are_spelt_as_each_likes(tmp_path: Path) -> None:
    two_people(tmp_path)
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_text("session_id\tMMSE\tmmse\nses-1\t25\t1\nses-2\t24\t1\n")
    (tmp_path / "sub-2" / "sub-2_sessions.tsv").write_text("mmse\tsession_id\n30\t1\n")
    visits = read_visits(tmp_path)
    assert visits["mmse"].tolist() == [25, 24, 30]


def test_diagnoses_of_sessions_are_not_filled_with_those_of_people(tmp_path: Path) -> None:
    two_people(tmp_path)
    (tmp_path / "participants.tsv").write_text("participant_id\tdiagnosis\nsub-1\tCN\nsub-2\tCN\n")
    (tmp_path / "sub-1" / "sub-1_sessions.tsv").write_text("session_id\tdiagnosis\nses-1\tn/a\nses-2\tMCI\n")
    assert read_visits(tmp_path)["diagnosis"].fillna("?").tolist() == ["?", "MCI", "?"]


def test_phenotypes_are_joined_by_visit_or_by_person(tmp_path: Path) -> None:
    two_people(tmp_path)
    (tmp_path / "phenotype").mkdir()
    faq = tmp_path / "phenotype" / "faq.tsv"
    faq.write_text("participant_id\tsession_id\tFAQ\nsub-1\tses-2\t9\n2\t1\t3\n")
    (tmp_path / "phenotype" / "genes.tsv").write_text("participant_id\tapoe4\nsub-1\t2\nsub-2\t0\n")
    visits = read_visits(tmp_path)
    np.testing.assert_equal(visits["faq"].to_numpy(), [np.nan, 9, 3])
    assert visits["apoe4"].tolist() == [2, 2, 0]
    faq.write_text("participant_id\tsession_id\tFAQ\nsub-1\tses-2\t9\nsub-1\tses-2\t8\n")
    with pytest.raises(InputError, match=r"faq.tsv has more than one row of sub-1 ses-2: keep one each"):
        read_visits(tmp_path)


def test_of_several_runs_the_listed_one_is_taken(tmp_path: Path) -> None:
    touch(tmp_path, *[f"sub-1/anat/sub-1_run-{run}_T1w.nii.gz" for run in (1, 2, 3)])
    (tmp_path / "sub-1" / "sub-1_scans.tsv").write_text(
        "filename\nanat/sub-1_run-3_T1w.nii.gz\nanat/sub-1_run-2_T1w.nii.gz\n"
    )
    assert Path(read_visits(tmp_path)["path"][0]).name == "sub-1_run-2_T1w.nii.gz"
    (tmp_path / "sub-1" / "sub-1_scans.tsv").write_text("filename\nanat/sub-1_T2w.nii.gz\n")
    assert Path(read_visits(tmp_path)["path"][0]).name == "sub-1_run-1_T1w.nii.gz"


@pytest.mark.parametrize("top", ["", "subjects"])
def test_caps_prefers_the_cropped_scan_for_all_visits_of_a_person(
    tmp_path: Path, top: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = "subjects/sub-1/ses-M000/t1_linear"
    touch(tmp_path, f"{folder}/{UNCROPPED}", f"{folder}/{CROPPED}", f"{folder}/{CROPPED[:-7]}_affine.mat")
    touch(tmp_path, f"{folder.replace('000', '018')}/{UNCROPPED.replace('000', '018')}")
    for name in (UNCROPPED, CROPPED):
        touch(tmp_path, f"{folder}/{name}".replace("sub-1", "sub-2"))
    touch(tmp_path, "subjects/sub-1/ses-M006/t1/freesurfer/x_T1w.nii.gz", "subjects/sub-2/ses-M006/t1_linear/none.json")
    with caplog.at_level("INFO"):
        visits, skipped, layout = find_visits(tmp_path / top)
    assert keys(visits) == [("sub-1", "ses-M000"), ("sub-1", "ses-M018"), ("sub-2", "ses-M000")]
    names = [UNCROPPED, UNCROPPED.replace("000", "018"), CROPPED.replace("sub-1", "sub-2")]
    assert [Path(path).name for path in visits["path"]] == names, "sub-1 has no cropped scan at the second visit"
    assert visits["years"].tolist() == visits["entry_years"].tolist() == [0, 1.5, 0]
    assert layout == "CAPS (Clinica)"
    assert skipped.empty
    assert "1 of 3 scans" in caplog.text


def test_oasis3_days_are_since_entry_and_years_since_the_first_scan(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "OAS30001_MR_d0757/anat2/sub-OAS30001_ses-d0757_T1w.nii.gz",
        "OAS30001_MR_d0757/anat10/sub-OAS30001_ses-d0757_T1w.nii.gz",
        "OAS30001_MR_d0757/anat1/sub-OAS30001_ses-d0757_T2w.nii.gz",
        "OAS30001_MR_d2430/anat1/NIFTI/sub-OAS30001_ses-d2430_run-01_T1w.nii.gz",
        "OAS30002_MR_d0000/func1/sub-OAS30002_ses-d0000_bold.nii.gz",
        "OAS30002_AV45_d0000/pet1/x_T1w.nii.gz",
    )
    visits = read_visits(tmp_path)
    assert keys(visits) == [("sub-OAS30001", "ses-d0757"), ("sub-OAS30001", "ses-d2430")]
    assert Path(visits["path"][0]).parent.name == "anat2"
    np.testing.assert_allclose(visits["entry_years"], [757 / 365.25, 2430 / 365.25])
    np.testing.assert_allclose(visits["years"], [0, (2430 - 757) / 365.25])
    again = find_visits(tmp_path, rescans=True).visits
    assert again["session_id"].tolist() == ["ses-d0757", "ses-d0757_run-2", "ses-d2430"]
    assert Path(again["path"][1]).parent.name == "anat10", "a rescan lies in a folder of its own"


def test_oasis3_rescans_over_folders_are_numbered_in_their_order(tmp_path: Path) -> None:
    names = ["anat2/NIFTI/sub-OAS30001_ses-d0129_run-01", "anat3/NIFTI/sub-OAS30001_ses-d0129_run-02"]
    names += ["anat3/NIFTI/sub-OAS30001_ses-d0129_acq-fast_run-03", "anat12/NIFTI/sub-OAS30001_ses-d0129_run-04"]
    touch(tmp_path, *[f"OAS30001_MR_d0129/{name}_T1w.nii.gz" for name in names])
    visits = find_visits(tmp_path, rescans=True).visits
    assert visits["session_id"].tolist() == ["ses-d0129", "ses-d0129_run-2", "ses-d0129_run-3"]
    assert [Path(path).parts[-3] for path in visits["path"]] == ["anat2", "anat3", "anat12"]
    assert visits["entry_years"].nunique() == 1


def test_a_layout_is_known_by_its_contents(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not any(known(tmp_path) for known in (is_bids, is_caps, is_oasis3))
    touch(tmp_path, "sub-1/ses-1/anat/sub-1_ses-1_T2w.nii.gz", "OAS3_MR_d1/readme")
    assert not any(known(tmp_path) for known in (is_bids, is_caps, is_oasis3))
    touch(tmp_path, "sub-1/ses-1/anat/sub-1_ses-1_T1w.nii")
    assert [known(tmp_path) for known in (is_bids, is_caps, is_oasis3)] == [True, False, False]
    touch(tmp_path, f"subjects/sub-1/ses-M000/t1_linear/{CROPPED}")
    with caplog.at_level("INFO"):
        assert find_visits(tmp_path).layout == "CAPS (Clinica)"
    assert "is read as CAPS (Clinica), and its BIDS scans are left alone" in caplog.text


def test_labels_of_visits() -> None:
    labels = ["bl", "m06", "ses-M012", "d0757", "ses-1", "sc", "M6", None]
    years = label_years(pd.Series(labels)).tolist()
    assert years[:4] == [0, 0.5, 1, 757 / 365.25]
    assert math.isnan(years[4])
    assert years[5:7] == [0, 0.5]
    assert math.isnan(years[7])


def test_only_clear_session_labels_are_times() -> None:
    labels = ["ses-M006", "ses-d0757", "ses-m06", "m12", "bl", "ses-M6", "ses-d1", "ses-1", "ses-baseline"]
    known = entry_years(pd.Series(labels)).notna().tolist()
    assert known == [True, True, True, True, True, False, False, False, False]


def test_names_are_tidied() -> None:
    assert [tidy(name) for name in ("M/F", "age at visit", " CDR_SB ")] == ["m_f", "age_at_visit", "cdr_sb"]
