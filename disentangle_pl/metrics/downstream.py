"""Downstream accuracy: what a probe learns from few labels, under a shift, and without the best latents."""

import warnings
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting import Task, boost
from disentangle_pl.metrics.dci import Predictor, informativeness_per_factor
from disentangle_pl.metrics.score import (
    FEWEST,
    MISSING,
    Checked,
    CodesLike,
    Factors,
    Split,
    Values,
    check,
    joint_labels,
    sampled_rows,
    train_test,
    varying,
)

Probe: TypeAlias = Callable[[Sequence[Task]], Sequence[Predictor]]
SIZES = (10, 100, 1_000, 10_000)
PENALTY_ROWS = 1_000  # the more labels, the less the penalty matters and the longer the search for it


class Downstream(NamedTuple):
    """The accuracy of probes fitted on few and many labels.

    Attributes:
        sizes: (n,) how many labels.
        accuracy: (n, k) the accuracy of classes and the R^2 of quantities, at least 0, for rows held out; NaN where a
            factor has fewer labels, or no values in the rows held out.
    """

    sizes: tuple[int, ...]
    accuracy: Values

    @property
    def mean(self) -> Values:
        """The mean over factors (n,), NaN where none has as many labels."""
        present = ~np.isnan(self.accuracy)
        count = present.sum(axis=1)
        total = np.where(present, self.accuracy, 0.0).sum(axis=1)
        mean: Values = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
        return mean

    def efficiency(self, few: int = 100, many: int = 10_000) -> float:
        """Return the mean accuracy with few labels over that with many, the statistical efficiency.

        NaN where a factor has no such number of labels, or nothing is learnt from many.

        Raises:
            InputError: If there are no probes of these sizes.
        """
        if few not in self.sizes or many not in self.sizes:
            raise InputError(f"there are probes of {self.sizes} labels, none of {few} or {many}: name them in sizes")
        scores = self.mean[[self.sizes.index(few), self.sizes.index(many)]]
        return float(scores[0] / scores[1]) if scores[1] > 0 else np.nan


class Shifted(NamedTuple):
    """What is left of the accuracy when another factor has other values than in the rows fitted on.

    Attributes:
        strong: The mean accuracy (R^2 of quantities) of probes fitted on rows in which one other factor has one value,
            for rows in which it has others.
        accuracy: That of probes fitted on as many random rows, for the same rows.
        gap: 1 - strong / accuracy, NaN if accuracy is 0.
    """

    strong: float
    accuracy: float
    gap: float


class Reduced(NamedTuple):
    """The accuracy without the latents that predict a factor best.

    Attributes:
        reduced: The mean accuracy (R^2 of quantities) for the factor whose best latents are left out: what of it other
            latents hold too.
        others: The same for all the other factors: low if the best latents of one factor hold these as well.
    """

    reduced: float
    others: float


def linear_probes(tasks: Sequence[Task]) -> list[Predictor]:
    """Fit logistic regression to classes and ridge regression to quantities, on standardised codes.

    The penalty is the best of 10 between 10^-4 and 10^4 in 5 folds of at most 1,000 rows drawn at random. Folds are
    blocks of consecutive rows, so rows of one person that follow each other stay together.

    Args:
        tasks: Each of 5 rows or more; a target with one value is predicted by it.
    """
    return [_linear(task) for task in tasks]


