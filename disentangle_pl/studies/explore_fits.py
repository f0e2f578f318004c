"""Fit the probes that read factors from codes, and score them on what they were not fitted to."""

from collections.abc import Sequence

import numpy as np

from disentangle_pl.metrics.logistic import fit_logistic
from disentangle_pl.metrics.prediction_folds import person_folds
from disentangle_pl.metrics.prediction_probes import PENALTIES, ridge_path
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Codes, Labels, Values
from disentangle_pl.studies.explore_probes import Classes, Quantity

FOLDS = 3
MOST_CLASSES = 400


def fit_quantity(name: str, train: tuple[Codes, Values], test: tuple[Codes, Values], people: People) -> Quantity | None:
    """Fit ridge regression; its penalty is the best over folds that keep people together.

    Args:
        name: Of the factor.
        train: Codes (N, d) and values (N,), NaN where unknown.
        test: Codes (M, d) and values (M,) to score on.
        people: (N,) whose the training codes are.

    Returns:
        The probe; None if fewer than two values are known or they are all the same.
    """
    known = ~np.isnan(train[1])
    codes, target, whose = train[0][known].astype(np.float64), train[1][known], people[known]
    if len(np.unique(whose)) < FOLDS or np.ptp(target) == 0:
        return None
    fold = person_folds(whose, target, FOLDS, discrete=False)
    losses = np.zeros(len(PENALTIES))
    for held_out in range(FOLDS):
        use, ask = fold != held_out, fold == held_out
        said = ridge_path(codes[use], target[use], np.ones(use.sum())).values(codes[ask])
        losses += ((said - target[ask]) ** 2).sum(axis=1)
    path = ridge_path(codes, target, np.ones(len(codes)), PENALTIES[[losses.argmin()]])
    centred = codes - codes.mean(axis=0)
    score = _r2(path.values(test[0].astype(np.float64))[0], test[1])
    low, high = float(target.min()), float(target.max())
    return Quantity(name, score, 0.0, path, centred.T @ centred / len(codes), low, high)


def fit_classes(
    name: str, train: tuple[Codes, Labels], test: tuple[Codes, Labels], labels: Sequence[str]
) -> Classes | None:
    """Fit logistic regression.

    Args:
        name: Of the factor.
        train: Codes (N, d) and numbers (N,) of classes, below 0 where unknown.
        test: Codes (M, d) and numbers (M,) to score on.
        labels: Names of the classes.

    Returns:
        The probe; None if the training images are of one class, or of more than `MOST_CLASSES`.
    """
    known = train[1] >= 0
    codes, target = train[0][known].astype(np.float64), train[1][known]
    seen, numbers = np.unique(target, return_inverse=True)
    if not 2 <= len(seen) <= MOST_CLASSES:
        return None
    centre, spread = codes.mean(axis=0), codes.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    fitted = fit_logistic(((codes - centre) / spread).astype(np.float32), numbers)
    means = np.stack([codes[numbers == number].mean(axis=0) for number in range(len(seen))])
    score, chance = float("nan"), float("nan")
    there = test[1] >= 0
    if there.any():
        classes = fitted._replace(classes=seen)
        score = classes.accuracy(((test[0][there] - centre) / spread).astype(np.float32), test[1][there])
        chance = float((test[1][there] == seen[np.bincount(numbers).argmax()]).mean())
    names = tuple(labels[number] for number in seen)
    return Classes(name, score, chance, names, fitted, centre, spread, means)


def _r2(said: Values, target: Values) -> float:
    """Return 1 - squared error / squared distance to the mean, over the values that are known; NaN without any."""
    known = ~np.isnan(target)
    if known.sum() < 2 or np.ptp(target[known]) == 0:
        return float("nan")
    total = ((target[known] - target[known].mean()) ** 2).sum()
    return float(1 - ((target[known] - said[known]) ** 2).sum() / total)
