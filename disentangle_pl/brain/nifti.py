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
SMALLEST_VOXEL, LARGEST_VOXEL = 0.01, 50.0

_OF_NIBABEL = (ImageFileError, HeaderDataError, MGHError)
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, MemoryError, zlib.error, *_OF_NIBABEL)


class Scan(NamedTuple):
    """A volume and where it lies.

    Attributes:
        voxels: (X, Y, Z) as stored, scaled.
        affine: (4, 4) from voxels to RAS millimetres.
        stored_as: Type of the numbers in the file.
        nan: Share of voxels that were NaN, and are background.
        qform_mm: How far qform and sform, if both are set, put a corner of the volume apart; the sform is the affine.
    """

    voxels: Voxels
    affine: Matrix
    stored_as: str = "float32"
    nan: float = 0.0
    qform_mm: float = 0.0


def check_scan(path: Path) -> None:
    """Read the header of a scan and refuse what cannot be prepared.

    Raises:
        InputError: If it is no readable NIfTI or .mgz, not one volume of numbers, its voxel sizes make no sense, or
            nothing tells left from right.
    """
    _open(path)


def read_scan(path: Path, nan_as_background: bool = False) -> Scan:
    """Read the scaled voxels of a scan, without trailing axes of length 1.

    Args:
        path: The file.
        nan_as_background: Take NaN as 0, or as the lowest value where that is below 0, instead of refusing it.

    Raises:
        InputError: As `check_scan`; also if the file is cut off, or its voxels are constant, NaN or infinite.
    """
    image = _open(path)
    with np.errstate(over="ignore", invalid="ignore"):
        voxels = _readable(path, lambda: verified(path, image).get_fdata(dtype=np.float32, caching="unchanged"))
    voxels = voxels.reshape(voxels.shape[:3])
    nan = np.isnan(voxels)
    if nan_as_background and nan.any() and not nan.all():
        voxels = np.where(nan, min(np.float32(0), np.nanmin(voxels)), voxels)
    odd = int((~np.isfinite(voxels)).sum())
    if odd:
        raise InputError(
            f"{path} has {odd} voxels that are NaN or infinite: repair it, leave it out, or, if NaN is its background, "
            "give --nan_as_background"
        )
    if voxels.min() == voxels.max():
        raise InputError(f"{path} has the same value {voxels.min():g} in every voxel: leave it out")
    affine = np.asarray(image.affine, dtype=np.float64)
    return Scan(voxels, affine, str(image.get_data_dtype()), float(nan.mean()), _qform_mm(image))


def shear_degrees(affine: Matrix) -> float:
    """Return by how much the axes of voxels are off right angles, at most: 0 unless an affine (4, 4) shears."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(np.triu(axes.T @ axes, 1)).max()
    return float(np.degrees(np.arcsin(min(cosines, 1.0))))


def _qform_mm(image: Any) -> float:
    header = image.header
    if isinstance(image, nib.MGHImage) or not (header["qform_code"] and header["sform_code"]):
        return 0.0
    try:
        apart = header.get_qform() - header.get_sform()
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):
        return 0.0  # a qform that says nothing
    corners = np.stack(np.meshgrid(*((0, side - 1) for side in image.shape[:3]), [1])).reshape(4, -1)
    return float(np.linalg.norm((apart @ corners)[:3], axis=0).max().round(3))


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
            f"sizes must be in mm, above 0 and below {LARGEST_VOXEL:g}{_in_other_units(zooms)}"
        )
    if zooms.min() < SMALLEST_VOXEL:
        raise InputError(f"{path} has voxel sizes {stored.tolist()}, which must be in mm{_in_other_units(zooms)}")


def _in_other_units(zooms: Matrix) -> str:
    """Say which unit voxel sizes seem to be in, if they are not in mm."""
    units = {"metres": 1000.0, "micrometres": 0.001}
    fitting = [
        (name, factor) for name, factor in units.items() if 0.1 <= zooms.min() * factor <= zooms.max() * factor <= 10
    ]
    return "".join(
        f"; these look like {name}: multiply voxel sizes and affine by {factor:g}, and save it"
        for name, factor in fitting
    )