def downstream(
    codes: CodesLike,
    factors: Factors,
    *,
    probe: Probe = boost,
    sizes: Sequence[int] = SIZES,
    test: Split | None = None,
    seed: int = 0,
) -> Downstream:
    r"""Return how well probes predict every factor from all the latents, after 10, 100, 1,000 and 10,000 labels.

    .. math::

        a_k(n) = P\big( \hat{v}_k^{(n)} = v_k \big), \qquad
        \mathrm{efficiency} = \frac{\sum_k a_k(100)}{\sum_k a_k(10\,000)}

    with the prediction of a probe that was fitted on n labelled rows, for rows held out. A rotation costs little if the
    labels are many.

    Source: Locatello et al. 2019 (arXiv:1811.12359, section 5.5), with gradient-boosted trees or, as there, logistic
    regression whose penalty is cross-validated: pass `linear_probes`. Theirs are of codes as they come.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); a row counts for the factors it has.
        probe: Fits a predictor to every task: `boosting.boost` or `linear_probes`.
        sizes: How many labels, each at least 5: random rows of those fitted on, or, where groups are known, the rows of
            random groups, one group after the other.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Of the rows that are labelled.

    Returns:
        The accuracies.

    Raises:
        InputError: If an input fails `check`, test has other columns, no factor varies, a size is below 5, or no factor
            has as many labels as the smallest.
    """
    if not sizes or min(sizes) < 5:
        raise InputError(f"probes need sizes of 5 labels at least, got {tuple(sizes)}")
    (table, truth), held_out = train_test(codes, factors, test)
    chosen = np.flatnonzero(varying(truth)).tolist()
    order = _random_order(len(table), truth.groups, np.random.default_rng(seed))
    accuracy = np.full((len(sizes), truth.shape[1]), np.nan)
    for row, size in enumerate(sizes):
        probes: list[Predictor | None] = [None] * truth.shape[1]
        rows = {factor: order[truth.present[order, factor]][:size] for factor in chosen}
        enough = [factor for factor in chosen if len(rows[factor]) == size]
        tasks = [_task((table, truth), rows[factor], factor) for factor in enough]
        for factor, fitted in zip(enough, probe(tasks) if tasks else [], strict=True):
            probes[factor] = fitted
        accuracy[row] = informativeness_per_factor(probes, *held_out)
    if np.isnan(accuracy).all():
        raise InputError(f"no factor has {min(sizes)} labels and others to score on: give more rows or smaller sizes")
    return Downstream(tuple(sizes), accuracy)


def strong_downstream(
    codes: CodesLike,
    factors: Factors,
    *,
    probe: Probe = boost,
    test: Split | None = None,
    bins: int = 5,
    seed: int = 0,
) -> Shifted:
    """Return how well probes predict a factor where another one has values that they have not seen.

    Every factor is predicted once under a shift of every other one: the probe is fitted on the rows in which that one
    has the value of a random row, and scored on rows in which it has others. There it is the simulator that sets the
    values; the probe without a shift has as many rows here, so that the gap is not one of the number of labels.

    Source: the strong generalisation of the code of Locatello et al. 2020 (JMLR 21(209)).

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; the values of a quantity are shifted from one bin to others, and a row counts
            for the factors it has.
        probe: Fits a predictor to every task: `boosting.boost` or `linear_probes`.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        bins: The number of bins of a quantity that is shifted, at least 2.
        seed: Of the values and rows fitted on.

    Returns:
        The scores, over the pairs of factors with at least 6 rows to fit on and one to score on.

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors vary, bins < 2, or no pair
            has as many rows.
    """
    check(codes, factors, values=2)
    train, held_out = train_test(codes, factors, test)
    chosen = np.flatnonzero(varying(train[1], least=2)).tolist()
    fitted, scored = joint_labels(train[1], held_out[1], bins)
    random = np.random.default_rng(seed)
    tasks, rows, targets = [], [], []
    for target, other in permutations(chosen, 2):
        present = np.flatnonzero(train[1].present[:, target] & (fitted[:, other] != MISSING))
        value = fitted[random.choice(present), other] if len(present) else MISSING
        inside = present[fitted[present, other] == value]
        outside = held_out[1].present[:, target] & (scored[:, other] != MISSING) & (scored[:, other] != value)
        if len(inside) >= FEWEST and outside.any():
            tasks += [_task(train, inside, target), _task(train, random.permutation(present)[: len(inside)], target)]
            rows.append(np.flatnonzero(outside))
            targets.append(target)
    if not tasks:
        raise InputError(f"a shift needs {FEWEST} rows that share a value and others to score on: give more rows")
    probes = probe(tasks)
    shifted = [_accuracy(*case, held_out) for case in zip(probes[::2], rows, targets, strict=True)]
    plain = [_accuracy(*case, held_out) for case in zip(probes[1::2], rows, targets, strict=True)]
    if np.isnan(shifted).all():
        raise InputError("no quantity varies in the rows to score on: give more rows, or a test set")
    strong, accuracy = float(np.nanmean(shifted)), float(np.nanmean(plain))
    return Shifted(strong, accuracy, 1 - strong / accuracy if accuracy > 0 else np.nan)


