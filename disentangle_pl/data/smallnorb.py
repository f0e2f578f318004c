"""The published SmallNORB matrices, checked before training, then shrunk and kept in memory."""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.resize import lanczos
from disentangle_pl.errors import InputError

PARTS = ("smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing")
SHA256 = {
    f"{PARTS[0]}-dat.mat.gz": "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
    f"{PARTS[0]}-cat.mat.gz": "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
    f"{PARTS[0]}-info.mat.gz": "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32",
    f"{PARTS[1]}-dat.mat.gz": "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
    f"{PARTS[1]}-cat.mat.gz": "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
    f"{PARTS[1]}-info.mat.gz": "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2",
}
SOURCE = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small"
SIZES = {"category": 5, "elevation": 9, "azimuth": 18, "lighting": 6, "instance": 10}
BYTES, INTEGERS = 0x1E3D4C55, 0x1E3D4C54  # what a matrix begins with
PUBLISHED = (96, 96)
PIXELS = (64, 64)
CHUNK = 256  # stereo pairs read at a time: 4.5 MiB


class SmallNORB(FactorDataset):
    """The 48,600 grey images of SmallNORB's first camera: category x elevation x azimuth x lighting x instance.

    An instance is one of ten toys of a category; instances of different categories have nothing to do with each other.
    The grid names that factor a nuisance, which tells images apart and is not scored; the study of Locatello et al.
    2019 draws it at random. Training and testing parts are joined, as there.

    The constructor reads the labels and no image; the images are read at the first use, shrunk from 96 x 96 to 64 x 64
    pixels by a Lanczos filter as in the study, and kept as bytes, 199 MB. Where the filter overshoots, the study keeps
    values below 0 and above 1; here they are cut off.

    Source: LeCun, Huang & Bottou, Learning Methods for Generic Object Recognition, 2004.

    Args:
        path: The folder with the six published files, -dat.mat, -cat.mat and -info.mat of the training and of the
            testing part, or their .mat.gz.

    Raises:
        InputError: If a file is missing, truncated, or holds anything but SmallNORB; damage within the compressed
            images shows at the first use.
    """

    nuisance: tuple[str, ...] = ("instance",)

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.shape = (1, *PIXELS)
        self.factors = FactorSpace(tuple(SIZES), tuple(SIZES.values()), self.nuisance)
        self.pairs = len(self) // len(PARTS)
        for part in PARTS:
            with _matrix(self.path, f"{part}-dat", self.pairs, (2, *PUBLISHED)):
                pass
        self.place = np.concatenate([self._place(part) for part in PARTS])
        if len(np.unique(self.place)) < len(self):
            raise _wrong(self.path / f"{PARTS[0]}-info.mat", "does not list every combination of the factors once")

    def images(self, index: Tensor) -> Tensor:
        """Look up (B, 1, 64, 64) on the device of the grid index (B,)."""
        if self._pixels.device != index.device:
            self._pixels = self._pixels.to(index.device)
        return self._pixels[index].float().div_(255)

    @cached_property
    def _pixels(self) -> Tensor:
        pixels = np.empty((len(self), *PIXELS), np.uint8)
        done = 0
        for images in self._left_images():
            pixels[self.place[done : done + len(images)]] = lanczos(images, PIXELS)
            done += len(images)
        return torch.from_numpy(pixels).unsqueeze(1)

    def _left_images(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the first images (n, 96, 96) of the stereo pairs, both parts in the order of the files."""
        rows = [min(CHUNK, self.pairs - start) for start in range(0, self.pairs, CHUNK)]
        for part in PARTS:
            # A console of its own, left as it was found: the progress bar of the training may already be on the screen.
            bar = track(rows, f"reading {part}", console=Console(), transient=True)
            with _matrix(self.path, f"{part}-dat", self.pairs, (2, *PUBLISHED)) as file:
                for count in bar:
                    pairs = _read(file, count * 2 * math.prod(PUBLISHED))
                    yield np.frombuffer(pairs, np.uint8).reshape(count, 2, *PUBLISHED)[:, 0]
                file.read(1)  # a compressed file compares its checksum only here

    def _place(self, part: str) -> NDArray[np.int64]:
        """Return the grid index of every stereo pair of a part."""
        with _matrix(self.path, f"{part}-cat", self.pairs, ()) as file:
            category = np.frombuffer(_read(file, 4 * self.pairs), "<i4")
        with _matrix(self.path, f"{part}-info", self.pairs, (4,)) as file:
            info = np.frombuffer(_read(file, 16 * self.pairs), "<i4").reshape(self.pairs, 4)
        instance, elevation, azimuth, lighting = info.T
        factors = np.stack([category, elevation, azimuth // 2, lighting, instance])  # azimuths are even numbers
        if (factors < 0).any() or (factors.max(1) >= self.factors.sizes).any() or (azimuth % 2).any():
            raise _wrong(self.path / f"{part}-info.mat", "has a label out of range")
        place: NDArray[np.int64] = np.ravel_multi_index(tuple(factors), self.factors.sizes)
        return place


@contextmanager
def _matrix(folder: Path, name: str, pairs: int, shape: tuple[int, ...]) -> Iterator[BufferedIOBase]:
    """Open a matrix (pairs, *shape) just behind its header, and say what is wrong with the file if it is damaged."""
    plain, packed = folder / f"{name}.mat", folder / f"{name}.mat.gz"
    path = plain if plain.is_file() else packed
    if not path.is_file():
        raise _wrong(plain, "does not exist")
    kind, size = (BYTES, 1) if name.endswith("dat") else (INTEGERS, 4)
    try:
        with gzip.open(path) if path == packed else path.open("rb") as file:
            header = _header(file)
            if header != (kind, (pairs, *shape)):
                raise _wrong(path, f"is a matrix {header[0]:#x} of shape {header[1]}, not {kind:#x} {(pairs, *shape)}")
            expected = file.tell() + pairs * math.prod(shape) * size
            if _length(path) != expected:
                raise EOFError(f"{_length(path)} bytes instead of {expected}")
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise _wrong(path, f"is damaged or no SmallNORB matrix ({error})") from error


def _header(file: BufferedIOBase) -> tuple[int, tuple[int, ...]]:
    kind, count = struct.unpack("<2i", _read(file, 8))
    stored = max(3, min(count, 8))  # at least three sizes, whatever the number of dimensions
    return kind, struct.unpack(f"<{stored}i", _read(file, 4 * stored))[:count]


def _length(path: Path) -> int:
    """Return the bytes of the matrix without reading them: a compressed file ends with their number."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def _read(file: BufferedIOBase, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError(f"it ends {size - len(data)} bytes early")
    return data


def _wrong(path: Path, what: str) -> InputError:
    name = f"{path.name.removesuffix('.gz')}.gz"
    files = f"{name} (sha256 {SHA256[name]}) and its five companions"
    return InputError(f"{path} {what}: give the path of the folder with {files}, which {SOURCE} offers")
