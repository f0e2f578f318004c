"""From the voxels of a scan to those of a volume, in one step."""

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from disentangle_pl.brain.correction import Placed
from disentangle_pl.brain.nifti import Matrix, Scan, Voxels

_HALF_WIDTH = 1 / np.sqrt(8 * np.log(2))


class Resampled(NamedTuple):
    """Values (D, H, W) with background 0, axes towards right, anterior and superior, and their affine (4, 4)."""

    values: Voxels
    affine: Matrix


def resampled(placed: Placed, size: tuple[int, int, int], spacing: float) -> Resampled:
    """Low-pass filter a scan, interpolate it linearly, and crop or pad it; outside the scan is 0.

    Args:
        placed: Around a centre on the axes of RAS, or around its own middle on its own axes, those nearest to RAS.
        size: Voxels of the volume.
        spacing: Edge of its cubic voxels in mm.

    Raises:
        RuntimeError: If the scan's geometry cannot be resampled.
    """
    if placed.centre is None:
        return _on_its_own_axes(placed.scan, size, spacing)
    return _around(placed.scan, np.array(placed.centre), size, spacing)


def _on_its_own_axes(scan: Scan, size: tuple[int, int, int], spacing: float) -> Resampled:
    tio: Any = import_module("torchio")  # slow to import, and trainings read volumes that are made already
    image = tio.ScalarImage(tensor=torch.from_numpy(scan.voxels)[None], affine=scan.affine)
    spatial = tio.Compose([tio.ToCanonical(), tio.Resample(spacing, antialias=True), tio.CropOrPad(size)])
    done = spatial(image)
    return Resampled(done.data[0].numpy(), np.asarray(done.affine, dtype=np.float64))


def _around(scan: Scan, centre: Matrix, size: tuple[int, int, int], spacing: float) -> Resampled:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = centre - spacing * (np.array(size) - 1) / 2
    to_scan = np.linalg.inv(scan.affine) @ affine
    smooth = ndimage.gaussian_filter(scan.voxels, blur(scan.affine, spacing))
    values = ndimage.affine_transform(smooth, to_scan[:3, :3], to_scan[:3, 3], output_shape=size, order=1)
    return Resampled(values.astype(np.float32), affine)


def blur(affine: Matrix, spacing: float) -> list[float]:
    """Return the standard deviations, in voxels along each axis, that a coarser grid asks for.

    Source: Cardoso et al. 2015, Scale factor point spread function matching, MICCAI.
    """
    factors = spacing / np.linalg.norm(affine[:3, :3], axis=0)
    return [float(np.sqrt(max(factor**2 - 1, 0)) * _HALF_WIDTH) for factor in factors]
