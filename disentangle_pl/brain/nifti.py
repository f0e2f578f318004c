"""Reading NIfTI and .mgz files, and refusing those that are no volume of numbers in a known orientation."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError

from disentangle_pl.brain.image_files import is_oriented, load_image, stored_zooms, verified
from disentangle_pl.errors import InputError

Voxels = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

SMALLEST_SIDE = 4
LARGEST_VOXEL = 50.0

_OF_NIBABEL = (ImageFileError, HeaderDataError, MGHError)
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, MemoryError, zlib.error, *_OF_NIBABEL)


class Scan(NamedTuple):
    """A volume and where it lies.

    Attributes:
        voxels: (X, Y, Z) as stored, scaled.
        affine: (4, 4) from voxels to RAS millimetres.
        stored_as: Type of the numbers in the file.
    """

    voxels: Voxels
    affine: Matrix
    stored_as: str = "float32"


def check_scan(path: Path) -> None:
    """Read the header of a scan and refuse what cannot be prepared.

    Raises:
        InputError: If it is no readable NIfTI or .mgz, not one volume of numbers, its voxel sizes make no sense, or
            nothing tells left from right.
    """
    _open(path)


def read_scan(path: Path) -> Scan:
    """Read the scaled voxels of a scan, without trailing axes of length 1.

    Raises:
        InputError: As `check_scan`; also if the file is cut off, or its voxels are constant, NaN or infinite.
    """
    image = _open(path)
    with np.errstate(over="ignore", invalid="ignore"):
        voxels = _readable(path, lambda: verified(path, image).get_fdata(dtype=np.float32, caching="unchanged"))
    voxels = voxels.reshape(voxels.shape[:3])
    odd = int((~np.isfinite(voxels)).sum())
    if odd:
        raise InputError(f"{path} has {odd} voxels that are NaN or infinite: repair it or leave it out")
    if voxels.min() == voxels.max():
        raise InputError(f"{path} has the same value {voxels.min():g} in every voxel: leave it out")
    return Scan(voxels, np.asarray(image.affine, dtype=np.float64), str(image.get_data_dtype()))


def _readable(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read as NIfTI ({error}): it may be cut off or of another kind") from error


def _open(path: Path) -> Any:
    image = _readable(path, lambda: load_image(path))
    if not isinstance(image, (nib.Nifti1Image, nib.MGHImage)):
        raise InputError(f"{path} is neither a NIfTI file (.nii or .nii.gz) nor .mgz: convert it")
    if image.get_data_dtype().kind not in "iuf":
        raise InputError(f"{path} has voxels of type {image.get_data_dtype()}, not real numbers")
    _check_shape(path, image.shape)
    if not _readable(path, lambda: is_oriented(image)):
        codes = "goodRASFlag is 0" if isinstance(image, nib.MGHImage) else "qform and sform codes are 0"
        raise InputError(f"{path} does not say how it is oriented ({codes}): set one of them")
    _check_zooms(path, _readable(path, lambda: stored_zooms(image)), image.affine)
    return image


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) < 3 or min(shape[:3]) < SMALLEST_SIDE:
        raise InputError(
            f"{path} has shape {shape}: need a volume of at least {SMALLEST_SIDE} voxels a side, not a slice"
        )
    if np.prod(shape[3:]) != 1:
        raise InputError(f"{path} has {len(shape)} dimensions, shape {shape}: pick one volume and save it")


def _check_zooms(path: Path, stored: Matrix, affine: Matrix) -> None:
    zooms = np.concatenate((stored, voxel_sizes(affine)))
    if not ((zooms > 0) & (zooms < LARGEST_VOXEL)).all() or abs(np.linalg.det(affine)) < 1e-12:
        raise InputError(
            f"{path} has voxel sizes {stored.tolist()} and affine {np.round(affine, 3).tolist()}: "
            f"sizes must be in mm, above 0 and below {LARGEST_VOXEL:g}"
        )
