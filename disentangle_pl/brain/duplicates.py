"""The same image under several names, however it is stored."""

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError

from disentangle_pl.brain.image_files import load_image
from disentangle_pl.errors import InputError


def twins(paths: pd.Series) -> pd.Series:
    """Give scans with identical contents the same number: the same voxels at the same place, however compressed.

    Headers tell most scans apart, and a slice tells most others; only where both agree a scan is read whole.

    Args:
        paths: N file names of scans.

    Returns:
        (N,) the sha256 of shape, affine and scaled voxels where another scan has the same, and missing elsewhere.

    Raises:
        InputError: If a file cannot be read.
    """
    files = pd.Series(paths.unique(), dtype=object)
    contents = pd.Series("", index=files.index, dtype=object)
    for look in (_place, _plane, _voxels):
        contents = contents + files[contents.index].map(look)
        contents = contents[contents.duplicated(keep=False)]
    images = pd.Series(contents.to_numpy(), index=files[contents.index].to_numpy(), dtype=object)
    names = paths.map(images).astype(object).fillna(paths.where(paths.duplicated(keep=False)))
    return names.where(names.notna(), None).map(lambda text: _sha256(text.encode()), na_action="ignore")


def copies(people: pd.Series, images: pd.Series) -> "pd.Series[bool]":
    """Tell all but the first of the scans (N,) of a person that have the same contents (N,), missing where unique."""
    return images.notna() & pd.DataFrame({"person": people, "image": images}).duplicated()


def copied(visits: pd.DataFrame, images: pd.Series) -> pd.DataFrame:
    """Say of what each of the `copies` of a table is one: columns path and reason, as of scans that are left out."""
    first = visits["path"].groupby([visits["participant_id"], images]).transform("first")
    again = copies(visits["participant_id"], images)
    reason = "is the same image of the same person as " + first[again].astype("str")
    return pd.DataFrame({"path": visits["path"][again], "reason": reason}).reset_index(drop=True)


def same_volumes(crcs: pd.Series, content: Callable[[int], bytes]) -> pd.Series:
    """Give volumes of identical bytes the same number.

    Args:
        crcs: (N,) CRC-32 of the bytes of every volume.
        content: Gives the bytes of the i-th volume; only those of the same CRC are looked at.

    Returns:
        (N,) missing where no other volume is the same.
    """
    digests_of_rows = pd.Series(None, index=crcs.index, dtype=object)
    positions = pd.Series(range(len(crcs)))
    for crc, rows in positions.groupby(crcs.to_numpy()):
        if len(rows) > 1:
            digests = [_sha256(content(row))[:16] for row in rows]
            digests_of_rows.iloc[rows.to_numpy()] = [f"{crc:08x}-{digest}" for digest in digests]
    return digests_of_rows.where(digests_of_rows.duplicated(keep=False) & digests_of_rows.notna(), None)


def _place(path: str) -> str:
    image = _open(path)
    return f"{tuple(map(int, image.shape[:3]))} {(np.round(image.affine, 2) + 0.0).tolist()} "


def _plane(path: str) -> str:
    image = _open(path)
    return _digest(path, lambda: image.dataobj[:, :, image.shape[2] // 4])


def _voxels(path: str) -> str:
    return _digest(path, lambda: _open(path).dataobj)


def _digest(path: str, voxels: Callable[[], Any]) -> str:
    values = _read(path, lambda: np.asarray(voxels(), dtype=np.float32)).ravel(order="F")
    return _sha256((values + np.float32(0)).tobytes())  # -0 is 0


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _open(path: str) -> Any:
    return _read(path, lambda: load_image(Path(path)))


def _read(path: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, MGHError) as error:
        raise InputError(f"{path} cannot be read ({error})") from error
