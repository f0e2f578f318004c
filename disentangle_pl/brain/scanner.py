"""What a scanner does to an image: pose, contrast, bias field, gain and noise."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.brain.anatomy import Array, Matrix
from disentangle_pl.brain.seeds import Stream, draws

TURN, SHIFT = np.radians(0.5), 0.5  # sd of what registration leaves, radians and mm
GAIN, GAMMA = 0.08, 0.04  # sd, log
BIAS = (0.1, 0.03)  # mean and sd of the root mean square, log
ORDER = 3  # of the Legendre polynomials
OWN = 0.8  # weight of the scanner's bias field; that of the day has the rest of the variance
NOISE = {1.5: 0.025, 3.0: 0.018}  # sd; white matter has about 0.75
SITES, SCANNERS = 8, 2  # sites; scanners a site


@dataclass(frozen=True)
class Scanner:
    """One machine.

    Attributes:
        name: Site and number, such as 003-2.
        tesla: Field strength.
        gain: Log factor of all its images.
        bias: (4, 4, 4) Legendre coefficients of its bias field.
    """

    name: str
    tesla: float
    gain: float
    bias: Matrix


@dataclass(frozen=True)
class Acquisition:
    """One scan's settings, drawn or chosen.

    Attributes:
        turn: (3,) radians about the axes through the centre.
        shift: (3,) mm.
        gain: Log factor of the image.
        gamma: Log exponent of the intensities.
        bias_rms: Root mean square of the log bias field within the mask.
        bias: (4, 4, 4) Legendre coefficients, up to a factor.
        noise: Standard deviation of the Rician noise.
    """

    turn: Matrix
    shift: Matrix
    gain: float
    gamma: float
    bias_rms: float
    bias: Matrix
    noise: float


def make_scanner(seed: int, site: int, number: int) -> Scanner:
    """Draw a scanner of a cohort: site from 1 to 8, number 1 or 2."""
    rng = draws(seed, Stream.SCANNER, site, number)
    tesla = float(rng.choice([1.5, 3.0], p=[0.4, 0.6]))
    return Scanner(f"{site:03d}-{number}", tesla, rng.normal(0, GAIN / 2), _legendre_coefficients(rng))


def acquire(scanner: Scanner, rng: np.random.Generator) -> Acquisition:
    """Draw the settings of one scan on a scanner."""
    return Acquisition(
        turn=rng.normal(0, TURN, 3),
        shift=rng.normal(0, SHIFT, 3),
        gain=scanner.gain + rng.normal(0, GAIN),
        gamma=rng.normal(0, GAMMA),
        bias_rms=abs(rng.normal(*BIAS)),
        bias=OWN * scanner.bias + np.sqrt(1 - OWN**2) * _legendre_coefficients(rng),
        noise=NOISE[scanner.tesla],
    )


def bias_field(coefficients: Matrix, mask: Tensor, rms: float) -> Tensor:
    """Return the log bias field (n, n, n) with mean square rms^2 within the mask."""
    axis = np.linspace(-1, 1, mask.shape[-1])
    basis = np.stack([np.polynomial.legendre.Legendre.basis(k)(axis) for k in range(ORDER + 1)])
    field = torch.from_numpy(np.einsum("abc,ax,by,cz->xyz", coefficients, basis, basis, basis, optimize=True)).float()
    inside = field[mask]
    return field * (rms / inside.square().mean().sqrt()) if len(inside) else field


def scan(signal: Tensor, mask: Tensor, settings: Acquisition, rng: np.random.Generator) -> Array:
    """Turn a signal (n, n, n), white matter at about 0.75, into a magnitude image, 0 outside the mask (n, n, n).

    Source: Gudbjartsson & Patz 1995, The Rician distribution of noisy MRI data.
    """
    bent = signal.clamp(min=0) ** float(np.exp(settings.gamma))
    true = bent * torch.exp(bias_field(settings.bias, mask, settings.bias_rms) + settings.gain)
    real, imaginary = torch.from_numpy(rng.standard_normal((2, *signal.shape), dtype=np.float32)) * settings.noise
    image: Array = (torch.hypot(true + real, imaginary) * mask).numpy()
    return image


def _legendre_coefficients(rng: np.random.Generator) -> Matrix:
    order = np.indices((ORDER + 1,) * 3).sum(0)
    weights = np.where((order > 0) & (order <= ORDER), 1 / np.maximum(order, 1), 0)
    coefficients: Matrix = rng.standard_normal(order.shape) * weights
    return coefficients
