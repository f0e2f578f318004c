"""How sure it is how good predictions are, when people are drawn again.

The probes are not fitted again by `scored`: its intervals say what other people to be scored would do to the score of
these probes, not what other people to train on would. Of the score that probes of so many people have on average they
cover 74 % at 40 people, 89 % at 100 and 94 % at 400, where 95 % is written (R², ridge regression on 8 inputs; more in
`benchmarks/results/intervals.md`). `refitted_intervals`, `--refitted=true` of
`predict-scores`, has both, at ten times the cost.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13, with whole people as units.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import Plan, Predicted, Probe, ProbeTarget, cross_validated
from disentangle_pl.metrics.prediction_folds import fewest_people, person_folds
from disentangle_pl.metrics.prediction_inputs import Inputs
from disentangle_pl.metrics.prediction_metrics import Outcome, metrics_of
from disentangle_pl.metrics.score import Values

DRAWS = 1000
LEVEL = 0.95
CHANCE = {"auc": 0.5, "balanced_accuracy": 0.5, "r2": 0.0, "pearson": 0.0, "c_index": 0.5}


class Scored(NamedTuple):
    """A score and its bootstrap.

    Attributes:
        value: The mean over repeats.
        draws: (B,) the same when people are drawn again; draws in which it is not defined are NaN.
    """

    value: float
    draws: Values

    def interval(self) -> Interval:
        """Return the value and the ends of its 95 % interval over people to be scored by the same probes."""
        return interval_of(self.value, self.draws)


def resampled_people(targets: ProbeTarget, draws: int = DRAWS, seed: int = 0) -> Values:
    """Draw people with replacement, of two classes as many of each as there are, and of those who change class.

    The same people and seed give the same draws, so that differences of scores are paired.

    Returns:
        (draws, n) the weights of the scans in every draw.
    """
    _, person, counts = np.unique(targets.people, return_inverse=True, return_counts=True)
    strata = np.zeros(len(counts))
    if targets.discrete:
        shares = np.bincount(person, targets.target) / counts
        strata = np.where(np.isin(shares, (0.0, 1.0)), shares, 0.5)
    rng, times = np.random.default_rng(seed), np.empty((draws, len(counts)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        times[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
    return np.asarray(times[:, person] * targets.weights, dtype=np.float64)


def scored(targets: ProbeTarget, predicted: Predicted, resamples: Values) -> dict[str, Scored]:
    """Score predictions.

    Args:
        targets: n scans.
        predicted: Of the same.
        resamples: (B, n) of `resampled_people`.

    Raises:
        InputError: If a score is not defined, as for one class only.
    """
    weights = np.concatenate((targets.weights[None], resamples))
    scores = {}
    for name, metric in metrics_of(targets.discrete).items():
        each = np.mean(
            [metric(Outcome(targets.target, *pair), weights) for pair in zip(*predicted, strict=True)], axis=0
        )
        if not np.isfinite(each[0]):
            raise InputError(f"{name} is not defined for these {len(targets.target)} scans: their targets do not vary")
        scores[name] = Scored(float(each[0]), each[1:])
    return scores


def refitted_intervals(
    inputs: Inputs, targets: ProbeTarget, probe: Probe, plan: Plan | None = None, *, groups: int = 10
) -> dict[str, Interval]:
    """Return cross-validated scores with 95 % intervals that hold what other people to train on would do, too.

    People are dealt to groups; each group is left out once, of training and of what is scored, while the folds stay,
    and all probes are fitted anew. Student's t has one degree of freedom less than there are groups.

    Source: Kott 2001, The Delete-a-Group Jackknife, Journal of Official Statistics 17:521.

    Args:
        inputs: Of the N scans.
        targets: N scans.
        probe: `linear` or `boosted`.
        plan: Folds and repeats.
        groups: G, so many more fits; fewer where there are not so many people, of two classes in either.

    Raises:
        InputError: As `cross_validated`, also where a group is left out.
    """
    plan = plan or Plan()
    groups = min(groups, fewest_people(targets.people, targets.target, targets.discrete))
    group = person_folds(targets.people, targets.target, groups, discrete=targets.discrete, seed=plan.seed + 1)
    values = _plain_scores(targets, cross_validated(inputs, targets, probe, plan))
    fewer: list[dict[str, float]] = []
    for number in range(groups):
        included = group != number
        predicted = cross_validated(inputs, targets, probe, plan, without=~included)
        subset = ProbeTarget(
            targets.target[included], targets.discrete, targets.people[included], targets.weights[included]
        )
        fewer.append(_plain_scores(subset, Predicted(predicted.values[:, included], predicted.base[:, included])))
    intervals = {}
    for name, value in values.items():
        spread = np.std([scores[name] for scores in fewer])
        half = float(stats.t.ppf((1 + LEVEL) / 2, groups - 1) * spread * (groups - 1) ** 0.5)
        intervals[name] = Interval(value, value - half, value + half)
    return intervals


def _plain_scores(targets: ProbeTarget, predicted: Predicted) -> dict[str, float]:
    scores = scored(targets, predicted, np.empty((0, len(targets.target))))
    return {name: score.value for name, score in scores.items()}


def not_below_chance(scores: Mapping[str, Scored]) -> dict[str, Scored]:
    """Lift scores, and their draws, to what is reached without any input; errors in units of the target stay.

    Cross-validation of what is unrelated often ends below chance. A rival taken at that would make a gift of it.

    Source: Snoek, Miletic and Scholte 2019, NeuroImage 184:741, on scores below chance.
    """
    return {
        name: Scored(max(each.value, CHANCE[name]), np.fmax(each.draws, CHANCE[name])) if name in CHANCE else each
        for name, each in scores.items()
    }


def difference(one: Scored, other: Scored) -> Interval:
    """Return by how much a score exceeds another of the same people, with its paired interval."""
    return interval_of(one.value - other.value, one.draws - other.draws)


def interval_of(value: float, draws: Values) -> Interval:
    """Return a value and the ends of the 95 % percentile interval of its draws, NaN left out."""
    finite = draws[np.isfinite(draws)]
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(finite) else (value, value)
    return Interval(value, float(low), float(high))
