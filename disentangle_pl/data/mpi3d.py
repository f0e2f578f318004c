"""The published MPI3D files, checked before training and never loaded whole."""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.unpacked import Pixels, gather, map_bytes, unpack
from disentangle_pl.errors import InputError
from disentangle_pl.folders import user_cache

FILES = {  # and their md5 sums, as far as they are known
    "mpi3d_toy.npz": "55889cb7c7dfc655d6e0277beee88868",
    "mpi3d_realistic.npz": "59a6225b88b635365f70c91b3e52f70f",
    "mpi3d_real.npz": "0f33f609918fb5c97996692f91129802",
    "real3d_complicated_shapes_ordered.npz": None,
}
SOURCE = "https://github.com/rr-learning/disentanglement_dataset"
NAMES = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)
GRIDS = ((6, 6, 2, 3, 3, 40, 40), (4, 4, 2, 3, 3, 40, 40))
PIXELS = (64, 64, 3)
CHUNK = 1024  # images unpacked at a time: 12 MiB
DAMAGE = (zipfile.BadZipFile, zlib.error, tokenize.TokenError, EOFError, OSError, ValueError, RuntimeError)


class MPI3D(FactorDataset):
    """The colour images of one MPI3D file: object colour x shape x size x camera height x background x two arm angles.

    The grid follows from the number of images: 6 colours and 6 shapes, 1,036,800 images, in mpi3d_toy, mpi3d_realistic
    and mpi3d_real; 4 colours and 4 shapes, 460,800 images, in the file of complex shapes and in the files of the
    NeurIPS 2019 challenge. The file says nothing else about its order, which is taken to be the published one.

    The constructor reads no image. An uncompressed archive is read where it lies, batch by batch; bytes changed within
    it go unnoticed. A compressed one is unpacked into the cache at the first use, once for all runs (12.7 GB on disk
    for 1,036,800 images), and compared with its checksum.

    Source: Gondal et al., On the Transfer of Inductive Bias from Simulation to the Real World (arXiv 1906.03292).

    Args:
        path: One of the published files, such as mpi3d_real.npz.
        cache: Folder for unpacked images; null for $XDG_CACHE_HOME/disentangle_pl or ~/.cache/disentangle_pl.

    Raises:
        InputError: If the file is missing, truncated, or holds anything but MPI3D; damage within compressed images
            shows at the first use.
    """

    def __init__(self, path: str, cache: str | None = None) -> None:
        self.path = Path(path)
        self.cache = Path(cache) if cache else user_cache()
        self.shape = (PIXELS[2], *PIXELS[:2])
        with _images(self.path) as (_, info, start):
            self.factors = FactorSpace(NAMES, _grid(self.path, info.file_size - start))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the mapped file out: pickled, it would be copied whole."""
        return {name: value for name, value in vars(self).items() if name != "_pixels"}

    def images(self, index: Tensor) -> Tensor:
        """Read (B, 3, 64, 64) to the device of the grid index (B,)."""
        return gather(self._pixels, index)

    @cached_property
    def _pixels(self) -> Pixels:
        shape = (len(self), *PIXELS)
        with _images(self.path) as (_, info, start):
            pass
        if info.compress_type == zipfile.ZIP_STORED:
            return map_bytes(self.path, _place(self.path, info) + start, shape)
        return unpack(self.cache / f"mpi3d-{info.CRC:08x}-{len(self)}.npy", shape, self._read_images())

    def _read_images(self) -> Iterator[NDArray[np.uint8]]:
        rows = [min(CHUNK, len(self) - start) for start in range(0, len(self), CHUNK)]
        with _images(self.path) as (file, _, _):
            for count in track(rows, "unpacking MPI3D", console=Console(), transient=True):
                data = file.read(count * math.prod(PIXELS))
                yield np.frombuffer(data, np.uint8).reshape(count, *PIXELS)
            file.read(1)  # the archive compares its checksum only here


class Member(NamedTuple):
    """The array of an archive, open just behind its header.

    Attributes:
        file: Of the images.
        info: What the archive says of it.
        start: The length of the header.
    """

    file: IO[bytes]
    info: zipfile.ZipInfo
    start: int


@contextmanager
def _images(path: Path) -> Iterator[Member]:
    """Open the images, and say what is wrong with the file if it is damaged."""
    if not path.is_file():
        raise _wrong(path, "does not exist")
    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
            shape, transposed, dtype = _header(file)
            if transposed or dtype != np.uint8 or shape[1:] != PIXELS:
                raise _wrong(path, f"has images of shape {shape} and type {dtype}, not (N, 64, 64, 3) uint8")
            info, start = archive.getinfo("images.npy"), file.tell()
            if info.file_size != start + math.prod(shape):
                raise EOFError(f"the images end {start + math.prod(shape) - info.file_size} bytes early")
            yield Member(file, info, start)
    except KeyError as error:
        raise _wrong(path, "has no array images") from error
    except DAMAGE as error:
        raise _wrong(path, f"is damaged or not an .npz archive ({error})") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _grid(path: Path, size: int) -> tuple[int, ...]:
    images = size // math.prod(PIXELS)
    fitting = [grid for grid in GRIDS if math.prod(grid) == images]
    if not fitting:
        raise _wrong(path, f"has {images} images, not {' or '.join(str(math.prod(grid)) for grid in GRIDS)}")
    return fitting[0]


def _place(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where the member's bytes begin; the archive's directory does not know how long its local header is."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<2H", file.read(4))
    return int(info.header_offset + 30 + name + extra)


def _wrong(path: Path, what: str) -> InputError:
    digest = FILES.get(path.name)
    *names, last = FILES
    return InputError(
        f"{path} {what}: give the path of {', '.join(names)} or {last}, which {SOURCE} offers"
        + (f" (md5 of {path.name}: {digest})" if digest else "")
    )
