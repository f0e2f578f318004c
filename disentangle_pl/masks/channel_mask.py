"""Masks on channel pairs: K' = K * M, M[i, j] gating the connection between two channels of a layer.

Every kind is one class with the same contract, registered as a parametrization of the layer's weight, so it serves
Linear, Conv and ConvTranspose in any dimension alike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from disentangle_pl.errors import InputError
from disentangle_pl.masks.proximal import step_sizes

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MASKABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


class ChannelMask(nn.Module, ABC):
    """Gates the channel pairs of one layer.

    Args:
        strength: Weight of the penalty in the loss, at least 0.
        warm_up: Steps over which the strength grows linearly from 0 to its value.
        speed: Learning rate of the mask as a multiple of that of the weights, above 0.
        delay: Steps before the strength begins to grow.

    Raises:
        InputError: If an argument lies outside its range.

    Attributes:
        rewinds: Optimiser steps after which all parameters of the model go back to earlier values.
        rewind_to: The step after which they had these values.
        carries_scale: The mask is the size of the kernels, and the raw weight only their direction.
    """

    rewinds: range = range(0)
    rewind_to: int = 0
    carries_scale: bool = False

    def __init__(self, strength: float = 0.0, warm_up: int = 0, speed: float = 1.0, delay: int = 0) -> None:
        super().__init__()
        if not 0 <= strength < float("inf"):
            raise InputError(f"the strength of a mask penalty must not be negative, got {strength}")
        if warm_up < 0:
            raise InputError(f"the warm-up of a mask penalty must not be negative, got {warm_up} steps")
        if delay < 0:
            raise InputError(f"the delay of a mask penalty must not be negative, got {delay} steps")
        if not 0 < speed < float("inf"):
            raise InputError(f"the speed of a mask must be above 0, got {speed}")
        self.strength, self.warm_up, self.speed, self.delay = strength, warm_up, speed, delay

    @abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """Mask the weight (m, n, *kernel) of a layer."""

    @abstractmethod
    def penalty(self, weight: Tensor) -> Tensor:
        """Return the unweighted penalty () of this mask for the raw weight (m, n, *kernel) of its layer.

        It has no gradient where a proximal step minimises it.
        """

    def begin(self, weight: Tensor, place: int, layers: int) -> None:
        """Fit the mask to its layer, in place.

        Args:
            weight: The first weight (m, n, *kernel) of the layer.
            place: Number of the layer among those that are masked, from 0, encoder first.
            layers: How many layers are masked.
        """

    def gates(self) -> Tensor | None:
        """Return M (m, n) as it is in evaluation, detached; None for a kind without a mask."""
        return None

    def proximal(self, raw: Tensor) -> Tensor | None:
        """Return the parameter that `shrink` moves, the raw weight of the layer or one of the mask; None if none."""
        return None

    def shrink(self, weight: Tensor, thresholds: Tensor) -> None:
        """Take the proximal step of the penalty after a step of the optimiser, in place and without gradient.

        Args:
            weight: The raw weight (m, n, *kernel) of the layer.
            thresholds: Strength times the step sizes of the optimiser, () or in the shape of what is moved.
        """

    def after_step(self, layer: "Masked", layers: Sequence["Masked"], step: int) -> None:
        """Follow a step of the optimiser, in place and without gradient.

        Args:
            layer: The layer of this mask.
            layers: All masked layers of the model, this one among them.
            step: Steps that the optimiser has made, this one included.
        """

    def check(self, optimizer: Optimizer, steps: float) -> None:
        """Refuse a training in which the mask cannot do its work, or warn of it, before it begins.

        Args:
            optimizer: Of the training.
            steps: That the optimiser makes in all; infinity if nobody can tell.

        Raises:
            InputError: If the work cannot be done.
        """

    def strength_at(self, step: int) -> float:
        """Return the weight of the penalty at an optimiser step."""
        return self.strength * min(1.0, max(0, step + 1 - self.delay) / (self.warm_up + 1))


MaskFactory = Callable[[tuple[int, int]], ChannelMask]


class WholeChannels(nn.Module):
    """Lets a mask gate whole channels of a linear layer at the border to convolutions.

    The weights between a unit and the units of one channel are to the mask a kernel, as those between two channels of a
    convolution are.

    Args:
        mask: For (m / rows, n / columns) pairs.
        rows: Units of one channel among the outputs; 1 if the outputs are no channels.
        columns: Units of one channel among the inputs.
    """

    def __init__(self, mask: ChannelMask, rows: int, columns: int) -> None:
        super().__init__()
        self.mask, self.rows, self.columns = mask, rows, columns

    def forward(self, weight: Tensor) -> Tensor:
        """Mask a weight (m, n)."""
        kernels: Tensor = self.mask(self.kernels(weight))
        return kernels.transpose(1, 2).reshape(weight.shape)

    def kernels(self, weight: Tensor) -> Tensor:
        """View a weight (m, n) as kernels (m / rows, n / columns, rows, columns); changes of these change it."""
        m, n = weight.shape
        return weight.view(m // self.rows, self.rows, n // self.columns, self.columns).transpose(1, 2)


class Masked(NamedTuple):
    """A layer with its mask."""

    mask: ChannelMask
    layer: nn.Module

    @property
    def weight(self) -> Tensor:
        """The raw kernels (m, n, *kernel) that the mask gates; changes of these change the layer."""
        return self.kernels(self.raw)

    @property
    def raw(self) -> Tensor:
        """The raw weight as the layer stores it."""
        raw: Tensor = self.layer.parametrizations["weight"].original  # type: ignore[index,union-attr]
        return raw

    def kernels(self, weight: Tensor) -> Tensor:
        """View what has the shape of the raw weight as the kernels (m, n, *kernel) that the mask gates."""
        steps = cast(nn.ModuleList, self.layer.parametrizations["weight"])  # type: ignore[index]
        whole = next((step for step in steps if isinstance(step, WholeChannels)), None)
        return whole.kernels(weight) if whole else weight

    def without_decay(self) -> list[Tensor]:
        """Return the parameters on which weight decay does not act.

        These are the mask, or where the mask is the size of the kernels, their directions: decay of the mask is then
        what decay of the kernels is to a dense layer, while a direction would feel nothing else and run to zero.
        """
        return [self.raw] if self.mask.carries_scale else list(self.mask.parameters())


class Density(NamedTuple):
    """Channel pairs that still connect.

    Attributes:
        kept: Number of pairs with a non-zero masked kernel.
        total: Number of pairs.
    """

    kept: int
    total: int


def apply_masks(
    module: nn.Module,
    factory: MaskFactory,
    leave: tuple[nn.Module, ...] = (),
    units: Mapping[nn.Module, tuple[int, int]] | None = None,
) -> None:
    """Give every linear, convolution and transposed-convolution layer of a module its own mask, in place.

    Args:
        module: The network, or a part of it.
        factory: Makes a mask for (m, n) channel pairs.
        leave: Layers that stay dense.
        units: Linear layers that are masked by whole channels: the units of a channel among outputs and inputs.

    Raises:
        InputError: If no layer is left to mask.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, MASKABLE) and layer not in leave]
    if not layers:
        raise InputError(
            f"there is no layer with channel pairs to mask in {type(module).__name__}: it has none, or all are left out"
        )
    for place, layer in enumerate(layers):
        rows, columns = (units or {}).get(layer, (1, 1))
        m, n = layer.weight.shape[:2]
        mask = factory((m // rows, n // columns))
        whole = WholeChannels(mask, rows, columns) if rows * columns > 1 else None
        weight = layer.weight.detach()
        mask.begin(whole.kernels(weight) if whole else weight, place, len(layers))
        parametrize.register_parametrization(layer, "weight", whole or mask)


def masked_layers(module: nn.Module) -> Iterator[Masked]:
    """Yield the masked layers of a module in order."""
    for layer in module.modules():
        if isinstance(layer, MASKABLE) and parametrize.is_parametrized(layer, "weight"):
            for step in cast(nn.ModuleList, layer.parametrizations["weight"]):  # type: ignore[index]
                mask = step.mask if isinstance(step, WholeChannels) else step
                if isinstance(mask, ChannelMask):
                    yield Masked(mask, layer)


def penalties(masked: Sequence[Masked], step: int) -> tuple[Tensor, Tensor]:
    """Return the penalties of all masks, () weighted by their strengths at a step, and () as they are."""
    single = torch.stack([layer.mask.penalty(layer.weight) for layer in masked])
    # no tensor of strengths: copying it to a GPU would make every step wait
    weighted = [layer.mask.strength_at(step) * penalty for layer, penalty in zip(masked, single, strict=True)]
    return torch.stack(weighted).sum(), single.sum()


@torch.no_grad()
def follow_step(masked: Sequence[Masked], optimizer: Optimizer, step: int) -> None:
    """Let the masks follow a step of the optimiser.

    Args:
        masked: The masked layers.
        optimizer: Of their parameters, after its step.
        step: Steps that the optimiser has made.

    Raises:
        InputError: If a proximal step has no metric in this optimiser.
    """
    for layer in masked:
        parameter = layer.mask.proximal(layer.raw)
        strength = layer.mask.strength_at(step - 1)
        sizes = step_sizes(optimizer, parameter) if parameter is not None and strength else None
        if sizes is not None:
            by_kernel = layer.kernels(sizes) if sizes.dim() and parameter is layer.raw else sizes
            layer.mask.shrink(layer.weight, strength * by_kernel)
        layer.mask.after_step(layer, masked, step)


def open_pairs(weight: Tensor) -> Tensor:
    """Tell which channel pairs (m, n) of a masked weight (m, n, *kernel) are not exactly zero."""
    return weight.flatten(2).any(2) if weight.dim() > 2 else weight != 0


def density(module: nn.Module) -> Density:
    """Count the channel pairs of a module whose masked kernel K' is not exactly zero."""
    pairs = [open_pairs(layer.weight.detach()) for layer in module.modules() if isinstance(layer, MASKABLE)]
    return Density(sum(int(pair.sum()) for pair in pairs), sum(pair.numel() for pair in pairs))


def effective_density(module: nn.Module, threshold: float = 1e-3) -> float:
    """Return the share of channel pairs of a module whose masked kernel matters, in [0, 1].

    A kernel matters if its norm is above `threshold` times the largest of its layer: penalties without a proximal step
    make kernels tiny, but never exactly zero.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, MASKABLE)]
    norms = [kernel_norms(layer.weight.detach()) for layer in layers]
    return sum(int((norm > threshold * norm.max()).sum()) for norm in norms) / sum(norm.numel() for norm in norms)


def over_kernel(mask: Tensor, weight: Tensor) -> Tensor:
    """View a mask (m, n) so that it multiplies a weight (m, n, *kernel)."""
    return mask.view(*mask.shape, *(1,) * (weight.dim() - 2))


def kernel_norms(weight: Tensor) -> Tensor:
    """Return the Frobenius norm (m, n) of every kernel of a weight (m, n, *kernel)."""
    if weight.dim() == 2:
        return weight.abs()
    # norms over memory with channels last take ten times as long as a copy and norms over it
    norms: Tensor = torch.linalg.vector_norm(weight.flatten(2).contiguous(), dim=2)
    return norms
