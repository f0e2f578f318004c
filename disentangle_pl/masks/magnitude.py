"""Magnitude pruning of channel pairs: one shot, or the rounds of the lottery ticket."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, Masked, kernel_norms, over_kernel


class MagnitudeMask(ChannelMask):
    r"""A binary mask that keeps the pairs with the largest kernels of a layer; pairs once cut stay cut.

    .. math::

        M_{ij} = \mathbf{1}\big[\, \|K_{ij}\|_F \text{ is among the largest } \rho_r m n \,\big],
        \qquad \rho_r = \rho^{\, r / R}

    Every `interval` steps the density falls by an equal factor, until it has reached its end after `rounds` prunings.
    With `rewind` all parameters of the model then go back to the values they had after step `rewind_to`, the first ones
    by default, and its optimiser starts anew, as in the lottery ticket; without it training goes on. Biases, dense
    layers and the discriminator of a FactorVAE go back as well, so that each round is the training of a sparser network
    from there. Schedules are left alone, that of the learning rate as that of a capacity, and so are buffers.

    Args:
        pairs: (m, n) channels of the layer's weight.
        density: Share of pairs that stay in the end, in (0, 1]. At least one pair of a layer stays.
        rounds: Prunings on the way there; 1 prunes in one shot.
        interval: Optimiser steps between two prunings.
        rewind: Set the model and its optimiser back after every pruning.
        rewind_to: Go back to the values after this step, from 0, before the first pruning: deep networks have lottery
            tickets only a little after their start.
        across_layers: Compare the kernels of all masked layers with one another, by the root mean square of their
            weights, instead of those of every layer among themselves: the density is that of all layers together.

    Raises:
        InputError: If an argument lies outside its range.

    Source: Frankle & Carbin 2019, The Lottery Ticket Hypothesis (arXiv:1803.03635), by the norm of a kernel instead of
        a single weight; late rewinding as in Frankle et al. 2020, Linear Mode Connectivity and the Lottery Ticket
        Hypothesis (arXiv:1912.05671).
    """

    mask: Tensor

    def __init__(
        self,
        pairs: tuple[int, int],
        density: float = 0.1,
        rounds: int = 5,
        interval: int = 1000,
        rewind: bool = True,
        rewind_to: int = 0,
        across_layers: bool = False,
    ) -> None:
        super().__init__()
        if not 0 < density <= 1:
            raise InputError(f"the density of a magnitude mask must lie in (0, 1], got {density}")
        if rounds < 1 or interval < 1:
            raise InputError(f"a magnitude mask needs rounds and interval of at least 1, got {rounds} and {interval}")
        if not 0 <= rewind_to < interval:
            raise InputError(
                f"a magnitude mask goes back to a step before its first pruning, at 0 or above and below "
                f"interval={interval}, got rewind_to={rewind_to}"
            )
        if rewind_to and not rewind:
            raise InputError(f"a magnitude mask goes back to rewind_to={rewind_to} only with rewind=true")
        self.density, self.rounds, self.interval, self.across_layers = density, rounds, interval, across_layers
        self.rewinds = range(interval, interval * rounds + 1, interval) if rewind else range(0)
        self.rewind_to = rewind_to
        self.register_buffer("mask", torch.ones(pairs))

    def forward(self, weight: Tensor) -> Tensor:
        """Zero the pairs that were cut."""
        return weight * over_kernel(self.mask, weight)

    def gates(self) -> Tensor:
        """Return M, of zeros and ones."""
        return self.mask

    def penalty(self, weight: Tensor) -> Tensor:
        """Return 0: nothing is learned by gradients."""
        return self.mask.new_zeros(())

    def check(self, optimizer: Optimizer, steps: float) -> None:
        """Refuse a training that ends before the density is reached, or before the last round is as long as the others.

        Raises:
            InputError: If it does.
        """
        last = self.rounds * self.interval
        plan = f"model.mask.rounds={self.rounds} prunings, one every model.mask.interval={self.interval} steps"
        if steps < last:
            raise InputError(
                f"{plan}, reach the density of {self.density} after {last} steps, and this training has {steps:.0f}: "
                "train longer, or prune in fewer rounds or at shorter intervals"
            )
        if self.rewinds and steps < last + self.interval:
            raise InputError(
                f"{plan}, each followed by a new training of as many steps, take {last + self.interval} steps, and "
                f"this training has {steps:.0f}: it would end with a network that has gone back to its values after "
                f"step {self.rewind_to} and has hardly been trained since. Train longer, prune in fewer rounds or at "
                "shorter intervals, or set model.mask.rewind=false"
            )

    def after_step(self, layer: Masked, layers: Sequence[Masked], step: int) -> None:
        """Prune when a round is over."""
        done, within = divmod(step, self.interval)
        if within or done > self.rounds:
            return
        density = self.density ** (done / self.rounds)
        if not self.across_layers:
            prune([layer], density)
        elif layer is layers[0]:
            prune(layers, density)


def prune(layers: Sequence[Masked], density: float) -> None:
    """Keep the share `density` of the pairs of some layers, those with the largest kernels among the uncut.

    Kernels of layers are compared by the root mean square of their weights; a layer keeps its largest at least.

    Args:
        layers: With masks that have a buffer `mask`, which changes in place.
        density: In (0, 1].
    """
    masks = [mask for mask, _ in layers if isinstance(mask, MagnitudeMask)]
    sizes = [
        kernel_norms(layer.weight) * mask.mask / math.sqrt(layer.weight[0, 0].numel())
        for layer, mask in zip(layers, masks, strict=True)
    ]
    total, uncut = sum(mask.mask.numel() for mask in masks), sum(int(mask.mask.sum()) for mask in masks)
    best = torch.cat([size.flatten() for size in sizes]).topk(min(max(1, round(density * total)), uncut)).indices
    chosen = torch.zeros(total, device=best.device)
    chosen[best] = 1
    shares = torch.split(chosen, [mask.mask.numel() for mask in masks])
    for mask, size, open_gates in zip(masks, sizes, shares, strict=True):
        mask.mask.copy_(open_gates.view_as(mask.mask))
        mask.mask.view(-1)[size.argmax()] = 1
