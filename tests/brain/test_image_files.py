import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.bids import read_bids
from disentangle_pl.brain.cache import content_hashes
from disentangle_pl.brain.duplicates import twins
from disentangle_pl.brain.image_files import absence, archive_of
from disentangle_pl.brain.nifti import check_scan, read_scan
from disentangle_pl.brain.placeholders import holds_dicom, placeholder
from disentangle_pl.brain.soundness import problem
from disentangle_pl.brain.tables import read_table
from disentangle_pl.brain.visits import find_visits, read_visits
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from tests.brain.scans import anatomy, bids, touch, write

AFFINE = np.array([[0, 0, -1.5, 9], [-1, 0, 0, 7], [0, 2, 0, -3], [0, 0, 0, 1]], dtype=np.float64)
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def mgz(path: Path, oriented: bool = True) -> Path:
    image = nib.MGHImage(anatomy().astype(np.float32), AFFINE)
    image.header["goodRASFlag"] = int(oriented)
    nib.save(image, path)
    return path


def zipped(archive: Path, *names: str) -> list[Path]:
    """Write an archive of scans, and return their paths."""
    inside = [write(archive.parent / "inside" / name, anatomy(i), AFFINE) for i, name in enumerate(names)]
    with zipfile.ZipFile(archive, "w") as file:
        for path, name in zip(inside, names, strict=True):
            file.write(path, name)
    return [archive / name for name in names]


@pytest.mark.parametrize("name", ["scan.mgz", "scan.mgh"])
def test_an_mgz_is_read_as_the_nifti_of_the_same_image(tmp_path: Path, name: str) -> None:
    scan = read_scan(mgz(tmp_path / name))
    same = read_scan(write(tmp_path / "scan.nii.gz", anatomy(), AFFINE))
    np.testing.assert_array_equal(scan.voxels, same.voxels)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-5)
    assert problem(tmp_path / name) is None
    prepare = Preparation((8, 8, 8), 1.5)
    np.testing.assert_allclose(prepare(tmp_path / name), prepare(tmp_path / "scan.nii.gz"), atol=2e-3)


def test_an_mgz_that_is_cut_or_does_not_say_how_it_lies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not say how it is oriented .goodRASFlag is 0"):
        check_scan(mgz(tmp_path / "a.mgz", oriented=False))
    path = mgz(tmp_path / "b.mgz")
    path.write_bytes(path.read_bytes()[:-400])
    assert "cannot be read" in str(problem(path))
    for content in (b"", b"\0" * 400, b"no image"):
        (tmp_path / "c.mgh").write_bytes(content)
        assert "cannot be read" in str(problem(tmp_path / "c.mgh"))


def test_an_mgz_lies_where_bids_has_a_nifti(tmp_path: Path) -> None:
    touch(tmp_path, "sub-1/anat/sub-1_T1w.mgz", "sub-2/anat/sub-2_T1w.nii")
    assert [Path(path).name for path in read_bids(tmp_path)["path"]] == ["sub-1_T1w.mgz", "sub-2_T1w.nii"]


def test_a_scan_within_an_archive_is_read_and_nothing_is_unpacked(tmp_path: Path) -> None:
    paths = zipped(tmp_path / "a.zip", "T1/T1.nii.gz", "T1/T1_brain.nii")
    before = sorted(tmp_path.rglob("*"))
    for path in paths:
        alike = tmp_path / "inside" / path.relative_to(tmp_path / "a.zip")
        assert archive_of(path) == (tmp_path / "a.zip", str(path.relative_to(tmp_path / "a.zip")))
        assert absence(path) is None
        assert problem(path) is None
        scan, same = read_scan(path), read_scan(alike)
        np.testing.assert_array_equal(scan.voxels, same.voxels)
        np.testing.assert_allclose(scan.affine, AFFINE)
        assert content_hashes([path], tmp_path / "known.json") == content_hashes([alike], tmp_path / "known.json")
    (tmp_path / "known.json").unlink()
    assert sorted(tmp_path.rglob("*")) == before
    assert archive_of(tmp_path / "inside" / "T1" / "T1.nii.gz") is None
    assert absence(tmp_path / "a.zip" / "T1" / "T2.nii.gz") == "is not in the archive"


