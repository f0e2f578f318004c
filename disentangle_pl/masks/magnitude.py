"""Magnitude pruning of channel pairs: one shot, or the rounds of the lottery ticket."""

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, kernel_norms, over_kernel


class MagnitudeMask(ChannelMask):
    r"""A binary mask that keeps the pairs with the largest kernels of a layer; pairs once cut stay cut.

    .. math::

        M_{ij} = \mathbf{1}\big[\, \|K_{ij}\|_F \text{ is among the largest } \rho_r m n \,\big],
        \qquad \rho_r = \rho^{\, r / R}

    Every `interval` steps the density falls by an equal factor, until it has reached its end after `rounds` prunings.
    With `rewind` all parameters of the model then go back to their first values and its optimiser starts anew, as in
    the lottery ticket; without it training goes on. Biases, dense layers and the discriminator of a FactorVAE go back
    as well, so that each round is the training of a sparser network from the start. Schedules are left alone, that of
    the learning rate as that of a capacity, and so are buffers.

    Args:
        pairs: (m, n) channels of the layer's weight.
        density: Share of pairs that stay in the end, in (0, 1]. At least one pair of a layer stays.
        rounds: Prunings on the way there; 1 prunes in one shot.
        interval: Optimiser steps between two prunings.
        rewind: Set the model and its optimiser back after every pruning.

    Raises:
        InputError: If an argument lies outside its range.

    Source: Frankle & Carbin 2019, The Lottery Ticket Hypothesis (arXiv:1803.03635), by the norm of a kernel instead of
        a single weight.
    """

    mask: Tensor

    def __init__(
        self,
        pairs: tuple[int, int],
        density: float = 0.1,
        rounds: int = 5,
        interval: int = 1000,
        rewind: bool = True,
    ) -> None:
        super().__init__()
        if not 0 < density <= 1:
            raise InputError(f"the density of a magnitude mask must lie in (0, 1], got {density}")
        if rounds < 1 or interval < 1:
            raise InputError(f"a magnitude mask needs rounds and interval of at least 1, got {rounds} and {interval}")
        self.density, self.rounds, self.interval = density, rounds, interval
        self.rewinds = range(interval, interval * rounds + 1, interval) if rewind else range(0)
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

    def after_step(self, weight: Tensor, step: int) -> None:
        """Prune when a round is over."""
        done, within = divmod(step, self.interval)
        if within == 0 and done <= self.rounds:
            self.prune(weight, self.density ** (done / self.rounds))

    def prune(self, weight: Tensor, density: float) -> None:
        """Keep the share `density` of all pairs, at least one: those with the largest kernels among the uncut."""
        norms = kernel_norms(weight) * self.mask
        kept = max(1, round(density * norms.numel()))
        best = norms.flatten().topk(min(kept, int(self.mask.sum()))).indices
        self.mask.zero_().view(-1)[best] = 1
