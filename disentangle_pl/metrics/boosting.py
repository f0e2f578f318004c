"""Gradient-boosted trees as scikit-learn 1.9 grows them by default, on all cores and many times as fast."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, final

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from scipy.special import logit

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting_steps import descend, logistic_residuals, softmax_residuals, step
from disentangle_pl.metrics.tree_growth import grow
from disentangle_pl.metrics.trees import LEAVES, SPLITS, Floats, Places, Table, Trees, table_of, workspace

ROUNDS = 100
LEAST_WORK = 50_000  # codes a thread is handed at once, in a fraction of a millisecond


class Task(NamedTuple):
    """What to predict from what.

    Attributes:
        codes: (N, d), used in single precision.
        target: (N,) without missing values.
        discrete: Classes or a quantity.
    """

    codes: NDArray[np.floating[Any]]
    target: Floats
    discrete: bool


@final
class BoostedTrees(NamedTuple):
    """A fitted ensemble of 100 rounds with one tree a class (one in all for 2 classes, and for a quantity).

    Attributes:
        classes: (c,) in ascending order, empty for a quantity.
        prior: (outputs,) where boosting starts: log shares of the classes, or the mean.
        latent: (100, outputs, 7), as in `Trees`.
        threshold: (100, outputs, 7).
        value: (100, outputs, 8).
        importances: (d,) the share of every latent in the squared error that the splits remove, 0 if there are none.
    """

    classes: Floats
    prior: Floats
    latent: Places
    threshold: Floats
    value: Floats
    importances: Floats

    def predict(self, codes: NDArray[np.floating[Any]]) -> Floats:
        """Return the likeliest class or the expected quantity (M,) for codes (M, d)."""
        raw = np.repeat(self.prior[:, None], len(codes), axis=1)
        descend(np.array(codes.T, np.float32, order="C"), self.latent, self.threshold, self.value, raw)
        if not len(self.classes):
            predicted: Floats = raw[0]
        elif len(self.classes) == 2:
            predicted = self.classes[(raw[0] >= 0).astype(np.int64)]
        else:
            predicted = self.classes[raw.argmax(axis=0)]
        return predicted


class _Fit(NamedTuple):
    table: Table
    target: Floats
    classes: Floats
    prior: Floats
    raw: Floats
    residual: Floats
    seeds: Places
    trees: Trees


class _Part(NamedTuple):
    fit: _Fit
    first: int
    last: int


def boost(tasks: Sequence[Task], *, seed: int = 0, jobs: int = -1) -> list[BoostedTrees]:
    """Fit boosted trees to every task: 100 rounds of trees of depth 3 at a rate of .1.

    The trees are those of scikit-learn's `GradientBoostingClassifier` or `GradientBoostingRegressor` fitted to one task
    after the other on one random stream. Only rows that share the value of a latent may be summed in another order,
    which rounds differently and so can decide between splits of equal worth.

    Args:
        tasks: At least one.
        seed: Seed of the order in which a tree tries the latents, which decides between splits of equal worth.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Raises:
        InputError: If jobs is neither positive nor -1.

    Source: Friedman 2001 (Annals of Statistics 29, algorithms 1, 5 and 6); Pedregosa et al. 2011 (JMLR 12).
    """
    threads = thread_count(jobs)
    random = np.random.RandomState(seed)
    fits = [_begin(task, random) for task in tasks]
    share = -(-sum(len(fit.raw) for fit in fits) // (16 * threads))
    trees = [
        part for fit in fits for part in _parts(fit, len(fit.raw), max(share, LEAST_WORK // fit.table.values.size))
    ]
    rows = [part for fit in fits for part in _parts(fit, len(fit.target), -(-len(fit.target) // threads))]
    with ThreadPoolExecutor(threads) as pool:
        for number in range(ROUNDS):
            list(pool.map(_update_residuals, rows))
            list(pool.map(partial(_grow, number), trees))
    return [_finish(fit) for fit in fits]


def thread_count(jobs: int) -> int:
    """Return jobs, or the number of cores that this process may use for -1.

    Raises:
        InputError: If jobs is neither positive nor -1.
    """
    if jobs < 1 and jobs != -1:
        raise InputError(f"jobs must be a number of threads, or -1 for all cores, got {jobs}")
    return int(cpu_count()) if jobs == -1 else jobs


def _parts(fit: _Fit, length: int, width: int) -> list[_Part]:
    return [_Part(fit, first, min(first + width, length)) for first in range(0, length, width)]


def _begin(task: Task, random: np.random.RandomState) -> _Fit:
    rows, latents = task.codes.shape
    classes, target, prior = start_of(task)
    outputs = len(prior)
    return _Fit(
        table=table_of(task.codes),
        target=target,
        classes=classes,
        prior=prior,
        raw=np.repeat(prior[:, None], rows, axis=1),
        residual=np.empty((outputs, rows)),
        seeds=random.randint(0, 2**31 - 1, size=(ROUNDS, outputs), dtype=np.int64),
        trees=Trees(
            latent=np.zeros((ROUNDS, outputs, SPLITS), np.int64),
            threshold=np.full((ROUNDS, outputs, SPLITS), np.inf),
            value=np.zeros((ROUNDS, outputs, LEAVES)),
            importance=np.zeros((outputs, latents)),
            leaf=np.zeros((outputs, rows), np.uint8),
        ),
    )


def start_of(task: Task) -> tuple[Floats, Floats, Floats]:
    """Return the classes (c,), none for a quantity, the target (N,) with their numbers, and where boosting starts."""
    if not task.discrete:
        return np.empty(0), np.array(task.target), task.target.mean(keepdims=True)
    classes, labels = np.unique(task.target, return_inverse=True)
    return classes, labels.astype(np.float64), log_shares(np.bincount(labels) / len(labels))


def log_shares(shares: Floats) -> Floats:
    """Return the log shares of c classes (c,), centred, or the log odds of two (1,): where boosting starts."""
    tiny = np.finfo(np.float64).eps
    shares = np.clip(shares, tiny, 1 - tiny)
    logs: Floats = logit(shares[1:]) if len(shares) == 2 else np.log(shares / np.exp(np.log(shares).mean()))
    return logs


def _update_residuals(part: _Part) -> None:
    fit, first, last = part
    if not len(fit.classes):
        fit.residual[0, first:last] = fit.target[first:last] - fit.raw[0, first:last]
    elif len(fit.classes) == 2:
        logistic_residuals(fit.raw, fit.target, fit.residual, first, last)
    else:
        softmax_residuals(fit.raw, fit.target, fit.residual, first, last)


def _grow(number: int, part: _Part) -> None:
    fit, first, last = part
    own, old = slice(first, last), fit.trees
    new = Trees(
        latent=old.latent[number, own],
        threshold=old.threshold[number, own],
        value=old.value[number, own],
        importance=old.importance[own],
        leaf=old.leaf[own],
    )
    grow(fit.table, fit.residual[own], fit.seeds[number, own], workspace(fit.table), new)
    step(fit.target, len(fit.classes), first, fit.residual[own], new.leaf, new.value, fit.raw[own])


def _finish(fit: _Fit) -> BoostedTrees:
    return BoostedTrees(
        fit.classes, fit.prior, fit.trees.latent, fit.trees.threshold, fit.trees.value, shares_of(fit.trees.importance)
    )


def shares_of(gained: Floats) -> Floats:
    """Return the share (d,) of every latent in the squared error that trees remove (outputs, d), 0 if they do none."""
    total: Floats = gained.sum(axis=0)
    return total / total.sum() if total.sum() > 0 else np.zeros(len(total))
