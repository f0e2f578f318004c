"""Predictions of people that neither the probe, nor its penalty, nor its inputs were fitted to."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.prediction_folds import Folds, Rows, check_folds, fewest_people, person_folds
from disentangle_pl.metrics.prediction_inputs import Inputs
from disentangle_pl.metrics.prediction_probes import PENALTIES, balanced, log_loss, logistic_path, ridge_path
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Values

APART = 1009  # between the seeds of repeats
LEFT_OUT = -1  # the fold of scans in none


class ProbeTarget(NamedTuple):
    """What is to be predicted of N scans.

    Attributes:
        target: (N,) finite: a quantity, or 0 and 1 for two classes.
        discrete: Two classes, or a quantity.
        people: (N,) a number of the person of every scan.
        weights: (N,) how much each scan counts, in fitting and in scoring.
    """

    target: Values
    discrete: bool
    people: People
    weights: Values


class Predicted(NamedTuple):
    """Predictions for n scans, R times over.

    Attributes:
        values: (R, n) quantities, or log odds of class 1 with classes of equal size.
        base: (R, n) what is predicted without any input: the training mean, or log odds of 0.
    """

    values: Values
    base: Values


Probe: TypeAlias = Callable[[Inputs, ProbeTarget, Rows, int, int], Values]


class Plan(NamedTuple):
    """How people are predicted.

    Attributes:
        folds: Outer folds, whose people are predicted.
        inner: Inner folds, which choose the penalty.
        repeats: Times the folds are dealt anew.
        seed: Of all.
    """

    folds: int = 5
    inner: int = 3
    repeats: int = 5
    seed: int = 0


@one_blas_thread()
def cross_validated(
    inputs: Inputs,
    targets: ProbeTarget,
    probe: Probe,
    plan: Plan | None = None,
    without: NDArray[np.bool_] | None = None,
) -> Predicted:
    """Predict everybody by probes that were fitted to others: nested cross-validation with people as units.

    Source: Varma and Simon 2006, BMC Bioinformatics 7:91, for the inner folds.

    Args:
        inputs: Of the N scans.
        targets: N scans.
        probe: `linear` or `boosted`.
        plan: Folds and repeats.
        without: (N,) scans to leave out of the folds, which stay those of all scans.

    Returns:
        Predictions of all N scans, one a repeat; NaN for those left out.

    Raises:
        InputError: If there are fewer people than folds (of two classes in either), or the target does not vary.
    """
    plan = plan or Plan()
    _check(targets)
    values, base = np.full((2, plan.repeats, len(targets.target)), np.nan)
    for repeat, folds in enumerate(dealt(targets, plan)):
        if without is not None:
            folds = np.where(without, LEFT_OUT, folds)
        values[repeat], base[repeat] = _over(folds, inputs, targets, probe, plan)
    return Predicted(values, base)


@one_blas_thread()
def left_out(inputs: Inputs, targets: ProbeTarget, probe: Probe, folds: Folds, plan: Plan | None = None) -> Predicted:
    """Predict the people of every fold, as of every site, by a probe that was fitted to all others.

    Args:
        inputs: Of the N scans.
        targets: N scans.
        probe: `linear` or `boosted`.
        folds: (N,) the fold of every scan.
        plan: Inner folds and the seed.

    Returns:
        Predictions (1, N).

    Raises:
        InputError: If a person is in two folds, or those of other folds are of one class.
    """
    _check(targets)
    values, base = _over(folds, inputs, targets, probe, plan or Plan())
    return Predicted(values[None], base[None])


def dealt(targets: ProbeTarget, plan: Plan) -> list[Folds]:
    """Return the folds (N,) of every repeat of `cross_validated`."""
    return [
        person_folds(targets.people, targets.target, plan.folds, discrete=targets.discrete, seed=plan.seed + APART * r)
        for r in range(plan.repeats)
    ]


def prior_log_odds(targets: ProbeTarget, folds: Folds) -> Values:
    """Return the log odds (N,) of class 1 among the people outside the fold of each scan.

    Probes take classes for equally large; these log odds added to theirs are those of people as they are.

    Source: King and Zeng 2001, Political Analysis 9:137, on prior correction.
    """
    odds = np.empty(len(folds))
    for fold in np.unique(folds):
        own = folds != fold
        ill = np.average(targets.target[own], weights=targets.weights[own])
        odds[~own] = np.log(ill / (1 - ill))
    return odds


@one_blas_thread()
def transferred(
    inputs: Inputs, targets: ProbeTarget, probe: Probe, train: Rows, test: Rows, plan: Plan | None = None
) -> Predicted:
    """Predict some people by a probe that was fitted to others, once.

    Args:
        inputs: Of the N scans.
        targets: N scans.
        probe: `linear` or `boosted`.
        train: Rows to fit to.
        test: (n,) rows to predict.
        plan: Inner folds and the seed.

    Returns:
        Predictions (1, n).

    Raises:
        InputError: If a person is in both, or as `cross_validated`.
    """
    plan = plan or Plan()
    side = np.zeros(len(train) + len(test), np.int64)
    side[len(train) :] = 1
    check_folds(side, targets.people[np.concatenate((train, test))])
    _check(_rows(targets, train))
    values = probe(inputs, targets, train, plan.inner, plan.seed)[test]
    return Predicted(values[None], np.full((1, len(test)), _without_inputs(targets, train)))


def linear(inputs: Inputs, targets: ProbeTarget, train: Rows, inner: int, seed: int) -> Values:
    """Fit ridge or logistic regression to training rows, the penalty chosen by inner folds; predict all rows (N,)."""
    losses = np.zeros(len(PENALTIES))
    fit = logistic_path if targets.discrete else ridge_path
    own = _rows(targets, train)
    inner = min(inner, fewest_people(own.people, own.target, own.discrete))
    folds = person_folds(own.people, own.target, inner, discrete=own.discrete, seed=seed)
    for fold in range(inner):
        fitted, scored_rows = train[folds != fold], train[folds == fold]
        matrix = inputs(fitted)
        predictions = fit(matrix[fitted], targets.target[fitted], targets.weights[fitted]).values(matrix[scored_rows])
        losses += _loss(targets, scored_rows, predictions)
    best = np.flatnonzero(losses <= losses.min() * (1 + 1e-9))[-1:]
    matrix = inputs(train)
    path = fit(matrix[train], own.target, own.weights, PENALTIES[best])
    return np.asarray(path.values(matrix)[0], dtype=np.float64)


def boosted(inputs: Inputs, targets: ProbeTarget, train: Rows, inner: int, seed: int) -> Values:
    """Fit gradient-boosted trees of depth 3 to training rows and predict all rows (N,); nothing is tuned.

    Source: Friedman 2001, Annals of Statistics 29:1189; Pedregosa et al. 2011, JMLR 12:2825.
    """
    matrix, own = inputs(train), _rows(targets, train)
    if not matrix.shape[1]:
        return np.full(len(matrix), _without_inputs(targets, train))
    how = {"max_depth": 3, "early_stopping": False, "random_state": seed, "min_samples_leaf": 5}
    if not targets.discrete:
        trees = HistGradientBoostingRegressor(**how).fit(matrix[train], own.target, own.weights)
        return np.asarray(trees.predict(matrix), dtype=np.float64)
    even = balanced(own.target, own.weights) * len(train)
    choice = HistGradientBoostingClassifier(**how).fit(matrix[train], own.target.astype(np.int64), even)
    return np.asarray(choice.decision_function(matrix), dtype=np.float64)


def _over(folds: Folds, inputs: Inputs, targets: ProbeTarget, probe: Probe, plan: Plan) -> tuple[Values, Values]:
    """Predict every fold by the others."""
    check_folds(folds, targets.people)
    values, base = np.full((2, len(folds)), np.nan)
    for fold in np.unique(folds[folds != LEFT_OUT]):
        train, test = np.flatnonzero((folds != fold) & (folds != LEFT_OUT)), np.flatnonzero(folds == fold)
        values[test] = probe(inputs, targets, train, plan.inner, plan.seed)[test]
        base[test] = _without_inputs(targets, train)
    return values, base


def _rows(targets: ProbeTarget, rows: Rows) -> ProbeTarget:
    return targets._replace(target=targets.target[rows], people=targets.people[rows], weights=targets.weights[rows])


def _loss(targets: ProbeTarget, rows: Rows, predictions: Values) -> Values:
    """Return the loss (p,) of predictions (p, n) of some rows; classes count alike."""
    target, weights = targets.target[rows], targets.weights[rows]
    if targets.discrete:
        mixed = len(np.unique(target)) > 1
        return np.asarray(
            log_loss(target, predictions) @ (balanced(target, weights) if mixed else weights / weights.sum())
        )
    return np.asarray((predictions - target) ** 2 @ weights)


def _without_inputs(targets: ProbeTarget, train: Rows) -> float:
    return 0.0 if targets.discrete else float(np.average(targets.target[train], weights=targets.weights[train]))


def _check(targets: ProbeTarget) -> None:
    if not len(targets.target) or not np.isfinite(targets.target).all():
        raise InputError("a probe needs a known target of every scan: leave scans without one out, do not fill them in")
    if np.ptp(targets.target) == 0:
        kind = "class" if targets.discrete else "value"
        raise InputError(f"the target has one {kind} only, {targets.target[0]:g}, so that nothing can be predicted")
