import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain import duplicates, soundness
from disentangle_pl.brain.duplicates import copies, same_volumes, twins
from disentangle_pl.brain.soundness import problem
from disentangle_pl.brain.visits import find_visits
from disentangle_pl.errors import InputError
from tests.brain.scans import REAL, anatomy, bids, table, write


def cut(path: Path, share: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_whole_scans_are_sound_and_cut_ones_are_not(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, anatomy())
    assert problem(path) is None
    found = problem(cut(path))
    assert found is not None
    assert "cannot be read as NIfTI" in found
    assert str(path) not in found.split("(")[0]


def test_a_whole_scan_is_not_read_and_one_in_several_parts_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "scan.nii.gz", anatomy())
    calls: list[Path] = []
    monkeypatch.setattr(soundness, "read_scan", calls.append)
    assert problem(path) is None
    assert not calls
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:3000]) + gzip.compress(content[3000:]))
    assert problem(path) is None
    assert calls == [path]


def test_several_gzip_parts_are_a_sound_scan(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nii.gz", anatomy())
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:3000]) + gzip.compress(content[3000:]))
    assert problem(path) is None


def test_a_slice_and_a_text_are_no_scans(tmp_path: Path) -> None:
    assert "not a slice" in str(problem(write(tmp_path / "slice.nii", np.ones((20, 20, 1), np.float32))))
    (tmp_path / "text.nii").write_text("no image")
    assert "cannot be read as NIfTI" in str(problem(tmp_path / "text.nii"))


def test_unsound_scans_are_left_out_with_a_reason(tmp_path: Path) -> None:
    root = bids(tmp_path, {"1": 2, "2": 1})
    scans = sorted(root.glob("sub-*/ses-*/anat/*"))
    cut(scans[0])
    scans[2].unlink()
    scans[2].symlink_to(tmp_path / "annex")
    visits, skipped, _ = find_visits(root, check=True)
    assert visits["session_id"].tolist() == ["ses-2"]
    assert skipped["path"].tolist() == [str(scans[0]), str(scans[2])]
    assert skipped["reason"][0].startswith("cannot be read as NIfTI")
    assert skipped["reason"][1] == "links to nothing"
    with pytest.raises(InputError, match=r"sub-1_ses-1_T1w.nii.gz: cannot be read as NIfTI"):
        find_visits(root, check=True, strict=True)
    assert len(find_visits(root).visits) == 2, "unchecked, only files that are not there are left out"


def test_twins_have_the_same_voxels_at_the_same_place_however_they_are_stored(tmp_path: Path) -> None:
    scan = write(tmp_path / "scan.nii.gz", np.rint(anatomy()).astype(np.int16))
    content = gzip.decompress(scan.read_bytes())
    (tmp_path / "unpacked.nii").write_bytes(content)
    (tmp_path / "fast.nii.gz").write_bytes(gzip.compress(content, 1))
    write(tmp_path / "float.nii.gz", np.rint(anatomy()).astype(np.float32))
    renamed = nib.load(scan)
    renamed.header["descrip"] = b"by another program"
    nib.save(renamed, tmp_path / "renamed.nii")
    write(tmp_path / "moved.nii.gz", np.rint(anatomy()), np.diag([1.0, 1, 2, 1]))
    last = np.rint(anatomy())
    last[5, 5, 9] += 1
    write(tmp_path / "last.nii.gz", last)
    names = sorted(path.name for path in tmp_path.iterdir())
    same = twins(table([(name, "1", tmp_path / name) for name in [*names, "moved.nii.gz"]])["path"])
    known = dict(zip([*names, "listed again"], same, strict=True))
    alike = {"scan.nii.gz", "unpacked.nii", "fast.nii.gz", "float.nii.gz", "renamed.nii"}
    assert {known[name] for name in alike} == {known["scan.nii.gz"]}
    assert known["moved.nii.gz"] == known["listed again"] != known["scan.nii.gz"]
    assert [name for name, image in known.items() if pd.isna(image)] == ["last.nii.gz"]
    with pytest.raises(InputError, match="cannot be read"):
        twins(table([("a", "1", tmp_path / "nowhere.nii")])["path"])


def test_most_scans_are_told_apart_by_header_or_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{i}.nii.gz", anatomy(i)) for i in range(3)]
    monkeypatch.setattr(duplicates, "_voxels", pytest.fail)
    assert twins(table([("a", "1", path) for path in paths])["path"]).isna().all()


def test_volumes_of_one_crc_are_compared_byte_by_byte() -> None:
    content = [b"a", b"b", b"a", b"c"]
    same = same_volumes(pd.Series([7, 7, 7, 8]), lambda row: content[row])
    assert same.notna().tolist() == [True, False, True, False]
    assert same[0] == same[2]
    assert copies(pd.Series(list("xyyx")), pd.Series(["i", "i", "i", None])).tolist() == [False, False, True, False]


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_scans_are_sound_and_a_cut_one_is_not(tmp_path: Path) -> None:
    visits, skipped, _ = find_visits(REAL / "longitudinal-ms", check=True)
    assert len(visits) == 3
    assert skipped.empty
    copy = tmp_path / "scan.nii.gz"
    copy.write_bytes(Path(visits["path"][0]).read_bytes())
    assert problem(copy) is None
    assert problem(cut(copy, 0.99)) is not None
