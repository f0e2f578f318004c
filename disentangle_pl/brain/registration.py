"""Batched linear registration by Gauss-Newton steps on the correlation ratio, on whatever device the images are.

The fixed image is a set of maps at points, and a moving image is to be a linear combination of them: its contrast is
fitted anew in every step, so T1, T2, FLAIR and echo-planar images go the same way. Every moving image has a damping
of its own and a fixed number of steps, so what a batch holds beside it makes no difference.

Source: Friston et al. 1995, Spatial registration and normalization of images, Human Brain Mapping 3 (the linear
combination of templates); Roche et al. 1998, The correlation ratio as a new similarity measure, MICCAI (its value);
Golub and Pereyra 1973, The differentiation of pseudo-inverses, SIAM Journal on Numerical Analysis 10 (the elimination
of the coefficients).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from disentangle_pl.brain.nifti import Scan

FINEST, SIDE = 4.0, 64
"""Edge in mm and number of the voxels of the cubes in which images are compared: 256 mm, a whole head."""
SPACINGS = (16.0, 8.0, 4.0)
"""Edges in mm of the voxels of a pyramid, the coarse ones first."""
RADIUS = 80.0
"""Millimetres by which directions are measured, so that a unit of turning moves the brain's rim as one of shift."""
_FIRST, _EASIER, _HARDER = 1e-2, 0.2, 10.0
_FLAT = 1e-12


class Pyramid(NamedTuple):
    """Images (B, C, n, n, n) in cubes on the axes of RAS, one a spacing, and the middles of the cubes (B, 3) in mm."""

    levels: tuple[Tensor, ...]
    centres: Tensor


class Fixed(NamedTuple):
    """What moving images are compared with at one spacing.

    Attributes:
        points: (P, 3) RAS mm.
        maps: (P, K) or (B, P, K) orthonormal columns; all combinations of them, a constant included, fit perfectly.
    """

    points: Tensor
    maps: Tensor


def affine_directions() -> Tensor:
    """Return the twelve directions (12, 4, 4) of all linear maps, about the origin."""
    return _directions([torch.eye(12)[i].reshape(3, 4) for i in range(12)])


def rigid_directions() -> Tensor:
    """Return the six directions (6, 4, 4) of turns and shifts, about the origin."""
    turns = torch.zeros(3, 3, 4)
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        turns[axis, two, one], turns[axis, one, two] = 1, -1
    return _directions([*turns, *(torch.eye(12)[i].reshape(3, 4) for i in (3, 7, 11))])


def coarse(scan: Scan, spacing: float = FINEST) -> Scan:
    """Average blocks of voxels until none can be added without becoming larger than a spacing in mm."""
    edges = np.linalg.norm(scan.affine[:3, :3], axis=0)
    block = [max(1, int(spacing / edge + 1e-3)) for edge in edges]
    means = F.avg_pool3d(torch.from_numpy(np.ascontiguousarray(scan.voxels))[None], block, ceil_mode=True)[0]
    larger = np.diag([*block, 1.0])
    larger[:3, 3] = (np.array(block) - 1) / 2
    return scan._replace(voxels=means.numpy(), affine=scan.affine @ larger)


def pyramid(images: Tensor, affine: Tensor, centre: Tensor) -> Pyramid:
    """Draw images that share a grid in the cubes of a pyramid; outside of them is 0.

    Args:
        images: (C, X, Y, Z).
        affine: (4, 4) from their voxels to RAS mm.
        centre: (3,) middle of the cubes in RAS mm.
    """
    corners = centre - FINEST * (SIDE - 1) / 2
    axis = FINEST * torch.arange(SIDE, dtype=centre.dtype, device=centre.device)
    at = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3) + corners
    inverse = torch.linalg.inv(affine)
    voxels = at @ inverse[:3, :3].T + inverse[:3, 3]
    level = _sampled(images[None], voxels[None]).reshape(1, len(images), SIDE, SIDE, SIDE)
    levels = [F.avg_pool3d(level, round(spacing / FINEST)) for spacing in SPACINGS]
    return Pyramid(tuple(levels), centre[None])


