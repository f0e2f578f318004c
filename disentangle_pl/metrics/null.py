"""Scores of mutual information without the part that chance explains."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import permuted_rows
from disentangle_pl.metrics.information import discretise, entropy, mutual_information, permuted_information
from disentangle_pl.metrics.modularity import modularity_per_latent
from disentangle_pl.metrics.score import MISSING, CodesLike, Factors, Labels, Values, check, varying

ROUNDING = 1e-9


PERMUTATIONS = 199


class Corrected(NamedTuple):
    """A score without the part that chance explains.

    Attributes:
        score: The score, in [0, 1]; 0 if no latent is informative.
        informative: How many latents know more of a factor than chance explains.
    """

    score: float
    informative: float


def above_chance(information: Values, chance: Values) -> Values:
    """Return the information above its mean by chance, or 0 where chance alone has reached as much.

    What chance can reach of a factor is the largest excess of any latent in any permutation. With P permutations and no
    relation at all, some latent seems to know a given factor in at most 1 of P + 1 tables, whatever the distribution of
    codes and factors.

    Source: the maximum statistic of Westfall & Young 1993, Resampling-Based Multiple Testing, chapter 2.

    Args:
        information: (d, k) mutual information.
        chance: (P, d, k) mutual information after P permutations, P >= 2.

    Returns:
        (d, k) nats, at least 0.
    """
    centre = (information + chance.sum(axis=0)) / (1 + len(chance))  # in which the table at hand is one among equals
    beyond = information - centre > (chance - centre).max(axis=(0, 1)) + ROUNDING
    return np.where(beyond, information - chance.mean(axis=0), 0.0)


def corrected_information(
    codes: CodesLike, factors: Factors, *, bins: int = 20, permutations: int = PERMUTATIONS, seed: int = 0
) -> Values:
    """Return the mutual information of every latent and factor above chance: I - E[I under permutation].

    It is 0 unless it exceeds what chance reaches in any permutation: see `above_chance`.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); a quantity is cut into as many bins, and the values of a factor are permuted among the rows
            that have one, group by group where groups are known.
        bins: The number of bins a latent is cut into, at least 2.
        permutations: How many permutations, at least 2. With k factors, tables of pure noise have an informative latent
            in at most k of permutations + 1 cases.
        seed: Seed of the permutations.

    Returns:
        (d, k) nats, at least 0.

    Raises:
        InputError: If the input fails `check`, bins < 2, or permutations < 2.
    """
    codes, truth = check(codes, factors)
    labels = truth.labels(bins)
    if permutations < 2:
        raise InputError(f"what chance reaches needs at least 2 permutations, got {permutations}")
    binned = discretise(codes, bins)
    random = np.random.default_rng(seed)
    chance = [_by_chance(binned, column, truth.groups, permutations, random) for column in labels.T]
    return above_chance(mutual_information(binned, labels), np.stack(chance, axis=2))


def information_shares(
    codes: CodesLike, factors: Factors, *, bins: int = 20, permutations: int = PERMUTATIONS
) -> Values:
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
    codes, truth = check(codes, factors)
    information = corrected_information(codes, truth, bins=bins, permutations=permutations)
    nats = entropy(truth.labels(bins))
    return np.divide(information, nats, out=np.zeros_like(information), where=nats > 0)


def modularity_of(information: Values) -> Corrected:
    """Return the modularity of latents by their information above chance (d, k), k >= 2 factors that vary."""
    weights = information.max(axis=1)
    if not weights.any():
        return Corrected(0.0, 0.0)
    score = weights @ modularity_per_latent(information) / weights.sum()
    return Corrected(float(score), float(np.count_nonzero(weights)))


def gap_of(information: Values, nats: Values) -> Corrected:
    """Return the mean gap of information above chance (d, k), d >= 2, over the entropies (k,) of factors that vary."""
    ranked = np.sort(information, axis=0)
    gaps = (ranked[-1] - ranked[-2]) / nats
    return Corrected(float(gaps.mean()), float(np.count_nonzero(information.max(axis=1))))


def modularity_corrected(
    codes: CodesLike, factors: Factors, *, bins: int = 20, permutations: int = PERMUTATIONS, seed: int = 0
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
    codes, truth = check(codes, factors, values=2)
    truth = truth.columns(varying(truth, least=2))
    return modularity_of(corrected_information(codes, truth, bins=bins, permutations=permutations, seed=seed))


def mig_corrected(
    codes: CodesLike, factors: Factors, *, bins: int = 20, permutations: int = PERMUTATIONS, seed: int = 0
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
    codes, truth = check(codes, factors, latents=2)
    truth = truth.columns(varying(truth))
    information = corrected_information(codes, truth, bins=bins, permutations=permutations, seed=seed)
    return gap_of(information, entropy(truth.labels(bins)))


def _by_chance(
    binned: Labels,
    column: Labels,
    groups: NDArray[np.integer[Any]] | None,
    permutations: int,
    random: np.random.Generator,
) -> Values:
    """Return the information (P, d) of every latent about a factor (N,) whose values are permuted."""
    present = column != MISSING
    if not present.any():
        return np.zeros((permutations, binned.shape[1]))
    rows, seeds = int(present.sum()), random.integers(2**32, size=permutations).tolist()
    if groups is None:
        orders = (np.random.default_rng(seed).permutation(rows) for seed in seeds)
    else:
        orders = (permuted_rows(groups[present], seed=seed) for seed in seeds)
    return permuted_information(binned[present], column[present], orders)
