"""A beta-VAE whose latents cost more one after the other, so that they come in one order everywhere."""

from typing import Any

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


def ordered_weights(first: float, last: float, latent_dim: int) -> Tensor:
    """Return beta_j = first * (last / first) ** (j / (d - 1)), (d,), the weights of the latents j = 0 ... d - 1.

    Args:
        first: Of latent 0, above 0.
        last: Of latent d - 1, at least `first`.
        latent_dim: Number of latents d; a single one has the weight `first`.

    Raises:
        InputError: If the weights are not positive, or fall.
    """
    if not 0 < first <= last:
        raise InputError(f"ordered latents need 0 < beta <= last_beta, got {first} and {last}")
    steps = torch.arange(latent_dim, dtype=torch.float64) / max(latent_dim - 1, 1)
    return (first * (last / first) ** steps).float()


class OrderedVAE(VAE):
    r"""nll + sum_j beta_j * KL(q(z_j|x) || N(0, 1)), beta_j rising geometrically from `beta` to `last_beta`.

    .. math::

        -\log p(x \mid z) + \sum_{j=0}^{d-1} \beta_j \, \mathrm{KL}\big(q(z_j \mid x) \,\|\, \mathcal{N}(0, 1)\big)

        \beta_j = \beta \left( \beta_{\mathrm{last}} / \beta \right)^{j / (d - 1)}

    The cheapest latent takes what is worth most nats over the whole data set, as in PCA; the dearest may stay unused.
    One global order can be wrong where the amounts of variance depend on the place. In a linear autoencoder a penalty
    that rises from latent to latent singles out the principal components, which an equal one leaves free to turn
    (Bao et al. 2020, arXiv:2007.06731, section 4.1); nested dropout has the same aim (Rippel et al. 2014,
    arXiv:1402.0915). The weights of the KL are ours.

    Source: after Bao et al. 2020 (arXiv:2007.06731); the objective is ours.

    Args:
        *args: See `VAE`.
        beta: Weight of the first latent, above 0.
        last_beta: Weight of the last one; equal to beta it is the beta-VAE.
        **kwargs: See `VAE`.

    Raises:
        InputError: If beta is not positive, or last_beta below it.
    """

    weights: Tensor

    def __init__(self, *args: Any, beta: float = 1.0, last_beta: float = 16.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        weights = ordered_weights(beta, last_beta, self.backbone.latent_dim)
        self.register_buffer("weights", weights, persistent=False)

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl and weighted_kl (), means over the batch in nats."""
        latents = kl.mean(0)
        weighted = (self.weights * latents).sum()
        return {"loss": nll.mean() + weighted, "nll": nll.mean(), "kl": latents.sum(), "weighted_kl": weighted}
