import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.fields import COLUMNS, TRAITS
from disentangle_pl.brain.split_file import read_split
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.errors import InputError
from disentangle_pl.studies.scans import ClinicalTables, SplitPlan, report_scans
from tests.brain.scans import REAL, anatomy, bids, write
from tests.brain.test_clinical import ADNI
from tests.command_line import refused, run

PEOPLE = 12


@pytest.fixture(scope="module")
def caps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CAPS folder of 12 people with two visits, one scan cut off, and an ADNIMERGE.csv that misses one of them."""
    root = tmp_path_factory.mktemp("adni")
    rows = []
    for i in range(PEOPLE):
        who = f"sub-ADNI027S{i:04d}"
        for month in (6, 18):
            name = f"{who}_ses-M{month:03d}_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz"
            path = write(root / "subjects" / who / f"ses-M{month:03d}" / "t1_linear" / name, anatomy(100 * i + month))
            if i and month == 6:
                diagnosis = "Dementia" if i % 2 else "CN"
                rows.append(f"{i},027_S_{i:04d},m06,CN,{diagnosis},{60 + i},Male,27,12,1,28,1,5,8,0,25,0.45,>9")
    path.write_bytes(path.read_bytes()[:-500])
    (root / "ADNIMERGE.csv").write_text(ADNI + "\n".join(rows))
    return root


def test_caps_with_adnimerge_and_a_split(caps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, split = tmp_path / "scans.tsv", tmp_path / "split.tsv"
    args = ["scans", str(caps), f"--out={out}", f"--clinical={caps / 'ADNIMERGE.csv'}", "--mapping=adnimerge"]
    run(*args, f"--split={split}", "--fractions", "0.5", "0.25", "0.25")
    said = capsys.readouterr().out
    for line in (
        "is read as CAPS (Clinica)",
        "people               12 with 23 scans",
        "visits a person      1: 1, 2: 11",
        "age                  61.5 to 71.5, median 66.5, known of 21 of 23",
        "years of follow-up   1 to 1, median 1, known of 11 of 11",
        "sex                  M: 11, unknown: 1",
        "diagnosis            AD: 6, CN: 5, unknown: 1",
        "scores               mmse 11, cdr_sb 11, adas11 11, adas13 11, faq 11, moca 11, education 21, apoe4 21",
        "adnimerge: 11 of 23 scans have a visit within 0.5 years, 0.05 years away in the median",
        "left out, 1 scans:",
        "ses-M018_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz: cannot be read as NIfTI",
        "split: stratified by diagnosis x sex x age_band x site",
    ):
        assert line in said, line
    table = read_visits(out)
    assert len(table) == 23
    known = table[table["session_id"] == "ses-M006"].set_index("participant_id")
    assert known["age"]["sub-ADNI027S0003"] == pytest.approx(63.5), "AGE at baseline and half a year"
    assert known.loc["sub-ADNI027S0003", "diagnosis"] == "AD"
    assert (table["years"] == table["entry_years"] - 0.5).all()
    np.testing.assert_allclose(table["adnimerge_gap_years"].dropna(), 0.05)
    skipped = pd.read_csv(tmp_path / "scans.skipped.tsv", sep="\t")
    assert skipped["path"].str.contains("ADNI027S0011/ses-M018").tolist() == [True]
    assert sorted(read_split(split).value_counts()) == [3, 3, 6]


def test_the_table_is_read_as_it_was_found(caps: Path, tmp_path: Path) -> None:
    clinical = ClinicalTables([caps / "ADNIMERGE.csv"], ["adnimerge"])
    first = report_scans(caps, tmp_path / "one.csv", clinical)
    again = report_scans(tmp_path / "one.csv", tmp_path / "two.tsv")
    assert again.columns.tolist() == first.columns.tolist()
    texts = {name: first[name].astype(object).where(first[name].notna(), None) for name in TRAITS}
    pd.testing.assert_frame_equal(again, first.assign(**texts), check_dtype=False, rtol=1e-8)
    with pytest.raises(InputError, match=r"two.tsv is the table that is read"):
        report_scans(tmp_path / "two.tsv", tmp_path / "two.tsv")


def test_scans_without_a_session_survive_the_table(tmp_path: Path) -> None:
    write(tmp_path / "sub-1" / "anat" / "sub-1_T1w.nii.gz", anatomy())
    report_scans(tmp_path, tmp_path / "scans.tsv")
    assert read_visits(tmp_path / "scans.tsv")["session_id"].tolist() == ["n/a"]


def test_output_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = bids(tmp_path / "bids", {f"{i:02d}": 1 for i in range(15)})
    scans = sorted(root.glob("sub-*/ses-1/anat/*"))
    for path in scans[:13]:
        path.write_bytes(b"no image")
    scans[14].write_bytes(scans[13].read_bytes())
    report_scans(root, tmp_path / "scans.tsv")
    lines = capsys.readouterr().out.splitlines()
    assert "left out, 13 scans:" in lines
    assert sum("cannot be read as NIfTI" in line for line in lines) == 10
    assert "  and 3 more" in lines
    assert "the same image more than once, 2 scans:" in lines


def test_copies_stay_on_one_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = bids(tmp_path / "bids", {f"{i}": 1 for i in range(6)})
    scans = sorted(root.glob("sub-*/ses-1/anat/*"))
    scans[5].write_bytes(scans[0].read_bytes())
    for seed in range(5):
        split = tmp_path / f"split{seed}.tsv"
        report_scans(root, tmp_path / "scans.tsv", split=SplitPlan(split, seed, (0.4, 0.3, 0.3)))
        part = read_split(split)
        assert part["0"] == part["5"]
    assert "these share an image, and stay together: sub-0; sub-5" in capsys.readouterr().out


def test_a_recompressed_copy_of_one_person_is_left_out_and_of_two_stays_on_one_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = bids(tmp_path / "bids", {"0": 2, **{f"{i}": 1 for i in range(1, 6)}})
    scans = sorted(root.glob("sub-*/ses-*/anat/*"))
    content = gzip.decompress(scans[0].read_bytes())
    scans[1].write_bytes(gzip.compress(content, 1))
    scans[6].unlink()
    scans[6].with_suffix("").write_bytes(content)
    for seed in range(4):
        split = tmp_path / f"split{seed}.tsv"
        visits = report_scans(root, tmp_path / "scans.tsv", split=SplitPlan(split, seed, (0.4, 0.3, 0.3)))
        part = read_split(split)
        assert part["0"] == part["5"]
    assert len(visits) == 6
    said = capsys.readouterr().out
    assert f"{scans[1]}: is the same image of the same person as {scans[0]}" in said
    assert "the same image more than once, 2 scans:" in said
    with pytest.raises(InputError, match="is the same image of the same person"):
        report_scans(root, tmp_path / "scans.tsv", strict=True)


def test_a_split_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, split, out = (
        bids(tmp_path / "bids", {f"{i:02d}": 1 for i in range(12)}),
        tmp_path / "old.tsv",
        tmp_path / "s.tsv",
    )
    report_scans(root, out, split=SplitPlan(split))
    before, lines = read_split(split), split.read_text().splitlines()
    write(root / "sub-12" / "ses-1" / "anat" / "sub-12_ses-1_T1w.nii.gz", anatomy(77))
    capsys.readouterr()
    report_scans(root, out, split=SplitPlan(split, seed=5))
    assert "split: 12 people keep their parts; 1 new: 1 train" in capsys.readouterr().out
    assert read_split(split)[before.index].equals(before)
    assert split.read_text().splitlines()[1:] == [*lines[1:], "sub-12\ttrain"]
    report_scans(root, out, split=SplitPlan(split, fractions=(0.2, 0.4, 0.4)))
    assert "split: 13 people keep their parts; 0 new" in capsys.readouterr().out


def test_people_who_are_gone_keep_their_parts_and_spellings_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, split = bids(tmp_path / "bids", {f"{i:02d}": 1 for i in range(6)}), tmp_path / "split.tsv"
    visits = report_scans(root, tmp_path / "scans.tsv", split=SplitPlan(split, fractions=(0.5, 0.25, 0.25)))
    before = split.read_bytes()
    fewer = visits[1:].assign(participant_id=[str(i) for i in range(1, 6)])
    fewer.to_csv(tmp_path / "other.tsv", sep="\t", index=False, na_rep="n/a")
    capsys.readouterr()
    report_scans(tmp_path / "other.tsv", tmp_path / "out.tsv", split=SplitPlan(split))
    said = capsys.readouterr().out
    assert "split: 5 people keep their parts; 0 new" in said
    assert "split: 1 people of split.tsv have no scan here, and keep their parts: 00" in said
    assert split.read_bytes() == before


def test_who_of_a_split_has_withdrawn_is_dropped_and_not_called_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    root, split = bids(tmp_path / "bids", {f"{i:02d}": 1 for i in range(6)}), tmp_path / "old.tsv"
    report_scans(root, tmp_path / "scans.tsv", split=SplitPlan(split, fractions=(0.5, 0.25, 0.25)))
    before = split.read_text()
    (root / "sub-03").rename(tmp_path / "sub-03")
    write(root / "sub-06" / "ses-1" / "anat" / "sub-06_ses-1_T1w.nii.gz", anatomy(77))
    (tmp_path / "w12345.csv").write_text("eid\n00\n01\n99\n")
    capsys.readouterr()
    options = ["--split", str(split), "--withdrawn", str(tmp_path / "w12345.csv")]
    with caplog.at_level("INFO"):
        run("scans", str(root), "--out", str(tmp_path / "again.tsv"), *options)
    assert "1 of 5 people of the split have no scan here: 03" in caplog.text
    said = capsys.readouterr().out
    assert "split: 3 people keep their parts; 1 new" in said
    assert "split: 1 people of old.tsv have no scan here, and keep their parts: 03" in said
    assert "split: 2 people of old.tsv have withdrawn, and are dropped from it" in said
    stay = [line for line in before.splitlines()[1:] if line.split("\t")[0] not in ("sub-00", "sub-01")]
    lines = split.read_text().splitlines()
    assert lines[1 : len(stay) + 1] == stay
    assert len(lines) == len(stay) + 2, "one is new"
    assert "; 2 people who have withdrawn dropped; 1 people later" in lines[0]
    (tmp_path / "w12345.csv").write_text("00\n01\n02\n")
    run("scans", str(root), "--out", str(tmp_path / "again.tsv"), *options)
    assert "split: 1 people of old.tsv have withdrawn, and are dropped from it" in capsys.readouterr().out
    assert split.read_text().splitlines()[1:] == [line for line in lines[1:] if not line.startswith("sub-02")]
    assert set(read_visits(tmp_path / "again.tsv")["participant_id"]) == {"sub-04", "sub-05", "sub-06"}


def test_wrong_calls_end_in_one_sentence(caps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"--out={tmp_path / 'scans.tsv'}"
    csv = caps / "ADNIMERGE.csv"
    assert "Crop_res-1x1x1_T1w.nii.gz: cannot be read as NIfTI" in refused(capsys, "scans", str(caps), out, "--strict")
    assert "1 clinical tables and 0 mappings" in refused(capsys, "scans", str(caps), out, f"--clinical={csv}")
    said = refused(capsys, "scans", str(caps), out, f"--clinical={csv}", "--mapping=oasis2")
    assert "ADNIMERGE.csv lacks the columns Subject ID, MR Delay, Age, M/F" in said
    assert "it has RID, PTID" in said
    assert "there is no column town" in refused(
        capsys, "scans", str(caps), out, f"--split={tmp_path / 's'}", "--group=town"
    )
    assert not list(tmp_path.iterdir()), "nothing is written by halves"


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("scans", "--help")
    said = capsys.readouterr().out
    assert "disentangle-pl scans /data/caps --clinical ADNIMERGE.csv --mapping adnimerge" in said
    assert "--strict" in said


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_scans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = report_scans(REAL / "longitudinal-ms", tmp_path / "scans.tsv")
    assert table.columns.tolist() == COLUMNS
    assert "people               2 with 3 scans" in capsys.readouterr().out
    assert read_visits(tmp_path / "scans.tsv")["path"].tolist() == table["path"].tolist()