def together(pyramids: Sequence[Pyramid]) -> Pyramid:
    """Make one batch of several."""
    levels = zip(*(each.levels for each in pyramids), strict=True)
    return Pyramid(tuple(map(torch.cat, levels)), torch.cat([each.centres for each in pyramids]))


def channel(images: Pyramid, index: int) -> Pyramid:
    """Return one channel (B, 1, n, n, n) of a pyramid."""
    return images._replace(levels=tuple(level[:, index : index + 1] for level in images.levels))


def grid(centre: Tensor, spacing: float) -> Tensor:
    """Return the middles (n ** 3, 3) of the voxels of a cube, in mm."""
    n = round(SIDE * FINEST / spacing)
    axis = spacing * (torch.arange(n, dtype=centre.dtype, device=centre.device) - (n - 1) / 2)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3) + centre


def orthonormal(maps: Tensor) -> Tensor:
    """Add a constant to maps (..., P, K) and make their columns orthonormal; those that are flat become 0."""
    centred = maps - maps.mean(-2, keepdim=True)
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    real = values > 1e-4 * values.amax(-1, keepdim=True).clamp(min=_FLAT)
    constant = torch.full_like(maps[..., :1], maps.shape[-2] ** -0.5)
    return torch.cat([constant, left * real[..., None, :]], dim=-1)


def registered(
    moving: Pyramid, fixed: Sequence[Fixed], starts: Tensor, directions: Tensor, steps: Sequence[int]
) -> Tensor:
    """Find linear maps under which moving images resemble fixed ones.

    Args:
        moving: B images with one channel.
        fixed: One a spacing.
        starts: (B, S, 4, 4) from RAS mm of the fixed image to those of the moving ones; at the first spacing all are
            tried, and the best of every image goes on.
        directions: (k, 4, 4) in which the maps may change, of `affine_directions` or `rigid_directions`.
        steps: One number a spacing.

    Returns:
        (B, 4, 4) as `starts`, float64.
    """
    many = len(starts)
    maps = starts.double().flatten(0, 1)
    for level, at, spacing, count in zip(moving.levels, fixed, SPACINGS, steps, strict=True):
        times = len(maps) // many
        images = _with_slopes(level).repeat_interleave(times, dim=0)
        maps, costs = _climb(images, moving.centres.repeat_interleave(times, 0), at, spacing, maps, directions, count)
        best = costs.reshape(many, times).argmin(-1)
        maps = maps.reshape(many, times, 4, 4)[torch.arange(many, device=best.device), best]
    return maps


def correlation_ratio(moving: Pyramid, fixed: Fixed, maps: Tensor, level: int = -1) -> Tensor:
    """Return which share (B,) of the variance of moving images the fixed ones explain, 0 to 1.

    Args:
        moving: B images with one channel.
        fixed: Of the spacing of the level.
        maps: (B, 4, 4) from RAS mm of the fixed image to those of the moving ones.
        level: Which one of the pyramid.
    """
    values = images_at(moving, fixed.points, maps, level)[:, 0]
    centred = values - values.mean(-1, keepdim=True)
    explained = (fixed.maps.mT @ centred[..., None]).square().sum((-2, -1))
    return explained / centred.square().sum(-1).clamp(min=_FLAT)


def images_at(moving: Pyramid, points: Tensor, maps: Tensor, level: int = -1) -> Tensor:
    """Draw moving images at points (P, 3) of the fixed one: (B, C, P), by the maps of `registered`."""
    return _sampled(moving.levels[level], _voxels(moving.levels[level], moving.centres, SPACINGS[level], points, maps))


