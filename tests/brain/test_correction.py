from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nilearn.datasets import load_mni152_template

from disentangle_pl.brain.alignment import Affine, Alignment, Rigid
from disentangle_pl.brain.correction import N4, Correction, Placed
from disentangle_pl.brain.foreground import foreground
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
    assert np.linalg.norm((left @ corners - corners)[:3], axis=0).max() < 2.5, "millimetres"
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


@pytest.mark.parametrize(("radius", "neck"), [(82.0, False), (65.0, True)])
def test_a_head_with_its_skull_is_refused(radius: float, neck: bool) -> None:
    with pytest.raises(InputError, match=r"seems to have its skull \(\d+ ml .*: strip it"):
        Rigid()(Placed(ball(radius, neck)))


def test_a_stripped_ball_as_large_as_a_brain_is_not_refused() -> None:
    assert Rigid()(Placed(ball(70))).scale == pytest.approx(1)


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
        with pytest.raises(InputError, match="seems to have its skull"):
            preparation(path)
