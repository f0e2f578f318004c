"""Files with the same contents under several names."""

import hashlib
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.image_files import opened, size_and_time
from disentangle_pl.errors import InputError


def twins(paths: pd.Series) -> pd.Series:
    """Give files with identical contents the same number.

    Only files of the same size are read, so a folder of compressed scans is done in no time.

    Args:
        paths: N file names.

    Returns:
        (N,) the sha256 of the contents where another file has the same, and missing elsewhere.

    Raises:
        InputError: If a file cannot be read.
    """
    sizes = paths.map(_size)
    suspects = paths[sizes.duplicated(keep=False)]
    hashes = suspects.map(_sha256).reindex(paths.index)
    return hashes.where(hashes.duplicated(keep=False) & hashes.notna())


def _size(path: str) -> int:
    try:
        return size_and_time(Path(path))[0]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from error


def _sha256(path: str) -> str:
    try:
        with opened(Path(path)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from error
