"""Exact induced variances of a whole grid, in a few passes over its images and with bounded memory.

No image need be kept: the variance of a slice follows from the sum of its images and of their squares. A pass walks
over blocks that hold all values of some factors at fixed values of the others, so it finishes every slice of those
factors on the spot. As many factors share a pass as fit into a block.
"""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorSpace
from disentangle_pl.errors import InputError
from disentangle_pl.studies.variance_signal import Signal, anchors_of, check_finite, varying

MEMORY = 512  # MiB
BLOCK = 96  # MiB of a block where slices allow: small ones stay in the caches of the processor
DOUBLE = 2**27  # signals with more values than this are summed in single precision


class Moments(NamedTuple):
    """Exact variances of one factor.

    Attributes:
        amounts: (A,) V_k(a), anchors in the order of the grid without the factor; float64.
        main: tr Cov(E[x | v_k]).
    """

    amounts: Tensor
    main: float


def passes(space: FactorSpace, images: int) -> list[list[int]]:
    """Divide the factors into groups whose grids have at most so many images: the larger ones first.

    Args:
        space: The grid.
        images: That fit into a block; a factor that is larger has a pass of its own.
    """
    groups: list[list[int]] = []
    for k in sorted(varying(space), key=lambda k: -space.sizes[k]):
        fits = (group for group in groups if prod(space.sizes[i] for i in [*group, k]) <= images)
        group = next(fits, None)
        if group is None:
            groups.append([k])
        else:
            group.append(k)
    return [sorted(group) for group in groups]


def exact_moments(
    signal: Signal, *, memory: int = MEMORY, advance: Callable[[int], None] = lambda images: None
) -> dict[int, Moments]:
    """Return the exact variances of every factor that varies.

    Sums are taken in double precision, on large grids in single precision: exact for binary images, and to about 1e-5
    for others. Everything else is double.

    Args:
        signal: On the grid.
        memory: The most MiB that a block of images may take.
        advance: Called with the number of images that were read.

    Raises:
        InputError: If the slice of a factor does not fit into the memory, or a value is NaN or infinite.
    """
    kind, images = _block(signal, memory)
    space = signal.space
    found: dict[int, Moments] = {}
    for group in passes(space, images):
        found |= _one_pass(signal, group, images, kind, advance)
    for moments in found.values():
        check_finite(moments.amounts)
    return {k: found[k] for k in varying(space)}


def pass_count(signal: Signal, memory: int = MEMORY) -> int:
    """Return how often `exact_moments` reads every image.

    Raises:
        InputError: If the slice of a factor does not fit into the memory.
    """
    return len(passes(signal.space, _block(signal, memory)[1]))


def _block(signal: Signal, memory: int) -> tuple[torch.dtype, int]:
    """Return the precision of sums and the most images of a block."""
    kind = torch.float64 if len(signal.space) * signal.width <= DOUBLE else torch.float32
    each, largest = 2 * kind.itemsize * signal.width, max(signal.space.sizes)
    if largest * each > memory * 2**20:
        need = -(-largest * each // 2**20)
        raise InputError(
            f"{largest} values of {signal.width} numbers each need {need} MiB, more than the {memory} allowed: raise "
            "--memory or take smaller images"
        )
    return kind, max(largest, min(memory, BLOCK) * 2**20 // each)


def _one_pass(
    signal: Signal, group: Sequence[int], images: int, kind: torch.dtype, advance: Callable[[int], None]
) -> dict[int, Moments]:
    space = signal.space
    sizes = [space.sizes[k] for k in group]
    amounts = [torch.empty(anchors_of(space, k), dtype=torch.float64) for k in group]
    sums = [torch.zeros(size, signal.width, dtype=torch.float64) for size in sizes]
    for index in _blocks(space, group, images):
        block = signal.at(index).to(kind)
        advance(index.numel())
        squares = torch.einsum("...d,...d->...", block, block).double()
        totals = [block.sum(dim=1 + i) for i in range(len(group))]
        for i, (k, total) in enumerate(zip(group, totals, strict=True)):
            own = torch.einsum("...d,...d->...", total, total).double()
            place = _anchor(space, k, index.select(1 + i, 0))
            amounts[i][place] = (squares.mean(dim=1 + i) - own / sizes[i] ** 2).clamp(min=0)
            sums[i] += _marginal(block, totals, i)
    means = [total.double() / anchors_of(space, k) for total, k in zip(sums, group, strict=True)]
    return {
        k: Moments(amount, float(mean.var(dim=0, correction=0).sum()))
        for k, amount, mean in zip(group, amounts, means, strict=True)
    }


def _marginal(block: Tensor, totals: Sequence[Tensor], i: int) -> Tensor:
    """Sum a block (m, *sizes, D) over all factors but the i-th: (size, D), by way of a sum that is there already."""
    if len(totals) == 1:
        return block.sum(dim=0)
    other = 1 if i == 0 else 0
    axis = 1 + i - (i > other)
    total = totals[other]
    return total.sum(dim=[place for place in range(total.ndim - 1) if place != axis])


def _blocks(space: FactorSpace, group: Sequence[int], images: int) -> Iterator[Tensor]:
    """Yield grid indices (m, *sizes of the group) that cover the grid once."""
    inner = _grid(space, group)
    outer = _grid(space, [k for k in range(len(space.sizes)) if k not in group]).flatten()
    for some in torch.split(outer, max(1, images // inner.numel())):
        yield some.view(-1, *[1] * inner.ndim) + inner


def _grid(space: FactorSpace, factors: Sequence[int]) -> Tensor:
    """Return the part of the grid index that some factors make up: (*their sizes)."""
    index = torch.zeros((1,) * len(factors), dtype=torch.int64)
    for axis, k in enumerate(factors):
        shape = [-1 if i == axis else 1 for i in range(len(factors))]
        index = index + (torch.arange(space.sizes[k]) * space.strides[k]).view(shape)
    return index


def _anchor(space: FactorSpace, k: int, first: Tensor) -> Tensor:
    """Return which anchors of factor k the grid indices with value 0 of k are."""
    stride = space.strides[k]
    return first // (stride * space.sizes[k]) * stride + first % stride
