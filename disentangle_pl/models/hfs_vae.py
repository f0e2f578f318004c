"""The VAE with Hausdorff-factorised support, for correlated factors."""

from typing import Any

from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.losses import hausdorff_support
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


class HFSVAE(VAE):
    r"""nll + beta * KL(q(z|x) || N(0, I)) + gamma * HFS(mean).

    .. math::

        -\log p(x \mid z) + \beta \, \mathrm{KL} + \gamma \sum_{i < j} \max_{a, b} \min_n
        \big\| (\mu_i(x_a), \mu_j(x_b)) - (\mu_i(x_n), \mu_j(x_n)) \big\|^2

    The latents may correlate, as factors of real data do, but every combination of their values must occur. The
    distance is that of the posterior means of a batch, of all processes together: it falls with the number of images,
    and codes that shrink lower it too, which the KL term stands against; with beta = 0 nothing does. Source: Roth et
    al. 2023 (arXiv:2210.07347).

    Args:
        *args: See `VAE`.
        beta: Weight of the KL term, at least 0.
        gamma: Weight of the distance, at least 0; the source searches 0.1 to 10,000.
        **kwargs: See `VAE`.

    Raises:
        InputError: If a weight is negative.
    """

    def __init__(self, *args: Any, beta: float = 1.0, gamma: float = 10.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if beta < 0 or gamma < 0:
            raise InputError(f"beta and gamma must not be negative, got {beta} and {gamma}")
        self.beta, self.gamma = beta, gamma

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl and hfs (); nll and kl in nats, hfs in squared units of the latents."""
        total, distance = kl.sum(1).mean(), hausdorff_support(self.gather(q.mean))
        loss = nll.mean() + self.beta * total + self.gamma * distance
        return {"loss": loss, "nll": nll.mean(), "kl": total, "hfs": distance}
