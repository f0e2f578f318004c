"""A model that is linear and orthogonal, so that everything about it is known: z are coordinates, x = mean + z B."""

from typing import cast

import torch
from torch import Tensor

from disentangle_pl.data.provenance import UNTRAINED
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian

SIDE = 12


class LinearBrain:
    """Volumes of 12 x 12 x 12 voxels in the span of d orthonormal directions around one half.

    Args:
        d: Latents.
        loses: Share of every code that the encoder misses.
    """

    def __init__(self, d: int, loses: float = 0.0) -> None:
        directions = torch.linalg.qr(torch.randn(SIDE**3, d, generator=torch.Generator().manual_seed(0))).Q
        self.directions, self.loses, self.device = directions.T, loses, torch.device("cpu")
        self.provenance = UNTRAINED

    def encode(self, images: Tensor) -> DiagonalGaussian:
        """Project images."""
        mean = (images.flatten(1) - 0.5) @ self.directions.T * (1 - self.loses)
        return DiagonalGaussian(mean, torch.zeros_like(mean))

    def decode(self, z: Tensor) -> Tensor:
        """Add the directions up."""
        images: Tensor = 0.5 + z @ self.directions
        return images.view(-1, 1, SIDE, SIDE, SIDE)


def linear_brain(d: int = 4, loses: float = 0.0) -> VAE:
    """Pass the model off as a VAE."""
    return cast(VAE, LinearBrain(d, loses))
