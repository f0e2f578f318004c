"""Ground-truth factors of variation: the grid they span, and data sets that have one image per grid point."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from disentangle_pl.errors import InputError


class Batch(NamedTuple):
    """What every data module yields.

    Attributes:
        image: (B, C, *S), or (B, G, C, *S) for groups of G images, float32.
        factors: (B, k) or (B, G, k): int64 class indices of the ground-truth factors, or float covariates of a scan.
        changed: (B, k) bool, True where the images of a group may differ, as in every nuisance; None where it is not
            known.
    """

    image: Tensor
    factors: Tensor
    changed: Tensor | None = None


class FactorSpace:
    """A grid of factors and its mixed-radix index: the last factor varies fastest, as in `numpy.ravel_multi_index`.

    Args:
        names: One name a factor, all different.
        sizes: How many values each factor takes, at least 1.
        nuisance: Names of factors that tell images apart but are not scored, and are drawn anew for every image of a
            pair.

    Raises:
        InputError: If names and sizes do not match, repeat, or a size is below 1, or a nuisance is none of the names.
    """

    def __init__(self, names: Sequence[str], sizes: Sequence[int], nuisance: Sequence[str] = ()) -> None:
        if len(names) != len(sizes) or len(set(names)) != len(names) or not names:
            raise InputError(f"a factor space needs one distinct name a size, got {list(names)} and {list(sizes)}")
        if min(sizes) < 1:
            raise InputError(f"every factor needs at least one value, got sizes {list(sizes)}")
        if not set(nuisance) <= set(names):
            raise InputError(f"the nuisance {list(nuisance)} must be some of the factors {list(names)}")
        self.names = tuple(names)
        self.sizes = tuple(sizes)
        self.nuisance = tuple(nuisance)
        self.strides = tuple(math.prod(self.sizes[i + 1 :]) for i in range(len(self.sizes)))

    def __len__(self) -> int:
        """The number of grid points."""
        return math.prod(self.sizes)

    @property
    def scored(self) -> Tensor:
        """(k,) bool, False for the nuisance."""
        return torch.tensor([name not in self.nuisance for name in self.names])

    def __repr__(self) -> str:
        return "FactorSpace(" + ", ".join(f"{n}={s}" for n, s in zip(self.names, self.sizes, strict=True)) + ")"

    def to_index(self, factors: Tensor) -> Tensor:
        """Map factors (..., k) to the index (...) of their grid point."""
        return (factors * _on(factors.device, self.strides)).sum(-1)

    def to_factors(self, index: Tensor) -> Tensor:
        """Map the index (...) of a grid point to its factors (..., k)."""
        strides = _on(index.device, self.strides)
        sizes = _on(index.device, self.sizes)
        return index.unsqueeze(-1) // strides % sizes

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw factors (n, k) uniformly from the grid, on the CPU."""
        return self.to_factors(torch.randint(len(self), (n,), generator=generator))


@lru_cache
def _on(device: torch.device, numbers: tuple[int, ...]) -> Tensor:
    # Once a device: a copy to a GPU makes the CPU wait for all that the GPU has still to do.
    return torch.tensor(numbers, device=device)


class FactorDataset(Dataset[Batch], ABC):
    """A data set with exactly one image per point of a factor grid.

    Attributes:
        shape: (C, *S) of one image.
        factors: The grid.
        stochastic: Whether images have something random that no factor describes. Index i + n N, with the N points of
            the grid, then is the n-th appearance of point i; n = 0 is the one of evaluation.
    """

    shape: tuple[int, ...]
    factors: FactorSpace
    stochastic: bool = False

    @abstractmethod
    def images(self, index: Tensor) -> Tensor:
        """Return the images (B, C, *S) float32 at grid index (B,), on the device of `index`.

        Values belong into [0, 1], which the Bernoulli likelihood takes as probabilities; others need another
        likelihood, and every value reaches the model as it is.
        """

    def __len__(self) -> int:
        return len(self.factors)

    def __getitem__(self, index: int) -> Batch:
        at = torch.tensor([index])
        return Batch(self.images(at)[0], self.factors.to_factors(at)[0])
