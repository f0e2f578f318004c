"""DCI-ES: how much capacity a probe needs to use the codes (explicitness), and how many latents there are (size)."""

import warnings
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Checked, Codes, CodesLike, Factors, Split, Values, check, train_test, varying

Forest: TypeAlias = RandomForestClassifier | RandomForestRegressor


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
        rows: How many rows, drawn at random, to fit on and to score on at most.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Seed of the forests.

    Returns:
        The scores.

    Raises:
        InputError: If an input fails `loss_capacity`.
    """
    codes, truth = check(codes, factors)
    curves = loss_capacity(codes, factors, depth=depth, trees=trees, rows=rows, test=test, seed=seed)
    kept = np.flatnonzero(curves.baselines > 0)
    losses, baselines = curves.losses[:, kept], curves.baselines[kept]
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
        rows: How many rows, drawn at random, to fit on and to score on at most.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Seed of the forests.

    Returns:
        The curves, NaN for a factor with one value among the rows fitted on, or none or only the constant prediction
        among those to score on.

    Raises:
        InputError: If an input fails `check`, test has other columns, no factor gets a curve, depth is below 2 or
            trees or rows below 1.
    """
    if depth < 2 or trees < 1 or rows < 1:
        raise InputError(f"curves need depth >= 2, trees >= 1 and rows >= 1, got {depth}, {trees} and {rows}")
    (fit_codes, truth), (new, held_out) = train_test(codes, factors, test)
    first, other = _some(len(truth), rows, seed), _some(len(held_out), rows, seed)
    fit_codes, truth, new, held_out = fit_codes[first], truth[first], new[other], held_out[other]
    losses, baselines = np.full((depth, truth.shape[1]), np.nan), np.full(truth.shape[1], np.nan)
    for factor in np.flatnonzero(varying(truth)).tolist():
        fitted, scored = _known((fit_codes, truth), factor), _known((new, held_out), factor)
        baseline = _baseline(fitted[1], scored[1], truth.discrete[factor]) if len(scored[1]) else 0.0
        if baseline > 0:
            baselines[factor] = baseline
            losses[:, factor] = _curve(_forest(*fitted, truth.discrete[factor], depth, trees, seed), scored, depth)
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


def _some(rows: int, most: int, seed: int) -> NDArray[np.intp]:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _known(rows: Checked, factor: int) -> tuple[NDArray[np.float32], Values]:
    codes, truth = rows
    there = truth.present[:, factor]
    return codes[there].astype(np.float32), truth.values[there, factor]


def _baseline(fitted: Values, scored: Values, discrete: bool) -> float:
    if not discrete:
        return float(np.mean((scored - fitted.mean()) ** 2))
    classes, counts = np.unique(fitted, return_counts=True)
    return float(np.mean(scored != classes[counts.argmax()]))


def _forest(codes: Codes, values: Values, discrete: bool, depth: int, trees: int, seed: int) -> Forest:
    kind = RandomForestClassifier if discrete else RandomForestRegressor
    with warnings.catch_warnings():
        # scikit-learn takes many classes for a quantity, but the user said what they are
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return kind(trees, max_depth=depth, random_state=seed).fit(codes, values)


def _curve(forest: Forest, scored: tuple[NDArray[np.float32], Values], depth: int) -> Values:
    """Return the loss of the forest cut at depth 1..depth: (depth,)."""
    codes, values = scored
    trees = [estimator.tree_ for estimator in forest.estimators_]
    nodes = [np.zeros(len(codes), dtype=np.int64) for _ in trees]
    losses = []
    for _ in range(depth):
        nodes = [_children(tree, node, codes) for tree, node in zip(trees, nodes, strict=True)]
        votes = sum(tree.value[node, 0] for tree, node in zip(trees, nodes, strict=True)) / len(trees)
        losses.append(_loss(forest, votes, values))
    return np.array(losses)


def _children(tree: Any, nodes: NDArray[np.int64], codes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Go down one level from the nodes (N,) that the rows (N, d) have reached, unless they are leaves."""
    goes_left = codes[np.arange(len(codes)), np.maximum(tree.feature[nodes], 0)] <= tree.threshold[nodes]
    below = np.where(goes_left, tree.children_left[nodes], tree.children_right[nodes])
    return np.where(below < 0, nodes, below)


def _loss(forest: Forest, votes: Values, values: Values) -> float:
    if isinstance(forest, RandomForestClassifier):
        return float(np.mean(forest.classes_[votes.argmax(axis=1)] != values))
    return float(np.mean((votes[:, 0] - values) ** 2))
