"""Principal components of a whole grid, and of the neighbourhoods of its points."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.variance_directions import LocalAlignment, local_alignment
from disentangle_pl.studies.variance_signal import Signal, check_finite, varying

MOST = 32
SMALL = 1536
POINTS = 8192
TOGETHER = 32


class Components(NamedTuple):
    """Global principal components.

    Attributes:
        vectors: (J, D) orthonormal, the first with the largest variance.
        eigenvalues: (J,) float64.
        explained: Their share of the variance.
        mean: (D,).
        sampled: How many points they come from; 0 for the whole grid.
    """

    vectors: Tensor
    eigenvalues: Tensor
    explained: float
    mean: Tensor
    sampled: int


def global_components(signal: Signal, *, whole: bool, points: int = POINTS, seed: int = 0) -> Components:
    """Return up to 32 principal components.

    Args:
        signal: On the grid.
        whole: Use every point, which must fit into memory; if not, points drawn at random.
        points: How many of them.
        seed: Of the draw.

    Raises:
        InputError: If nothing varies, or a value is NaN or infinite.
    """
    size = len(signal.space)
    index = torch.arange(size)
    if not whole and points < size:
        index = torch.randint(size, (points,), generator=torch.Generator().manual_seed(seed))
    rows = signal.at(index)
    rows = rows.double() if whole else rows.float()
    check_finite(rows)
    mean = rows.mean(dim=0)
    rows -= mean
    total = float(rows.square().sum(dtype=torch.float64))
    if not total > 0:
        raise InputError("all images are the same: give data that vary")
    values, vectors = _top(rows, min(MOST, len(rows) - 1, signal.width), seed)
    kept = values > 1e-9 * values[0]
    values = values[kept].double()
    sampled = 0 if len(index) == size else len(index)
    return Components(vectors[kept], values / len(rows), min(1.0, float(values.sum()) / total), mean, sampled)


def step_alignment(
    signal: Signal, components: Components, points: Tensor, factors: Sequence[int] | None = None
) -> LocalAlignment:
    """Compare the directions of a step of every factor at points (A,) with factors and with global components.

    Args:
        signal: On the grid.
        components: Global ones.
        points: Grid index (A,).
        factors: Which factors take a step; None for all that vary.
    """
    moved = varying(signal.space) if factors is None else factors
    owners = torch.arange(len(moved))
    parts = [
        local_alignment(steps(signal, moved, some), owners, components.vectors)
        for some in torch.split(points, TOGETHER)
    ]
    return LocalAlignment(*map(torch.cat, zip(*parts, strict=True)))


def steps(signal: Signal, factors: Sequence[int], points: Tensor) -> Tensor:
    """Return the change of the signal by a step of every factor at points (A,): (A, K, D) float64.

    It is half the difference between the values above and below, which leaves noise of the point itself out; at the
    edge of the grid it is the whole difference to the only neighbour.
    """
    rows = []
    for k in factors:
        value = signal.space.to_factors(points)[:, k]
        below, above = (value > 0).long(), (value + 1 < signal.space.sizes[k]).long()
        ends = points[:, None] + torch.stack([-below, above], dim=1) * signal.space.strides[k]
        low, high = signal.at(ends).double().unbind(1)
        rows.append((high - low) / (below + above)[:, None])
    return torch.stack(rows, dim=1)


def _top(rows: Tensor, number: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the top squared singular values (J,) of rows (n, D), and the right singular vectors (J, D)."""
    if min(rows.shape) <= SMALL:
        tall = rows.shape[0] > rows.shape[1]
        values, vectors = torch.linalg.eigh(rows.mT @ rows if tall else rows @ rows.mT)
        values, vectors = values[-number:].flip(0).clamp(min=0), vectors[:, -number:].flip(1).mT
        if tall:
            return values, vectors
        back = vectors @ rows
        return values, back / back.norm(dim=1, keepdim=True).clamp(min=1e-30)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, singular, right = torch.svd_lowrank(rows, q=min(number + 16, *rows.shape), niter=4)
    return singular[:number].square(), right[:, :number].mT