def _climb(
    images: Tensor, centres: Tensor, fixed: Fixed, spacing: float, maps: Tensor, directions: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Go downhill by damped Gauss-Newton steps; a step that would go uphill is taken back, and shortened."""
    many, k = len(maps), len(directions)
    directions = directions.to(maps)
    best, damping = maps.new_full((many,), torch.inf), maps.new_full((many,), _FIRST)
    normal, slope = maps.new_zeros(many, k, k), maps.new_zeros(many, k)
    trial, points = maps, fixed.points
    homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1).T
    moved = (directions[:, :3].to(points).reshape(-1, 4) @ homogeneous).reshape(k, 3, -1)
    for _ in range(steps):
        cost, new_normal, new_slope = _normal_equations(images, centres, fixed, spacing, trial, moved)
        better = cost < best
        maps = torch.where(better[:, None, None], trial, maps)
        normal = torch.where(better[:, None, None], new_normal, normal)
        slope, best = torch.where(better[:, None], new_slope, slope), torch.where(better, cost, best)
        damping = torch.where(better, damping * _EASIER, damping * _HARDER).clamp(1e-6, 1e6)
        ridge = torch.diag_embed(damping[:, None] * normal.diagonal(dim1=-2, dim2=-1) + _FLAT)
        step = -torch.linalg.solve(normal + ridge, slope)
        trial = maps @ torch.linalg.matrix_exp(torch.einsum("bk,kij->bij", step, directions))
    return maps, best


def _normal_equations(
    images: Tensor, centres: Tensor, fixed: Fixed, spacing: float, maps: Tensor, moved: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return cost (B,), Gauss-Newton matrix (B, k, k) and slope (B, k) of one minus the correlation ratio.

    The k directions move the points by `moved` (k, 3, P).
    """
    points = fixed.points
    samples = _sampled(images, _voxels(images, centres, spacing, points, maps))
    value, slopes = samples[:, 0], samples[:, 1:] / spacing
    turned = maps[:, :3, :3].to(slopes).mT @ slopes
    change = torch.einsum("bcp,kcp->bkp", turned, moved)
    columns = torch.cat([value[:, None], change], dim=1)
    centred = columns - columns.mean(-1, keepdim=True)
    length = centred[:, :1].norm(dim=-1, keepdim=True).clamp(min=_FLAT**0.5)
    unit = centred[:, :1] / length
    change = centred[:, 1:] / length
    change = change - (change @ unit.mT) * unit
    columns = torch.cat([unit, change], dim=1)
    projected = columns @ fixed.maps
    products = (columns @ columns.mT - projected @ projected.mT).double()
    return products[:, 0, 0], products[:, 1:, 1:], products[:, 1:, 0]


def _with_slopes(images: Tensor) -> Tensor:
    """Add the slopes along the three axes, a voxel (B, 4, n, n, n)."""
    padded = F.pad(images, (1,) * 6, mode="replicate")
    inner = slice(1, -1)
    slopes = [
        (padded[:, :, 2:, inner, inner] - padded[:, :, :-2, inner, inner]) / 2,
        (padded[:, :, inner, 2:, inner] - padded[:, :, inner, :-2, inner]) / 2,
        (padded[:, :, inner, inner, 2:] - padded[:, :, inner, inner, :-2]) / 2,
    ]
    return torch.cat([images, *slopes], dim=1)


def _voxels(images: Tensor, centres: Tensor, spacing: float, points: Tensor, maps: Tensor) -> Tensor:
    at = points @ maps[:, :3, :3].to(points).mT + maps[:, None, :3, 3].to(points)
    return (at - centres[:, None].to(points)) / spacing + (images.shape[-1] - 1) / 2


def _sampled(images: Tensor, voxels: Tensor) -> Tensor:
    """Interpolate images (B, C, X, Y, Z) linearly at voxels (B, P, 3): (B, C, P); outside is 0."""
    sides = torch.tensor(images.shape[2:], dtype=images.dtype, device=images.device)
    where = (2 * voxels.to(images) / (sides - 1).clamp(min=1) - 1).flip(-1)
    values = F.grid_sample(images, where[:, None, None], mode="bilinear", padding_mode="zeros", align_corners=True)
    return values[:, :, 0, 0]


def _directions(tops: Sequence[Tensor]) -> Tensor:
    directions = torch.zeros(len(tops), 4, 4, dtype=torch.float64)
    directions[:, :3] = torch.stack(list(tops)).double()
    directions[:, :3, :3] /= RADIUS
    return directions
