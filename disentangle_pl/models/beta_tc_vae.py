"""The beta-TCVAE: a larger weight on the total correlation alone."""

from typing import Any

from torch import Tensor

from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.losses import (
    gaussian_total_correlation,
    stratified_log_weights,
    total_correlation,
    weighted_log_weights,
)
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian


class BetaTCVAE(VAE):
    r"""nll + KL(q(z|x) || N(0, I)) + (beta - 1) * TC(z).

    .. math::

        -\log p(x \mid z) + \mathrm{KL}\big(q(z \mid x) \,\|\, \mathcal{N}(0, I)\big)
        + (\beta - 1) \, \mathrm{KL}\Big(q(z) \,\Big\|\, \prod_j q(z_j)\Big)

    The total correlation is estimated over the batch, of all processes together. Weighted sampling, the default, has
    the gradient of the published study (Locatello et al. 2019); stratified sampling is unbiased for q(z). Neither
    estimate, logged as `tc`, is a number to read: for 10 independent latents, batches of 64 and 737,280 images,
    weighted sampling reports 122 nats, (d - 1) log N, and more; stratified sampling reports -2.3 where every latent
    knows 1 nat of the image, and 8 where it knows 2. Read `tc_gaussian`, which is near 0 there (see
    `gaussian_total_correlation`). Source: Chen et al. 2018 (arXiv:1802.04942, eq. 4).

    Args:
        *args: See `VAE`.
        beta: Weight of the total correlation, at least 0; 1 is the VAE.
        stratified: Estimate q(z) by minibatch stratified sampling, else by minibatch weighted sampling.
        dataset_size: Number of training images N; null takes it from the data module.
        **kwargs: See `VAE`.

    Raises:
        InputError: If beta is negative or dataset_size below 1.
    """

    def __init__(
        self, *args: Any, beta: float = 6.0, stratified: bool = False, dataset_size: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if beta < 0 or (dataset_size is not None and dataset_size < 1):
            raise InputError(f"beta must not be negative nor dataset_size below 1, got {beta} and {dataset_size}")
        self.beta, self.dataset_size = beta, dataset_size
        self.log_weights = stratified_log_weights if stratified else weighted_log_weights

    def setup(self, stage: str) -> None:
        """Take the number of training images from the data, if it was not given.

        Raises:
            InputError: If training begins on data that do not tell it.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # every trainer has it
        if self.dataset_size is None and isinstance(data, ImageData):
            self.dataset_size = data.train_size
        if self.dataset_size is None and stage == "fit":
            raise InputError("beta-TCVAE needs the number of training images: set model.dataset_size")

    def objective(self, nll: Tensor, kl: Tensor, q: DiagonalGaussian, z: Tensor) -> dict[str, Tensor]:
        """Return loss, nll, kl, tc and tc_gaussian (), means over the batch in nats."""
        everywhere = DiagonalGaussian(self.gather(q.mean), self.gather(q.logvar))
        batch = len(everywhere.mean)
        weights = self.log_weights(batch, self.dataset_size or batch, z.device)
        tc = total_correlation(everywhere, self.gather(z), weights)
        total = kl.sum(1).mean()
        loss = nll.mean() + total + (self.beta - 1) * tc
        readable = gaussian_total_correlation(DiagonalGaussian(everywhere.mean.detach(), everywhere.logvar.detach()))
        return {"loss": loss, "nll": nll.mean(), "kl": total, "tc": tc, "tc_gaussian": readable}
