"""All images, read once: who shares one, and their inner products, in bounded memory."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError
from disentangle_pl.studies.scan_codes import images_of

EDGE = 32
CHUNK, BLOCK = 16, 256
MOST = 10_000  # scans whose inner products are kept, in 400 MB

Products = NDArray[np.float32]


class Pictures(NamedTuple):
    """All images, in brief.

    Attributes:
        digests: (N,) sha256 of every image.
        products: (N, N) inner products of the images at a coarse resolution, after their mean is taken off; None of
            more than `MOST` images.
        unchanged: The same before voxels were changed; None if they were not.
    """

    digests: list[str]
    products: Products | None
    unchanged: Products | None = None


def brief_pictures(
    data: LongitudinalData,
    folder: Path,
    most: int = MOST,
    change: Callable[[NDArray[np.float32], NDArray[np.float32]], None] | None = None,
) -> Pictures:
    """Read every image once.

    Args:
        data: Set up; the images stay where they are.
        folder: Has room for the coarse images while they are multiplied, 128 KiB each.
        most: Images of which inner products are kept.
        change: Writes the coarse images (N, V), changed, to an array (N, V) in a file; None for none.
    """
    count, digests, voxels = len(data.visits), [], 0
    folder.mkdir(parents=True, exist_ok=True)
    chunks = np.array_split(np.arange(count), -(-count // CHUNK))
    with TemporaryFile(dir=folder) as file:
        for rows in track(chunks, "reading images", console=Console(stderr=True), transient=True):
            images = images_of(data, rows.astype(np.int64), torch.device("cpu"))
            digests += [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in images]
            if count <= most:
                step = [-(-size // EDGE) for size in images.shape[2:]]
                small = torch.nn.functional.avg_pool3d(images, step, ceil_mode=True).flatten(1).numpy()
                voxels = small.shape[1]
                file.write(small.astype(np.float32).tobytes())
        if count > most:
            return Pictures(digests, None)
        file.flush()
        small = np.memmap(file, np.float32, "r", shape=(count, voxels))
        products = inner_products(small)
        if change is None:
            return Pictures(digests, products)
        with TemporaryFile(dir=folder) as other:
            other.truncate(small.nbytes)
            changed = np.memmap(other, np.float32, "r+", shape=(count, voxels))
            change(small, changed)
            return Pictures(digests, inner_products(changed), products)


def inner_products(images: NDArray[np.float32], block: int = BLOCK) -> Products:
    """Return the inner products (N, N) of images (N, V), less their mean, of a few rows at a time."""
    total = sum(part.sum(axis=0, dtype=np.float64) for part in _blocks(images, block))
    mean = np.asarray(total / len(images), dtype=np.float32)
    products = np.empty((len(images), len(images)), np.float32)
    for i, one in enumerate(_blocks(images, block)):
        left = one - mean
        for j, other in enumerate(_blocks(images[: (i + 1) * block], block)):
            part = left @ (other - mean).T
            products[i * block : i * block + len(one), j * block : j * block + len(other)] = part
            products[j * block : j * block + len(other), i * block : i * block + len(one)] = part.T
    return products


def refuse_twins(visits: pd.DataFrame, digests: Sequence[str]) -> None:
    """Refuse people who share an image: they are one person, or one file has two names.

    Raises:
        InputError: If there are such people.
    """
    shared = visits["participant_id"].groupby(np.array(digests)).unique()
    twins = [listing(sorted(people)) for people in shared if len(people) > 1]
    if twins:
        raise InputError(f"{len(twins)} images are of several people ({twins[0]}): keep one of each, or mend the ids")


def _blocks(images: NDArray[np.float32], block: int) -> list[NDArray[np.float32]]:
    return [images[start : start + block] for start in range(0, len(images), block)]
