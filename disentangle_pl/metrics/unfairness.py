"""Unfairness: do the predictions of a factor depend on another factor?"""

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.dci import fit_probes
from disentangle_pl.metrics.score import (
    MISSING,
    CodesLike,
    Factors,
    GroundTruth,
    Labels,
    Split,
    Values,
    joint_labels,
    train_test_of_two,
)


def unfairness_matrix(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, bins: int = 5, seed: int = 0, jobs: int = -1
) -> Values:
    """Return how far the predictions of every factor move with every other factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a quantity is cut into as many classes, and a row counts for the pairs of
            factors it has.
        test: Codes (M, d) and factors (M, k) to predict, or None for a random third of the rows.
        bins: The number of bins of a quantity, at least 2.
        seed: Seed of the trees.
        jobs: The number of threads, -1 for all cores.

    Returns:
        (k, k) in [0, 1]: in row i and column j what `unfairness` averages, for the target i and the sensitive factor j.
        NaN on the diagonal, for a factor with one value, and where no value of the target is seen with two values of
        the sensitive factor.

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors vary, or bins < 2.
    """
    train, held_out = train_test_of_two(codes, factors, test)
    fitted, scored = joint_labels(train[1], held_out[1], bins)
    classes = GroundTruth(np.where(fitted == MISSING, np.nan, fitted), np.full(fitted.shape[1], True))
    probes = fit_probes(train[0], classes, seed=seed, jobs=jobs)
    matrix = np.full((len(probes), len(probes)), np.nan)
    for target, probe in enumerate(probes):
        if probe is not None:
            predicted = probe.predict(held_out[0]).astype(np.int64)
            for sensitive in np.delete(np.arange(len(probes)), target):
                matrix[target, sensitive] = _distance(predicted, scored[:, target], scored[:, sensitive])
    return matrix


def unfairness(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, bins: int = 5, seed: int = 0, jobs: int = -1
) -> float:
    r"""Return how far predictions of a factor move when another one is set, mean over pairs of factors: 0 is fair.

    .. math::

        \frac{1}{K (K - 1)} \sum_{i \neq j} \sum_s p(v_j = s) \;
        \mathrm{TV}\big( p(\hat{v}_i), \; p(\hat{v}_i \mid \mathrm{do}(v_j = s)) \big)

    where v_i is predicted by gradient-boosted trees from all the latents, and TV is the total variation distance. There
    it is the simulator that sets a factor. Here rows stand for it, weighted such that the target is distributed alike
    for every s: a probe that makes no error is then exactly fair, in a table of independent factors and in one of
    correlated factors. A target value never seen with s has there the predictions that it has elsewhere.

    A code that knows nothing is nearly fair, for its predictions are nearly constant: quote it beside an accuracy, such
    as `dci_informativeness`. Predictions that err by chance seem unfair by about the square root of classes over rows
    for each s.

    Source: Locatello et al. 2019, On the Fairness of Disentangled Representations (arXiv:1905.13662, section 4).

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a quantity is cut into as many classes, and a row counts for the pairs of
            factors it has.
        test: Codes (M, d) and factors (M, k) to predict, or None for a random third of the rows.
        bins: The number of bins of a quantity, at least 2.
        seed: Seed of the trees.
        jobs: The number of threads, -1 for all cores.

    Returns:
        The mean, in [0, 1], lower for fairer codes.

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors vary, bins < 2, or no value
            of a factor is seen with two values of another in the rows to score on.
    """
    matrix = unfairness_matrix(codes, factors, test=test, bins=bins, seed=seed, jobs=jobs)
    if np.isnan(matrix).all():
        raise InputError("no value of a factor is seen with two values of another in the rows scored on: give more")
    return float(np.nanmean(matrix))


def total_variation(shares: Values, weights: Values) -> float:
    """Return the mean total variation distance of distributions from their mixture.

    Args:
        shares: (s, c) distributions over c classes, each summing to 1.
        weights: (s,) of the distributions in the mixture and in the mean, summing to 1.
    """
    return float(weights @ np.abs(shares - weights @ shares).sum(axis=1) / 2)


def _distance(predicted: NDArray[np.int64], target: Labels, sensitive: Labels) -> float:
    """Return the distance for predictions (M,), the target (M,) and the sensitive factor (M,)."""
    present = (target != MISSING) & (sensitive != MISSING)
    if not present.any():
        return np.nan
    guess, value, setting = (
        np.unique(each[present], return_inverse=True)[1] for each in (predicted, target, sensitive)
    )
    counts = np.zeros((setting.max() + 1, value.max() + 1, guess.max() + 1))
    np.add.at(counts, (setting, value, guess), 1)
    cells = counts.sum(axis=2, keepdims=True)
    if not ((cells > 0).sum(axis=0) > 1).any():
        return np.nan
    pooled = counts.sum(axis=0) / cells.sum(axis=0)
    given = np.divide(counts, cells, out=np.broadcast_to(pooled, counts.shape).copy(), where=cells > 0)
    shares = np.einsum("svg,v->sg", given, cells.sum(axis=(0, 2)) / cells.sum())
    return total_variation(shares, cells.sum(axis=(1, 2)) / cells.sum())
