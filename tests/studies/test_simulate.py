"""A whole cohort through the real command line: read back, gone on with, remade alone."""

import hashlib
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from bed_reader import open_bed
from filelock import FileLock

from disentangle_pl.brain.cohort_settings import Settings
from disentangle_pl.brain.genes import apoe4_copies
from disentangle_pl.brain.phantom import Cohort, bounded, calibrate_base
from disentangle_pl.brain.progression import Person
from disentangle_pl.brain.scan_files import UNITS, is_written, read_truth, scan_path, sidecar, write_scan
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.brain.volumes import Preparation
from tests.brain.heads import changed, prepared, write_anatomies
from tests.command_line import refused, run

HOW = ("--size=24", "--visits", "0", "6", "24", "--rescans=0.4", "--snps=60", "--seed=3")
SETTINGS = Settings(6, seed=3, size=24, visits=(0, 6, 24), rescans=0.4, snps=60)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "cohort"
    run("simulate", "--subjects=6", f"--out={out}", *HOW)
    return out


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return Cohort(SETTINGS, (calibrate_base(SETTINGS, 0),))


def contents(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def everybody(cohort: Cohort) -> list[Person]:
    return [cohort.person(index) for index in range(cohort.settings.subjects)]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t", keep_default_na=False, dtype=str)


def test_the_folder_is_read_as_bids(root: Path, cohort: Cohort) -> None:
    table = read_visits(root)
    planned = {
        (person.label, visit.label): (person.age + visit.years, visit.years)
        for person in everybody(cohort)
        for visit in cohort.visits(person)
        if visit.scanned
    }
    assert set(zip(table["participant_id"], table["session_id"], strict=True)) == set(planned)
    for row in table.itertuples():
        age, years = planned[str(row.participant_id), str(row.session_id)]
        assert row.age == pytest.approx(age, abs=0.01)
        assert row.years == pytest.approx(years, abs=0.005)
    assert Preparation((12, 12, 12), 12.0)(Path(table["path"][0])).max() == 1


def test_every_scan_can_be_made_alone(root: Path, cohort: Cohort, tmp_path: Path) -> None:
    person = next(p for p in everybody(cohort) if len(cohort.shots(p)) > 2)
    shot = cohort.shots(person)[1]
    there, here = (scan_path(folder, shot, cohort) for folder in (root, tmp_path))
    write_scan(here, cohort.take(shot, cohort.head(person)))
    assert here.read_bytes() == there.read_bytes()
    assert sidecar(here).read_bytes() == sidecar(there).read_bytes()


def test_images(root: Path, cohort: Cohort) -> None:
    for person in everybody(cohort):
        for shot in cohort.shots(person):
            path = scan_path(root, shot, cohort)
            image = nib.load(path)
            values, truth = np.asarray(image.dataobj), read_truth(path)
            assert values.dtype == np.int16
            assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
            assert image.header.get_zooms() == (8, 8, 8)
            assert (values > 0).sum() * 0.512 == pytest.approx(truth["ml_icv"], rel=0.12)
            assert np.log(truth["ml_icv"]) == pytest.approx(person.log_icv, abs=0.06)
            assert 0.3 < np.quantile(values[values > 0], 0.9) / UNITS < 1.5


def test_rescans_share_the_head_and_differ_in_the_scanner(root: Path, cohort: Cohort) -> None:
    twice = [person for person in everybody(cohort) if cohort.is_rescanned(person)]
    assert 0 < len(twice) < 6
    for person in twice:
        first, again = sorted((root / person.label / "ses-M000" / "anat").glob("*run-*.json"))
        one, two = (json.loads(path.read_text())["Truth"] for path in (first, again))
        assert one["severity"] == two["severity"]
        assert one["scanner"] == two["scanner"]
        assert one["gain"] != two["gain"]
        assert one["ml_ventricles"] == pytest.approx(two["ml_ventricles"], rel=0.1)


def test_truth_has_a_row_a_scan(root: Path) -> None:
    truth = read(root / "truth.tsv")
    assert sorted(truth["scan"]) == sorted(p.relative_to(root).as_posix() for p in root.rglob("*.nii.gz"))
    tissues = truth[[c for c in truth.columns if c.startswith("ml_") and c not in ("ml_icv", "ml_wmh")]].astype(float)
    assert np.allclose(tissues.sum(axis=1), truth["ml_icv"].astype(float), rtol=1e-4)
    ratios = truth[[str(c).replace("ml_", "ratio_") for c in tissues]].astype(float)
    assert np.allclose(ratios.sum(axis=1), 1, rtol=1e-4)
    assert ratios["ratio_ventricles"].to_list() == pytest.approx(
        (tissues["ml_ventricles"] / truth["ml_icv"].astype(float)).to_list(), rel=1e-4
    )
    wanted = {"severity", "gain", "gamma", "bias_rms", "wmh_load", "base_anatomy", "scanner", "head_log_scale"}
    assert wanted <= set(truth.columns)


def test_adnimerge(root: Path, cohort: Cohort) -> None:
    table = read(root / "adnimerge.csv")
    people = {person.label: person for person in everybody(cohort)}
    assert len(table) == sum(len(cohort.visits(person)) for person in people.values())
    for row in table.to_dict("records"):
        person = people["sub-SIM" + row["PTID"].replace("_", "")]
        assert float(row["AGE"]) == person.age
        assert int(row["APOE4"]) == person.e4
        assert row["DX"] in ("", "CN", "MCI", "Dementia")
        visit = next(v for v in cohort.visits(person) if v.month == int(row["Month"]))
        assert float(row["Years_bl"]) == pytest.approx(visit.years, abs=1e-5)
        assert visit.scanned or row["Ventricles"] == ""
    assert set(table["VISCODE"]) <= {"bl", "m06", "m24"}
    assert (table.groupby("RID")["DX_bl"].nunique() == 1).all()
    assert (table[["Entorhinal", "Fusiform", "MidTemp"]] == "").all(axis=None)
    truth = read(root / "truth.tsv").drop_duplicates(["participant_id", "session_id"])
    truth["PTID"] = truth["participant_id"].map({label: f"{label[7:10]}_S_{label[11:]}" for label in people})
    truth["Month"] = truth["session_id"].str.removeprefix("ses-M").astype(int).astype(str)
    both = table[table["Ventricles"] != ""].merge(truth, on=["PTID", "Month"], validate="one_to_one")
    assert len(both)
    assert np.allclose(both["ICV"].astype(float), 1000 * both["ml_icv"].astype(float), rtol=0.15)
    assert np.allclose(both["Ventricles"].astype(float), 1000 * both["ml_ventricles"].astype(float), rtol=0.15)


def test_sessions_say_what_adnimerge_says(root: Path, cohort: Cohort) -> None:
    table = {(row["RID"], row["Month"]): row for row in read(root / "adnimerge.csv").to_dict("records")}
    for person in everybody(cohort):
        sessions = read(root / person.label / f"{person.label}_sessions.tsv")
        for row in sessions.to_dict("records"):
            other = table[str(person.index + 1), str(int(row["session_id"][5:]))]
            for ours, theirs in (("diagnosis", "DX"), ("MMSE", "MMSE"), ("cdr_sb", "CDRSB"), ("adas13", "ADAS13")):
                assert row[ours] == (other[theirs] or "n/a")
            apart = pd.Timestamp(str(other["EXAMDATE"])) - pd.Timestamp(row["acq_time"])
            assert abs(apart.days) <= 30


def test_genotypes(root: Path, cohort: Cohort) -> None:
    truth = read(root / "truth_snps.tsv")
    with open_bed(root / "genotypes" / "cohort.bed") as bed:
        calls = bed.read(dtype="int8")
        assert bed.sid.tolist() == truth["snp"].tolist()
        assert bed.iid.tolist() == read(root / "participants.tsv")["participant_id"].tolist()
    e4 = calls[:, truth["snp"].tolist().index("rs429358")]
    assert e4.tolist() == [apoe4_copies(3, k) for k in range(6)] == [person.e4 for person in everybody(cohort)]
    assert calls.shape == (6, 60)
    assert truth["factor"].value_counts()["n/a"] == 60 - 2 - 5 * 2
    row = truth[truth["snp"] == "rs429358"].iloc[0]
    assert row["factor"] == "severity"
    assert float(row["effect"]) == pytest.approx(0.55 * 0.85)


def test_it_goes_on_where_it_was_killed(root: Path) -> None:
    before = contents(root)
    scans = sorted(root.rglob("*_T1w.nii.gz"))
    for path in scans[::2]:
        path.unlink()
    for path in scans[1::4]:
        sidecar(path).unlink()
    kept = {path: path.stat().st_mtime_ns for path in scans if is_written(path)}
    (root / "truth.tsv").unlink()
    run("simulate", "--subjects=6", f"--out={root}", *HOW)
    assert contents(root) == before
    assert kept
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())


