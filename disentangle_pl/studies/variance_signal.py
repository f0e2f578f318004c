"""Signals on a factor grid: images, codes or decoded images, asked for by grid index."""

from collections.abc import Callable
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.errors import InputError

BATCH = 256
LISTED = 2**24
Lookup: TypeAlias = Callable[[Tensor], Tensor]


class Signal(NamedTuple):
    """Something that has a vector at every point of a grid.

    Attributes:
        space: The grid.
        lookup: Maps grid index (B,) to vectors (B, D).
        width: D.
    """

    space: FactorSpace
    lookup: Lookup
    width: int

    def at(self, index: Tensor) -> Tensor:
        """Return the vectors (..., D) at grid index (...), `BATCH` at a time."""
        rows = [self.lookup(some) for some in torch.split(index.flatten(), BATCH)]
        return torch.cat(rows).view(*index.shape, self.width)


def image_signal(dataset: FactorDataset) -> Signal:
    """Return the images of a data set as vectors."""
    return Signal(dataset.factors, lambda index: dataset.images(index).flatten(1), prod(dataset.shape))


class BitMemory:
    """Remembers vectors of zeros and ones at one bit a number, so that images that are drawn are drawn once.

    The first vector with another number ends the remembering.

    Args:
        signal: What to remember.
    """

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.bits = np.zeros((len(signal.space), -(-signal.width // 8)), np.uint8)
        self.known = torch.zeros(len(signal.space), dtype=torch.bool)
        self.binary = True

    def __call__(self, index: Tensor) -> Tensor:
        """Return the vectors (B, D) at grid index (B,)."""
        if self.binary and self.known[index].all():
            bits = np.unpackbits(self.bits[index.numpy()], axis=1, count=self.signal.width)
            return torch.from_numpy(bits).float()
        rows = self.signal.lookup(index)
        ones = rows == 1
        self.binary = self.binary and bool((ones | (rows == 0)).all())
        if self.binary:
            self.bits[index.numpy()] = np.packbits(ones.numpy(), axis=1)
            self.known[index] = True
        return rows


def remembered(signal: Signal, most: int = 512) -> Signal:
    """Return the same signal, whose vectors are kept if they are binary and take at most so many MiB in all."""
    if len(signal.space) * signal.width > most * 2**23:
        return signal
    return signal._replace(lookup=BitMemory(signal))


def table_signal(space: FactorSpace, rows: Tensor) -> Signal:
    """Return rows (N, D), one for each point of the grid."""
    return Signal(space, lambda index: rows[index], rows.shape[1])


def check_finite(values: Tensor) -> None:
    """Refuse values (...) that are NaN or infinite.

    Raises:
        InputError: If there is one.
    """
    if not values.isfinite().all():
        raise InputError("the images or codes hold a NaN or infinite value: check the data, or that training converged")


def varying(space: FactorSpace) -> list[int]:
    """Return the factors that take two values at least.

    Raises:
        InputError: If these are not two.
    """
    found = [k for k, size in enumerate(space.sizes) if size > 1]
    if len(found) < 2:
        raise InputError(
            f"variance is compared between two factors at least that take two values or more, and the data have {space}"
        )
    return found


def anchors_of(space: FactorSpace, k: int) -> int:
    """Return how many anchors factor k has: the points of the grid of all other factors."""
    return len(space) // space.sizes[k]


def slice_index(space: FactorSpace, k: int, anchors: Tensor) -> Tensor:
    """Return the grid index (A, n) of the n values of factor k at anchors (A,), in the order of the grid without k."""
    size, stride = space.sizes[k], space.strides[k]
    first = anchors // stride * (stride * size) + anchors % stride
    return first[:, None] + torch.arange(size) * stride


def anchor_factors(space: FactorSpace, k: int, anchors: Tensor) -> Tensor:
    """Return the factors (A, K) of anchors (A,), 0 in column k."""
    return space.to_factors(slice_index(space, k, anchors)[:, 0])


def draw_anchors(space: FactorSpace, k: int, most: int, generator: torch.Generator) -> Tensor:
    """Return all anchors of factor k in order, or `most` of them at random; none twice among 16 million or fewer."""
    number = anchors_of(space, k)
    if number <= most:
        return torch.arange(number)
    if number > LISTED:
        return torch.randint(number, (most,), generator=generator).sort().values
    return torch.randperm(number, generator=generator)[:most].sort().values
