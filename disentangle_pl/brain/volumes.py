"""From a NIfTI file of any orientation, size and scale to one array that a network can take."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
import torchio as tio
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from disentangle_pl.errors import InputError

Volume = npt.NDArray[np.float16]

RECIPE = 1
"""Counts changes of `Preparation.__call__` that alter its result, so that no older cache is taken."""

SMALLEST_SIDE = 4
LARGEST_VOXEL = 50.0

_UNREADABLE = (OSError, EOFError, ValueError, TypeError, zlib.error, ImageFileError, HeaderDataError)


def check_scan(path: Path) -> None:
    """Read the header of a scan and refuse what cannot be prepared.

    Raises:
        InputError: If it is no readable NIfTI, not one volume of numbers, or its voxel sizes make no sense.
    """
    _open(path)


def read_scan(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Read the scaled voxels of a scan.

    Returns:
        Voxels (X, Y, Z) as stored, without trailing axes of length 1, and the affine (4, 4) to RAS
        millimetres.

    Raises:
        InputError: As `check_scan`; also if the file is cut off, or its voxels are constant, NaN or infinite.
    """
    image = _open(path)
    with np.errstate(over="ignore", invalid="ignore"):
        voxels = _readable(path, lambda: image.get_fdata(dtype=np.float32, caching="unchanged"))
    voxels = voxels.reshape(voxels.shape[:3])
    odd = int((~np.isfinite(voxels)).sum())
    if odd:
        raise InputError(f"{path} has {odd} voxels that are NaN or infinite: repair it or leave it out")
    if voxels.min() == voxels.max():
        raise InputError(f"{path} has the same value {voxels.min():g} in every voxel: leave it out")
    return voxels, np.asarray(image.affine, dtype=np.float64)


@dataclass(frozen=True)
class Preparation:
    """The deterministic part of what happens to a scan before training.

    Reorient to RAS+, low-pass filter and resample, crop or pad about the centre, and map two intensity
    percentiles of the result to 0 and 1, clipping beyond. What is outside the scan gets its background, the
    median of its faces.

    Args:
        size: Voxels along left-right, posterior-anterior and inferior-superior.
        spacing: Edge of the cubic voxels in mm.
        percentiles: The two percentiles, in 0..100.

    Raises:
        InputError: If a size or the spacing is not positive, or the percentiles are not in order.
    """

    size: tuple[int, int, int]
    spacing: float
    percentiles: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.spacing <= 0:
            raise InputError(f"size {self.size} and spacing {self.spacing} must be positive")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise InputError(f"percentiles {self.percentiles} must be two in order, from 0 to 100")

    @property
    def key(self) -> str:
        """A hash that changes with every setting that changes the result."""
        settings = (tuple(self.size), float(self.spacing), tuple(map(float, self.percentiles)))
        return hashlib.sha256(repr((RECIPE, settings)).encode()).hexdigest()

    def __call__(self, path: Path) -> Volume:
        """Prepare one scan.

        Returns:
            (D, H, W) = `size`, float16 in [0, 1], axes towards right, anterior and superior.

        Raises:
            InputError: As `read_scan`; also if nothing of the scan is inside the crop.
        """
        voxels, affine = read_scan(path)
        image = tio.ScalarImage(tensor=torch.from_numpy(voxels - _background(voxels))[None], affine=affine)
        spatial = tio.Compose([tio.ToCanonical(), tio.Resample(self.spacing, antialias=True), tio.CropOrPad(self.size)])
        try:
            values = spatial(image).data[0].numpy()
        except RuntimeError as error:
            raise InputError(f"{path} cannot be resampled to {self.spacing} mm ({error})") from error
        low, high = np.percentile(values, self.percentiles)
        if low == high:
            raise InputError(f"{path} has one value {low:g} from percentile to percentile: check size and spacing")
        scaled: Volume = ((np.clip(values, low, high) - low) / (high - low)).astype(np.float16)
        return scaled


def attempt(row: int, path: Path, preparation: Preparation) -> tuple[int, Volume | str]:
    """Prepare a scan in a worker process, which imports little more than this module.

    Returns:
        The row number as given, and the volume (D, H, W) or what is wrong with the scan.
    """
    try:
        return row, preparation(path)
    except InputError as error:
        return row, str(error)


def _background(voxels: npt.NDArray[np.float32]) -> np.float32:
    faces = [np.take(voxels, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return np.float32(np.median(np.concatenate(faces)))


def _readable(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read as NIfTI ({error}): it may be cut off or of another kind") from error


def _open(path: Path) -> Any:
    image = _readable(path, lambda: nib.load(path))
    if not isinstance(image, nib.Nifti1Image):
        raise InputError(f"{path} is not a NIfTI file (.nii or .nii.gz): convert it")
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(f"{path} has voxels of type {image.get_data_dtype()}, not real numbers")
    _check_shape(path, image.shape)
    _check_zooms(path, _raw_zooms(path, image), image.affine)
    return image


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) < 3 or min(shape[:3]) < SMALLEST_SIDE:
        raise InputError(
            f"{path} has shape {shape}: need a volume of at least {SMALLEST_SIDE} voxels a side, not a slice"
        )
    if np.prod(shape[3:]) != 1:
        raise InputError(f"{path} has {len(shape)} dimensions, shape {shape}: pick one volume and save it")


def _raw_zooms(path: Path, image: Any) -> npt.NDArray[np.float64]:
    """Read the voxel sizes as stored: nibabel repairs them when it opens the file."""

    def read() -> npt.NDArray[np.float64]:
        with image.file_map["image"].get_prepare_fileobj("rb") as file:
            return np.asarray(type(image.header).from_fileobj(file, check=False)["pixdim"][1:4], dtype=np.float64)

    zooms: npt.NDArray[np.float64] = _readable(path, read)
    return zooms


def _check_zooms(path: Path, stored: npt.NDArray[np.float64], affine: npt.NDArray[np.float64]) -> None:
    zooms = np.concatenate((stored, voxel_sizes(affine)))
    if not ((zooms > 0) & (zooms < LARGEST_VOXEL)).all() or abs(np.linalg.det(affine)) < 1e-12:
        raise InputError(
            f"{path} has voxel sizes {stored.tolist()} and affine {np.round(affine, 3).tolist()}: "
            f"sizes must be in mm, above 0 and below {LARGEST_VOXEL:g}"
        )
