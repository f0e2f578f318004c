"""The terms that objectives are made of, as pure functions in nats."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.posterior import DiagonalGaussian

LOG_TWO_PI = math.log(2 * math.pi)


def pairwise_log_density(q: DiagonalGaussian, z: Tensor) -> Tensor:
    """Return log q(z_i | x_j) of every latent: latents z (B, d) under every posterior (B, d) to (B, B, d), i first."""
    shift = (z.unsqueeze(1) - q.mean.unsqueeze(0)).square() * torch.exp(-q.logvar).unsqueeze(0)
    return -0.5 * (shift + q.logvar.unsqueeze(0) + LOG_TWO_PI)


def weighted_log_weights(batch: int, size: int, device: torch.device | None = None) -> Tensor:
    """Return the log weights (B, B) of minibatch weighted sampling, all -log(N B).

    q(z) is underestimated by it on average (Chen et al. 2018, arXiv:1802.04942, appendix C.1).

    Args:
        batch: B, the number of posteriors.
        size: N, the number of training images.
        device: Where to make them; None for the CPU.
    """
    return torch.full((batch, batch), -math.log(size * batch), device=device)


def stratified_log_weights(batch: int, size: int, device: torch.device | None = None) -> Tensor:
    """Return the log weights (B, B) of minibatch stratified sampling, under which q(z) is unbiased.

    Unbiased over batches of different images; drawn with replacement, an image may meet itself, which weighs more the
    fewer images there are. With M = B - 1 the image itself weighs 1/N, one other (N - M)/(N M), the rest 1/M; every row
    sums to 1. Source: Chen et al. 2018 (arXiv:1802.04942, appendix C.2); widespread code puts 1/N into the first
    column, not on the diagonal.

    Args:
        batch: B, the number of posteriors.
        size: N, the number of training images; a batch with more images than that counts as all of them.
        device: Where to make them; None for the CPU.
    """
    if batch == 1:
        return torch.zeros(1, 1, device=device)
    remainder, size = batch - 1, max(size, batch)
    weights = torch.full((batch, batch), 1 / remainder, device=device)
    weights.fill_diagonal_(1 / size)
    one = (size - remainder) / (size * remainder)
    weights.diagonal(1).fill_(one)
    weights[-1, 0].fill_(one)
    return weights.log()


def aggregate_log_density(log_density: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate log q(z_i) (B,) and the log q(z_il) (B, d) of its latents from `pairwise_log_density` (B, B, d)."""
    joint = torch.logsumexp(log_weights + log_density.sum(2), 1)
    return joint, torch.logsumexp(log_weights.unsqueeze(2) + log_density, 1)


def total_correlation(q: DiagonalGaussian, z: Tensor, log_weights: Tensor) -> Tensor:
    """Estimate KL(q(z) || prod_l q(z_l)), () in nats, from one batch.

    Good for its gradient only: the weights of weighted sampling add (d - 1) log N, and the density of z under its own
    posterior outweighs all others as soon as the latents together know more than log B nats of an image. Source: Chen
    et al. 2018 (arXiv:1802.04942, section 3). With log weights of 0 it is the estimate of
    disentanglement_lib, lower by (d - 1) log(N B) than that of minibatch weighted sampling.

    Args:
        q: The posteriors (B, d).
        z: (B, d) latents, row i drawn from posterior i.
        log_weights: (B, B), of `weighted_log_weights` or `stratified_log_weights`.
    """
    joint, marginals = aggregate_log_density(pairwise_log_density(q, z), log_weights)
    return (joint - marginals.sum(1)).mean()


def gaussian_total_correlation(q: DiagonalGaussian) -> Tensor:
    """Measure KL(q(z) || prod_l q(z_l)), () in nats, as if q(z) were normal with the covariance of a batch.

    1/2 (sum_l log C_ll - log det C) with C = Cov[mean] + E[diag variance]: the true value where q(z) is normal, at any
    number of latents and images, and blind to dependence without correlation. What chance correlations of B means
    add to it, 1/(4 (B - 1)) for every ordered pair of latents whose variance is all in their means, is taken off.
    Source: the score of that name of Locatello et al. 2019 (arXiv:1811.12359), there of the means alone.

    Args:
        q: The posteriors (B, d).
    """
    of_means = covariance(q.mean)
    cov = of_means + q.logvar.exp().mean(0).diag()
    variances = cov.diagonal()
    share = of_means.diagonal() / variances
    chance = (share.sum().square() - share.square().sum()) / (4 * max(len(q.mean) - 1, 1))
    scale = variances.rsqrt()
    log_determinant: Tensor = torch.linalg.slogdet(cov * scale * scale.unsqueeze(1)).logabsdet
    return -0.5 * log_determinant - chance


