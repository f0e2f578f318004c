"""Folds that keep the scans of a person together, and weights that let people count alike."""

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Values

Rows = NDArray[np.intp]
Folds = NDArray[np.int64]


def person_weights(people: People) -> Values:
    """Return weights (N,) of scans: equal for the scans of a person, equal in sum for all people, 1 in the mean."""
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    return np.asarray(len(people) / len(counts) / counts[person], dtype=np.float64)


def person_folds(people: People, target: Values, folds: int, *, discrete: bool, seed: int = 0) -> Folds:
    """Deal people out to folds so that every fold has targets of all sizes, and nobody is in two.

    People are ordered by the mean of their target, at random within a class, and of each so many neighbours one goes to
    every fold.

    Args:
        people: (N,) a number of the person of every scan.
        target: (N,) a quantity, or 0 and 1 for two classes.
        folds: At least 2.
        discrete: Two classes, or a quantity.
        seed: Another seed deals anew.

    Returns:
        (N,) the fold of every scan, 0 to folds - 1.

    Raises:
        InputError: If there are fewer people than folds, of two classes in either, or fewer than 2 folds.
    """
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    fewest = fewest_people(people, target, discrete)
    if not 2 <= folds <= fewest:
        raise InputError(f"{fewest} people{discrete * ' of the smaller class'} cannot be cut into {folds} folds")
    rng = np.random.default_rng(seed)
    means = np.bincount(person, target) / counts
    ranks = np.empty(len(counts), np.int64)
    ranks[np.lexsort((rng.random(len(counts)), means))] = np.arange(len(counts))
    deals = -(-len(counts) // folds)
    hands = np.tile(rng.permutation(folds), (deals, 1)) if discrete else rng.permuted(_hands(deals, folds), axis=1)
    fold: Folds = hands.ravel()[ranks]
    return fold[person]


def fewest_people(people: People, target: Values, discrete: bool) -> int:
    """Return the number of people, of two classes 0 and 1 that of the smaller.

    Raises:
        InputError: If there is one class only.
    """
    if not discrete:
        return len(np.unique(people))
    fewest = min(len(np.unique(people[target == label])) for label in (0.0, 1.0))
    if not fewest:
        raise InputError("the target has one class only: a probe needs people of two")
    return fewest


def check_folds(folds: Folds, people: People) -> None:
    """Refuse folds that have scans of one person on two sides.

    Identity is the strongest signal of a brain scan, so that any probe does well on somebody it was fitted to.

    Source: Wen et al. 2020, Medical Image Analysis 63:101694, on wrong data splits; Yagis et al. 2021,
        Scientific Reports 11:22544.

    Args:
        folds: (N,).
        people: (N,) a number of the person of every scan.

    Raises:
        InputError: If a person is in two folds.
    """
    pairs = np.unique(np.stack((people, folds), axis=1), axis=0)[:, 0]
    who, times = np.unique(pairs, return_counts=True)
    if (times > 1).any():
        raise InputError(
            f"{int((times > 1).sum())} of {len(who)} people have scans in more than one fold: split by person, not by "
            "visit"
        )


def _hands(deals: int, folds: int) -> Folds:
    return np.tile(np.arange(folds, dtype=np.int64), (deals, 1))
