"""Real-valued masks and weights under L1 penalties."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from disentangle_pl.masks.channel_mask import ChannelMask, kernel_norms, over_kernel
from disentangle_pl.masks.gate_gradients import resized
from disentangle_pl.masks.proximal import refuse_unknown_metric, shrink, shrink_kernels


class L1Mask(ChannelMask):
    r"""A real-valued learned mask under a plain L1 penalty, as published.

    .. math::

        K'_{ij} = M_{ij} K_{ij}, \qquad \text{loss} + \lambda \sum_{ij} |M_{ij}|

    Scale-degenerate: M can shrink while K grows, so the penalty alone cuts hardly any pair, and Adam never reaches an
    exact zero. Read the density, not |M|; `ProximalL1Mask` has neither fault.

    Source: the L1 penalty of Tibshirani 1996 (J. R. Stat. Soc. B 58:267), on a mask instead of the weights.

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of sum |M| in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.

    Raises:
        InputError: If strength or warm_up is negative.
    """

    def __init__(self, pairs: tuple[int, int], strength: float = 1e-3, warm_up: int = 0) -> None:
        super().__init__(strength, warm_up)
        self.mask = nn.Parameter(torch.ones(pairs))

    def forward(self, weight: Tensor) -> Tensor:
        """Multiply every kernel by its mask entry."""
        return weight * over_kernel(self.mask, weight)

    def gates(self) -> Tensor:
        """Return M."""
        return self.mask.detach()

    def penalty(self, weight: Tensor) -> Tensor:
        """Return sum |M|."""
        return self.mask.abs().sum()


class ProximalL1Mask(ChannelMask):
    r"""A learned mask that carries the scale of kernels of unit norm, K'_ij = M_ij K_ij / |K_ij|, cut to exact zeros.

    .. math::

        K'_{ij} = M_{ij} \, \frac{K_{ij}}{\|K_{ij}\|_F}, \qquad \text{loss} + \lambda \sum_{ij} |M_{ij}|, \qquad
        M_{ij} \leftarrow \mathrm{sign}(M_{ij}) \max\big(0, |M_{ij}| - \eta_{ij} \lambda\big)

    After every step of the optimiser M moves towards 0 by the strength times the optimiser's own step size
    :math:`\eta_{ij}` for it (`proximal.step_sizes`), and stays there once it arrives, unless the gradient of the loss
    is larger than the strength. Unit norms close the way by which a plain L1 penalty is evaded: sum |M| is the sum of
    the norms of the kernels that act. The dense network is where it starts from. Weight decay acts on M, as it acts on
    the norms of dense kernels, and not on the directions, which have no scale.

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of sum |M| in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        delay: Steps before it begins to grow. Adam steps far for weights of small gradients, and so does the penalty: a
            network that has not yet begun to use its latents is soon cut in two.

    Raises:
        InputError: If strength, warm_up or delay is negative.

    Source: soft thresholding as in proximal gradient descent (Parikh & Boyd 2014, section 6.5.2), in the metric of the
    optimiser as in Yun, Lozano & Yang 2021 (NeurIPS); normalised weights as in Salimans & Kingma 2016
    (arXiv:1602.07868).
    """

    carries_scale = True

    def __init__(self, pairs: tuple[int, int], strength: float = 1e-3, warm_up: int = 0, delay: int = 0) -> None:
        super().__init__(strength, warm_up, delay=delay)
        self.mask = nn.Parameter(torch.ones(pairs))

    def begin(self, weight: Tensor, place: int, layers: int) -> None:
        """Set M to the norms of the kernels."""
        self.mask.data.copy_(kernel_norms(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Scale every kernel to the size of its mask entry."""
        return resized(weight, self.mask)

    def gates(self) -> Tensor:
        """Return M, whose sizes are the norms of the masked kernels."""
        return self.mask.detach()

    def penalty(self, weight: Tensor) -> Tensor:
        """Return sum |M|, without gradient: the proximal step minimises it."""
        return self.mask.detach().abs().sum()

    def proximal(self, raw: Tensor) -> Tensor:
        """Return M."""
        return self.mask

    def check(self, optimizer: Optimizer, steps: float) -> None:
        """Refuse an optimiser in whose metric there is no proximal step.

        Raises:
            InputError: If it has none.
        """
        refuse_unknown_metric(optimizer)

    def shrink(self, weight: Tensor, thresholds: Tensor) -> None:
        """Move M towards 0 by the thresholds, and not beyond."""
        self.mask.copy_(shrink(self.mask, thresholds))


class GroupLassoMask(ChannelMask):
    r"""No mask but a penalty on the norm of every kernel, with a proximal step that cuts pairs to exact zeros.

    .. math::

        \text{loss} + \lambda \sum_{ij} \|K_{ij}\|_F,
        \qquad K_{ij} \leftarrow \arg\min_K \tfrac12 \sum_k (K_k - K_{ijk})^2 / \eta_{ijk} + \lambda \|K\|_F

    where :math:`\eta_{ijk}` is the optimiser's own step size for a weight (`proximal.step_sizes`). Where it is the same
    for a whole kernel, as in SGD, the kernel becomes :math:`K_{ij} \max(0, 1 - \eta \lambda / \|K_{ij}\|_F)`.

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the sum of |K_ij| in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        delay: Steps before it begins to grow. Adam steps far for weights of small gradients, and so does the penalty: a
            network that has not yet begun to use its latents is soon cut in two.

    Raises:
        InputError: If strength, warm_up or delay is negative.

    Source: Yuan & Lin 2006; Wen et al. 2016 for channels (arXiv:1608.03665); the step in the metric of the optimiser
    as in Yun, Lozano & Yang 2021 (NeurIPS).
    """

    def __init__(self, pairs: tuple[int, int], strength: float = 1e-3, warm_up: int = 0, delay: int = 0) -> None:
        super().__init__(strength, warm_up, delay=delay)

    def forward(self, weight: Tensor) -> Tensor:
        """Leave the weight as it is."""
        return weight

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the sum of the norms of the kernels, without gradient: the proximal step minimises it."""
        return kernel_norms(weight.detach()).sum()

    def proximal(self, raw: Tensor) -> Tensor:
        """Return the raw weight."""
        return raw

    def check(self, optimizer: Optimizer, steps: float) -> None:
        """Refuse an optimiser in whose metric there is no proximal step.

        Raises:
            InputError: If it has none.
        """
        refuse_unknown_metric(optimizer)

    def shrink(self, weight: Tensor, thresholds: Tensor) -> None:
        """Shorten every kernel, the short ones to zero."""
        weight.copy_(shrink_kernels(weight, thresholds))


class WeightL1(ChannelMask):
    r"""The naive control: no mask, and an L1 penalty on every single weight.

    .. math::

        \text{loss} + \lambda \sum_{w} |w|

    Source: Tibshirani 1996 (J. R. Stat. Soc. B 58:267).

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of sum |K| in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.

    Raises:
        InputError: If strength or warm_up is negative.
    """

    def __init__(self, pairs: tuple[int, int], strength: float = 1e-4, warm_up: int = 0) -> None:
        super().__init__(strength, warm_up)

    def forward(self, weight: Tensor) -> Tensor:
        """Leave the weight as it is."""
        return weight

    def penalty(self, weight: Tensor) -> Tensor:
        """Return sum |K|."""
        return weight.abs().sum()