def test_the_same_image_is_known_in_archives_and_in_other_formats(tmp_path: Path) -> None:
    packed, other = zipped(tmp_path / "a.zip", "T1/T1.nii.gz", "T1/T1_brain.nii")
    again, brain = (tmp_path / "inside" / "T1" / name for name in ("T1.nii.gz", "T1_brain.nii"))
    (tmp_path / "b").mkdir()
    more, *_ = zipped(tmp_path / "b" / "b.zip", "T1/T1.nii.gz")
    paths = [packed, other, again, mgz(tmp_path / "T1.mgz"), more, brain]
    same = twins(pd.Series(list(map(str, paths))))
    assert same.notna().all()
    assert same.factorize()[0].tolist() == [0, 1, 0, 0, 0, 1]
    assert twins(pd.Series([str(packed), str(other)])).isna().all()
    (tmp_path / "cut.mgz").write_bytes((tmp_path / "T1.mgz").read_bytes()[:-400])
    with pytest.raises(InputError, match=r"cut\.mgz cannot be read"):
        twins(pd.Series([str(packed), str(tmp_path / "cut.mgz")]))


def test_a_damaged_archive_is_one_sentence(tmp_path: Path) -> None:
    (path,) = zipped(tmp_path / "a.zip", "T1/T1.nii.gz")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[len(content) // 3] ^= 255
    (tmp_path / "a.zip").write_bytes(content)
    assert "cannot be read as NIfTI" in str(problem(path))
    (tmp_path / "a.zip").write_bytes(content[: len(content) // 2])
    assert "lies in a.zip, which cannot be opened" in str(absence(path))
    assert "download it again" in str(absence(path))


def test_a_table_lists_scans_of_archives(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", "T1/T1.nii.gz")
    rows = ["1\t1\ta.zip/T1/T1.nii.gz", "2\t1\ta.zip/T1/no.nii.gz", "3\t1\tno.nii.gz"]
    (tmp_path / "s.tsv").write_text("participant_id\tsession_id\tpath\n" + "\n".join(rows) + "\n")
    found = find_visits(tmp_path / "s.tsv", check=True)
    assert found.visits["participant_id"].tolist() == ["1"]
    assert "lists a file that is not in the archive" in found.skipped["reason"][0]
    assert "lists a file that does not exist" in found.skipped["reason"][1]


def annexed(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("../../../.git/annex/objects/zK/9v/MD5E-s1--a.nii.gz/MD5E-s1--a.nii.gz")
    return path


def test_contents_that_are_not_downloaded_are_named_with_the_command(tmp_path: Path) -> None:
    root = bids(tmp_path, {"1": 2, "2": 2})
    scans = sorted(root.glob("sub-*/ses-*/anat/*"))
    annexed(scans[0])
    scans[1].write_text(LFS)
    scans[2].write_text("/annex/objects/MD5E-s12345--0af.nii.gz\n")
    found = find_visits(root, check=True)
    assert len(found.visits) == 1
    annex, lfs, pointer = found.skipped["reason"]
    assert "`datalad get`" in annex
    assert "`git lfs pull`" in lfs
    assert "`datalad get`" in pointer
    with pytest.raises(InputError, match=r"_T1w.nii.gz is a Git LFS pointer .*`git lfs pull`"):
        read_scan(scans[1])
    (root / "participants.tsv").write_text(LFS)
    with pytest.raises(InputError, match=r"participants.tsv is a Git LFS pointer"):
        read_visits(root)
    with pytest.raises(InputError, match=r"participants.tsv is a git-annex link .*`datalad get`"):
        read_table(annexed(root / "participants.tsv"))


@pytest.mark.parametrize("name", ["IM0001", "1.dcm", "1.IMA", "DICOMDIR"])
def test_folders_and_files_of_dicom_are_told_of_dcm2niix(tmp_path: Path, name: str) -> None:
    path = tmp_path / "study" / "series" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\2\0")
    with pytest.raises(InputError, match=r"study holds DICOM files: .*dcm2niix"):
        read_visits(tmp_path / "study")
    with pytest.raises(InputError, match=rf"{name} is a DICOM file: .*dcm2niix"):
        read_visits(path)
    assert "dcm2niix" in str(problem(path))


def test_the_dicom_of_uk_biobank_is_told_by_its_field(tmp_path: Path) -> None:
    touch(tmp_path, "1000001_20216_2_0.zip")
    with pytest.raises(InputError, match=r"holds DICOM files: .*dcm2niix"):
        read_visits(tmp_path)


def test_other_files_stand_for_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "empty", "deep/notes")
    (tmp_path / "short").write_bytes(b"DICM")
    assert not any(placeholder(path) for path in tmp_path.iterdir())
    assert not holds_dicom(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    assert absence(tmp_path / "link") == "links to nothing"
    assert absence(tmp_path / "no") == "is not there"
