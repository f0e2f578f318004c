"""Smooth invertible deformations with a wanted divergence.

Fields are (3, n, n, n) in voxels, towards growing indices. A flow exp(v) moves the tissue by v; images are drawn
through the pull-back exp(-v), out(x) = in(x + displacement(x)).

Source: Arsigny et al. 2006, A log-Euclidean framework for statistics on diffeomorphisms (scaling and squaring);
Khanal et al. 2016, A biophysical model of brain deformation to simulate and analyze longitudinal MRIs of patients
with Alzheimer's disease, NeuroImage 134 (prescribed divergence).
"""

from functools import lru_cache

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.brain.anatomy import Array, Matrix

STEPS = 5  # squarings


@lru_cache(maxsize=2)
def voxels(n: int) -> Tensor:
    """Return the index of every voxel (3, n, n, n)."""
    axis = torch.arange(n, dtype=torch.float32)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))


def warp(maps: Tensor, displacement: Tensor, padding: str = "zeros") -> Tensor:
    """Draw maps (C, n, n, n) at x + displacement(x), linearly interpolated; outside: zeros, or the border's value."""
    n = maps.shape[-1]
    where = (voxels(n) + displacement) * (2 / (n - 1)) - 1
    grid = where.flip(0).permute(1, 2, 3, 0)[None]  # grid_sample names the last axis first
    warped: Tensor = F.grid_sample(maps[None], grid, mode="bilinear", padding_mode=padding, align_corners=True)
    return warped[0]


def compose(first: Tensor, then: Tensor) -> Tensor:
    """Return the displacement of drawing through `then` what was drawn through `first`."""
    composition: Tensor = then + warp(first, then, "border")
    return composition


def exponential(velocity: Tensor) -> Tensor:
    """Integrate a stationary velocity field over one unit of time, by scaling and squaring."""
    displacement: Tensor = velocity / 2**STEPS
    for _ in range(STEPS):
        displacement = compose(displacement, displacement)
    return displacement


def jacobian(displacement: Tensor) -> Tensor:
    """Return the determinant (n, n, n) of the derivative of x + displacement(x); where it is positive nothing folds."""
    rows = [torch.stack(torch.gradient(part, dim=(0, 1, 2))) for part in displacement]
    determinant: Tensor = torch.linalg.det(
        (torch.stack(rows) + torch.eye(3)[:, :, None, None, None]).permute(2, 3, 4, 0, 1)
    )
    return determinant


def flow_of(divergence: Matrix) -> Array:
    """Return the irrotational velocity with a wanted divergence (n, n, n), without flow through the walls.

    The Poisson equation with Neumann walls is diagonal in cosines; a mean of the divergence has no such flow and
    is taken off. The gradient by central differences smooths, so the divergence is met only roughly at the edges of
    structures: calibrate.
    """
    waves = np.meshgrid(*[2 * np.cos(np.pi * np.arange(n) / n) - 2 for n in divergence.shape], indexing="ij")
    eigenvalues = waves[0] + waves[1] + waves[2]
    eigenvalues[0, 0, 0] = 1
    spectrum = dctn(divergence, norm="ortho") / eigenvalues
    spectrum[0, 0, 0] = 0
    potential: Matrix = idctn(spectrum, norm="ortho")
    return np.stack([np.gradient(potential, axis=axis) for axis in range(3)]).astype(np.float32)


def smooth_noise(rng: np.random.Generator, count: int, n: int, length: float) -> Tensor:
    """Draw Gaussian fields (count, n, n, n) of mean square 1, correlated over `length` voxels."""
    axis = np.arange(n, dtype=np.float32) / (2 * n)
    squares = sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij"))
    kernel = np.exp(-0.5 * (2 * np.pi * length) ** 2 * squares).astype(np.float32)
    fields = [idctn(rng.standard_normal((n, n, n), dtype=np.float32) * kernel, norm="ortho") for _ in range(count)]
    return torch.from_numpy(np.stack([field / np.sqrt(np.mean(field**2)) for field in fields]))


def similarity(n: int, log_scale: float, turn: Matrix, shift: Matrix) -> Tensor:
    """Return the displacement of drawing a head larger by exp(log_scale), turned and shifted, about the centre.

    Args:
        n: Voxels along every axis.
        log_scale: Of lengths.
        turn: (3,) radians about the three axes.
        shift: (3,) voxels.
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(turn), np.sin(turn)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    matrix = torch.from_numpy((about_x @ about_y @ about_z * np.exp(-log_scale)).astype(np.float32))
    offset = torch.from_numpy((np.asarray(shift) + (n - 1) / 2).astype(np.float32))[:, None, None, None]
    centred = voxels(n) - (n - 1) / 2
    return torch.einsum("ij,jxyz->ixyz", matrix, centred) + offset - voxels(n)
