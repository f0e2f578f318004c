"""Mixtures of Gaussians of a pair of variables: exact marginal and conditional modules at any rotation."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

LEAST_VARIANCE = 0.01


class Mixture(NamedTuple):
    """A mixture of Gaussians of a pair of variables, for each of S seeds.

    Attributes:
        log_weight: (S, K) normalised.
        mean: (S, K, 2).
        covariance: (S, K, 2, 2).
    """

    log_weight: Tensor
    mean: Tensor
    covariance: Tensor


class Marginal(NamedTuple):
    """The mixture of Gaussians of one variable; every field (S, K)."""

    log_weight: Tensor
    mean: Tensor
    log_variance: Tensor


class Experts(NamedTuple):
    """A conditional density: Gaussian experts, linear in u, under a gate quadratic in u; every field (S, K)."""

    constant: Tensor
    linear: Tensor
    quadratic: Tensor
    intercept: Tensor
    slope: Tensor
    log_variance: Tensor


def rotation(angle: Tensor) -> Tensor:
    """Return the matrices (S, 2, 2) that turn column vectors by angles (S,) in radians."""
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], -2)


def turn(mixture: Mixture, matrix: Tensor) -> Mixture:
    """Return the mixture of the variables that matrices (S, 2, 2) make of the old ones."""
    covariance = matrix[:, None] @ mixture.covariance @ matrix.mT[:, None]
    return Mixture(mixture.log_weight, mixture.mean @ matrix.mT, covariance)


def marginal(mixture: Mixture) -> Marginal:
    """Return the exact marginal of the first variable."""
    return Marginal(mixture.log_weight, mixture.mean[..., 0], mixture.covariance[..., 0, 0].log())


def conditional(mixture: Mixture) -> Experts:
    """Return the exact conditional of the second variable, given the first."""
    first, second = mixture.mean.unbind(-1)
    variance, shared = mixture.covariance[..., 0, 0], mixture.covariance[..., 0, 1]
    slope = shared / variance
    return Experts(
        mixture.log_weight - 0.5 * variance.log() - 0.5 * first.square() / variance,
        first / variance,
        -0.5 / variance,
        second - slope * first,
        slope,
        (mixture.covariance[..., 1, 1] - slope * shared).log(),
    )


def parts(mixture: Marginal, u: Tensor) -> Tensor:
    """Return the log density (S, n, K) in nats of values u (S, n) and their component."""
    log_weight, mean, log_variance = (field[:, None] for field in mixture)
    return log_weight - 0.5 * _gaussian(u[..., None] - mean, log_variance)


def expert_log_density(experts: Experts, u: Tensor, v: Tensor) -> Tensor:
    """Return log p(v | u) in nats (S, n) for values u, v (S, n)."""
    constant, linear, quadratic, intercept, slope, log_variance = (field[:, None] for field in experts)
    u, v = u[..., None], v[..., None]
    gate = (constant + linear * u + quadratic * u.square()).log_softmax(-1)
    return (gate - 0.5 * _gaussian(v - intercept - slope * u, log_variance)).logsumexp(-1)


@torch.no_grad()
def refit(mixture: Marginal, u: Tensor, steps: int) -> Marginal:
    """Take EM steps on values u (S, n); a component that explains nothing stays where it is, with a tiny weight.

    The result carries no gradient: at a maximum the likelihood does not move with the parameters.
    """
    for _ in range(steps):
        share = parts(mixture, u).softmax(-1)
        prior = 1e-6
        mass = share.sum(1) + prior
        mean = ((share * u[..., None]).sum(1) + prior * mixture.mean) / mass
        square = (share * (u[..., None] - mean[:, None]).square()).sum(1) + prior * mixture.log_variance.exp()
        mixture = Marginal((mass / mass.sum(-1, keepdim=True)).log(), mean, (square / mass + LEAST_VARIANCE).log())
    return mixture


def adapt(experts: Experts, u: Tensor, v: Tensor, rate: float) -> Experts:
    """Take one gradient step up the mean log p(v | u) of values (S, n); the step itself carries no gradient."""
    leaves = Experts(*(field.detach().requires_grad_() for field in experts))
    gain = expert_log_density(leaves, u.detach(), v.detach()).mean(1).sum()
    steps = torch.autograd.grad(gain, leaves)
    return Experts(*(field + rate * step for field, step in zip(experts, steps, strict=True)))


def _gaussian(error: Tensor, log_variance: Tensor) -> Tensor:
    return math.log(2 * math.pi) + log_variance + error.square() / log_variance.exp()
