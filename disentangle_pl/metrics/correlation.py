"""Which factor a latent follows: correlations, with intervals over people and the level of chance."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Codes, CodesLike, Factors, GroundTruth, Values, check

ROUNDING = 1e-12
FEWEST = 3


class Follows(NamedTuple):
    """The factor that each latent follows best.

    Attributes:
        factor: (d,) its number.
        strength: (d,) its |correlation|.
        gap: (d,) how much weaker the next factor is; the strength itself where there is one factor.
    """

    factor: NDArray[np.intp]
    strength: Values
    gap: Values


def correlations(codes: CodesLike, factors: Factors) -> Values:
    """Return Pearson's correlation of every latent with every factor.

    Args:
        codes: (N, d).
        factors: (N, k); a row counts for the factors it has.

    Returns:
        (d, k) in [-1, 1]; 0 where either is constant or fewer than 3 rows have the factor.

    Raises:
        InputError: If the input fails `check`.
    """
    codes, truth = check(codes, factors)
    correlations: Values = weighted_correlations(codes, truth, np.ones((1, len(codes))))[0]
    return correlations


def ranked(codes: CodesLike, factors: Factors) -> tuple[Values, GroundTruth]:
    """Replace codes and factors by their ranks, which makes `correlations` those of Spearman; NaN stays."""
    codes, truth = check(codes, factors)
    ranks = [rankdata(column, nan_policy="omit") for column in truth.values.T]
    return rankdata(codes, axis=0), GroundTruth(np.stack(ranks, axis=1), truth.discrete)


def weighted_correlations(codes: Codes, factors: GroundTruth, weights: Values) -> Values:
    """Return the correlations under each of several weightings of the rows.

    Args:
        codes: (N, d).
        factors: (N, k), checked.
        weights: (B, N), not negative.

    Returns:
        (B, d, k), defined as in `correlations`.
    """
    units = _in_units(codes.astype(np.float64))
    columns = [
        _with_column(units[present], _in_units(column[present, None])[:, 0], weights[:, present])
        for present, column in zip(factors.present.T, factors.values.T, strict=True)
    ]
    return np.stack(columns, axis=2)


def bootstrap_correlations(
    codes: CodesLike, factors: Factors, people: People, *, resamples: int = 1000, seed: int = 0
) -> Values:
    """Return the correlations (B, d, k) of samples of people drawn with replacement, all scans of each.

    Give ranks for those of Spearman: the ranks stay those of the whole sample.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 8.3 (what is independent is drawn).

    Args:
        codes: (N, d).
        factors: (N, k).
        people: (N,) a number of the person of every scan.
        resamples: B.
        seed: Of the draws.

    Raises:
        InputError: If the input fails `check`, or there is one person only.
    """
    codes, truth = check(codes, factors)
    _, person = np.unique(people, return_inverse=True)
    groups = int(person.max()) + 1
    if groups < 2:
        raise InputError("an interval over people needs two of them, got one")
    multiplicity = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    return weighted_correlations(codes, truth, multiplicity[:, person].astype(np.float64))


def follows(strength: Values) -> Follows:
    """Tell the best factor of every latent and its lead.

    Args:
        strength: (d, k) |correlations|, k >= 1.
    """
    ordered = np.sort(strength, axis=1)
    second = ordered[:, -2] if strength.shape[1] > 1 else np.zeros(len(strength))
    return Follows(strength.argmax(axis=1), ordered[:, -1], ordered[:, -1] - second)


def _in_units(columns: Values) -> Values:
    """Centre and scale columns (N, c), for sums of squares that do not cancel; constant ones become 0."""
    if not len(columns):
        return columns
    moved = columns - columns.mean(axis=0)
    largest = np.abs(moved).max(axis=0)
    alive = largest > ROUNDING * np.abs(columns).max(axis=0)
    scaled: Values = np.divide(moved, largest, out=np.zeros_like(moved), where=alive)
    return scaled


def _with_column(codes: Values, factor: Values, weights: Values) -> Values:
    """Return the weighted correlations (B, d) of codes (n, d) with one factor (n,)."""
    if len(factor) < FEWEST:
        return np.zeros((len(weights), codes.shape[1]))
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    mean, mean_square = weights @ codes / total, weights @ codes**2 / total
    target, target_square = (weights @ factor[:, None] / total, weights @ (factor**2)[:, None] / total)
    shared = weights @ (codes * factor[:, None]) / total - mean * target
    spread = np.maximum(mean_square - mean**2, 0.0) * np.maximum(target_square - target**2, 0.0)
    defined = spread > ROUNDING**2
    strength: Values = np.divide(shared, np.sqrt(spread), out=np.zeros_like(shared), where=defined)
    return strength.clip(-1.0, 1.0)
