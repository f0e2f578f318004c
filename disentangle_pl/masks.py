"""Masks on channel pairs: K' = K * M, M[i, j] gating the connection between two channels of a layer.

Every kind is one class with the same contract, registered as a parametrization of the layer's weight, so it serves
Linear, Conv and ConvTranspose in any dimension alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from disentangle_pl.errors import InputError

MASKABLE = (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class ChannelMask(nn.Module, ABC):
    """Gates the channel pairs of one layer.

    Attributes:
        strength: Weight of the penalty in the loss.
    """

    strength: float = 0.0

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Mask the weight (m, n, *kernel) of a layer."""

    @abstractmethod
    def penalty(self) -> Tensor:
        """Return the unweighted penalty () of this mask."""


MaskFactory = Callable[[tuple[int, int]], ChannelMask]


class RandomMask(ChannelMask):
    """A fixed random binary mask: the control every learned mask is compared with.

    Args:
        pairs: (m, n) channels of the layer's weight.
        density: Share of pairs that stay, in (0, 1]. At least one pair of a layer stays.

    Raises:
        InputError: If density lies outside (0, 1].
    """

    mask: Tensor

    def __init__(self, pairs: tuple[int, int], density: float = 0.5) -> None:
        super().__init__()
        if not 0 < density <= 1:
            raise InputError(f"the density of a random mask must lie in (0, 1], got {density}")
        total = pairs[0] * pairs[1]
        kept = torch.randperm(total) < max(1, round(density * total))
        self.register_buffer("mask", kept.float().view(pairs))

    def forward(self, weight: Tensor) -> Tensor:
        """Zero the pairs that were not drawn."""
        return weight * _broadcast(self.mask, weight)

    def penalty(self) -> Tensor:
        """Return 0: there is nothing to learn."""
        return self.mask.new_zeros(())


class L1Mask(ChannelMask):
    """A real-valued learned mask under a plain L1 penalty.

    Scale-degenerate: M can shrink while K grows, so the penalty alone cuts hardly any pair. Read the density, not |M|.

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of sum |M| in the loss, at least 0.

    Raises:
        InputError: If strength is negative.
    """

    def __init__(self, pairs: tuple[int, int], strength: float = 1e-3) -> None:
        super().__init__()
        if strength < 0:
            raise InputError(f"the strength of a mask penalty must not be negative, got {strength}")
        self.strength = strength
        self.mask = nn.Parameter(torch.ones(pairs))

    def forward(self, weight: Tensor) -> Tensor:
        """Multiply every kernel by its mask entry."""
        return weight * _broadcast(self.mask, weight)

    def penalty(self) -> Tensor:
        """Return sum |M|."""
        return self.mask.abs().sum()


class Density(NamedTuple):
    """Channel pairs that still connect.

    Attributes:
        kept: Number of pairs with a non-zero masked kernel.
        total: Number of pairs.
    """

    kept: int
    total: int


def apply_masks(module: nn.Module, factory: MaskFactory) -> None:
    """Give every linear, convolution and transposed-convolution layer of a module its own mask, in place."""
    for layer in [layer for layer in module.modules() if isinstance(layer, MASKABLE)]:
        m, n = layer.weight.shape[:2]
        parametrize.register_parametrization(layer, "weight", factory((m, n)))


def channel_masks(module: nn.Module) -> Iterator[ChannelMask]:
    """Yield the masks in a module."""
    return (mask for mask in module.modules() if isinstance(mask, ChannelMask))


def density(module: nn.Module) -> Density:
    """Count the channel pairs of a module whose masked kernel K' is not exactly zero."""
    weights = [layer.weight.detach() for layer in module.modules() if isinstance(layer, MASKABLE)]
    pairs = [weight.flatten(2).any(2) if weight.dim() > 2 else weight != 0 for weight in weights]
    return Density(sum(int(pair.sum()) for pair in pairs), sum(pair.numel() for pair in pairs))


def _broadcast(mask: Tensor, weight: Tensor) -> Tensor:
    return mask.view(*mask.shape, *(1,) * (weight.dim() - 2))
