"""Volumes of a prepared grid as NIfTI files, and where that grid lies in the world."""

import gzip
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from disentangle_pl.brain.scan_files import write_bytes
from disentangle_pl.errors import InputError, one_line

Affine = NDArray[np.float64]
MNI_CENTRE = np.array([0.0, -18.0, 8.0])
NEAR = 20.0  # mm between the middles of a brain and of MNI152's that still make it aligned
LOW, HIGH = np.array([-72.0, -107.0, -72.0]), np.array([72.0, 73.0, 82.0])  # where the brain of MNI152 ends
TISSUE = 0.15  # share of the largest value above which the mean image counts as brain


class Grid(NamedTuple):
    """Where a prepared grid lies.

    Attributes:
        affine: (4, 4) from voxels to millimetres, RAS.
        aligned: Whether these are about the coordinates of MNI152; otherwise they only count from some middle.
    """

    affine: Affine
    aligned: bool


class Cut(NamedTuple):
    """A plane through a volume.

    Attributes:
        axis: 0 sagittal, 1 coronal, 2 axial.
        voxel: Which one along it.
        words: Where that is.
    """

    axis: int
    voxel: int
    words: str


def grid_of(centres: Affine, mean: NDArray[np.floating[Any]], spacing: float) -> Grid:
    """Locate the grid that scans were prepared to, to half a voxel: its middle is the middle of each scan.

    Args:
        centres: (N, 3) the middles of the prepared scans in mm; if they differ the origin is put in the middle.
        mean: (X, Y, Z) the mean of the prepared scans.
        spacing: Edge of the voxels in mm.
    """
    agree = bool((np.ptp(centres, axis=0) <= spacing).all())
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = (centres.mean(axis=0) if agree else 0.0) - spacing * (np.array(mean.shape) - 1) / 2
    low, high = _extent(mean)
    middle = affine[:3, :3] @ ((low + high) / 2) + affine[:3, 3]
    return Grid(affine, agree and bool((np.abs(middle - MNI_CENTRE) <= NEAR).all()))


def cut_at(grid: Grid, mean: NDArray[np.floating[Any]], axis: int, millimetres: float) -> Cut:
    """Choose the plane nearest to a coordinate of MNI152.

    Where the grid is not aligned it is the plane that lies at the same fraction of the brain's extent.

    Args:
        grid: Of the volumes.
        mean: (X, Y, Z) their mean, which tells where the brain is.
        axis: Across the plane.
        millimetres: The coordinate along it.
    """
    name = "xyz"[axis]
    if grid.aligned:
        at = (millimetres - grid.affine[axis, 3]) / grid.affine[axis, axis]
        index = int(np.clip(np.rint(at), 0, mean.shape[axis] - 1))
        return Cut(axis, index, f"{name} = {grid.affine[axis, axis] * index + grid.affine[axis, 3]:+.0f} mm")
    low, high = _extent(mean)
    share = (millimetres - LOW[axis]) / (HIGH[axis] - LOW[axis])
    index = int(np.clip(np.rint(low[axis] + share * (high[axis] - low[axis])), 0, mean.shape[axis] - 1))
    return Cut(axis, index, f"{name} at {share:.0%} of the brain")


def write_volume(path: Path, values: NDArray[np.floating[Any]], affine: Affine) -> None:
    """Write float32 volumes (X, Y, Z) or (X, Y, Z, T) as .nii.gz, in one step.

    Args:
        path: The file.
        values: The volumes.
        affine: (4, 4) from voxels to millimetres.
    """
    image = nib.Nifti1Image(values.astype(np.float32), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="aligned")
    plain = image.to_bytes()
    write_bytes(path, gzip.compress(plain, compresslevel=4, mtime=0))


def read_volume(path: Path) -> tuple[NDArray[np.float32], Affine]:
    """Read what `write_volume` has written: the volumes, and the affine (4, 4).

    Raises:
        InputError: If it is no NIfTI file, or one that is cut short.
    """
    try:
        image = nib.load(path)
        return np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine, dtype=np.float64)
    except (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path} cannot be read as volumes ({one_line(str(error))}): write it again") from error


def _extent(mean: NDArray[np.floating[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and last voxel of the brain along every axis; the whole grid where there is none."""
    inside = mean > TISSUE * mean.max()
    if not inside.any():
        return np.zeros(3, dtype=np.intp), np.array(mean.shape) - 1
    places = np.argwhere(inside)
    return places.min(axis=0), places.max(axis=0)
