"""The control of every claim about sparsity: a random mask that is never learned."""

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, over_kernel


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
        return weight * over_kernel(self.mask, weight)

    def penalty(self, weight: Tensor) -> Tensor:
        """Return 0: there is nothing to learn."""
        return self.mask.new_zeros(())
