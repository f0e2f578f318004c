from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nilearn.datasets import load_mni152_template
from scipy.ndimage import distance_transform_edt, map_coordinates

from disentangle_pl.brain.alignment import LEAST, Affine, Alignment, Rigid
from disentangle_pl.brain.correction import N4, Correction, Placed
from disentangle_pl.brain.foreground import foreground
from disentangle_pl.brain.midspace import Midspace
from disentangle_pl.brain.nifti import Matrix, Scan
from disentangle_pl.brain.resampling import blur, resampled
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from tests.brain.scans import REAL, write


@lru_cache
def brain() -> Any:
    return load_mni152_template(resolution=4)


def similarity(angle: float, scale: float, shift: tuple[float, float, float]) -> Matrix:
    """Turn about the superior axis, shrink or grow, and move."""
    matrix = np.eye(4)
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, :3] *= scale
    matrix[:3, 3] = shift
    return matrix


def moved(change: Matrix) -> Placed:
    image = brain()
    return Placed(Scan(image.get_fdata(dtype=np.float32), change @ image.affine))


def ball(radius: float, neck: bool = False, n: int = 50) -> Scan:
    """A ball of foreground in a box of 200 mm; a neck goes down to the edge."""
    x, y, z = np.meshgrid(*(4.0 * np.arange(n) - 2 * (n - 1),) * 3, indexing="ij")
    inside = x**2 + y**2 + z**2 < radius**2
    inside |= neck & (x**2 + y**2 < 60**2) & (z < 0)
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = -98
    return Scan(inside.astype(np.float32), affine)


@pytest.mark.parametrize(("align", "scale"), [(Affine(), 0.9), (Rigid(), 1.0)])
def test_a_moved_template_comes_back(align: Alignment, scale: float) -> None:
    change = similarity(8, scale, (6, -9, 5))
    placed = align(moved(change))
    left = placed.scan.affine @ np.linalg.inv(brain().affine)
    corners = np.array([[x, y, z, 1] for x in (-60, 60) for y in (-90, 60) for z in (-50, 70)], dtype=float).T
    assert np.linalg.norm((left @ corners - corners)[:3], axis=0).max() < 1.0, "millimetres"
    assert placed.scale == pytest.approx(1 / scale**3, rel=0.04)
    assert placed.scale == pytest.approx(np.linalg.det(left @ np.linalg.inv(change)), rel=1e-4)
    again = align(moved(change))
    assert np.array_equal(again.scan.affine, placed.scan.affine), "nothing is drawn"


def test_a_rigid_alignment_keeps_the_size_of_the_head(tmp_path: Path) -> None:
    image = brain()
    affine = similarity(5, 0.9, (0, 4, 0)) @ image.affine
    path = write(tmp_path / "small.nii.gz", image.get_fdata(dtype=np.float32), affine)
    done = Preparation((32, 32, 32), 6.0, corrections=(Rigid(),)).examine(path)
    assert done.facts["scale"] == pytest.approx(1, abs=1e-6)
    whole = Preparation((32, 32, 32), 6.0, corrections=(Affine(),)).examine(path)
    ratio = foreground(done.volume).sum() / foreground(whole.volume).sum()
    assert ratio == pytest.approx(0.9**3, rel=0.06)
    assert whole.facts["scale"] == pytest.approx(0.9**-3, rel=0.03)


def test_a_whole_head_is_refused() -> None:
    with pytest.raises(InputError, match=r"seems to be a whole head \(2\d+ ml are not background\): strip it"):
        Rigid()(Placed(ball(82)))


def test_a_brain_that_a_face_cuts_off_is_not_called_a_skull() -> None:
    with pytest.raises(InputError, match=r"is cut off by a face of the scan \(\d+% of it .*") as error:
        Rigid()(Placed(ball(65, neck=True)))
    assert "skull" not in str(error.value)


def in_place() -> Scan:
    return moved(similarity(4, 0.95, (5, -6, 3))).scan


def turned(*signs: int) -> Scan:
    scan = in_place()
    return scan._replace(affine=np.diag([*signs, 1.0]) @ scan.affine)


