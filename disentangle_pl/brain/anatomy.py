"""A head as fractions of tissue in every voxel, the raw material of simulated scans."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from disentangle_pl.errors import InputError

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

TISSUES = (
    "cortex",
    "white_matter",
    "ventricles",
    "csf",
    "hippocampus",
    "thalamus",
    "striatum",
    "cerebellar_cortex",
    "cerebellar_white_matter",
    "lesions",
)
CORTEX, WHITE, VENTRICLES, CSF, HIPPOCAMPUS, THALAMUS, STRIATUM, CEREBELLAR_CORTEX, CEREBELLAR_WHITE, LESIONS = range(
    10
)
MEANS = np.array([96, 160, 44, 44, 96, 132, 112, 88, 136, 116], dtype=np.float32) / 160
"""T1-weighted intensity of every tissue, white matter at 1."""
_MEMBERS = {"frac.npy", "affine.npy"}
_UNREADABLE = (OSError, EOFError, ValueError, NotImplementedError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class Anatomy:
    """Where which tissue is.

    Attributes:
        fractions: (10, n, n, n) in [0, 1], in the order of `TISSUES`; their sum is the share of the voxel that lies
            within the skull. The hippocampus comes with the amygdala.
        detail: (n, n, n) what the T1-weighted intensity has beyond the sum of fractions times `MEANS`.
        affine: (4, 4) from voxels to RAS millimetres, with cubic voxels along the axes.
    """

    fractions: Array
    detail: Array
    affine: Matrix

    @property
    def size(self) -> int:
        """Voxels along every axis."""
        return int(self.fractions.shape[-1])

    @property
    def spacing(self) -> float:
        """Edge of a voxel in mm."""
        return float(self.affine[0, 0])


def count_anatomies(path: Path, size: int) -> int:
    """Check a file of anatomies by its headers, and return how many there are.

    Args:
        path: An .npz with `frac` uint8 (K, 11, n, n, n), the fractions of background and `TISSUES` in 255ths, and
            `affine` (4, 4).
        size: Wanted voxels along every axis: n, or n divided by a whole number.

    Raises:
        InputError: If the file is missing or of another form.
    """
    shape, _ = _open(path, size)
    return shape[0]


def read_anatomy(path: Path, index: int, size: int) -> Anatomy:
    """Read one anatomy of a file; no more than one is held in memory.

    Args:
        path: As for `count_anatomies`.
        index: Which one, from 0.
        size: Voxels along every axis; coarser ones are averages of finer ones.

    Raises:
        InputError: As `count_anatomies`.
    """
    shape, affine = _open(path, size)
    each = int(np.prod(shape[1:]))
    try:
        with zipfile.ZipFile(path) as archive, archive.open("frac.npy") as file:
            _header(file)
            for _ in range(index):
                file.read(each)
            raw = np.frombuffer(file.read(each), dtype=np.uint8).reshape(shape[1:])
    except _UNREADABLE as error:
        raise InputError(f"anatomy {index} of {path} cannot be read ({error}): the file may be cut off") from error
    times = shape[-1] // size
    blocks = raw.reshape(len(raw), size, times, size, times, size, times)
    fractions = blocks.mean((2, 4, 6), dtype=np.float32)
    fractions = fractions[1:] / np.maximum(fractions.sum(0), 1)
    coarser = np.diag([times, times, times, 1.0])
    coarser[:3, 3] = (times - 1) / 2
    return Anatomy(fractions, np.zeros_like(fractions[0]), affine @ coarser)


def _open(path: Path, size: int) -> tuple[tuple[int, ...], Matrix]:
    try:
        with zipfile.ZipFile(path) as archive:
            missing = _MEMBERS - set(archive.namelist())
            if missing:
                raise InputError(f"{path} lacks {', '.join(sorted(missing))}: it needs arrays frac and affine")
            with archive.open("frac.npy") as file:
                shape, dtype, fortran = _header(file)
            with archive.open("affine.npy") as file:
                affine = np.lib.format.read_array(file, allow_pickle=False).astype(np.float64)
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read as anatomies ({error}): give an .npz with frac and affine") from error
    cube = len(shape) == 5 and shape[1] == 1 + len(TISSUES) and len(set(shape[2:])) == 1
    if not cube or min(shape) < 1 or dtype != np.uint8 or fortran:
        raise InputError(f"{path} has frac {shape} of {dtype}: it must be uint8 (K, 11, n, n, n) in C order")
    if shape[-1] % size:
        raise InputError(f"{path} has {shape[-1]} voxels a side: give --size {shape[-1]} or a divisor, not {size}")
    _check_affine(path, affine)
    return shape, affine


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, dtype, fortran


def _check_affine(path: Path, affine: Matrix) -> None:
    if affine.shape != (4, 4) or not np.allclose(affine[:3, :3], affine[0, 0] * np.eye(3)) or affine[0, 0] <= 0:
        raise InputError(f"{path} has the affine {affine.tolist()}: its voxels must be cubes along the RAS axes")