def test_a_cohort_grows_and_two_processes_write_the_same(root: Path, tmp_path: Path) -> None:
    run("simulate", "--subjects=3", f"--out={tmp_path / 'grown'}", *HOW)
    run("simulate", "--subjects=6", f"--out={tmp_path / 'grown'}", *HOW, "--jobs=2")
    assert contents(tmp_path / "grown") == contents(root)


def test_many_anatomies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    larger = [changed(x, 0, 0, 0).numpy() for x in (0.0, 0.6)]
    path = write_anatomies(tmp_path / "heads.npz", larger)
    run("simulate", "--subjects=8", f"--out={tmp_path / 'out'}", "--size=32", "--visits", "0", f"--anatomies={path}")
    truth = read(tmp_path / "out" / "truth.tsv")
    assert set(truth["base_anatomy"]) == {"0", "1"}
    write_anatomies(path, [prepared()[0].fractions])
    said = refused(capsys, "simulate", "--subjects=8", f"--out={tmp_path / 'out'}", "--size=32", "--visits", "0")
    assert "sha256_of_anatomies" in said


def test_changes_are_bounded_smoothly() -> None:
    reach = np.array([0.8, 0.22, 0.45, 0.16])
    assert bounded(0.9 * reach) == pytest.approx(0.9 * reach)
    assert bounded(-0.5 * reach) == pytest.approx(-0.5 * reach)
    far = [bounded(k * reach)[0] for k in (1.0, 1.5, 2.0, 3.0)]
    assert (np.diff(far) > 0).all()
    assert (bounded(-50 * reach) >= -2 * reach).all()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--subjects=0"], "subjects is 0"),
        (["--size=8"], "size is 8"),
        (["--seed=-1"], "seed is -1"),
        (["--rescans=1.5"], "rescans is 1.5"),
        (["--snps=1"], "snps is 1"),
        (["--visits", "6", "12"], "months from 0 on"),
        (["--visits", "0", "12", "12"], "months from 0 on"),
        (["--jobs=0"], "jobs is 0"),
        (["--anatomies=nowhere.npz"], "nowhere.npz cannot be read"),
        (["--subjects=many"], "subjects"),
    ],
)
def test_wrong_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str) -> None:
    assert said in refused(capsys, "simulate", "--subjects=2", f"--out={tmp_path / 'new'}", *flags)
    assert not (tmp_path / "new").exists()