def as_large_as_a_monkey() -> Scan:
    return moved(similarity(4, 0.42, (5, -6, 3))).scan


def shaped_like_a_monkey() -> Scan:
    """Narrow and flat in front and without ventricles, in a header that makes it as large as a human brain."""
    image = brain()
    affine, n = np.diag([4.0, 4, 4, 1]), 52
    affine[:3, 3] = -100, -120, -95
    x, y, z = (np.moveaxis(np.indices((n, n, n)), 0, -1) * 4.0 + affine[:3, 3]).transpose(3, 0, 1, 2)
    front = (y + 18) / 90
    there = np.stack([1.25 * x * (1 + 0.35 * front), 0.95 * (y + 18) - 18, 1.2 * (z - 8) * (1 + 0.1 * front) + 8])
    there[2] -= 6 * front * (there[2] < -10)
    back = np.linalg.inv(image.affine)
    voxels = np.einsum("ij,jxyz->ixyz", back[:3, :3], there) + back[:3, 3, None, None, None]
    inside = map_coordinates((image.get_fdata() > 0.1).astype(float), voxels, order=1) > 0.5
    depth = 4 * np.asarray(distance_transform_edt(inside))
    noise = np.random.default_rng(0).normal(0, 0.02, inside.shape)
    values = (0.6 + 0.4 / (1 + np.exp(9 - depth)) + noise) * inside
    return Scan(values.astype(np.float32), affine)


def mask() -> Scan:
    scan = in_place()
    return scan._replace(voxels=(scan.voxels > 0.1).astype(np.float32))


