"""Random changes of intensity, as another scanner or another day would make them, on the device of the images."""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor

from disentangle_pl.data.draws import Draw
from disentangle_pl.errors import InputError

ORDER = 3
"""Highest total degree of the polynomials of the bias field."""
TERMS = [(i, j, k) for i in range(ORDER + 1) for j in range(ORDER + 1 - i) for k in range(ORDER + 1 - i - j)][1:]
"""Degrees along the three axes; the constant is the gain's."""
NORMALS = 2 + len(TERMS)
"""Standard normal numbers that one image takes, beyond its noise."""


@final
@dataclass(frozen=True)
class Augmentation:
    """Gain, gamma, bias field and noise of training images, every image its own; 0 leaves a part out.

    An image x becomes sign(x) |x|^g exp(a + b) + e. What is exactly 0, as the background of a stripped brain, stays 0.
    Meant for intensities from 0 to 1, which it may leave upwards, and so for Gaussian likelihoods.

    Args:
        gain: Standard deviation of a, the log of the gain.
        gamma: Standard deviation of log g.
        bias: Expected root mean square of b, a sum of Legendre polynomials up to total degree 3 along the three axes.
        noise: Standard deviation of e, white noise.

    Raises:
        InputError: If one is negative.
    """

    gain: float = 0.0
    gamma: float = 0.0
    bias: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if min(self.gain, self.gamma, self.bias, self.noise) < 0:
            raise InputError(f"{self} must not have a negative standard deviation")

    def drawn_with(self, draw: Draw) -> Draw:
        """Let every training example bring along its chance, from the stream that draws the examples.

        Args:
            draw: Gives rows (n,) or (n, G).

        Returns:
            A draw of the rows, standard normals (n, [G,] 21) and seeds (n,) int64 of the noise.
        """

        def parameters(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            (rows,) = draw(n, generator)
            normals = torch.randn(*rows.shape, NORMALS, generator=generator)
            return rows, normals, torch.randint(2**62, (n,), generator=generator)

        return parameters

    def __call__(self, image: Tensor, normals: Tensor, seeds: Tensor) -> Tensor:
        """Change images.

        Args:
            image: (B, 1, D, H, W) or (B, G, 1, D, H, W).
            normals: (B, 21) or (B, G, 21).
            seeds: (B,) int64.

        Returns:
            Images of the same shape; without any strength the same ones.
        """
        result = image
        wide = (..., None, None, None, None)
        if self.gamma:
            result = result.sign() * result.abs() ** (self.gamma * normals[..., 1]).exp()[wide]
        if self.gain:
            result = result * (self.gain * normals[..., 0]).exp()[wide]
        if self.bias:
            result = result * log_bias(self.bias * normals[..., 2:], image.shape[-3:]).exp().unsqueeze(-4)
        if self.noise:
            result = result + self.noise * white_noise(image, seeds) * (image != 0)
        return result


def log_bias(strengths: Tensor, shape: torch.Size) -> Tensor:
    """Combine the polynomials of `TERMS`, each with a mean square of 1 over the volume.

    Args:
        strengths: (..., 19) of standard deviation s, for a field with an expected root mean square of s.
        shape: (D, H, W).

    Returns:
        (..., D, H, W).
    """
    cube = strengths.new_zeros(*strengths.shape[:-1], *(ORDER + 1,) * 3)
    i, j, k = _degrees(strengths.device)
    cube[..., i, j, k] = strengths / len(TERMS) ** 0.5
    along = [_polynomials(side, strengths.device, strengths.dtype) for side in shape]
    return torch.einsum("...ijk,id,jh,kw->...dhw", cube, *along)


def white_noise(image: Tensor, seeds: Tensor) -> Tensor:
    """Return standard normal noise like the images (B, ...), that of each example from its own seed (B,)."""
    generator = torch.Generator(image.device)
    noise = torch.empty_like(image)
    for example, seed in zip(noise, seeds.tolist(), strict=True):
        example.normal_(generator=generator.manual_seed(seed))
    return noise


# Once a device: a copy to a GPU at every batch would make the CPU wait.
@lru_cache
def _degrees(device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(TERMS, device=device).T)


@lru_cache
def _polynomials(side: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return Legendre polynomials (4, side) at the middles of voxels, each with a mean square of 1."""
    at = (2 * np.arange(side) + 1) / side - 1
    values = legendre.legvander(at, ORDER).T
    return torch.from_numpy(values / np.sqrt((values**2).mean(1, keepdims=True))).to(device, dtype)
