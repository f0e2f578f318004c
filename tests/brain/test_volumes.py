import dataclasses
import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torchio as tio

from disentangle_pl.brain.correction import N4, Correction, Placed
from disentangle_pl.brain.intensity import Percentiles, Window, ZScore
from disentangle_pl.brain.nifti import check_scan
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from tests.brain.scans import REAL, anatomy, write

PLAIN = Preparation((12, 12, 12), 1.0)


def no_nifti(path: Path) -> None:
    path.write_bytes(b"this is not a scan")


def empty(path: Path) -> None:
    path.touch()


def cut_off(path: Path) -> None:
    write(path, anatomy())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def slice_2d(path: Path) -> None:
    write(path, anatomy()[0])


def slice_3d(path: Path) -> None:
    write(path, anatomy()[..., :1])


def series_4d(path: Path) -> None:
    write(path, np.stack([anatomy(), anatomy(1)], axis=-1))


def colours(path: Path) -> None:
    write(path, np.zeros((12, 12, 12), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]))


def nan(path: Path) -> None:
    values = anatomy()
    values[3, 3, 3] = np.nan
    write(path, values)


def infinite(path: Path) -> None:
    values = anatomy().astype(np.float64)
    values[3, 3, 3] = 1e300
    write(path, values)


def constant(path: Path) -> None:
    write(path, np.full((12, 12, 12), 7, dtype=np.int16))


def speck(path: Path) -> None:
    values = np.zeros((12, 12, 12), dtype=np.float32)
    values[6, 6, 6] = 1
    write(path, values)


def patched_zoom(path: Path, zoom: float) -> None:
    write(path.with_name("whole.nii"), anatomy())
    data = bytearray(path.with_name("whole.nii").read_bytes())
    data[80:84] = np.float32(zoom).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def zero_zoom(path: Path) -> None:
    patched_zoom(path, 0)


def negative_zoom(path: Path) -> None:
    patched_zoom(path, -1)


def nowhere(path: Path) -> None:
    image = nib.Nifti1Image(anatomy(), None)
    assert image.header["qform_code"] == image.header["sform_code"] == 0
    nib.save(image, path)


def metres(path: Path) -> None:
    write(path, anatomy(), np.diag([0.001, 0.0012, 0.001, 1]))


def micrometres(path: Path) -> None:
    write(path, anatomy(), np.diag([1000.0, 1000, 1000, 1]))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (no_nifti, "cannot be read as NIfTI"),
        (empty, "cannot be read as NIfTI"),
        (cut_off, "cannot be read as NIfTI"),
        (slice_2d, "not a slice"),
        (slice_3d, "not a slice"),
        (series_4d, "pick one volume"),
        (colours, "not real numbers"),
        (nan, "1 voxels that are NaN or infinite"),
        (infinite, "1 voxels that are NaN or infinite"),
        (constant, "the same value 7 in every voxel"),
        (speck, "one value 0 from percentile to percentile"),
        (zero_zoom, "voxel sizes"),
        (negative_zoom, "voxel sizes"),
        (metres, "voxel sizes .* in mm; these look like metres: multiply voxel sizes and affine by 1000"),
        (micrometres, "voxel sizes .* look like micrometres: multiply voxel sizes and affine by 0.001"),
        (nowhere, "does not say how it is oriented"),
    ],
)
def test_what_cannot_be_prepared_is_named(tmp_path: Path, make: Callable[[Path], None], what: str, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    make(path)
    with pytest.raises(InputError, match=what) as error:
        PLAIN(path)
    assert str(path) in str(error.value)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "huge.nii", anatomy())
    content = bytearray(path.read_bytes())
    content[40:56] = np.array([3, 32767, 32767, 32767, 1, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match="cannot be read as NIfTI"):
        PLAIN(path)


def test_headers_alone_tell_most(tmp_path: Path) -> None:
    series_4d(tmp_path / "four.nii.gz")
    with pytest.raises(InputError, match="pick one volume"):
        check_scan(tmp_path / "four.nii.gz")
    check_scan(write(tmp_path / "good.nii.gz", anatomy()))


def test_other_formats_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Spm2AnalyzeImage(anatomy(), np.eye(4)), tmp_path / "scan.img")
    with pytest.raises(InputError, match=r"scan.img is neither a NIfTI"):
        check_scan(tmp_path / "scan.img")


