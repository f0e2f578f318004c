from pathlib import Path

import pytest

from disentangle_pl.brain.scan_choice import choice_of
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import keys, touch


def folder(root: Path, kinds: dict[str, list[str]], suffix: str = "T1w") -> Path:
    """Write empty scans of the given kinds (text between session and suffix) of every person and session."""
    for who, names in kinds.items():
        person, session = who.split()
        stem = f"sub-{person}/ses-{session}/anat/sub-{person}_ses-{session}"
        touch(root, *[f"{stem}{f'_{name}' if name else ''}_{suffix}.nii.gz" for name in names])
    return root


def taken(root: Path, *filters: str) -> list[str]:
    """Name the kinds that are taken, in the order of the table."""
    paths = find_visits(root, choice=choice_of(filters)).visits["path"]
    return [Path(path).name.removesuffix("_T1w.nii.gz").partition("_ses-")[2].partition("_")[2] for path in paths]


def test_images_made_of_others_come_last_and_the_most_frequent_kind_first(tmp_path: Path) -> None:
    kinds = {f"{i} 1": ["acq-spgr", "acq-aaa", "rec-norm", "acq-spgr_desc-x"] for i in range(3)}
    root = folder(tmp_path, {**kinds, "9 1": ["acq-spgr", "acq-fast"]})
    assert taken(root) == ["acq-spgr"] * 4, "acq-aaa comes first in the alphabet, and in fewer sessions"
    assert taken(root, "acq=none", "rec=norm") == ["rec-norm"] * 3
    assert taken(root, "acq=SPGR", "desc=none") == ["acq-spgr"] * 4
    assert taken(root, "acq=spgr", "desc=x") == ["acq-spgr_desc-x"] * 3


def test_all_sessions_of_a_person_have_the_same_kind_where_they_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = folder(
        tmp_path,
        {
            "1 1": ["acq-a", "acq-b"],
            "1 2": ["acq-b"],
            "1 3": ["acq-a", "acq-b"],
            "2 1": ["acq-a"],
            "3 1": ["acq-a"],
            "4 1": ["acq-a"],
            "4 2": ["acq-c"],
        },
    )
    with caplog.at_level("INFO"):
        assert taken(root) == ["acq-b", "acq-b", "acq-b", "acq-a", "acq-a", "acq-a", "acq-c"]
    assert "2 of 7 sessions have several T1w scans: taken are acq-b (2)" in caplog.text
    assert "not taken are acq-a (2); another choice is made by --filter" in caplog.text
    assert "the sessions of 1 people have no kind of scan in common" in caplog.text
    assert "sub-4 (ses-1 acq-a, ses-2 acq-c)" in caplog.text
    assert "the scans taken are of 3 kinds: acq-a (3); acq-b (3); acq-c (1)" in caplog.text


def test_what_only_the_alphabet_decides_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(tmp_path, {"1 1": ["acq-b", "acq-a"], "2 1": ["acq-a", "acq-b"]})
    with caplog.at_level("INFO"):
        assert taken(root) == ["acq-a", "acq-a"]
    assert "acq-a and acq-b are in equally many sessions: acq-a is taken for its name" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO"):
        assert taken(root, "acq=b") == ["acq-b", "acq-b"]
    assert "several" not in caplog.text
    assert "equally" not in caplog.text


def test_sessions_without_what_is_asked_for_are_named_and_nothing_at_all_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = folder(tmp_path, {"1 1": ["acq-a"], "1 2": ["acq-b"], "2 1": [""]})
    with caplog.at_level("INFO"):
        assert taken(root, "acq=a") == ["acq-a"]
    assert "2 sessions have no T1w scan with acq-a and are left out: sub-1 ses-2; sub-2 ses-1" in caplog.text
    with pytest.raises(InputError, match=r"no T1w scan has acq-c: there are acq-a \(1\); acq-b \(1\); plain \(1\)"):
        taken(root, "acq=c")


def test_derivatives_are_in_their_own_space_unless_another_is_asked_for(tmp_path: Path) -> None:
    kinds = ["desc-preproc", "space-MNI152NLin2009cAsym_desc-preproc", "space-MNI152NLin2009cAsym_res-2_desc-preproc"]
    root = folder(tmp_path, {"1 1": kinds, "2 1": kinds})
    assert taken(root) == kinds[:1] * 2
    assert taken(root, "space=MNI152NLin2009cAsym") == kinds[1:2] * 2
    assert taken(root, "res=2") == kinds[2:] * 2


def test_runs_are_numbers_and_a_listed_scan_comes_first(tmp_path: Path) -> None:
    root = folder(tmp_path, {"1 1": ["run-01", "run-02", "run-10"]})
    assert taken(root) == ["run-01"]
    assert taken(root, "run=2") == ["run-02"]
    table = tmp_path / "sub-1" / "ses-1" / "sub-1_ses-1_scans.tsv"
    table.write_text("filename\nanat/sub-1_ses-1_run-10_T1w.nii.gz\n")
    assert taken(root) == ["run-10"]
    assert taken(root, "run=2") == ["run-02"], "what is asked for comes before what is listed"


def test_other_suffixes_are_chosen_by_name(tmp_path: Path) -> None:
    root = folder(tmp_path, {"1 1": ["", "acq-x"], "2 1": [""]}, "FLAIR")
    folder(root, {"1 1": [""]}, "T2w")
    with pytest.raises(InputError, match="has no T1w scans, but T2w and FLAIR: choose by --suffix"):
        read_visits(root)
    flair = find_visits(root, choice=choice_of([], "FLAIR")).visits
    assert keys(flair) == [("sub-1", "ses-1"), ("sub-2", "ses-1")]
    assert Path(flair["path"][0]).name == "sub-1_ses-1_FLAIR.nii.gz"


def test_wrong_filters_and_filters_of_tables_are_one_sentence(tmp_path: Path) -> None:
    for wrong in (["acq"], ["acq="], ["=a"], ["acq=a", "acq=b"]):
        with pytest.raises(InputError, match=r"the filter .* cannot be used: give each entity"):
            choice_of(wrong)
    touch(tmp_path, "a.nii")
    (tmp_path / "s.tsv").write_text("participant_id\tsession_id\tpath\n1\t1\ta.nii\n")
    with pytest.raises(InputError, match=r"s.tsv is no folder of scans: --filter and --suffix choose"):
        find_visits(tmp_path / "s.tsv", choice=choice_of(["acq=a"]))
