"""The control of every claim about sparsity: a random mask that is never learned."""

from collections.abc import Sequence

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, over_kernel


class RandomMask(ChannelMask):
    r"""A fixed random binary mask: the control every learned mask is compared with.

    .. math::

        K'_{ij} = M_{ij} K_{ij}, \qquad M_{ij} \in \{0, 1\}, \qquad \sum_{ij} M_{ij} \approx \rho \, m n

    Source: random pruning as a control, Su et al. 2020 (arXiv:2009.11094).

    Args:
        pairs: (m, n) channels of the layer's weight.
        density: Share of pairs that stay, in (0, 1]: one for all layers, or one for each masked layer, encoder first.
            At least one pair of a layer stays.

    Raises:
        InputError: If a density lies outside (0, 1], or there is not one for each masked layer.
    """

    mask: Tensor

    def __init__(self, pairs: tuple[int, int], density: float | Sequence[float] = 0.5) -> None:
        super().__init__()
        self.density = [density] if isinstance(density, int | float) else list(density)
        if not self.density or not all(0 < share <= 1 for share in self.density):
            raise InputError(f"the density of a random mask must lie in (0, 1], got {density}")
        self.register_buffer("mask", torch.ones(pairs))

    def begin(self, weight: Tensor, place: int, layers: int) -> None:
        """Draw the pairs that stay."""
        if len(self.density) not in (1, layers):
            raise InputError(
                f"a random mask needs one density, or one for each of the {layers} masked layers, got "
                f"{len(self.density)}: see model.placement for which layers are masked"
            )
        total = self.mask.numel()
        share = self.density[place % len(self.density)]
        choice = torch.randperm(total) < max(1, round(share * total))
        self.mask.copy_(choice.view_as(self.mask))

    def forward(self, weight: Tensor) -> Tensor:
        """Zero the pairs that were not drawn."""
        return weight * over_kernel(self.mask, weight)

    def gates(self) -> Tensor:
        """Return M, of zeros and ones."""
        return self.mask

    def penalty(self, weight: Tensor) -> Tensor:
        """Return 0: there is nothing to learn."""
        return self.mask.new_zeros(())
