"""How good predictions of people are, and how sure that is when people are drawn again.

The probes are not fitted again: intervals say what other people would do to the score, not what other training would.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13, with whole people as units.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import Asked, Predicted
from disentangle_pl.metrics.score import Values

DRAWS = 1000
LEVEL = 0.95


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


class Scored(NamedTuple):
    """A score and its bootstrap.

    Attributes:
        value: The mean over repeats.
        draws: (B,) the same when people are drawn again; draws in which it is not defined are NaN.
    """

    value: float
    draws: Values

    def interval(self) -> Interval:
        """Return the value and the ends of its 95 % interval over people."""
        return interval_of(self.value, self.draws)


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
    said, true = outcome.values - outcome.base, outcome.target
    total = weights.sum(axis=1)
    mean_said, mean_true = _ratio(weights @ said, total), _ratio(weights @ true, total)
    var_said = _ratio(weights @ said**2, total) - mean_said**2
    var_true = _ratio(weights @ true**2, total) - mean_true**2
    covariance = _ratio(weights @ (said * true), total) - mean_said * mean_true
    flat = var_said <= 1e-12 * np.maximum(_ratio(weights @ true**2, total), 1e-12)
    spread = np.sqrt(np.maximum(var_said, 0.0) * np.maximum(var_true, 0.0))
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
        mine = weights * (outcome.target == label)
        shares.append(_ratio(mine @ right, mine.sum(axis=1)))
    return np.asarray((shares[0] + shares[1]) / 2, dtype=np.float64)


CHANCE = {"auc": 0.5, "balanced_accuracy": 0.5, "r2": 0.0, "pearson": 0.0}
QUANTITY: dict[str, Metric] = {"r2": r2, "mae": mean_absolute_error, "pearson": pearson}
CLASSES: dict[str, Metric] = {"auc": auc, "balanced_accuracy": balanced_accuracy}


def metrics_of(discrete: bool) -> dict[str, Metric]:
    """Return the scores of a target, the main one first."""
    return CLASSES if discrete else QUANTITY


def people_drawn(asked: Asked, draws: int = DRAWS, seed: int = 0) -> Values:
    """Draw people with replacement, of two classes as many of each as there are, and of those who change class.

    The same people and seed give the same draws, so that differences of scores are paired.

    Returns:
        (draws, n) the weights of the scans in every draw.
    """
    _, person, counts = np.unique(asked.people, return_inverse=True, return_counts=True)
    strata = np.zeros(len(counts))
    if asked.discrete:
        shares = np.bincount(person, asked.target) / counts
        strata = np.where(np.isin(shares, (0.0, 1.0)), shares, 0.5)
    rng, times = np.random.default_rng(seed), np.empty((draws, len(counts)))
    for stratum in np.unique(strata):
        mine = np.flatnonzero(strata == stratum)
        times[:, mine] = rng.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=draws)
    return np.asarray(times[:, person] * asked.weights, dtype=np.float64)


def scored(asked: Asked, predicted: Predicted, drawn: Values) -> dict[str, Scored]:
    """Score predictions.

    Args:
        asked: n scans.
        predicted: Of the same.
        drawn: (B, n) of `people_drawn`.

    Raises:
        InputError: If a score is not defined, as for one class only.
    """
    weights = np.concatenate((asked.weights[None], drawn))
    found = {}
    for name, metric in metrics_of(asked.discrete).items():
        each = np.mean([metric(Outcome(asked.target, *pair), weights) for pair in zip(*predicted, strict=True)], axis=0)
        if not np.isfinite(each[0]):
            raise InputError(f"{name} is not defined for these {len(asked.target)} scans: their targets do not vary")
        found[name] = Scored(float(each[0]), each[1:])
    return found


def not_below_chance(scores: Mapping[str, Scored]) -> dict[str, Scored]:
    """Lift scores, and their draws, to what is reached without any input; errors in units of the target stay.

    Cross-validation of what is unrelated often ends below chance. A rival taken at that would make a gift of it.

    Source: Snoek, Miletic and Scholte 2019, NeuroImage 184:741, on scores below chance.
    """
    return {
        name: Scored(max(found.value, CHANCE[name]), np.fmax(found.draws, CHANCE[name])) if name in CHANCE else found
        for name, found in scores.items()
    }


def difference(one: Scored, other: Scored) -> Interval:
    """Return by how much a score exceeds another of the same people, with its paired interval."""
    return interval_of(one.value - other.value, one.draws - other.draws)


def interval_of(value: float, draws: Values) -> Interval:
    """Return a value and the ends of the 95 % percentile interval of its draws, NaN left out."""
    there = draws[np.isfinite(draws)]
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(there) else (value, value)
    return Interval(value, float(low), float(high))


def _by_level(weights: Values, place: NDArray[np.intp], levels: int) -> Values:
    sums = np.zeros((levels, len(weights)))
    np.add.at(sums, place, weights.T)
    return sums.T


def _ratio(above: Values, below: Values) -> Values:
    ratio: Values = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return ratio
