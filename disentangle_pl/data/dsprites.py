"""The published dSprites file, checked before training and kept in memory at one bit a pixel."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.errors import InputError

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
SOURCE = "https://github.com/google-deepmind/dsprites-dataset"
SIZES = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
PIXELS = (64, 64)
CHUNK = 512  # images decompressed at a time: 2 MiB


class DSprites(FactorDataset):
    """The 737,280 binary images of dSprites: shape x scale x orientation x horizontal x vertical position.

    The constructor checks the file without reading its images; they are read at the first use, and packed to one bit
    a pixel, 377 MB instead of 3 GB. The colour of dSprites has one value only and is left out of the factors.

    Source: Matthey et al., dSprites: Disentanglement testing Sprites dataset, 2017.

    Args:
        path: The published file, dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz.

    Raises:
        InputError: If the file is missing, damaged, or holds anything but dSprites; damage within the images, and
            pixels other than 0 and 1, show at the first use.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.shape = (1, *PIXELS)
        self.factors = FactorSpace(tuple(SIZES), tuple(SIZES.values()))
        with _array(self.path, "imgs", (len(self), *PIXELS), np.uint8):
            pass
        latents = (len(self), 1 + len(SIZES))
        with _array(self.path, "latents_classes", latents, np.int64) as file:
            classes = np.frombuffer(_read(file, latents, np.int64), np.int64).reshape(latents)
            if not np.array_equal(classes, _grid(self.factors)):
                raise _wrong(self.path, "does not list its images in the order of their factors")

    def images(self, index: Tensor) -> Tensor:
        """Unpack (B, 1, 64, 64), zeros and ones, on the device of the grid index (B,)."""
        if self._packed.device != index.device:
            self._packed = self._packed.to(index.device)
        place = torch.arange(7, -1, -1, dtype=torch.uint8, device=index.device)
        bits = self._packed[index].unsqueeze(-1).bitwise_right_shift(place).bitwise_and(1)
        return bits.float().view(-1, *self.shape)

    @cached_property
    def _packed(self) -> Tensor:
        packed = np.empty((len(self), PIXELS[0] * PIXELS[1] // 8), np.uint8)
        for start, images in zip(range(0, len(self), CHUNK), self._read_images(), strict=True):
            packed[start : start + CHUNK] = np.packbits(images, axis=1)
        return torch.from_numpy(packed)

    def _read_images(self) -> Iterator[NDArray[np.uint8]]:
        rows = [min(CHUNK, len(self) - start) for start in range(0, len(self), CHUNK)]
        # A console of its own, left as it was found: the progress bar of the training may already be on the screen.
        bar = track(rows, "reading dSprites", console=Console(), transient=True)
        with _array(self.path, "imgs", (len(self), *PIXELS), np.uint8) as file:
            for count in bar:
                images = np.frombuffer(_read(file, (count, *PIXELS), np.uint8), np.uint8)
                if images.max() > 1:
                    raise _wrong(self.path, f"has a pixel of value {images.max()}, not 0 or 1")
                yield images.reshape(count, -1)


@contextmanager
def _array(path: Path, key: str, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[IO[bytes]]:
    """Open an array of the archive just behind its header, and say what is wrong with the file if it is damaged."""
    if not path.is_file():
        raise _wrong(path, "does not exist")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            header = _header(file)
            if header != (shape, False, np.dtype(dtype)):
                raise _wrong(
                    path, f"has {key} of shape {header[0]} and type {header[2]}, not {shape} {np.dtype(dtype)}"
                )
            yield file
    except InputError:
        raise
    except KeyError as error:
        raise _wrong(path, f"has no array {key}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise _wrong(path, f"is damaged or not an .npz archive ({error})") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _read(file: IO[bytes], shape: tuple[int, ...], dtype: DTypeLike) -> bytes:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = file.read(size)
    if len(data) < size:
        raise EOFError(f"an array ends {size - len(data)} bytes early")
    return data


def _grid(factors: FactorSpace) -> NDArray[np.int64]:
    """List the classes (N, 1 + k) of all images: the one colour, then the factors."""
    index = np.arange(len(factors))
    return np.stack([np.zeros_like(index), *np.unravel_index(index, factors.sizes)], axis=1)


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}: give the path of {FILE}, which {SOURCE} offers")
