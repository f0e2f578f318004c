"""The published Cars3D files, checked before training, then shrunk and kept in memory."""

import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.resize import lanczos
from disentangle_pl.errors import InputError

FILES = "car_*_mesh.mat"
ARCHIVE = "nips2015-analogy-data.tar.gz (md5 4e866a7919c1beedf53964e6f7a23686)"
SOURCE = "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"
SIZES = {"elevation": 4, "azimuth": 24, "object": 183}
PUBLISHED = (128, 128, 3)
PIXELS = (64, 64)
DAMAGE = (
    MatReadError,
    NotImplementedError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    ZeroDivisionError,
    OSError,
    zlib.error,
)


class Cars3D(FactorDataset):
    """The 17,568 colour images of Cars3D: elevation x azimuth x object.

    The constructor looks at the headers of the 183 files; the images are read at the first use, shrunk from 128 x 128
    to 64 x 64 pixels by a Lanczos filter as in the study of Locatello et al. 2019, and kept as bytes, 216 MB. Objects
    are numbered by file name (the reference takes whatever order its file system lists them in).

    Source: Reed et al., Deep Visual Analogy-Making, 2015.

    Args:
        path: The folder `cars` of the published archive, with the files car_001_mesh.mat and so on.

    Raises:
        InputError: If files are missing, too many, damaged, or hold anything but Cars3D; damage within the images shows
            at the first use.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.shape = (3, *PIXELS)
        self.factors = FactorSpace(tuple(SIZES), tuple(SIZES.values()))
        self.files = sorted(self.path.glob(FILES))
        if len(self.files) != SIZES["object"]:
            raise _wrong(self.path, f"has {len(self.files)} files {FILES}, not {SIZES['object']}")
        expected = (*PUBLISHED, SIZES["azimuth"], SIZES["elevation"]), "uint8"
        for file in self.files:
            arrays = {name: (shape, dtype) for name, shape, dtype in _attempt(whosmat, file)}
            if arrays.get("im") != expected:
                raise _wrong(file, f"has an array im of {arrays.get('im')}, not {expected}")

    def images(self, index: Tensor) -> Tensor:
        """Look up (B, 3, 64, 64) on the device of the grid index (B,)."""
        if self._pixels.device != index.device:
            self._pixels = self._pixels.to(index.device)
        return self._pixels[index].float().div_(255)

    @cached_property
    def _pixels(self) -> Tensor:
        pixels = np.empty((*self.factors.sizes, *self.shape), np.uint8)
        # A console of its own, left as it was found: the progress bar of the training may already be on the screen.
        for number, file in enumerate(track(self.files, "reading Cars3D", console=Console(), transient=True)):
            pixels[:, :, number] = _views(file)
        return torch.from_numpy(pixels).flatten(0, 2)


def _views(file: Path) -> NDArray[np.uint8]:
    """Read all views (elevation, azimuth, C, H, W) of one object."""
    images = _attempt(lambda path: loadmat(path, variable_names=["im"])["im"], file).transpose(4, 3, 0, 1, 2)
    small = lanczos(images.reshape(-1, *PUBLISHED), PIXELS)
    return small.reshape(*images.shape[:2], *PIXELS, 3).transpose(0, 1, 4, 2, 3)


def _attempt(read: Callable[[Path], Any], file: Path) -> Any:
    try:
        return read(file)
    except DAMAGE as error:
        raise _wrong(file, f"is damaged or no .mat file ({error})") from error


def _wrong(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}: give the path of the folder cars of {ARCHIVE}, which {SOURCE} offers")
