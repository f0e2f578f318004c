"""FactorVAE: the total correlation told by a discriminator that learns along."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from disentangle_pl.backbones import glorot
from disentangle_pl.errors import InputError
from disentangle_pl.losses import density_ratio_tc, discriminator_loss, permute_dims
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian

EVALUATION_SEED = 2**31  # no batch number: those seed the noise of the latents, which must not tell the permutation


class FactorVAE(VAE):
    r"""nll + KL(q(z|x) || N(0, I)) + gamma * TC(z), TC from the density ratio of a discriminator.

    .. math::

        -\log p(x \mid z) + \mathrm{KL}\big(q(z \mid x) \,\|\, \mathcal{N}(0, I)\big)
        + \gamma \, \mathbb{E}_{q(z)} \big[ D_0(z) - D_1(z) \big]

    Model and discriminator take one step a batch, simultaneously and in one backward pass: the discriminator's weights
    are constants in the TC term, the latents are constants in the discriminator's loss. So `max_steps` counts batches,
    and clipping, accumulation and data parallelism work as for any model. Watch `discriminator_accuracy`: .5 is no
    signal, 1 is saturated. Source: Kim and Mnih 2018 (arXiv:1802.05983, eq. 2 and algorithm 2).

    Args:
        *args: See `VAE`.
        gamma: Weight of the total correlation, at least 0.
        two_batches: Permute the latents of a second, independent batch, as the paper does: the latents of the first
            half of the images meet permuted ones of the second half. Otherwise one batch serves both, as in
            disentanglement_lib. The ELBO is over all images either way.
        width: Units of a hidden layer of the discriminator.
        depth: Hidden layers of the discriminator.
        discriminator_lr: Learning rate of the discriminator.
        discriminator_betas: Betas of its Adam.
        **kwargs: See `VAE`.

    Raises:
        InputError: If gamma is negative, or width or depth below 1.
    """

    def __init__(
        self,
        *args: Any,
        gamma: float = 35.0,
        two_batches: bool = False,
        width: int = 1000,
        depth: int = 6,
        discriminator_lr: float = 1e-4,
        discriminator_betas: tuple[float, float] = (0.5, 0.9),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if gamma < 0 or width < 1 or depth < 1:
            got = f"{gamma}, {width} and {depth}"
            raise InputError(f"FactorVAE needs gamma >= 0, width >= 1 and depth >= 1, got {got}")
        self.gamma, self.two_batches = gamma, two_batches
        self.discriminator = discriminator(self.backbone.latent_dim, width, depth)
        settings = {"lr": discriminator_lr, "betas": tuple(discriminator_betas)}
        self.own_settings.append((self.discriminator, settings))

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl, tc, discriminator_loss () in nats, and discriminator_accuracy in [0, 1]."""
        z = self.gather(z)
        joint, other = _halves(z) if self.two_batches else (z, z)
        frozen = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        tc = density_ratio_tc(torch.func.functional_call(self.discriminator, frozen, (joint,)).float())
        # Validation must not move the random numbers of training.
        generator = None if self.training else torch.Generator(z.device).manual_seed(EVALUATION_SEED)
        logits = self.discriminator(joint.detach()).float()
        fooled = self.discriminator(permute_dims(other.detach(), generator)).float()
        adversary = discriminator_loss(logits, fooled)
        total = kl.sum(1).mean()
        right = (logits[:, 0] > logits[:, 1]).float().mean() + (fooled[:, 1] > fooled[:, 0]).float().mean()
        return {
            "loss": nll.mean() + total + self.gamma * tc + adversary,
            "nll": nll.mean(),
            "kl": total,
            "tc": tc,
            "discriminator_loss": adversary,
            "discriminator_accuracy": right / 2,
        }


def _halves(z: Tensor) -> tuple[Tensor, Tensor]:
    first, second = z.tensor_split(2)
    return first, second if len(second) else first


def discriminator(latent_dim: int, width: int, depth: int) -> nn.Sequential:
    """Make the network of Kim and Mnih 2018, appendix A: two logits (B, 2) for latents (B, d), class 0 being q(z).

    Its first weights are Glorot uniform and its biases zero, as in the study of Locatello et al. 2019, whose layers are
    TensorFlow's dense ones as they come (disentanglement_lib, `fc_discriminator`).
    """
    widths = [latent_dim] + [width] * depth
    layers = [layer for before, after in pairwise(widths) for layer in (nn.Linear(before, after), nn.LeakyReLU(0.2))]
    network = nn.Sequential(*layers, nn.Linear(width, 2))
    glorot(network)
    return network
