"""Masks on channel pairs: K' = K * M, M[i, j] gating the connection between two channels of a layer.

Every kind is one class with the same contract, registered as a parametrization of the layer's weight, so it serves
Linear, Conv and ConvTranspose in any dimension alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from disentangle_pl.errors import InputError

MASKABLE = (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class ChannelMask(nn.Module, ABC):
    """Gates the channel pairs of one layer.

    Args:
        strength: Weight of the penalty in the loss, at least 0.
        warm_up: Steps over which the strength grows linearly from 0 to its value.

    Raises:
        InputError: If strength or warm_up is negative.
    """

    def __init__(self, strength: float = 0.0, warm_up: int = 0) -> None:
        super().__init__()
        if not 0 <= strength < float("inf"):
            raise InputError(f"the strength of a mask penalty must not be negative, got {strength}")
        if warm_up < 0:
            raise InputError(f"the warm-up of a mask penalty must not be negative, got {warm_up} steps")
        self.strength, self.warm_up = strength, warm_up

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Mask the weight (m, n, *kernel) of a layer."""

    @abstractmethod
    def penalty(self, weight: Tensor) -> Tensor:
        """Return the unweighted penalty () of this mask for the raw weight (m, n, *kernel) of its layer.

        It has no gradient where a proximal step minimises it.
        """

    def begin(self, weight: Tensor) -> None:
        """Fit the mask to the first weight (m, n, *kernel) of its layer, in place."""

    def after_step(self, weight: Tensor, size: float, step: int) -> None:
        """Follow a step of the optimiser, in place and without gradient.

        Args:
            weight: The raw weight (m, n, *kernel) of the layer.
            size: Learning rate times the strength at this step.
            step: Steps that the optimiser has made, this one included.
        """

    def strength_at(self, step: int) -> float:
        """Return the weight of the penalty at an optimiser step."""
        return self.strength * min(1.0, (step + 1) / (self.warm_up + 1))


MaskFactory = Callable[[tuple[int, int]], ChannelMask]


class Masked(NamedTuple):
    """A layer with its mask."""

    mask: ChannelMask
    layer: nn.Module

    @property
    def weight(self) -> Tensor:
        """The raw weight (m, n, *kernel), before masking."""
        raw: Tensor = self.layer.parametrizations["weight"].original  # type: ignore[index, union-attr]
        return raw


class Density(NamedTuple):
    """Channel pairs that still connect.

    Attributes:
        kept: Number of pairs with a non-zero masked kernel.
        total: Number of pairs.
    """

    kept: int
    total: int


def apply_masks(module: nn.Module, factory: MaskFactory, leave: tuple[nn.Module, ...] = ()) -> None:
    """Give every linear, convolution and transposed-convolution layer of a module its own mask, in place.

    Args:
        module: The network, or a part of it.
        factory: Makes a mask for (m, n) channel pairs.
        leave: Layers that stay dense.

    Raises:
        InputError: If no layer is left to mask.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, MASKABLE) and layer not in leave]
    if not layers:
        raise InputError(
            f"there is no layer with channel pairs to mask in {type(module).__name__}: it has none, or all are left out"
        )
    for layer in layers:
        m, n = layer.weight.shape[:2]
        mask = factory((m, n))
        mask.begin(layer.weight.detach())
        parametrize.register_parametrization(layer, "weight", mask)


def masked_layers(module: nn.Module) -> Iterator[Masked]:
    """Yield the masked layers of a module in order."""
    for layer in module.modules():
        if isinstance(layer, MASKABLE) and parametrize.is_parametrized(layer, "weight"):
            for mask in cast(nn.ModuleList, layer.parametrizations["weight"]):  # type: ignore[index]
                if isinstance(mask, ChannelMask):
                    yield Masked(mask, layer)


def penalties(masked: Sequence[Masked], step: int) -> tuple[Tensor, Tensor]:
    """Return the penalties of all masks, () weighted by their strengths at a step, and () as they are."""
    single = torch.stack([layer.mask.penalty(layer.weight) for layer in masked])
    # no tensor of strengths: copying it to a GPU would make every step wait
    weighted = [layer.mask.strength_at(step) * penalty for layer, penalty in zip(masked, single, strict=True)]
    return torch.stack(weighted).sum(), single.sum()


@torch.no_grad()
def follow_step(masked: Sequence[Masked], rate: float, step: int) -> None:
    """Let the masks follow a step of the optimiser.

    Args:
        masked: The masked layers.
        rate: The learning rate.
        step: Steps that the optimiser has made.
    """
    for layer in masked:
        layer.mask.after_step(layer.weight, rate * layer.mask.strength_at(step - 1), step)


def open_pairs(weight: Tensor) -> Tensor:
    """Tell which channel pairs (m, n) of a masked weight (m, n, *kernel) are not exactly zero."""
    return weight.flatten(2).any(2) if weight.dim() > 2 else weight != 0


def density(module: nn.Module) -> Density:
    """Count the channel pairs of a module whose masked kernel K' is not exactly zero."""
    pairs = [open_pairs(layer.weight.detach()) for layer in module.modules() if isinstance(layer, MASKABLE)]
    return Density(sum(int(pair.sum()) for pair in pairs), sum(pair.numel() for pair in pairs))


def over_kernel(mask: Tensor, weight: Tensor) -> Tensor:
    """View a mask (m, n) so that it multiplies a weight (m, n, *kernel)."""
    return mask.view(*mask.shape, *(1,) * (weight.dim() - 2))


def kernel_norms(weight: Tensor) -> Tensor:
    """Return the Frobenius norm (m, n) of every kernel of a weight (m, n, *kernel)."""
    return weight.abs() if weight.dim() == 2 else torch.linalg.vector_norm(weight, dim=tuple(range(2, weight.dim())))
