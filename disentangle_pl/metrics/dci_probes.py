"""DCI with the probes of its authors: do the Lasso and random forests see what boosted trees see?"""

import warnings
from typing import TypeAlias

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.dci import DCI, Predictor, dci_of
from disentangle_pl.metrics.score import (
    FEWEST,
    Checked,
    CodesLike,
    Factors,
    GroundTruth,
    Split,
    held_out_rows,
    moving,
    train_test_of_two,
)

Forest: TypeAlias = RandomForestClassifier | RandomForestRegressor
DEPTHS = (32, 16, 8, 4, 2, 1)  # of equally good ones the first


def dci_lasso(codes: CodesLike, factors: Factors, *, strength: float = 0.02, test: Split | None = None) -> DCI:
    r"""Return the DCI scores with the Lasso: importance is the size of a coefficient.

    .. math::

        R_{jk} = |w_{jk}|, \qquad
        w_k = \mathrm{argmin}_w \, \frac{1}{2N} \| v_k - C w \|^2 + \lambda \| w \|_1

    Every factor is a number to regress, as in the source: a class is its index, which suits classes in an order, and
    informativeness is R^2, at least 0. Codes and factors are scaled to unit variance, so units have no part. A linear
    probe does not see what a latent holds in another than a straight line.

    Source: Eastwood & Williams 2018 (ICLR, section 4), with the penalty of the authors' code.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k), at least 2 of which vary; one with one value among the rows fitted on is left out, and rows in
            which a factor is missing are left out for this factor.
        strength: Weight of the absolute coefficients, above 0.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.

    Raises:
        InputError: If an input fails `check`, d < 2, test has other columns, fewer than 2 factors vary, none of these
            can be scored on the held-out rows, or strength is not positive.
    """
    if not strength > 0:
        raise InputError(f"the strength of the Lasso must be above 0, got {strength}")
    train, held_out = _numbers(*train_test_of_two(codes, factors, test, latents=2))
    importance = np.zeros((train[0].shape[1], train[1].shape[1]))
    probes: list[Predictor | None] = [None] * train[1].shape[1]
    alive = moving(train[0])
    for factor in np.flatnonzero(train[1].varying).tolist():
        present = train[1].present[:, factor]
        scaled = make_pipeline(StandardScaler(), Lasso(strength))
        probe = TransformedTargetRegressor(scaled, transformer=StandardScaler())
        probes[factor] = probe.fit(np.where(alive, train[0][present], 0.0), train[1].values[present, factor])
        importance[:, factor] = np.abs(probe.regressor_[-1].coef_)
    return dci_of(importance[:, train[1].varying], probes, train, held_out)


def dci_forest(codes: CodesLike, factors: Factors, *, trees: int = 10, test: Split | None = None, seed: int = 0) -> DCI:
    """Return the DCI scores with random forests: importance is the share of the impurity that a latent removes.

    The depth of the trees is that of 1, 2, 4, 8, 16 and 32 which predicts a third of the rows fitted on best. Every
    split may choose among all latents: if a few are drawn for it, as is the habit, useless ones must be used too.

    Source: Eastwood & Williams 2018 (ICLR, section 4), with 10 trees as in the authors' code.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k), at least 2 of which vary; classes are classified and quantities regressed. One with one value
            among the rows fitted on is left out, and rows in which a factor is missing are left out for this factor.
        trees: The number of trees, at least 1.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Seed of the forests.

    Raises:
        InputError: If an input fails `check`, d < 2, test has other columns, fewer than 2 factors vary, none of these
            can be scored on the held-out rows, or trees is below 1.
    """
    if trees < 1:
        raise InputError(f"a forest needs a tree at least, got {trees}")
    train, held_out = train_test_of_two(codes, factors, test, latents=2)
    importance = np.zeros((train[0].shape[1], train[1].shape[1]))
    probes: list[Predictor | None] = [None] * train[1].shape[1]
    for factor in np.flatnonzero(train[1].varying).tolist():
        present = train[1].present[:, factor]
        forest = _forest((train[0][present], train[1][present]), factor, trees, seed)
        probes[factor], importance[:, factor] = forest, forest.feature_importances_
    return dci_of(importance[:, train[1].varying], probes, train, held_out)


def _numbers(train: Checked, held_out: Checked) -> tuple[Checked, Checked]:
    """Turn classes into quantities: 0, 1, ... in their order."""
    values, discrete = np.concatenate([train[1].values, held_out[1].values]), train[1].discrete
    labels = GroundTruth(values, discrete).labels()
    numbers = np.where(discrete & ~np.isnan(values), labels, values)
    rows, kinds = len(train[1]), np.zeros_like(discrete)
    return (
        (train[0], GroundTruth(numbers[:rows], kinds, train[1].groups)),
        (held_out[0], GroundTruth(numbers[rows:], kinds, held_out[1].groups)),
    )


def _forest(rows: Checked, factor: int, trees: int, seed: int) -> Forest:
    codes, truth = rows
    values = truth.values[:, factor]
    kind = RandomForestClassifier if truth.discrete[factor] else RandomForestRegressor
    depth: int | None = None
    with warnings.catch_warnings():
        # scikit-learn takes many classes for a quantity, but the user said what they are
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        if len(values) >= FEWEST and (truth.groups is None or len(np.unique(truth.groups)) > 1):
            chosen = held_out_rows(len(values), truth.groups, seed)
            forests = [kind(trees, max_depth=depth, max_features=1.0, random_state=seed) for depth in DEPTHS]
            scores = [
                each.fit(codes[~chosen], values[~chosen]).score(codes[chosen], values[chosen]) for each in forests
            ]
            depth = DEPTHS[int(np.argmax(scores))]
        return kind(trees, max_depth=depth, max_features=1.0, random_state=seed).fit(codes, values)