def reduced_downstream(
    codes: CodesLike, factors: Factors, *, probe: Probe = boost, removed: int = 1, test: Split | None = None
) -> Reduced:
    """Return how well probes predict the factors without the latents that predict one of them best.

    Source: the code of Locatello et al. 2020 (JMLR 21(209)): the latent that boosted trees lean on most for a factor is
    left out, then that of those that are left, and so on; probes of all the factors are fitted on what remains.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a row counts for the factors it has.
        probe: Fits a predictor to every task: `boosting.boost` or `linear_probes`.
        removed: How many latents are left out, at least 1 and fewer than d.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.

    Returns:
        The scores.

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors vary, or so many latents
            cannot be left out.
    """
    check(codes, factors, latents=2, values=2)
    train, (new, held_out) = train_test(codes, factors, test)
    d, k = new.shape[1], held_out.shape[1]
    if not 1 <= removed < d:
        raise InputError(f"of {d} latents 1 to {d - 1} can be left out, got {removed}")
    chosen = np.flatnonzero(varying(train[1], least=2)).tolist()
    accuracy = np.full((k, k), np.nan)
    for reduced in chosen:
        latents = np.arange(d)
        for _ in range(removed):
            (trees,) = boost([_task((train[0][:, latents], train[1]), train[1].present[:, reduced], reduced)])
            latents = np.delete(latents, trees.importances.argmax())
        remaining = train[0][:, latents], train[1]
        probes: list[Predictor | None] = [None] * k
        fitted = probe([_task(remaining, train[1].present[:, factor], factor) for factor in chosen])
        for factor, each in zip(chosen, fitted, strict=True):
            probes[factor] = each
        accuracy[reduced] = informativeness_per_factor(probes, new[:, latents], held_out)
    own = np.eye(len(accuracy), dtype=np.bool_)
    if np.isnan(accuracy[own]).all() or np.isnan(accuracy[~own]).all():
        raise InputError("no factor that was fitted has values in the rows to score on: give more rows, or a test set")
    return Reduced(float(np.nanmean(accuracy[own])), float(np.nanmean(accuracy[~own])))


def _task(rows: Checked, chosen: NDArray[np.integer] | NDArray[np.bool_], factor: int) -> Task:
    return Task(rows[0][chosen], rows[1].values[chosen, factor], bool(rows[1].discrete[factor]))


def _accuracy(probe: Predictor, rows: NDArray[np.intp], factor: int, held_out: Checked) -> float:
    mask = np.arange(held_out[1].shape[1]) == factor
    return float(informativeness_per_factor([probe], held_out[0][rows], held_out[1][rows].columns(mask))[0])


def _random_order(rows: int, groups: NDArray[np.integer] | None, random: np.random.Generator) -> NDArray[np.intp]:
    """Return rows (N,) in random order, those of a group after one another."""
    if groups is None:
        return random.permutation(rows)
    number, group = np.unique(groups, return_inverse=True)
    order: NDArray[np.intp] = np.argsort(random.permutation(len(number))[group], kind="stable")
    return order


def _linear(task: Task) -> Predictor:
    codes, folds, strengths = task.codes.astype(np.float64), KFold(5), np.logspace(-4, 4, 10)
    few, probe = sampled_rows(len(codes), PENALTY_ROWS), LogisticRegression()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn takes many classes for a quantity, but the user said what they are
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        if not task.discrete:
            probe = RidgeCV(strengths)
        elif len(np.unique(task.target)) < 2:
            probe = DummyClassifier()
        elif all(len(np.unique(task.target[few][rows])) > 1 for rows, _ in folds.split(task.target[few])):
            search = GridSearchCV(probe, {"C": strengths}, cv=folds, refit=False)
            search.fit(StandardScaler().fit_transform(codes[few]), task.target[few])
            probe = LogisticRegression(**search.best_params_)
        fitted: Predictor = make_pipeline(StandardScaler(), probe).fit(codes, task.target)
        return fitted
