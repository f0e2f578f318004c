"""DIP-VAE I and II: the covariance of the latents over the data, drawn to the identity."""

from typing import Any

from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.losses import covariance, dip_penalties
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


class DIPVAE1(VAE):
    r"""nll + KL + off_diagonal * sum_{i != j} C_ij^2 + diagonal * sum_i (C_ii - 1)^2 with C = Cov_x[mean].

    .. math::

        -\log p(x \mid z) + \mathrm{KL} + \lambda_{od} \sum_{i \neq j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2

        C = \mathrm{Cov}_x[\mu(x)]

    The covariance is that of the batch, of all processes together. Every latent is drawn to variance 1, so latents that
    are not needed stay in use. Source: Kumar et al. 2018 (arXiv:1711.00848, eq. 6).

    Args:
        *args: See `VAE`.
        off_diagonal: Weight of the covariances, at least 0.
        diagonal: Weight of the variances, at least 0; null for 10 * off_diagonal.
        **kwargs: See `VAE`.

    Raises:
        InputError: If a weight is negative.
    """

    def __init__(self, *args: Any, off_diagonal: float = 10.0, diagonal: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.off_diagonal, self.diagonal = _checked(off_diagonal, 10 * off_diagonal if diagonal is None else diagonal)

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl and the two penalties (); nll and kl in nats."""
        return _dip(nll, kl, covariance(self.gather(q.mean)), self.off_diagonal, self.diagonal)


class DIPVAE2(VAE):
    r"""As `DIPVAE1` with C = Cov_x[mean] + E_x[diag variance], the covariance of the sampled latents.

    .. math::

        -\log p(x \mid z) + \mathrm{KL} + \lambda_{od} \sum_{i \neq j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2

        C = \mathrm{Cov}_x[\mu(x)] + \mathbb{E}_x[\mathrm{diag} \, \sigma^2(x)]

    Source: Kumar et al. 2018 (arXiv:1711.00848, eq. 7).

    Args:
        *args: See `VAE`.
        off_diagonal: Weight of the covariances, at least 0.
        diagonal: Weight of the variances, at least 0; null for off_diagonal.
        **kwargs: See `VAE`.

    Raises:
        InputError: If a weight is negative.
    """

    def __init__(self, *args: Any, off_diagonal: float = 10.0, diagonal: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.off_diagonal, self.diagonal = _checked(off_diagonal, off_diagonal if diagonal is None else diagonal)

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl and the two penalties (); nll and kl in nats."""
        cov = covariance(self.gather(q.mean)) + self.gather(q.logvar).exp().mean(0).diag()
        return _dip(nll, kl, cov, self.off_diagonal, self.diagonal)


def _dip(nll: Tensor, kl: Tensor, cov: Tensor, off_diagonal: float, diagonal: float) -> dict[str, Tensor]:
    covariances, variances = dip_penalties(cov)
    total = kl.sum(1).mean()
    loss = nll.mean() + total + off_diagonal * covariances + diagonal * variances
    return {"loss": loss, "nll": nll.mean(), "kl": total, "covariances": covariances, "variances": variances}


def _checked(off_diagonal: float, diagonal: float) -> tuple[float, float]:
    if off_diagonal < 0 or diagonal < 0:
        raise InputError(f"off_diagonal and diagonal must not be negative, got {off_diagonal} and {diagonal}")
    return off_diagonal, diagonal