def atlas() -> Scan:
    scan = in_place()
    labels = 1 + (np.indices(scan.voxels.shape) // 6).sum(0) % 7
    return scan._replace(voxels=(labels * (scan.voxels > 0.1)).astype(np.float32))


def grainy_ball() -> Scan:
    scan = ball(74)
    noise = np.random.default_rng(0).normal(1, 0.05, scan.voxels.shape)
    return scan._replace(voxels=(scan.voxels * noise).astype(np.float32))


def nothing() -> Scan:
    return Scan(-np.ones((9, 9, 9), np.float32), np.eye(4))


def sheet() -> Scan:
    values = np.zeros((30, 30, 30), np.float32)
    values[12, 4:26, 4:26] = np.random.default_rng(0).uniform(1, 2, (22, 22))
    return Scan(values, np.diag([4.0, 4, 4, 1]))


@pytest.mark.parametrize("align", [Rigid(), Affine()])
@pytest.mark.parametrize(
    ("scan", "why"),
    [
        (turned(1, -1, -1), r"does not fit the MNI152 template \(overlap 0\.\d+ is below 0\.935\)"),
        (turned(-1, 1, -1), r"does not fit the MNI152 template \(overlap 0\.\d+ is below 0\.935\)"),
        (
            turned(-1, -1, 1),
            r"by 180 degrees about its up-down axis \(similarity 0\.9\d, now 0\.\d\d\): its header is wrong",
        ),
        (
            as_large_as_a_monkey(),
            r"does not fit the MNI152 template \(it would have to become 1[34](\.\d)? times as large",
        ),
        (
            shaped_like_a_monkey(),
            r"does not fit the MNI152 template \(overlap 0\.9\d+ is below 0\.935\): .* by --align_overlap",
        ),
        (mask(), r"seems to be a mask or an atlas \(100% of its neighbouring voxels are equal\)"),
        (atlas(), r"seems to be a mask or an atlas \(\d\d% of its neighbouring voxels are equal\)"),
        (grainy_ball(), r"does not fit the MNI152 template \(overlap 0\.9\d+ is below 0\.935\): .* by --align_overlap"),
        (nothing(), "has no brain that could be aligned"),
        (sheet(), "has no brain that could be aligned"),
    ],
    ids=["x", "y", "z", "monkey", "monkey-shape", "mask", "atlas", "ball", "nothing", "sheet"],
)
def test_what_is_no_brain_in_its_place_is_refused_with_a_number(align: Alignment, scan: Scan, why: str) -> None:
    with pytest.raises(InputError, match=why):
        align(Placed(scan))


def test_the_least_overlap_is_a_setting_and_zero_refuses_nobody() -> None:
    placed = Placed(shaped_like_a_monkey())
    found = Affine(overlap=0)(placed).overlap
    assert 0.9 < found < LEAST.overlap
    assert Affine(overlap=found)(placed).overlap == found
    with pytest.raises(InputError, match=r"is below 0\.95\): look at it"):
        Affine(overlap=0.95)(placed)
    with pytest.raises(InputError, match="must lie between 0 and 1"):
        Affine(overlap=95)


def test_folders_prepared_before_the_overlap_was_a_setting_stay_what_they_are() -> None:
    usual, other = (
        Preparation((8, 8, 8), 3.0, corrections=(each,), midspace=Midspace(each)).settings
        for each in (Affine(), Affine(overlap=0.9))
    )
    assert "overlap" not in str(usual)
    assert other["corrections"][0]["overlap"] == other["midspace"]["alignment"]["overlap"] == 0.9


def test_a_success_is_measured(tmp_path: Path) -> None:
    scan = in_place()
    path = write(tmp_path / "scan.nii.gz", scan.voxels, scan.affine)
    for align in (Rigid(), Affine()):
        facts = Preparation((16, 16, 16), 12.0, corrections=(align,)).examine(path).facts
        assert 0.95 < float(facts["overlap"]) <= 1
        assert 0.97 < float(facts["similarity"]) <= 1
    plain = Preparation((16, 16, 16), 12.0).examine(path).facts
    assert np.isnan([float(plain["overlap"]), float(plain["similarity"])]).all()


def test_n4_takes_a_slow_change_away() -> None:
    scan = ball(70)
    x = np.linspace(-1, 1, 50)[:, None, None]
    truth = scan.voxels * (1 + 0.2 * (np.indices(scan.voxels.shape).sum(0) // 8 % 2))
    shaded = (truth * np.exp(0.4 * x)).astype(np.float32)
    fixed = N4(iterations=20, spacing=8)(Placed(scan._replace(voxels=shaded))).scan.voxels
    inside = scan.voxels > 0
    left = np.log(fixed[inside] / truth[inside])
    assert left.std() < 0.25 * np.log(shaded[inside] / truth[inside]).std()
    assert np.log(fixed[inside] / shaded[inside]).mean() == pytest.approx(0, abs=0.01), "the mean brightness stays"
    assert not fixed[~inside].any()


def test_the_template_grid_is_centred_and_ordered() -> None:
    scan = ball(40)
    grid = resampled(Placed(scan, centre=(8.0, 0.0, -8.0)), (24, 26, 28), 4.0)
    assert grid.values.shape == (24, 26, 28)
    middle = np.array(np.nonzero(grid.values > 0.5)).mean(1)
    np.testing.assert_allclose(grid.affine[:3, :3] @ middle + grid.affine[:3, 3], 0, atol=0.5)
    assert blur(np.diag([1.0, 4.0, 8.0, 1.0]), 4.0)[1:] == [0, 0]


@pytest.mark.parametrize("correction", [N4(), Rigid(), Affine()])
def test_a_scan_without_structure_is_one_sentence(tmp_path: Path, correction: Correction) -> None:
    values = np.zeros((8, 8, 8), np.float32)
    values[4, 4, 4] = 1
    path = write(tmp_path / "speck.nii.gz", values)
    with pytest.raises(InputError, match=r"speck\.nii\.gz "):
        Preparation((8, 8, 8), 1.0, corrections=(correction,))(path)


@pytest.mark.skipif(not REAL.exists(), reason="the real scans of ../shared/data/brain are not here")
def test_real_heads_are_refused() -> None:
    preparation = Preparation((32, 32, 32), 6.0, corrections=(Affine(),))
    for path in sorted((REAL / "longitudinal-ms").glob("sub-*/ses-*/anat/*.nii.gz")):
        with pytest.raises(InputError, match=r"seems to be a whole head|is cut off by a face"):
            preparation(path)
