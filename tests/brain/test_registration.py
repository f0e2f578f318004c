import time
from functools import lru_cache

import numpy as np
import pytest
import torch

from disentangle_pl.brain.alignment import (
    GAUSS_NEWTON,
    IMAGE,
    Brain,
    GaussNewton,
    fit_of,
    one_torch_thread,
    stripped,
    target,
)
from disentangle_pl.brain.itk_registration import SimpleItk
from disentangle_pl.brain.nifti import Matrix, Scan
from disentangle_pl.brain.registration import (
    FINEST,
    SIDE,
    Fixed,
    affine_directions,
    channel,
    coarse,
    correlation_ratio,
    grid,
    images_at,
    orthonormal,
    pyramid,
    registered,
    rigid_directions,
    together,
)
from tests.brain.test_correction import brain, moved, similarity

CHANGES = (similarity(8, 0.9, (6, -9, 5)), similarity(-5, 1.02, (-20, 4, 0)), similarity(0, 1.0, (0, 0, 0)))


@lru_cache
def ready(index: int) -> Brain:
    return stripped(moved(CHANGES[index]).scan)


def gap(one: Matrix, other: Matrix) -> float:
    """How far two maps are apart at most, in millimetres, about a brain."""
    corners = np.array([[x, y, z, 1] for x in (-60, 60) for y in (-90, 60) for z in (-50, 70)], dtype=float).T
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_way_back_is_found(index: int) -> None:
    assert gap(GAUSS_NEWTON(ready(index)), CHANGES[index]) < 1.0


def test_the_contrast_makes_no_difference() -> None:
    scan = moved(CHANGES[0]).scan
    inside = scan.voxels > 0.1
    other = scan._replace(voxels=np.where(inside, 1.3 * scan.voxels.max() - scan.voxels, 0).astype(np.float32))
    assert gap(GAUSS_NEWTON(stripped(other)), CHANGES[0]) < 1.5


def test_a_batch_makes_no_difference_and_neither_does_a_second_time() -> None:
    template = target()
    images = [channel(ready(i).pyramid, IMAGE) for i in range(3)]
    starts = torch.eye(4, dtype=torch.float64).repeat(3, 2, 1, 1)
    starts[:, 1, 1, 3] = 10
    with one_torch_thread():
        batch = registered(together(images), template.around, starts, affine_directions(), (12, 6, 3))
        again = registered(together(images), template.around, starts, affine_directions(), (12, 6, 3))
        alone = [
            registered(image, template.around, starts[i : i + 1], affine_directions(), (12, 6, 3))[0]
            for i, image in enumerate(images)
        ]
    assert torch.equal(batch, again)
    assert max(gap(one.numpy(), other.numpy()) for one, other in zip(batch, alone, strict=True)) < 1e-2


def test_it_is_as_good_as_the_reference_and_many_times_as_fast() -> None:
    target()
    clocks = []
    fits = []
    for engine in (GaussNewton(), SimpleItk()):
        began = time.process_time()
        fits.append(fit_of(ready(0), engine(ready(0))))
        clocks.append(time.process_time() - began)
    ours, theirs = fits
    assert ours.overlap > theirs.overlap - 0.005
    assert ours.similarity > theirs.similarity - 0.001
    assert clocks[1] > 5 * clocks[0], "measured: more than 10 times"


def test_rigid_steps_stay_rigid() -> None:
    image, template = channel(ready(2).pyramid, IMAGE), target()
    start = torch.from_numpy(similarity(6, 1.0, (3, 2, -4)))[None, None]
    found = registered(image, template.around, start, rigid_directions(), (10, 6, 3))[0]
    torch.testing.assert_close(found[:3, :3] @ found[:3, :3].T, torch.eye(3, dtype=torch.float64))
    assert gap(found.numpy(), np.eye(4)) < 0.5


def test_the_correlation_ratio_is_one_for_any_combination_of_maps_and_zero_for_none() -> None:
    rng = np.random.default_rng(0)
    centre = torch.zeros(3)
    affine = np.diag([FINEST, FINEST, FINEST, 1.0])
    affine[:3, 3] = -FINEST * (SIDE - 1) / 2
    maps = torch.from_numpy(rng.normal(size=(2, SIDE, SIDE, SIDE)).astype(np.float32))
    images = torch.stack([3 - 2 * maps[0] + 5 * maps[1], torch.ones_like(maps[0])])
    fixed = Fixed(grid(centre, FINEST), orthonormal(maps.flatten(1).T))
    torch.testing.assert_close(fixed.maps.T @ fixed.maps, torch.eye(3), atol=1e-5, rtol=0)
    moving, eye = pyramid(images, torch.from_numpy(affine).float(), centre), torch.eye(4)[None]
    assert float(correlation_ratio(channel(moving, 0), fixed, eye)) == pytest.approx(1, abs=1e-4)
    assert float(correlation_ratio(channel(moving, 1), fixed, eye)) == pytest.approx(0, abs=1e-4)


def test_blocks_and_cubes_keep_a_blob_where_it_is() -> None:
    affine = similarity(30, 1.0, (10, 20, 5)) @ np.diag([1.0, 2.0, 4.0, 1.0])
    at = np.moveaxis(np.indices((100, 60, 36)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    middle = (affine @ [56.5, 31.5, 17.0, 1])[:3]
    blob = np.exp(-((at - middle) ** 2).sum(-1) / 2 / 10**2).astype(np.float32)
    small = coarse(Scan(blob, affine))
    assert small.voxels.shape == (25, 30, 36)
    centre = torch.from_numpy(middle).float() + 7
    cube = pyramid(torch.from_numpy(small.voxels)[None], torch.from_numpy(small.affine).float(), centre)
    for spacing, level in zip((16.0, 8.0, 4.0), cube.levels, strict=True):
        weights = level.flatten()
        found = (grid(centre, spacing) * weights[:, None]).sum(0) / weights.sum()
        np.testing.assert_allclose(found, middle, atol=0.2)
    here = torch.from_numpy(middle).float()[None]
    assert float(images_at(cube, here, torch.eye(4)[None])) == pytest.approx(1, abs=0.1)


def test_an_image_of_nothing_stays_where_it_is() -> None:
    image, template = channel(ready(2).pyramid, IMAGE), target()
    empty = image._replace(levels=tuple(torch.zeros_like(level) for level in image.levels))
    start = torch.eye(4, dtype=torch.float64)[None, None]
    found = registered(empty, template.around, start, affine_directions(), (3, 3, 3))
    assert torch.isfinite(found).all()


def test_the_template_itself_fits() -> None:
    overlap, similar = fit_of(stripped(Scan(brain().get_fdata(dtype=np.float32), brain().affine)), np.eye(4))
    assert overlap > 0.95
    assert similar > 0.97
