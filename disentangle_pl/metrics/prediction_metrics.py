"""How good predictions are, for many weightings of the same scans at once."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.metrics.score import Values


class Outcome(NamedTuple):
    """Predictions beside what came true, R times over n scans.

    Attributes:
        target: (n,).
        values: (n,) of one repeat.
        base: (n,) of one repeat.
    """

    target: Values
    values: Values
    base: Values


Metric = Callable[[Outcome, Values], Values]


def r2(outcome: Outcome, weights: Values) -> Values:
    """Return by how much predictions err less than the training mean does: 1 at best, 0 for the training mean.

    Source: Campbell and Thompson 2008, Review of Financial Studies 21:1509 (out-of-sample R2).

    Args:
        outcome: n scans.
        weights: (B, n).

    Returns:
        (B,), NaN where the targets are the training mean to the last digit.
    """
    error = weights @ (outcome.target - outcome.values) ** 2
    return 1 - _ratio(error, weights @ (outcome.target - outcome.base) ** 2)


def mean_absolute_error(outcome: Outcome, weights: Values) -> Values:
    """Return the mean distance of predictions to targets (B,), in their unit; weights are (B, n)."""
    return _ratio(weights @ np.abs(outcome.target - outcome.values), weights.sum(axis=1))


def pearson(outcome: Outcome, weights: Values) -> Values:
    """Return the correlation (B,) of targets and predictions, each less the training mean; weights are (B, n).

    The training means of the folds are highest where the people to predict are lowest: left in, they would make a
    probe that knows nothing look worse than chance. A probe that says the training mean has correlation 0.
    """
    explained, true = outcome.values - outcome.base, outcome.target
    total = weights.sum(axis=1)
    mean_explained, mean_true = _ratio(weights @ explained, total), _ratio(weights @ true, total)
    variance_explained = _ratio(weights @ explained**2, total) - mean_explained**2
    var_true = _ratio(weights @ true**2, total) - mean_true**2
    covariance = _ratio(weights @ (explained * true), total) - mean_explained * mean_true
    flat = variance_explained <= 1e-12 * np.maximum(_ratio(weights @ true**2, total), 1e-12)
    spread = np.sqrt(np.maximum(variance_explained, 0.0) * np.maximum(var_true, 0.0))
    return np.where(flat & (var_true > 0), 0.0, _ratio(covariance, spread))


def auc(outcome: Outcome, weights: Values) -> Values:
    """Return how often a scan of class 1 has the higher log odds of two of either class (B,); ties count one half.

    Source: Hanley and McNeil 1982, Radiology 143:29. Weights are (B, n); NaN where a class is missing.
    """
    levels, place = np.unique(outcome.values, return_inverse=True)
    one, zero = (_by_level(weights * (outcome.target == label), place, len(levels)) for label in (1, 0))
    below = np.cumsum(zero, axis=1) - zero / 2
    return _ratio((one * below).sum(axis=1), one.sum(axis=1) * zero.sum(axis=1))


def balanced_accuracy(outcome: Outcome, weights: Values) -> Values:
    """Return the mean share (B,) of both classes that is recognised, by log odds of 0; odds of just 0 count one half.

    Weights are (B, n); NaN where a class is missing.
    """
    right = (np.sign(outcome.values) * np.where(outcome.target == 1, 1, -1) + 1) / 2
    shares = []
    for label in (0, 1):
        own = weights * (outcome.target == label)
        shares.append(_ratio(own @ right, own.sum(axis=1)))
    return np.asarray((shares[0] + shares[1]) / 2, dtype=np.float64)


QUANTITY: dict[str, Metric] = {"r2": r2, "mae": mean_absolute_error, "pearson": pearson}
CLASSES: dict[str, Metric] = {"auc": auc, "balanced_accuracy": balanced_accuracy}


def metrics_of(discrete: bool) -> dict[str, Metric]:
    """Return the scores of a target, the main one first."""
    return CLASSES if discrete else QUANTITY


def _by_level(weights: Values, place: NDArray[np.intp], levels: int) -> Values:
    """Sum weights (B, n) of the same level, (B, levels); every level has some."""
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(levels))
    return np.asarray(np.add.reduceat(weights[:, order], first, axis=1), dtype=np.float64)


def _ratio(above: Values, below: Values) -> Values:
    ratio: Values = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return ratio
