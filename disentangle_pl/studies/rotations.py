"""Rotations of latents: what they leave as it was, and what they cost a posterior that must be diagonal.

With a prior that is the same in all directions, every rotation of the latents gives a model of the same images that is
as probable. Source: Locatello et al. 2019 (arXiv:1811.12359), theorem 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from disentangle_pl.metrics.chance import random_rotation
from disentangle_pl.metrics.score import Values

SMALLEST = 1e-300  # the quantile of 0 is infinite


def random_turn(dim: int, latents: NDArray[np.intp], *, seed: int = 0) -> Values:
    """Draw a rotation (dim, dim) of some latents among each other, every one equally likely; the others stay."""
    rotation = np.eye(dim)
    rotation[np.ix_(latents, latents)] = random_rotation(len(latents), seed=seed)
    return rotation


def paired_turn(dim: int, latents: Sequence[int], degrees: float) -> Values:
    """Return the rotation (dim, dim) by one angle in the planes of the first two latents, of the next two, and so on.

    At 90 degrees the latents of a pair have changed places, one with its sign flipped; an odd one stays.
    """
    rotation = np.eye(dim)
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    for first, second in zip(latents[::2], latents[1::2], strict=False):
        rotation[np.ix_([first, second], [first, second])] = [[cos, -sin], [sin, cos]]
    return rotation


def turn_uniform(uniform: Values, rotation: Values) -> Values:
    """Turn independent uniform variables (N, d) in (0, 1) into others that are: to normal ones, rotated, and back."""
    quantiles = ndtri(np.clip(uniform, SMALLEST, 1 - np.finfo(float).eps / 2))
    turned: Values = ndtr(quantiles @ rotation.T)
    return turned


def normal_log_density(z: Values) -> Values:
    """Return log N(z; 0, I) (N,) in nats of points (N, d)."""
    density: Values = -0.5 * (np.square(z).sum(axis=1) + z.shape[1] * np.log(2 * np.pi))
    return density


def diagonal_kl(mean: Values, variance: Values) -> Values:
    """Return KL(N(mean, diag variance) || N(0, I)) (N,) in nats for means and variances (N, d)."""
    kl: Values = 0.5 * (np.square(mean) + variance - np.log(variance) - 1).sum(axis=1)
    return kl


def full_kl(mean: Values, covariance: Values) -> Values:
    """Return KL(N(mean, S) || N(0, I)) = 1/2 (tr S + |mean|^2 - d - log det S) (N,) in nats.

    Args:
        mean: (N, d).
        covariance: S, (N, d, d).
    """
    trace = np.trace(covariance, axis1=1, axis2=2)
    kl: Values = 0.5 * (trace + np.square(mean).sum(axis=1) - mean.shape[1] - np.linalg.slogdet(covariance)[1])
    return kl


def diagonal_gap(variance: Values, rotation: Values) -> Values:
    """Return KL(N(m, S) || N(m, diag S)) = 1/2 (sum_i log S_ii - log det S) (N,) in nats, S = Q diag(variance) Q^T.

    What is lost when only the diagonal of a rotated posterior is kept: 0 for equal variances, where no rotation costs.

    Args:
        variance: (N, d) of the diagonal posteriors before the rotation, positive.
        rotation: Q, (d, d).
    """
    gap: Values = 0.5 * (np.log(variance @ np.square(rotation).T) - np.log(variance)).sum(axis=1)
    return np.maximum(gap, 0.0)


def best_diagonal_gap(variance: Values, rotation: Values) -> Values:
    """Return the least KL(N(m, D) || N(m, S)) over diagonal D, (N,) in nats, S = Q diag(variance) Q^T.

    So much ELBO do the best diagonal posteriors lose if S is the true posterior of the rotated decoder; their variances
    are 1 / (S^-1)_ii.

    Args:
        variance: (N, d), positive.
        rotation: Q, (d, d).
    """
    gap: Values = 0.5 * (np.log((1 / variance) @ np.square(rotation).T) + np.log(variance)).sum(axis=1)
    return np.maximum(gap, 0.0)
