"""Scores of mutual information without the part that chance explains."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.information import discretise, entropy, mutual_information
from disentangle_pl.metrics.modularity import modularity_per_latent
from disentangle_pl.metrics.score import MISSING, Codes, Factors, Labels, Values, check, varying

ROUNDING = 1e-9


class Corrected(NamedTuple):
    """A score without the part that chance explains.

    Attributes:
        score: The score, in [0, 1]; 0 if no latent is informative.
        informative: How many latents know more of a factor than chance explains.
    """

    score: float
    informative: float


def above_chance(information: Values, chance: Values, *, deviations: float = 5.0) -> Values:
    """Return the information above its mean by chance, or 0 where it is not significant.

    Args:
        information: (d, k) mutual information.
        chance: (P, d, k) mutual information after P permutations, P >= 2.
        deviations: How many standard deviations above the mean count as significant.

    Returns:
        (d, k) nats, at least 0.
    """
    excess = information - chance.mean(axis=0)
    return np.where(excess > deviations * chance.std(axis=0, ddof=1) + ROUNDING, excess, 0.0)


def corrected_information(
    codes: Codes, factors: Factors, *, bins: int = 20, permutations: int = 20, seed: int = 0
) -> Values:
    """Return the mutual information of every latent and factor above chance: I - E[I under permutation].

    It is 0 unless it exceeds the mean of the permutations by 5 standard deviations.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); a quantity is cut into as many bins, and the values of a factor are permuted among the rows
            that have one.
        bins: The number of bins a latent is cut into, at least 2.
        permutations: How many permutations, at least 2; with few the standard deviation is uncertain.
        seed: Seed of the permutations.

    Returns:
        (d, k) nats, at least 0.

    Raises:
        InputError: If the input fails `check`, bins < 2, or permutations < 2.
    """
    labels = check(codes, factors).labels(bins)
    if permutations < 2:
        raise InputError(f"a standard deviation needs at least 2 permutations, got {permutations}")
    random = np.random.default_rng(seed)
    binned = discretise(codes, bins)
    chance = [mutual_information(binned, _permuted(labels, random)) for _ in range(permutations)]
    return above_chance(mutual_information(binned, labels), np.stack(chance))


def information_shares(codes: Codes, factors: Factors, *, bins: int = 20, permutations: int = 20) -> Values:
    """Return which share of every factor every latent knows: information above chance over the entropy of the factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); see `corrected_information`.
        bins: The number of bins a latent is cut into, at least 2.
        permutations: How many permutations, at least 2.

    Returns:
        (d, k), in [0, 1]; 0 for a factor with one value.

    Raises:
        InputError: If the input fails `check`, bins < 2, or permutations < 2.
    """
    information = corrected_information(codes, factors, bins=bins, permutations=permutations)
    nats = entropy(check(codes, factors).labels(bins))
    return np.divide(information, nats, out=np.zeros_like(information), where=nats > 0)


def modularity_corrected(
    codes: Codes, factors: Factors, *, bins: int = 20, permutations: int = 20, seed: int = 0
) -> Corrected:
    r"""Return the modularity of the informative latents, each weighted by the information it has of its best factor.

    .. math::

        \frac{\sum_j w_j \, \mathrm{modularity}_j}{\sum_j w_j}, \qquad w_j = \max_k I'_{jk}, \qquad
        I'_{jk} = I_{jk} - \mathbb{E}_\pi[I_{jk}] \text{ or } 0

    The raw score calls pure noise modular, because mutual information is biased upwards, the more so the more values
    a factor has; this one gives it 0. A random rotation may still score above .7: it sees rotation badly.

    Source: Ridgeway & Mozer 2018 (arXiv:1802.05312, section 3); the correction is ours.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; see `corrected_information`. A factor with one value is left out.
        bins: The number of bins a latent is cut into, at least 2.
        permutations: How many permutations, at least 2.
        seed: Seed of the permutations.

    Returns:
        The weighted mean, and how many latents are informative.

    Raises:
        InputError: If the input fails `check`, bins < 2, permutations < 2, or fewer than 2 factors vary.
    """
    varies = varying(check(codes, factors, values=2), least=2)
    information = corrected_information(codes, factors, bins=bins, permutations=permutations, seed=seed)[:, varies]
    weights = information.max(axis=1)
    if not weights.any():
        return Corrected(0.0, 0.0)
    score = weights @ modularity_per_latent(information) / weights.sum()
    return Corrected(float(score), float(np.count_nonzero(weights)))


def mig_corrected(
    codes: Codes, factors: Factors, *, bins: int = 20, permutations: int = 20, seed: int = 0
) -> Corrected:
    r"""Return the mutual information gap of the information above chance.

    .. math::

        \frac{1}{K} \sum_k \frac{I'_{(1)k} - I'_{(2)k}}{H(v_k)}, \qquad
        I'_{jk} = I_{jk} - \mathbb{E}_\pi[I_{jk}] \text{ or } 0

    Source: Chen et al. 2018 (arXiv:1802.04942, section 4); the correction is ours.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); see `corrected_information`. A factor with one value is left out of the mean.
        bins: The number of bins a latent is cut into, at least 2.
        permutations: How many permutations, at least 2.
        seed: Seed of the permutations.

    Returns:
        The mean gap over the entropy of the factor, and how many latents are informative.

    Raises:
        InputError: If the input fails `check`, d < 2, bins < 2, permutations < 2, or no factor varies.
    """
    truth = check(codes, factors, latents=2)
    truth = truth.columns(varying(truth))
    information = corrected_information(codes, truth, bins=bins, permutations=permutations, seed=seed)
    ranked = np.sort(information, axis=0)
    gaps = (ranked[-1] - ranked[-2]) / entropy(truth.labels(bins))
    return Corrected(float(gaps.mean()), float(np.count_nonzero(information.max(axis=1))))


def _permuted(labels: Labels, random: np.random.Generator) -> NDArray[np.int64]:
    permuted = labels.astype(np.int64)
    for column in permuted.T:
        known = column != MISSING
        column[known] = random.permutation(column[known])
    return permuted
