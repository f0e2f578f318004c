"""The published 3D Shapes file, checked before training and never loaded whole."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.unpacked import Pixels, gather, map_bytes, unpack
from disentangle_pl.errors import InputError
from disentangle_pl.folders import user_cache

FILE = "3dshapes.h5 (sha256 0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785)"
SOURCE = "https://storage.googleapis.com/3d-shapes/3dshapes.h5"
SIZES = {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15}
PIXELS = (64, 64, 3)
CHUNK = 1024  # images unpacked at a time, if the file is cut finer


class Shapes3D(FactorDataset):
    """The 480,000 colour images of 3D Shapes: floor hue x wall hue x object hue x scale x shape x orientation.

    The constructor checks the labels and reads no image. The published file is compressed in pieces that span many
    images; at the first use it is unpacked into the cache, once for all runs: 5.9 GB on disk, in memory no more than
    the images that one row of pieces spans. From then on a batch is read from disk by its rows. An uncompressed copy of
    the file is read where it lies.

    Source: Burgess & Kim, 3D Shapes Dataset, 2018; used in Kim & Mnih, Disentangling by Factorising (arXiv 1802.05983).

    Args:
        path: The published file, 3dshapes.h5.
        cache: Folder for the unpacked images; null for $XDG_CACHE_HOME/disentangle_pl or ~/.cache/disentangle_pl.

    Raises:
        InputError: If the file is missing, truncated, or holds anything but 3D Shapes; damage within the compressed
            images shows at the first use.
    """

    def __init__(self, path: str, cache: str | None = None) -> None:
        self.path = Path(path)
        self.cache = Path(cache) if cache else user_cache()
        self.shape = (PIXELS[2], *PIXELS[:2])
        self.factors = FactorSpace(tuple(SIZES), tuple(SIZES.values()))
        with _array(self.path, "images", (len(self), *PIXELS), np.uint8):
            pass
        with _array(self.path, "labels", (len(self), len(SIZES)), np.float64) as labels:
            if not _in_order(labels[:], self.factors.sizes):
                raise _wrong(self.path, "does not list its images in the order of their factors")

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped file out: pickled, it would be copied whole."""
        return {name: value for name, value in vars(self).items() if name != "_pixels"}

    def images(self, index: Tensor) -> Tensor:
        """Read (B, 3, 64, 64) to the device of the grid index (B,)."""
        return gather(self._pixels, index)

    @cached_property
    def _pixels(self) -> Pixels:
        shape = (len(self), *PIXELS)
        with _array(self.path, "images", shape, np.uint8) as images:
            offset = images.id.get_offset()  # None where the array is compressed or cut into pieces
        if offset is not None:
            return map_bytes(self.path, offset, shape)
        with self.path.open("rb") as file:
            key = hashlib.file_digest(file, "sha256").hexdigest()[:20]
        return unpack(self.cache / f"3dshapes-{key}.npy", shape, self._read_images())

    def _read_images(self) -> Iterator[NDArray[np.uint8]]:
        with _array(self.path, "images", (len(self), *PIXELS), np.uint8) as images:
            deep = images.chunks[0] if images.chunks else 1
            step = deep * max(1, CHUNK // deep)  # whole pieces, so that none is decompressed twice
            starts = range(0, len(self), step)
            for start in track(starts, "unpacking 3D Shapes", console=Console(), transient=True):
                yield images[start : start + step]


@contextmanager
def _array(path: Path, key: str, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[Any]:
    """Open an array of the file, and say what is wrong with the file if it is damaged."""
    if not path.is_file():
        raise _wrong(path, "does not exist")
    try:
        with h5py.File(path, "r") as file:
            array = file.get(key)
            if not isinstance(array, h5py.Dataset):
                raise _wrong(path, f"has no array {key}")
            if (array.shape, array.dtype) != (shape, np.dtype(dtype)):
                contents = f"{key} of shape {array.shape} and type {array.dtype}"
                raise _wrong(path, f"has {contents}, not {shape} {np.dtype(dtype)}")
            yield array
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise _wrong(path, f"is damaged or no HDF5 file ({error})") from error


def _in_order(labels: NDArray[np.float64], sizes: tuple[int, ...]) -> bool:
    """Tell whether every label rises along its own axis of the grid and stays the same along the others."""
    grid = labels.reshape(*sizes, len(sizes))
    for axis, size in enumerate(sizes):
        values = np.moveaxis(grid[..., axis], axis, 0).reshape(size, -1)
        if (values != values[:, :1]).any() or (np.diff(values[:, 0]) <= 0).any():
            return False
    return True


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}: give the path of {FILE}, which {SOURCE} offers")
