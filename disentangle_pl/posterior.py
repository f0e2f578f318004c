"""Diagonal Gaussians as plain tensors: torch.distributions checks its arguments and thereby stalls a GPU."""

from typing import NamedTuple

import torch
from torch import Tensor


class DiagonalGaussian(NamedTuple):
    """A normal distribution with diagonal covariance over d latents.

    Attributes:
        mean: (..., d).
        logvar: (..., d), natural logarithm of the variance.
    """

    mean: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparametrise standard normal noise (..., d) into latents (..., d)."""
        return self.mean + noise * torch.exp(0.5 * self.logvar)

    def kl(self) -> Tensor:
        """KL divergence (..., d) of every latent to the standard normal, in nats (Kingma and Welling 2014, app. B)."""
        return 0.5 * (self.mean.square() + self.logvar.exp() - self.logvar - 1)

    def kl_to(self, other: "DiagonalGaussian") -> Tensor:
        """KL divergence (..., d) of every latent to that of `other`, in nats."""
        ratio = (self.logvar - other.logvar).exp()
        shift = (self.mean - other.mean).square() * torch.exp(-other.logvar)
        return 0.5 * (ratio + shift - 1 - (self.logvar - other.logvar))
