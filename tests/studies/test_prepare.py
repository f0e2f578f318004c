import errno
import gzip
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from disentangle_pl.brain import preparing, rows
from disentangle_pl.brain.correction import N4
from disentangle_pl.brain.intensity import Window
from disentangle_pl.brain.prepared import open_prepared
from disentangle_pl.brain.rows import Rows
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.brain.volumes import RECIPE, Preparation, Prepared
from disentangle_pl.errors import InputError
from disentangle_pl.studies.prepare import report_prepared
from tests.brain.scans import anatomy, bids, write
from tests.command_line import refused, run

PLAIN = Preparation((12, 12, 12), 1.0)
PUBLISHED = ["index.parquet", "prepared.json", "quality.png", "quality.tsv", "volumes.npy"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return bids(tmp_path / "bids", {"01": 2, "02": 1, "10": 2})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scans that were prepared, by name."""
    names: list[str] = []
    whole = Preparation.examine

    def counted(self: Preparation, path: Path) -> Prepared:
        names.append(path.name)
        return whole(self, path)

    monkeypatch.setattr(Preparation, "examine", counted)
    return names


def published(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in PUBLISHED}


def undisturbed(source: Path, folder: Path, preparation: Preparation = PLAIN) -> dict[str, bytes]:
    report_prepared(source, folder, preparation)
    return published(folder)


def test_the_folder_holds_volumes_table_quality_and_pictures(source: Path, out: Path) -> None:
    quality = report_prepared(source, out, PLAIN)
    visits = read_visits(source)
    index = pd.read_parquet(out / "index.parquet")
    assert list(index.columns) == [*visits.columns, "sha256", "row", "centre_x", "centre_y", "centre_z"]
    assert index["path"].tolist() == visits["path"].tolist()
    assert index["row"].tolist() == [0, 1, 2, 3, 4], "visits of a person are adjacent"
    volumes = np.load(out / "volumes.npy")
    for row, path in enumerate(visits["path"]):
        np.testing.assert_array_equal(volumes[row], PLAIN(Path(path)))
    about = json.loads((out / "prepared.json").read_text())
    assert about["shape"] == [5, 12, 12, 12]
    assert about["key"] == PLAIN.key
    assert about["settings"] == PLAIN.settings
    assert about["versions"]["torchio"]
    assert pd.read_csv(out / "quality.tsv", sep="\t")["participant_id"].tolist() == visits["participant_id"].tolist()
    assert quality["orientation"].tolist() == ["RAS"] * 5
    assert (out / "quality.png").read_bytes()[1:4] == b"PNG"
    assert not list(out.glob("*.partial"))
    assert not (out / "left_out.tsv").exists()


def test_two_processes_and_n4_give_the_same_bytes(source: Path, tmp_path: Path) -> None:
    preparation = Preparation((12, 12, 12), 1.0, corrections=(N4(iterations=5),))
    alone = undisturbed(source, tmp_path / "one", preparation)
    report_prepared(source, tmp_path / "two", preparation, jobs=2)
    assert published(tmp_path / "two") == alone


def test_more_people_take_what_is_there(source: Path, out: Path, tmp_path: Path, made: list[str]) -> None:
    report_prepared(source, out, PLAIN)
    assert len(made) == 5
    write(source / "sub-05" / "ses-1" / "anat" / "sub-05_ses-1_T1w.nii.gz", anatomy(77))
    report_prepared(source, out, PLAIN)
    assert made[5:] == ["sub-05_ses-1_T1w.nii.gz"]
    assert (
        open_prepared(out).visits["participant_id"].tolist() == ["sub-01"] * 2 + ["sub-02", "sub-05"] + ["sub-10"] * 2
    )
    assert published(out) == undisturbed(source, tmp_path / "new")
    del made[:]
    before = published(out)
    report_prepared(source, out, PLAIN)
    assert not made
    assert published(out) == before
    (source / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.gz").unlink()
    report_prepared(source, out, PLAIN)
    assert not made, "fewer scans are prepared already"
    np.testing.assert_array_equal(np.load(out / "volumes.npy")[0], PLAIN(Path(read_visits(source)["path"][0])))


KILLED = """
import sys
from pathlib import Path
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.studies.prepare import report_prepared

whole = Preparation.examine

def hang(self, path):
    if "sub-10_ses-1" in path.name:
        print("hanging", flush=True)
        sys.stdin.read()
    return whole(self, path)

Preparation.examine = hang
report_prepared(Path(sys.argv[1]), Path(sys.argv[2]), Preparation((12, 12, 12), 1.0))
"""


def test_a_killed_preparation_goes_on(source: Path, out: Path, tmp_path: Path, made: list[str]) -> None:
    command = [sys.executable, "-c", KILLED, str(source), str(out)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env=env, **pipes) as process:  # type: ignore[call-overload]
        timer = threading.Timer(240, process.kill)
        timer.start()
        assert any("hanging" in line for line in process.stdout)
        process.kill()
        timer.cancel()
    with pytest.raises(InputError, match=r"not finished: give disentangle-pl prepare once more"):
        read_visits(out)
    report_prepared(source, out, PLAIN)
    assert [name[:12] for name in made] == ["sub-10_ses-1", "sub-10_ses-2"]
    assert published(out) == undisturbed(source, tmp_path / "whole")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_keeps_what_is_done(
    source: Path, out: Path, tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(self: Rows, row: int, content: bytes) -> None:
        write_row(self, row, content if row < 2 else content[:1000])
        if row == 2:
            raise OSError(code, os.strerror(code))

    write_row = Rows.write
    with monkeypatch.context() as patch:
        patch.setattr(rows.Rows, "write", full)
        with pytest.raises(OSError if code == errno.ENOSPC else InputError) as error:
            report_prepared(source, out, PLAIN)
        assert str(out) in str(error.value)
    del made[:]
    report_prepared(source, out, PLAIN)
    assert len(made) == 3, "the torn volume and those after it"
    assert published(out) == undisturbed(source, tmp_path / "whole")


def test_a_volume_that_was_damaged_is_made_again(source: Path, out: Path, made: list[str]) -> None:
    before = undisturbed(source, out)
    with (out / "volumes.npy").open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"\xff\x00")
    del made[:]
    report_prepared(source, out, PLAIN)
    assert made == ["sub-10_ses-2_T1w.nii.gz"]
    assert published(out) == before


@pytest.mark.parametrize("moment", ["volumes", "index", "prepared"])
def test_a_kill_while_the_files_change_places_loses_nothing(
    source: Path, out: Path, made: list[str], monkeypatch: pytest.MonkeyPatch, moment: str, tmp_path: Path
) -> None:
    report_prepared(source, out, PLAIN)
    write(source / "sub-05" / "ses-1" / "anat" / "sub-05_ses-1_T1w.nii.gz", anatomy(77))
    replace = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name.startswith(moment):
            raise KeyboardInterrupt
        return replace(self, target)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                report_prepared(source, out, PLAIN)
        with pytest.raises(InputError, match="not finished"):
            read_visits(out)
    assert made[5:] == ["sub-05_ses-1_T1w.nii.gz"]
    report_prepared(source, out, PLAIN)
    assert len(made) == 6
    assert published(out) == undisturbed(source, tmp_path / "whole")


def test_a_torn_line_of_the_journal_is_one_scan(source: Path, out: Path, made: list[str]) -> None:
    before = undisturbed(source, out)
    journal = out / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:5]) + lines[5][:40])
    (out / "volumes.npy").rename(out / "volumes.partial")
    del made[:]
    report_prepared(source, out, PLAIN)
    assert len(made) == 1
    assert published(out) == before


def test_other_settings_and_other_files_are_refused(source: Path, out: Path, tmp_path: Path) -> None:
    report_prepared(source, out, PLAIN)
    with pytest.raises(InputError, match=r"out holds scans prepared with spacing 1, not 2: give another folder"):
        report_prepared(source, out, Preparation((12, 12, 12), 2.0))
    said = "prepared with corrections none, not N4 .*: give another folder"
    with pytest.raises(InputError, match=said) as raised:
        report_prepared(source, out, replace(PLAIN, corrections=(N4(),)))
    assert not set("{}[]'") & set(str(raised.value)), "words, and no Python"
    journal = out / "journal.jsonl"
    journal.write_text(journal.read_text().replace(f'"recipe": {RECIPE}', '"recipe": 3'))
    with pytest.raises(InputError, match=rf"another version of this program \(recipe 3, now {RECIPE}\), which can be"):
        report_prepared(source, out, PLAIN)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").touch()
    with pytest.raises(InputError, match="notes holds other files"):
        report_prepared(source, tmp_path / "notes", PLAIN)


def test_a_folder_that_cannot_be_written_to_is_said(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written to"):
        report_prepared(source, tmp_path / "file" / "out", PLAIN)

    def read_only(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(FileLock, "acquire", read_only)
    with pytest.raises(InputError, match=r"out cannot be written to \(Read-only file system\)"):
        report_prepared(source, tmp_path / "out", PLAIN)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_said(source: Path, out: Path) -> None:
    out.mkdir(mode=0o555)
    with pytest.raises(InputError, match="cannot be written to"):
        report_prepared(source, out, PLAIN)


def test_a_second_process_says_that_it_waits(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out.mkdir()
    held, said = threading.Event(), threading.Event()
    monkeypatch.setattr(preparing.log, "warning", lambda *words: said.set())

    def hold() -> None:
        with FileLock(out / ".lock"):
            held.set()
            said.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(60)
    report_prepared(source, out, PLAIN)
    other.join()
    assert said.is_set()
    assert (out / "prepared.json").is_file()


def test_the_command_line_leaves_out_what_is_bad_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.nii.gz", anatomy())
    nan = anatomy()
    nan[5, 5, 5] = np.nan
    write(tmp_path / "nan.nii.gz", nan)
    write(tmp_path / "zero.nii.gz", np.zeros((12, 12, 12), np.float32))
    write(tmp_path / "four.nii.gz", np.stack([anatomy()] * 2, -1))
    (tmp_path / "cut.nii.gz").write_bytes(good.read_bytes()[:900])
    listed = [("1", name) for name in ("good", "nan", "zero", "four", "cut")]
    lines = [f"{who}\t{name}\t{name}.nii.gz\n" for who, name in listed] + ["1\tgood\tgood.nii.gz\n"]
    (tmp_path / "scans.tsv").write_text("participant_id\tsession_id\tpath\n" + "".join(lines))
    command = ["prepare", str(tmp_path / "scans.tsv"), "--out", str(tmp_path / "out"), "--size", "8", "10", "12"]
    run(*command, "--spacing", "1.5", "--percentiles", "1", "99")
    said = capsys.readouterr().out
    left_out = pd.read_csv(tmp_path / "out" / "left_out.tsv", sep="\t").set_index("path")["reason"]
    reasons = {
        Path(str(path)).name.split(".")[0]: reason for path, reason in left_out.items() if "repeats" not in reason
    }
    assert sorted(reasons) == ["cut", "four", "nan", "zero"]
    assert "line 7 of scans.tsv repeats a visit: 1, good of line 2" in left_out.tolist()
    for name, word in {"cut": "cut off", "four": "pick one", "nan": "NaN", "zero": "same value"}.items():
        assert word in reasons[name]
        assert reasons[name] in said
    assert "1 scans of 1 people" in said
    assert np.load(tmp_path / "out" / "volumes.npy").shape == (1, 8, 10, 12)
    (tmp_path / "two.tsv").write_text("participant_id\tsession_id\tpath\n" + "".join(lines[:2]))
    strict = ["prepare", str(tmp_path / "two.tsv"), "--out", str(tmp_path / "strict"), "--strict"]
    said = refused(capsys, *strict, *command[4:], "--spacing", "1.5")
    assert "nan.nii.gz has 1 voxels that are NaN" in said
    for wrong in (["--align", "9"], ["--size", "0", "8", "8"], ["--percentiles", "9", "1"], ["--jobs", "0"]):
        refused(capsys, *command, *wrong)


def test_the_volumes_of_who_has_withdrawn_leave_a_folder_that_is_there(
    source: Path, out: Path, tmp_path: Path, made: list[str]
) -> None:
    report_prepared(source, out, PLAIN)
    made.clear()
    (tmp_path / "w1.csv").write_text("01\n99\n")
    command = ["prepare", str(source), "--out", str(out), "--size", "12", "12", "12", "--spacing", "1"]
    run(*command, "--withdrawn", str(tmp_path / "w1.csv"))
    assert made == [], "all other volumes are there"
    remaining = tmp_path / "remaining"
    (source / "sub-01").rename(tmp_path / "sub-01")
    assert published(out) == undisturbed(source, remaining)
    assert set(open_prepared(out).visits["participant_id"]) == {"sub-02", "sub-10"}


def test_the_command_line_chooses_among_the_scans_of_a_session(source: Path, out: Path) -> None:
    folder = source / "sub-01" / "ses-1" / "anat"
    write(folder / "sub-01_ses-1_acq-fast_T1w.nii.gz", anatomy(77))
    command = ["prepare", str(source), "--out", str(out), "--size", "12", "12", "12", "--spacing", "1"]
    run(*command, "--filter", "acq=fast", "desc=none")
    (path,) = open_prepared(out).visits["path"]
    assert Path(path).name == "sub-01_ses-1_acq-fast_T1w.nii.gz"


def test_copies_odd_headers_and_overflow_are_said_and_the_others_go_on(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {name: write(tmp_path / f"{name}.nii.gz", anatomy(i)) for i, name in enumerate("abcdef")}
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    write(paths["b"], anatomy(1), sheared)
    image = nib.load(paths["c"])
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    nib.save(image, tmp_path / "c.nii")
    write(paths["d"], 1e6 * anatomy(3))
    content = gzip.decompress(paths["a"].read_bytes())
    (tmp_path / "a2.nii").write_bytes(content)
    paths["e"].write_bytes(gzip.compress(content, 1))
    listed = [
        ("1", "a.nii.gz"),
        ("1", "a2.nii"),
        ("2", "b.nii.gz"),
        ("3", "c.nii"),
        ("4", "d.nii.gz"),
        ("5", "e.nii.gz"),
    ]
    lines = "".join(f"{who}\t{name}\t{name}\n" for who, name in listed)
    (tmp_path / "scans.tsv").write_text(f"participant_id\tsession_id\tpath\n{lines}")
    quality = report_prepared(tmp_path / "scans.tsv", out, Preparation((12, 12, 12), 1.0, Window(0, 100)))
    assert quality["participant_id"].tolist() == ["1", "2", "3", "5"]
    assert np.isfinite(np.load(out / "volumes.npy")).all()
    said = capsys.readouterr().out
    for words in (
        "left out, 2 scans:",
        "d.nii.gz: reaches 1.1e+06 once prepared",
        f"a2.nii: is the same image of the same person as {paths['a']}",
        "the same image of several people, 2 scans, who must be in one part of a split:",
        "sheared axes, 1 scans, resampled along those of the scanner unless aligned:\n  2 b.nii.gz: 11.3 degrees",
        "qform and sform put the scan in different places, 1 scans; the sform is taken:\n  3 c.nii: 22.0 mm",
    ):
        assert words in said, words
    table = pd.read_csv(out / "quality.tsv", sep="\t")
    assert table["qform_mm"].tolist() == [0, 0, 22, 0]
    assert table["shear"].round(1).tolist() == [0, 11.3, 0, 0]


def test_a_table_of_bad_scans_only_is_one_sentence(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "sub-1" / "anat" / "sub-1_T1w.nii.gz", np.zeros((12, 12, 12), np.float32))
    with pytest.raises(InputError, match=r"no scan that can be prepared: \S+sub-1_T1w.nii.gz: has the same value 0"):
        report_prepared(tmp_path, out, PLAIN)
