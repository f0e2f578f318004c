"""DCI-ES: how much capacity a probe needs to use the codes (explicitness), and how many latents there are (size)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting import thread_count
from disentangle_pl.metrics.forest_steps import cut_predictions, grow_classes
from disentangle_pl.metrics.score import (
    Checked,
    CodesLike,
    Factors,
    Split,
    Values,
    check,
    sampled_rows,
    train_test,
    varying,
)
from disentangle_pl.metrics.trees import Places


class Tree(NamedTuple):
    """A grown tree.

    Attributes:
        latent: (nodes,) of each split.
        threshold: (nodes,) rows whose code is not above go left.
        below: (2, nodes) children, -1 at a leaf.
        value: (nodes, c) shares of the classes, or the mean of a quantity.
    """

    latent: Places
    threshold: Values
    below: Places
    value: Values


class LossCapacity(NamedTuple):
    """Held-out losses of probes of growing capacity.

    Attributes:
        capacities: (n,) depths 1..n of the trees.
        losses: (n, k) error rate for classes, mean squared error for quantities; NaN for a factor left out.
        baselines: (k,) the same loss for the best constant of the rows fitted on; NaN for a factor left out.
    """

    capacities: Values
    losses: Values
    baselines: Values


class DCIES(NamedTuple):
    """The scores that Eastwood et al. 2023 add to DCI, and what explicitness must be read with.

    Attributes:
        explicitness: Mean `area_score` over factors, in [-1, 1].
        size: Factors per latent, k / d; small for codes that spread over many latents.
        informativeness: Mean share of the baseline loss that the best probe saves, in [0, 1].
    """

    explicitness: float
    size: float
    informativeness: float


def dci_es(
    codes: CodesLike,
    factors: Factors,
    *,
    depth: int = 32,
    trees: int = 30,
    rows: int = 10_000,
    test: Split | None = None,
    seed: int = 0,
    jobs: int = -1,
) -> DCIES:
    r"""Return explicitness, size and informativeness from the loss-capacity curves of random forests.

    .. math::

        E = \frac{1}{K} \sum_k \left( 1 - \frac{2 A_k}{(\kappa_n - \kappa_1) \, L_k^0} \right),
        \qquad S = \frac{K}{d}

    Source: Eastwood et al. 2023 (arXiv:2210.00364), with the depth of the trees as capacity. Explicitness
    says how easily that is used which can be used at all: pure noise scores .99 on dSprites, beside an informativeness
    of .01. Quote both.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); see `loss_capacity` for quantities and missing values. Factors without a curve are left out of
            the means; size counts those that vary.
        depth: The largest capacity.
        trees: The number of trees of each forest.
        rows: How many rows, drawn at random, whole groups where groups are known, to fit on and to score on at most.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Seed of the forests.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        The scores.

    Raises:
        InputError: If an input fails `loss_capacity`.
    """
    codes, truth = check(codes, factors)
    curves = loss_capacity(codes, truth, depth=depth, trees=trees, rows=rows, test=test, seed=seed, jobs=jobs)
    scored_factors = np.flatnonzero(curves.baselines > 0)
    losses, baselines = curves.losses[:, scored_factors], curves.baselines[scored_factors]
    areas = [area_score(curves.capacities, *curve) for curve in zip(losses.T, baselines, strict=True)]
    saved = np.maximum(1 - losses.min(axis=0) / baselines, 0)
    size = int(truth.varying.sum()) / codes.shape[1]
    return DCIES(float(np.mean(areas)), size, float(saved.mean()))


def loss_capacity(
    codes: CodesLike,
    factors: Factors,
    *,
    depth: int = 32,
    trees: int = 30,
    rows: int = 10_000,
    test: Split | None = None,
    seed: int = 0,
    jobs: int = -1,
) -> LossCapacity:
    """Return the held-out losses of forests of depth 1, 2, ..., from all latents to each factor.

    A tree of limited depth is the upper part of a deeper one, so one forest is grown for each factor and read off at
    every depth.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); classes get a classifier and the error rate, quantities a regression and the squared error.
            A row counts for the factors it has.
        depth: The largest depth, at least 2.
        trees: The number of trees of each forest.
        rows: How many rows, drawn at random, whole groups where groups are known, to fit on and to score on at most.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Seed of the forests.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        The curves, NaN for a factor with one value among the rows fitted on, or none or only the constant prediction
        among those to score on.

    Raises:
        InputError: If an input fails `check`, test has other columns, no factor gets a curve, depth is below 2,
            trees or rows below 1, or jobs is neither positive nor -1.
    """
    if depth < 2 or trees < 1 or rows < 1:
        raise InputError(f"curves need depth >= 2, trees >= 1 and rows >= 1, got {depth}, {trees} and {rows}")
    threads = thread_count(jobs)
    (fit_codes, truth), (new, held_out) = train_test(codes, factors, test)
    first, other = (sampled_rows(len(table), rows, seed, table.groups) for table in (truth, held_out))
    fit_codes, truth, new, held_out = fit_codes[first], truth[first], new[other], held_out[other]
    losses, baselines = np.full((depth, truth.shape[1]), np.nan), np.full(truth.shape[1], np.nan)
    for factor in np.flatnonzero(varying(truth)).tolist():
        fitted, scored = _present_rows((fit_codes, truth), factor), _present_rows((new, held_out), factor)
        baseline = _baseline(fitted[1], scored[1], truth.discrete[factor]) if len(scored[1]) else 0.0
        if baseline > 0:
            baselines[factor] = baseline
            losses[:, factor] = _curve(fitted, scored, truth.discrete[factor], depth, trees, seed, threads)
    if np.isnan(baselines).all():
        raise InputError("no factor varies among the rows to score on: give more rows, or a test set")
    return LossCapacity(np.arange(1.0, depth + 1), losses, baselines)


def area_score(capacities: Values, losses: Values, baseline: float) -> float:
    """Return 1 - 2 A / ((c_n - c_1) baseline), A the area between the lowest loss so far and the lowest of all.

    1 if the smallest probe is as good as any; 0 for a loss that falls in a line from the baseline to 0; negative if
    it falls late. Source: Eastwood et al. 2023 (arXiv:2210.00364), with the trapezoids and the
    normalisation of the authors' code.

    Args:
        capacities: (n,) increasing, n >= 2.
        losses: (n,) loss at each.
        baseline: The loss of a constant prediction, above 0.

    Returns:
        The score, in [-1, 1]; 0 where no probe beats the baseline, for then there is nothing to use.

    Raises:
        InputError: If there are fewer than 2 capacities, they do not increase, or the baseline is not positive.
    """
    if len(capacities) < 2 or len(losses) != len(capacities) or not (np.diff(capacities) > 0).all() or baseline <= 0:
        raise InputError(
            f"an area needs increasing capacities, a loss for each and a positive baseline, got {list(capacities)}, "
            f"{len(losses)} losses and {baseline}"
        )
    lowest = np.minimum.accumulate(np.minimum(losses, baseline))
    if lowest[-1] >= baseline:
        return 0.0
    above = lowest - lowest[-1]
    twice_area = np.sum(np.diff(capacities) * (above[1:] + above[:-1]))
    return float(1 - twice_area / ((capacities[-1] - capacities[0]) * baseline))


def _present_rows(rows: Checked, factor: int) -> tuple[NDArray[np.float32], Values]:
    codes, truth = rows
    present = truth.present[:, factor]
    return codes[present].astype(np.float32), truth.values[present, factor]


def _baseline(fitted: Values, scored: Values, discrete: bool) -> float:
    if not discrete:
        return float(np.mean((scored - fitted.mean()) ** 2))
    classes, counts = np.unique(fitted, return_counts=True)
    return float(np.mean(scored != classes[counts.argmax()]))


def _class_trees(
    codes: NDArray[np.float32], labels: Places, depth: int, trees: int, seed: int, jobs: int
) -> list[Tree]:
    """Grow the trees that scikit-learn's `RandomForestClassifier` grows from one seed, many times as fast."""
    rows, latents = codes.shape
    values = np.array(codes.T, order="C")
    order = np.argsort(values, axis=1, kind="stable")
    stream = np.random.RandomState(seed)
    seeds = [int(stream.randint(np.iinfo(np.int32).max)) for _ in range(trees)]

    def grown(tree: int) -> Tree:
        weights = np.bincount(np.random.RandomState(tree).randint(0, rows, rows), minlength=rows).astype(np.float64)
        present = np.stack([row[weights[row] > 0] for row in order])
        first = int(np.random.RandomState(tree).randint(0, np.iinfo(np.int32).max))
        tries = max(1, int(np.sqrt(latents)))
        return Tree(*grow_classes(values, present, labels, weights, int(labels.max()) + 1, depth, tries, first))

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(grown, seeds))


