"""The file of a scan: NIfTI or .mgz, plain or a member of a .zip archive; and what stands in for one."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import nibabel as nib
import numpy as np
import numpy.typing as npt

from disentangle_pl.brain.placeholders import placeholder
from disentangle_pl.errors import InputError

ABSENT = "is not there"
_MGH, _GZIPPED = (".mgz", ".mgh"), (".gz", ".mgz")
_GOOD_RAS = slice(28, 30)
"""Where an .mgz header says that its direction cosines are set."""


def archive_of(path: Path) -> tuple[Path, str] | None:
    """Return the archive and the member of a path such as 1000001_20252_2_0.zip/T1/T1.nii.gz; None for any other."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def absence(path: Path) -> str | None:
    """Tell why there is no scan at a path; None if there is one."""
    inside = archive_of(path)
    if inside is not None:
        return _absent_member(*inside)
    if path.is_file():
        return None
    return placeholder(path) or ("links to nothing" if path.is_symlink() else ABSENT)


def size_and_time(path: Path) -> tuple[int, int]:
    """Return size in bytes and time of change in ns; those of the archive for its member.

    Raises:
        OSError: If it is not there.
    """
    inside = archive_of(path)
    at = (inside[0] if inside else path).stat()
    return at.st_size, at.st_mtime_ns


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, or a member of an archive, without unpacking the others.

    Raises:
        OSError: If it is not there, or the archive is damaged.
    """
    inside = archive_of(path)
    if inside is None:
        with path.open("rb") as file:
            yield file
        return
    yield io.BytesIO(_member(*inside, size_and_time(path)))


def load_image(path: Path) -> Any:
    """Open an image of nibabel; its header is read, its voxels are not.

    Raises:
        InputError: If the file is a placeholder for one, or DICOM.
        OSError, ValueError, ...: As nibabel.
    """
    instead = placeholder(path)
    if instead:
        raise InputError(f"{path} {instead}")
    kind = nib.MGHImage if path.suffix in _MGH else nib.Nifti1Image
    if kind is nib.Nifti1Image and archive_of(path) is None:
        return nib.load(path)
    with opened(path) as file:  # nibabel leaves .mgh files open
        content = io.BytesIO(file.read())
    return kind.from_stream(gzip.GzipFile(fileobj=content) if path.suffix in _GZIPPED else content)


def verified(path: Path, image: Any) -> Any:
    """Read a compressed image to its check sum: nibabel stops where the voxels end, and damage would go unseen."""
    if path.suffix not in _GZIPPED:
        return image
    with opened(path) as file:
        return type(image).from_bytes(gzip.decompress(file.read()))


def is_oriented(image: Any) -> bool:
    """Tell whether an image says how it lies: nibabel would take a guess for one that does not."""
    if isinstance(image, nib.MGHImage):
        return any(_header(image)[_GOOD_RAS])
    return bool(image.header["qform_code"] or image.header["sform_code"])


def stored_zooms(image: Any) -> npt.NDArray[np.float64]:
    """Read the voxel sizes (3,) as stored: nibabel repairs those of NIfTI when it opens the file."""
    if isinstance(image, nib.MGHImage):
        return np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
    header = type(image.header).from_fileobj(io.BytesIO(_header(image)), check=False)
    return np.asarray(header["pixdim"][1:4], dtype=np.float64)


def _header(image: Any) -> bytes:
    with image.file_map["image"].get_prepare_fileobj("rb") as file:
        content: bytes = file.read(1024)
    return content


@lru_cache(maxsize=1)  # a scan is checked, measured and read one after the other
def _member(archive: Path, name: str, stamp: tuple[int, int]) -> bytes:
    try:
        with ZipFile(archive) as file:
            return file.read(name)
    except (BadZipFile, KeyError, zlib.error) as error:
        raise OSError(f"{name} of {archive.name}: {error}") from error


def _absent_member(archive: Path, name: str) -> str | None:
    try:
        with ZipFile(archive) as file:
            names = file.namelist()
    except (BadZipFile, OSError) as error:
        return f"lies in {archive.name}, which cannot be opened ({error}): download it again"
    if name in names:
        return None
    unusable = any("/unusable/" in each for each in names)
    return f"is not in the archive{', whose scan UK Biobank has put under unusable' if unusable else ''}"
