"""What a scan would look like with other latents: the model's answer, which is an association and no more.

Source: the wording and the checks follow Pawlowski et al. 2020 (arXiv:2006.06485) and Monteiro et al. 2023
(arXiv:2303.01274); without a causal graph, nothing here says what would happen to a person.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.ageing import MixedSlopes
from disentangle_pl.models.vae import VAE

Values = NDArray[np.float64]
OFTEN = 0.99
"""Share of the training scans that lie within what counts as seen."""


def aged(mean: Tensor, slopes: MixedSlopes, years: float, level: float = 0.05) -> Tensor:
    """Move the latents that age, and leave the others where they are.

    Args:
        mean: (d,) codes of a scan.
        slopes: Of the training participants.
        years: May be negative.
        level: False discovery rate up to which a latent ages.

    Returns:
        (d,) the codes so many years later.
    """
    return mean + _shift(slopes, slopes.per_year, years, level).to(mean)


def aged_again(mean: Tensor, slopes: MixedSlopes, years: float, draws: int, level: float = 0.05) -> Tensor:
    """Return codes (draws, d) as `aged`, each by the slopes of other people drawn from the training participants."""
    return mean + _shift(slopes, slopes.resampled[:draws], years, level).to(mean)


def _shift(slopes: MixedSlopes, per_year: Values, years: float, level: float) -> Tensor:
    return torch.from_numpy(np.where(slopes.q < level, years * per_year, 0.0))


def with_values(mean: Tensor, values: Mapping[int, float]) -> Tensor:
    """Set some latents of codes (d,).

    Raises:
        InputError: If there is no such latent.
    """
    check_latents(list(values), len(mean))
    changed = mean.clone()
    for latent, value in values.items():
        changed[latent] = value
    return changed


def swapped(mean: Tensor, other: Tensor, latents: list[int]) -> Tensor:
    """Take some latents of codes (d,) from other codes (d,).

    Raises:
        InputError: If there is no such latent.
    """
    check_latents(latents, len(mean))
    return with_values(mean, {latent: float(other[latent]) for latent in latents})


def check_latents(latents: list[int], d: int) -> None:
    """Refuse latents that a model of d latents does not have.

    Raises:
        InputError: If one lies outside 0..d-1.
    """
    wrong = [latent for latent in latents if not 0 <= latent < d]
    if wrong:
        raise InputError(f"there is no latent {wrong[0]}: the model has {d}, from 0 to {d - 1}")


@torch.no_grad()
def transport(model: VAE, image: Tensor, mean: Tensor, changed: Tensor) -> Tensor:
    """Add what the change does to the model's image to the scan itself, which keeps the detail that the model loses.

    Args:
        model: Decodes.
        image: (B, 1, *S) scans.
        mean: (B, d) their codes.
        changed: (B, d) the codes after the change.

    Returns:
        x + D(changed) - D(mean), (B, 1, *S); not clipped, so that the way back is the way there.
    """
    return image + (model.decode(changed) - model.decode(mean))


class Reach(NamedTuple):
    """How far codes lie from those the model was trained on.

    Attributes:
        centre: (d,) mean of the training codes.
        precision: (d, d) inverse of their covariance.
        limit: Distance that `OFTEN` of them do not exceed.
    """

    centre: Values
    precision: Values
    limit: float

    def distance(self, codes: Values) -> Values:
        """Return the Mahalanobis distances (n,) of codes (n, d)."""
        away = codes - self.centre
        found: Values = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", away, self.precision, away), 0))
        return found


def reach_of(codes: Values) -> Reach:
    """Learn from training codes (M, d) what counts as seen.

    Source: Ledoit & Wolf 2004, Journal of Multivariate Analysis 88:365: few scans of many latents would otherwise look
    degenerate, and everything else far away.
    """
    fit = LedoitWolf().fit(codes)
    reach = Reach(fit.location_, fit.precision_, 0.0)
    return reach._replace(limit=float(np.quantile(reach.distance(codes), OFTEN)))