def permute_dims(z: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Shuffle every latent of z (B, d) over the batch by itself (Kim and Mnih 2018, arXiv:1802.05983, algorithm 1)."""
    order = torch.rand(z.shape, device=z.device, generator=generator).argsort(0)
    return z.gather(0, order)


def density_ratio_tc(logits: Tensor) -> Tensor:
    """Estimate the total correlation () from logits (B, 2) of a discriminator, class 0 being q(z).

    Source: Kim and Mnih 2018 (arXiv:1802.05983, eq. 3).
    """
    return (logits[:, 0] - logits[:, 1]).mean()


def discriminator_loss(joint: Tensor, permuted: Tensor) -> Tensor:
    """Return the cross-entropy () of telling latents, class 0, from permuted ones: logits (B, 2) and (P, 2).

    Source: Kim and Mnih 2018 (arXiv:1802.05983, algorithm 2).
    """
    zeros, ones = (logits.new_full((len(logits),), i, dtype=torch.long) for i, logits in enumerate((joint, permuted)))
    return 0.5 * (F.cross_entropy(joint, zeros) + F.cross_entropy(permuted, ones))


def covariance(mean: Tensor) -> Tensor:
    """Return the covariance (d, d) of posterior means (B, d) over the batch, divided by B."""
    centred = mean - mean.mean(0)
    # No matrix product: autocast would round it to 16 bits.
    return (centred.unsqueeze(2) * centred.unsqueeze(1)).mean(0)


def dip_penalties(cov: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum_{i != j} C_ij^2 and sum_i (C_ii - 1)^2 of a covariance (d, d).

    Source: Kumar et al. 2018 (arXiv:1711.00848, eq. 6 and 7).
    """
    diagonal = cov.diagonal()
    return cov.square().sum() - diagonal.square().sum(), (diagonal - 1).square().sum()


def hausdorff_support(z: Tensor) -> Tensor:
    r"""Measure how far the support of latents is from a product of supports, () in squared units of the latents.

    .. math::

        \sum_{i < j} \max_{a, b} \min_n \; (z_{ai} - z_{ni})^2 + (z_{bj} - z_{nj})^2

    0 where every pair of values that two latents take alone is taken together, however the values correlate. It falls
    with the number of rows. Source: Roth et al. 2023 (arXiv:2210.07347), the pairwise Hausdorff distance, squared as in
    the authors' code.

    Args:
        z: (B, d) latents; memory grows with d B^3. The gradient is that of the points of the largest distances.
    """
    columns, far = z.detach().T, []
    squares = (columns.unsqueeze(2) - columns.unsqueeze(1)).square()
    batch = len(z)
    for first in range(len(columns) - 1):
        near, nearest = (squares[first].unsqueeze(0) + squares[first + 1 :].unsqueeze(2)).flatten(1, 2).min(2)
        worst = near.argmax(1, keepdim=True)
        points = nearest.gather(1, worst)[:, 0]
        second = torch.arange(first + 1, len(columns), device=z.device)
        # the rows of the table are pairs (b, a)
        own = z[worst[:, 0] % batch, first] - z[points, first]
        far.append((own.square() + (z[worst[:, 0] // batch, second] - z[points, second]).square()).sum())
    return torch.stack(far).sum() if far else z.sum() * 0


def capacity(step: int, steps: int, largest: float) -> float:
    """Return the capacity in nats at a step: from 0 up to the largest in `steps` steps, in a straight line.

    Source: Burgess et al. 2018 (arXiv:1804.03599, section 4.1).
    """
    return largest * min(1.0, step / steps)
