"""Posteriors of the images of a group, made to share the latents the group has in common."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian


def shared_latents(q: DiagonalGaussian, ratio: float) -> Tensor:
    """Decide which latents a pair shares: those whose divergence lies below tau = min + ratio (max - min).

    Source: Locatello et al. 2020, section 4.1, with KL(q(z|x1) || q(z|x2)) as divergence and ratio 1/2. When all
    divergences are equal nothing is shared; otherwise, for 0 < ratio < 1, at least one latent is shared and one is not.

    Args:
        q: (B, 2, d).
        ratio: Position of the threshold between the smallest and the largest divergence of the pair.

    Returns:
        (B, 1, d) bool.
    """
    first, second = (DiagonalGaussian(q.mean[:, i], q.logvar[:, i]) for i in (0, 1))
    divergence = first.kl_to(second)
    low, high = divergence.amin(1, keepdim=True), divergence.amax(1, keepdim=True)
    return (divergence < low + ratio * (high - low)).unsqueeze(1)


def moment_average(q: DiagonalGaussian) -> DiagonalGaussian:
    """Average means and variances over the group: (B, G, d) to (B, 1, d) (Hosoya 2019)."""
    variance = q.logvar.exp().mean(1, keepdim=True)
    return DiagonalGaussian(q.mean.mean(1, keepdim=True), variance.log())


def product_of_gaussians(q: DiagonalGaussian) -> DiagonalGaussian:
    """Multiply the densities of the group: (B, G, d) to (B, 1, d) (Bouchacourt et al. 2018, eq. 4)."""
    precision = torch.exp(-q.logvar)
    total = precision.sum(1, keepdim=True)
    return DiagonalGaussian((precision * q.mean).sum(1, keepdim=True) / total, -total.log())


class Aggregation(nn.Module, ABC):
    """Makes the posteriors of a group share what its images have in common."""

    @abstractmethod
    def forward(self, q: DiagonalGaussian) -> DiagonalGaussian:
        """Map posteriors (B, G, d) to posteriors (B, G, d)."""


class AdaGVAE(Aggregation):
    """Average means and variances of the latents that a pair seems to share.

    Source: Locatello et al., Weakly-Supervised Disentanglement Without Compromises, ICML 2020.

    Args:
        ratio: Position of the sharing threshold between the smallest (0) and largest (1) divergence of a pair.

    Raises:
        InputError: If ratio lies outside [0, 1].
    """

    def __init__(self, ratio: float = 0.5) -> None:
        super().__init__()
        self.ratio = _checked(ratio)

    def forward(self, q: DiagonalGaussian) -> DiagonalGaussian:
        """Average the shared latents of pairs (B, 2, d)."""
        return _share(q, moment_average(q), self.ratio)


class AdaMLVAE(Aggregation):
    """Multiply the posteriors of the latents that a pair seems to share.

    The exact product of Gaussians; disentanglement_lib uses twice its variance. Source: Locatello et al. 2020.

    Args:
        ratio: Position of the sharing threshold between the smallest (0) and largest (1) divergence of a pair.

    Raises:
        InputError: If ratio lies outside [0, 1].
    """

    def __init__(self, ratio: float = 0.5) -> None:
        super().__init__()
        self.ratio = _checked(ratio)

    def forward(self, q: DiagonalGaussian) -> DiagonalGaussian:
        """Multiply the shared latents of pairs (B, 2, d)."""
        return _share(q, product_of_gaussians(q), self.ratio)


def _share(q: DiagonalGaussian, common: DiagonalGaussian, ratio: float) -> DiagonalGaussian:
    if q.mean.shape[1] != 2:
        raise InputError(f"adaptive aggregation compares the two images of a pair, got groups of {q.mean.shape[1]}")
    shared = shared_latents(q, ratio)
    return DiagonalGaussian(torch.where(shared, common.mean, q.mean), torch.where(shared, common.logvar, q.logvar))


def _checked(ratio: float) -> float:
    if not 0 <= ratio <= 1:
        raise InputError(f"the threshold ratio of an adaptive aggregation must lie in [0, 1], got {ratio}")
    return ratio
