"""Scans that cannot be what they promise, found without reading them whole."""

import gzip
from pathlib import Path

import numpy as np

from disentangle_pl.brain.image_files import load_image, opened
from disentangle_pl.brain.nifti import check_scan, read_scan
from disentangle_pl.errors import InputError

_GZIP_SIZES = 2**32


def problem(path: Path) -> str | None:
    """Tell what is wrong with a scan, None if nothing is seen.

    The header is checked, and whether the length of the contents is what it promises; a .gz file states its length
    in its last four bytes. Only where they differ, the scan is read to the end. NaN, constant voxels and damaged bytes
    in the middle are seen when a scan is prepared.
    """
    try:
        check_scan(path)
        if not _is_whole(path):
            read_scan(path)
    except InputError as error:
        return str(error).removeprefix(f"{path} ")
    return None


def _is_whole(path: Path) -> bool:
    voxels = load_image(path).dataobj
    promised: int = voxels.offset + int(np.prod(voxels.shape)) * voxels.dtype.itemsize
    with opened(path) as file:
        if file.read(2) != gzip.compress(b"")[:2]:
            return file.seek(0, 2) >= promised
        file.seek(-4, 2)
        return int.from_bytes(file.read(), "little") == promised % _GZIP_SIZES