def test_trailing_axes_of_length_one_are_dropped(tmp_path: Path) -> None:
    long = PLAIN(write(tmp_path / "long.nii", anatomy()[..., None, None]))
    np.testing.assert_array_equal(long, PLAIN(write(tmp_path / "scan.nii", anatomy())))


def test_orientation_on_disk_makes_no_difference(tmp_path: Path) -> None:
    ras = PLAIN(write(tmp_path / "ras.nii.gz", anatomy()))
    mirror = np.diag([-1.0, -1, 1, 1])
    mirror[:2, 3] = 11
    lps = PLAIN(write(tmp_path / "lps.nii.gz", anatomy()[::-1, ::-1], mirror))
    turned = np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 11], [0, 0, 0, 1]])
    ail = PLAIN(write(tmp_path / "ail.nii.gz", anatomy().transpose(1, 2, 0)[:, ::-1], turned))
    np.testing.assert_array_equal(lps, ras)
    np.testing.assert_array_equal(ail, ras)
    assert ras[2:7, 3:10, 4:10].min() > 0.8
    assert ras[8:, :, :].max() < 0.2


def test_size_and_spacing(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nii.gz", anatomy(), np.diag([2.0, 1, 3, 1]))
    volume = Preparation((8, 20, 12), 2.0)(path)
    assert volume.shape == (8, 20, 12)
    assert volume.dtype == np.float16
    assert not volume[:, :6].any(), "12 mm of scan are padded to 40 mm"
    assert not volume[:, 14:].any()


def test_percentiles_become_zero_and_one(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(1e6, 1e5, (12, 12, 12))
    path = write(tmp_path / "scan.nii.gz", values)
    preparation = Preparation((12, 12, 12), 1.0, Percentiles(5, 90))
    volume = preparation(path)
    assert volume.min() == 0
    assert volume.max() == 1
    assert (volume == 0).mean() == pytest.approx(0.05, abs=0.002)
    assert (volume == 1).mean() == pytest.approx(0.10, abs=0.002)
    theirs = tio.RescaleIntensity((0, 1), percentiles=(5, 90))(tio.ScalarImage(tensor=values[None]))
    np.testing.assert_allclose(volume, theirs.data[0].numpy(), atol=1e-3)


def test_padding_takes_the_background_whatever_its_value(tmp_path: Path) -> None:
    usual, low = (Preparation((20, 20, 20), 1.0)(write(tmp_path / f"{i}.nii", anatomy() - 1024 * i)) for i in (0, 1))
    np.testing.assert_allclose(low, usual, atol=2e-3)


def test_no_warning_and_the_same_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nii.gz", anatomy().astype(np.uint16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(PLAIN(path), PLAIN(path))


def test_the_key_follows_the_settings_and_not_their_type() -> None:
    key = Preparation((8, 8, 8), 2.0).key
    assert Preparation((8, 8, 8), 2).key == key
    others = [Preparation((8, 8, 9), 2), Preparation((8, 8, 8), 3), Preparation((8, 8, 8), 2, Percentiles(1, 99))]
    others += [Preparation((8, 8, 8), 2, ZScore()), Preparation((8, 8, 8), 2, corrections=(N4(),))]
    assert len({key, *(other.key for other in others)}) == 6
    assert Preparation((8, 8, 8), 2, Percentiles(1, 99)).key == Preparation((8, 8, 8), 2, Percentiles(1.0, 99.0)).key


@pytest.mark.parametrize("settings", [((0, 8, 8), 1.0), ((8, 8, 8), 0.0)])
def test_settings_that_make_no_sense(settings: tuple[tuple[int, int, int], float]) -> None:
    with pytest.raises(InputError):
        Preparation(*settings)
    with pytest.raises(InputError, match="in order"):
        Percentiles(99.0, 1.0)


@pytest.mark.parametrize("codes", ["RPS", "LIA", "LAS", "LPS", "PIR"])
def test_every_orientation_is_the_same_volume(tmp_path: Path, codes: str) -> None:
    ras = nib.Nifti1Image(anatomy(), np.diag([1.0, 2.0, 3.0, 1.0]))
    to = nib.orientations.ornt_transform(nib.io_orientation(ras.affine), nib.orientations.axcodes2ornt(codes))
    turned = ras.as_reoriented(to)
    assert "".join(nib.aff2axcodes(turned.affine)) == codes
    nib.save(ras, tmp_path / "ras.nii.gz")
    nib.save(turned, tmp_path / "turned.nii.gz")
    preparation = Preparation((8, 16, 20), 1.5)
    np.testing.assert_array_equal(preparation(tmp_path / "turned.nii.gz"), preparation(tmp_path / "ras.nii.gz"))


@pytest.mark.parametrize(("gain", "offset"), [(1.7e6, 0.0), (1.0, -500.0), (-0.5, 0.0)])
def test_the_units_of_the_scanner_do_not_matter(tmp_path: Path, gain: float, offset: float) -> None:
    usual = PLAIN(write(tmp_path / "usual.nii.gz", anatomy())).astype(np.float32)
    other = PLAIN(write(tmp_path / "other.nii.gz", anatomy() * np.float32(gain) + np.float32(offset)))
    np.testing.assert_allclose(other, usual if gain > 0 else 1 - usual, atol=2e-3)


@pytest.mark.parametrize("place", [0.35, 0.5, 0.65, 0.8])
def test_a_flipped_byte_of_a_compressed_scan_is_seen(tmp_path: Path, place: float) -> None:
    path = write(tmp_path / "scan.nii.gz", anatomy())
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"scan\.nii\.gz cannot be read as NIfTI"):
        PLAIN(path)


def test_a_z_score_is_that_of_the_foreground(tmp_path: Path) -> None:
    volume = Preparation((12, 12, 12), 1.0, ZScore())(write(tmp_path / "scan.nii", anatomy())).astype(np.float64)
    plain = anatomy() > 10
    assert volume[plain].mean() == pytest.approx(0, abs=0.01)
    assert volume[plain].std() == pytest.approx(1, abs=0.01)
    assert volume[0].max() < -3, "the background is one dark value"


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_scans() -> None:
    preparation = Preparation((32, 32, 32), 6.0)
    first, second, other = (
        preparation(REAL / "longitudinal-ms" / f"{sub}/{ses}/anat/{sub}_{ses}_T1w.nii.gz").astype(np.float32)
        for sub, ses in (("sub-01", "ses-1"), ("sub-01", "ses-2"), ("sub-03", "ses-2"))
    )
    for volume in (first, second, other):
        assert 0.1 < volume.mean() < 0.3
        assert volume[12:20, 12:20, 12:20].mean() > 0.2, "brain in the middle"
        assert volume[:3, :, :3].max() < 0.05, "air in the corner"
        upright = np.corrcoef(volume.ravel(), volume[::-1].ravel())[0, 1]
        assert upright > np.corrcoef(volume.ravel(), volume[:, :, ::-1].ravel())[0, 1], "left mirrors right"
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.7
    stripped = preparation(REAL / "ms-patient07_space-MNI_desc-brain_T1w.nii.gz")
    assert np.median(stripped) < 1e-3


def test_a_window_is_the_same_for_every_scan_and_clips_nothing(tmp_path: Path) -> None:
    bright = 2 * anatomy()
    usual, twice = (
        Preparation((12, 12, 12), 1.0, Window(0, 100))(write(tmp_path / f"{i}.nii", values)).astype(np.float64)
        for i, values in enumerate((anatomy(), bright))
    )
    np.testing.assert_allclose(usual, anatomy() / 100, atol=1e-3)
    np.testing.assert_allclose(twice, 2 * usual, atol=2e-3)
    with pytest.raises(InputError, match="two in order"):
        Window(1, 1)


@pytest.mark.parametrize("low", [30.0, -5.0])
def test_nan_may_be_background(tmp_path: Path, low: float) -> None:
    brain = anatomy() + np.float32(low)
    brain[:2], brain[:, :, 10:] = np.nan, np.nan
    path = write(tmp_path / "brain.nii.gz", brain)
    with pytest.raises(InputError, match="if NaN is its background, give --nan_as_background"):
        PLAIN(path)
    filled = write(tmp_path / "filled.nii.gz", np.where(np.isnan(brain), np.float32(min(0, low)), brain))
    volume, facts = dataclasses.replace(PLAIN, nan_as_background=True).examine(path)
    np.testing.assert_array_equal(volume, PLAIN(filled))
    assert facts["nan"] == pytest.approx(np.isnan(brain).mean())
    for value, words in ((np.inf, "1 voxels that are NaN or infinite"), (np.nan, "1728 voxels that are NaN")):
        broken = np.where(np.isnan(brain), 0, brain) if np.isinf(value) else np.full_like(brain, np.nan)
        broken[5, 5, 5] = value
        with pytest.raises(InputError, match=words):
            dataclasses.replace(PLAIN, nan_as_background=True)(write(tmp_path / "broken.nii", broken))


class Spoiled(Correction):
    """Divides by nothing."""

    def __call__(self, placed: Placed) -> Placed:
        voxels = placed.scan.voxels.copy()
        voxels[4, 4, 4] = np.inf
        return placed._replace(scan=placed.scan._replace(voxels=voxels))


def test_results_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "scan.nii", 1e6 * anatomy())
    with pytest.raises(InputError, match=r"scan.nii reaches 1.1e\+08 once prepared, and float16 holds 65504 at most"):
        Preparation((12, 12, 12), 1.0, Window(0, 1))(path)
    with pytest.raises(InputError, match=r"scan.nii has \d+ voxels that are NaN or infinite after its corrections"):
        Preparation((12, 12, 12), 1.0, corrections=(Spoiled(),))(path)
    with pytest.raises(InputError, match="has nothing brighter than its background, on which N4"):
        Preparation((12, 12, 12), 1.0, corrections=(N4(),))(write(tmp_path / "dark.nii", 200 - anatomy()))


