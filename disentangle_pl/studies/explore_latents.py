"""How far the latents of an explored model go, and how much they move in a year."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.latent_table import NATS
from disentangle_pl.studies.scan_codes import ScanCodes, group_slopes

SPAN = 3.0
AGES = 0.05  # false discovery rate up to which a latent ages


class Latent(NamedTuple):
    """One latent and how far it goes.

    Attributes:
        number: Which one.
        kl: Mean KL divergence to the prior, in nats.
        low: Mean of the aggregate posterior less three of its standard deviations.
        high: The mean and three of them.
        active: Whether its KL is above 0.01 nats.
    """

    number: int
    kl: float
    low: float
    high: float
    active: bool


def latents_of(q: DiagonalGaussian) -> tuple[Latent, ...]:
    """Describe latents by posteriors (N, d), those of the largest KL first."""
    kl = q.kl().double().mean(0)
    mean = q.mean.double().mean(0)
    spread = (q.mean.double().var(0, unbiased=False) + q.logvar.double().exp().mean(0)).sqrt()
    low, high = (mean - SPAN * spread).tolist(), (mean + SPAN * spread).tolist()
    nats = kl.tolist()
    return tuple(Latent(i, nats[i], low[i], high[i], nats[i] > NATS) for i in kl.argsort(descending=True).tolist())


def slopes_of(scans: ScanCodes, group: str) -> tuple[Tensor, str]:
    """Return how much every latent (d,) moves a year, 0 for those that do not age beyond chance, and whose slopes.

    Raises:
        InputError: If slopes cannot be fitted.
    """
    slopes, whose = group_slopes(scans, group)
    return torch.from_numpy(np.where(slopes.q < AGES, slopes.per_year, 0.0)).float(), whose
