"""The beta-VAE, and with beta = 1 the VAE."""

from typing import Any

from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


class BetaVAE(VAE):
    r"""nll + beta * KL(q(z|x) || N(0, I)).

    .. math::

        -\log p(x \mid z) + \beta \, \mathrm{KL}\big(q(z \mid x) \,\|\, \mathcal{N}(0, I)\big)

    Source: Higgins et al., beta-VAE, ICLR 2017, eq. 4; beta = 1 is Kingma and Welling 2014.

    Args:
        *args: See `VAE`.
        beta: Weight of the KL term, at least 0.
        **kwargs: See `VAE`.

    Raises:
        InputError: If beta is negative.
    """

    def __init__(self, *args: Any, beta: float = 4.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if beta < 0:
            raise InputError(f"beta must not be negative, got {beta}")
        self.beta = beta

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll and kl (), means over the batch in nats."""
        total = kl.sum(1).mean()
        return {"loss": nll.mean() + self.beta * total, "nll": nll.mean(), "kl": total}