def test_sheared_axes_are_put_right(tmp_path: Path) -> None:
    """A block on a sheared grid that fills its field is the block of the same millimetres on a right one."""
    x, y, z = np.indices((24, 24, 24))
    shear = np.eye(4)
    shear[0, 1], shear[0, 3] = 0.4, -4.6
    across = x + 0.4 * y - 4.6
    blocks = [(abs(place - 11.5) < 5) & (abs(y - 11.5) < 7) & (abs(z - 11.5) < 4) for place in (x, across)]
    right, sheared = (
        Preparation((24, 24, 24), 1.0, Window(0, 100)).examine(write(tmp_path / f"{i}.nii", 100.0 * block, affine))
        for i, (block, affine) in enumerate(zip(blocks, (np.eye(4), shear), strict=True))
    )
    assert np.abs(sheared.volume - right.volume).mean() < 0.02
    assert right.facts["shear"] == 0
    assert sheared.facts["shear"] == pytest.approx(np.degrees(np.arctan(0.4)), abs=0.01)


def test_qform_against_sform_is_measured(tmp_path: Path) -> None:
    image = nib.Nifti1Image(anatomy(), np.eye(4))
    moved = np.eye(4)
    moved[:3, 3] = 3, 0, 4
    for code, expected in ((1, 5.0), (0, 0.0)):
        image.set_qform(moved, code=code)
        nib.save(image, tmp_path / "scan.nii")
        assert PLAIN.examine(tmp_path / "scan.nii").facts["qform_mm"] == pytest.approx(expected)
