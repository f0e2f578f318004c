"""The annealed VAE: a beta-VAE whose KL is led along a growing capacity."""

from typing import Any

from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.losses import capacity
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


class AnnealedVAE(VAE):
    r"""nll + gamma * |KL(q(z|x) || N(0, I)) - C(t)|, C(t) growing from 0 to `max_capacity` in `annealing_steps`.

    .. math::

        -\log p(x \mid z) + \gamma \, \big| \mathrm{KL}\big(q(z \mid x) \,\|\, \mathcal{N}(0, I)\big) - C(t) \big|

        C(t) = C_{\max} \min(1, t / T)

    The capacity is in nats: it does not carry over between image sizes or likelihoods. While C(t) is small a large
    gamma lets the KL rule. Source: Burgess et al. 2018 (arXiv:1804.03599, eq. 8).

    Args:
        *args: See `VAE`.
        gamma: Weight of the distance to the capacity, at least 0.
        max_capacity: The last capacity in nats, at least 0.
        annealing_steps: Optimiser steps until it is reached, at least 1.
        **kwargs: See `VAE`.

    Raises:
        InputError: If gamma or max_capacity is negative, or annealing_steps below 1.
    """

    def __init__(
        self,
        *args: Any,
        gamma: float = 1000.0,
        max_capacity: float = 25.0,
        annealing_steps: int = 100_000,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if gamma < 0 or max_capacity < 0 or annealing_steps < 1:
            raise InputError(
                "an annealed VAE needs gamma >= 0, max_capacity >= 0 and annealing_steps >= 1, got "
                f"{gamma}, {max_capacity} and {annealing_steps}"
            )
        self.gamma, self.max_capacity, self.annealing_steps = gamma, max_capacity, annealing_steps

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl and the capacity (), means over the batch in nats."""
        # The distance of the mean is not the mean of the distances of every process.
        total = self.gather(kl.sum(1)).mean()
        target = total.new_full((), capacity(self.global_step, self.annealing_steps, self.max_capacity))
        loss = nll.mean() + self.gamma * (total - target).abs()
        return {"loss": loss, "nll": nll.mean(), "kl": total, "capacity": target}