def _quantity_trees(
    codes: NDArray[np.float32], values: Values, depth: int, trees: int, seed: int, jobs: int
) -> list[Tree]:
    forest = RandomForestRegressor(trees, max_depth=depth, random_state=seed, n_jobs=jobs).fit(codes, values)
    grown = [estimator.tree_ for estimator in forest.estimators_]
    return [
        Tree(
            tree.feature.astype(np.int64),
            tree.threshold,
            np.stack([tree.children_left, tree.children_right]).astype(np.int64),
            tree.value[:, 0],
        )
        for tree in grown
    ]


def _curve(
    fitted: tuple[NDArray[np.float32], Values],
    scored: tuple[NDArray[np.float32], Values],
    discrete: bool,
    depth: int,
    trees: int,
    seed: int,
    jobs: int,
) -> Values:
    """Return the loss on the rows to score on of a forest cut at depth 1..depth: (depth,)."""
    if discrete:
        classes, labels = np.unique(fitted[1], return_inverse=True)
        forest = _class_trees(fitted[0], labels.astype(np.int64), depth, trees, seed, jobs)
        wrong: Values = (classes[_cut(forest, scored[0], True, depth, jobs).astype(np.int64)] != scored[1]).mean(axis=1)
        return wrong
    forest = _quantity_trees(*fitted, depth, trees, seed, jobs)
    errors: Values = ((_cut(forest, scored[0], False, depth, jobs) - scored[1]) ** 2).mean(axis=1)
    return errors


def _cut(forest: Sequence[Tree], codes: NDArray[np.float32], discrete: bool, depth: int, jobs: int) -> Values:
    """Return what the forest cut at depth 1..depth predicts of codes (M, d): (depth, M), the number of a class."""
    roots = np.cumsum([0, *(len(tree.latent) for tree in forest[:-1])])
    below = [np.where(tree.below < 0, -1, tree.below + root) for tree, root in zip(forest, roots, strict=True)]
    latent = np.concatenate([tree.latent for tree in forest])
    threshold = np.concatenate([tree.threshold for tree in forest])
    value = np.concatenate([tree.value for tree in forest])

    def part(rows: NDArray[np.float32]) -> Values:
        predicted = np.empty((depth, len(rows)))
        cut_predictions(rows, roots, latent, threshold, np.concatenate(below, axis=1), value, discrete, predicted)
        return predicted

    with ThreadPoolExecutor(jobs) as pool:
        return np.concatenate(list(pool.map(part, np.array_split(np.ascontiguousarray(codes), jobs))), axis=1)
