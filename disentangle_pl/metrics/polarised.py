"""The polarised regime: which latents a model uses, and how cleanly it drops the others."""

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian


def spread_latents(means: Tensor, *, variance: float = 0.01) -> Tensor:
    r"""Tell which latents move: those whose posterior means vary by more than a threshold.

    .. math::

        \mathrm{active}_j = \mathbf{1}\big[ \mathrm{Var}_x \, \mu_j(x) > 0.01 \big]

    Source: Burda et al. 2016 (arXiv:1509.00519), whose threshold is the default. Rolinek et al. 2019
    (arXiv:1812.06775) ask for a standard deviation of .5, a variance of .25.

    Args:
        means: (N, d) posterior means.
        variance: The threshold, on the variance over the N rows.

    Returns:
        (d,) bool.

    Raises:
        InputError: If means is not (N, d) with a row, or holds a NaN or infinity.
    """
    return _checked(means).double().var(dim=0, correction=0) > variance


def informative_latents(posterior: DiagonalGaussian, *, nats: float = 0.01) -> Tensor:
    """Tell which latents say something: those whose mean KL divergence to the prior is above a threshold.

    Source: Duan et al. 2020 (arXiv:1905.12614), whose threshold is the default.

    Args:
        posterior: Of N images, (N, d).
        nats: The threshold, on the mean over the N rows.

    Returns:
        (d,) bool.

    Raises:
        InputError: If the posterior is not (N, d) with a row, or holds a NaN or infinity.
    """
    return _kl(posterior).mean(dim=0) > nats


def passive_share(active: Tensor) -> float:
    """Return the share of latents that are not active (d,), in [0, 1]."""
    return float((~active).double().mean())


def delta_kl(posterior: DiagonalGaussian, active: Tensor) -> float:
    r"""Return |KL - KL'| / KL, KL' = 1/2 sum_{j active} (mu_j^2 - log s_j^2 - 1), both means over images.

    .. math::

        \frac{|\mathrm{KL} - \mathrm{KL}'|}{\mathrm{KL}}, \qquad
        \mathrm{KL}' = \frac{1}{2} \sum_{j \text{ active}} \big( \mu_j^2 - \log \sigma_j^2 - 1 \big)

    KL' takes the variances of active latents for 0 and passive latents for the prior: near 0 (Rolinek et al. report
    below .03) the model is in the polarised regime. Source: Rolinek et al. 2019 (arXiv:1812.06775).

    Args:
        posterior: Of N images, (N, d).
        active: (d,) bool, such as `spread_latents(posterior.mean, variance=0.25)`.

    Returns:
        The relative difference, at least 0; 0 where KL is 0.

    Raises:
        InputError: If the posterior is not (N, d) with a row, or holds a NaN or infinity, or active is not (d,).
    """
    divergence = _kl(posterior).mean(dim=0)
    if active.shape != divergence.shape:
        raise InputError(f"active must be a mask of {len(divergence)} latents, got {(*active.shape,)}")
    variances = posterior.logvar.double().exp().mean(dim=0)
    total = divergence.sum()
    # per latent KL - KL' is half the variance if active, and all of it if passive
    left_out = torch.where(active, 0.5 * variances, divergence).sum()
    return float(left_out / total) if total > 0 else 0.0


def _kl(posterior: DiagonalGaussian) -> Tensor:
    return _checked(DiagonalGaussian(posterior.mean.double(), posterior.logvar.double()).kl())


def _checked(values: Tensor) -> Tensor:
    if values.ndim != 2 or not values.numel():
        raise InputError(f"the posterior must be (N, d) with a row at least, got {(*values.shape,)}")
    if not values.isfinite().all():
        raise InputError("the posterior or its KL divergence is NaN or infinite: check that the model converged")
    return values