def test_wrong_folders(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "seed 3, not 4" in refused(capsys, "simulate", "--subjects=6", f"--out={root}", *HOW[:-1], "--seed=4")
    assert "of 6 subjects" in refused(capsys, "simulate", "--subjects=5", f"--out={root}", *HOW)
    (tmp_path / "notes.txt").write_text("mine")
    assert "holds other files" in refused(capsys, "simulate", "--subjects=2", f"--out={tmp_path}")
    assert "is no folder" in refused(capsys, "simulate", "--subjects=2", f"--out={tmp_path / 'notes.txt'}")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "simulation.json").write_text("[")
    assert "cannot be read" in refused(capsys, "simulate", "--subjects=2", f"--out={tmp_path / 'odd'}")
    with FileLock(tmp_path / "odd" / ".lock"):
        assert "another process writes" in refused(capsys, "simulate", "--subjects=2", f"--out={tmp_path / 'odd'}")


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("simulate", "--help")
    assert "disentangle-pl simulate --subjects 150 --out cohort" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[[", "[]", "[[[], [], []]]", "{}", "[[1, 2]]", "[[[[1]], [[NaN]], [1]]]", '"x"'])
def test_damaged_calibrations_are_named(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    shutil.copytree(root, tmp_path / "cohort")
    (tmp_path / "cohort" / ".calibration.json").write_text(text)
    said = refused(capsys, "simulate", "--subjects=6", f"--out={tmp_path / 'cohort'}", *HOW)
    assert ".calibration.json" in said
    assert "delete it, and it is made again" in said
