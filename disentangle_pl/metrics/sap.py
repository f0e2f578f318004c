"""Separated attribute predictability (SAP)."""

from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.score import (
    Checked,
    Codes,
    CodesLike,
    Factors,
    Labels,
    Split,
    Values,
    check,
    moving,
    train_test,
    varying,
)
from disentangle_pl.metrics.svm import fit_machines


@one_blas_thread()
def sap_matrix(codes: CodesLike, factors: Factors, *, test: Split | None = None) -> Values:
    """Return how well each latent alone predicts each factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); rows in which a factor is missing are left out for this factor.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.

    Returns:
        (d, k): for classes the test accuracy of a linear support vector machine, for quantities the squared
        correlation among the rows fitted on, both in [0, 1]; NaN for a factor with one value among them.

    Raises:
        InputError: If an input fails `check`, test has other columns, or no factor varies.
    """
    train, held_out = train_test(codes, factors, test)
    truth = train[1]
    scores = np.full((train[0].shape[1], truth.shape[1]), np.nan)
    for factor in np.flatnonzero(varying(truth)):
        fitted, scored = _present_rows(train, factor), _present_rows(held_out, factor)
        if not truth.discrete[factor]:
            scores[:, factor] = _squared_correlation(*fitted)
        elif len(scored[1]):
            scores[:, factor] = _accuracies(fitted, scored)
    return scores


def sap(codes: CodesLike, factors: Factors, *, test: Split | None = None) -> float:
    r"""Return the SAP score: the gap in predictive power of the two most predictive latents, mean over factors.

    .. math::

        \frac{1}{K} \sum_k \big( S_{(1)k} - S_{(2)k} \big),
        \qquad S_{jk} = \text{accuracy of predicting } v_k \text{ from } c_j \text{ alone}

    Source: Kumar et al. 2018 (arXiv:1711.00848, section 3), with the machine of Locatello et al. 2019
    (arXiv:1811.12359): squared hinge loss, C = .01, balanced classes; theirs stops early, which moved the score by
    .00004 where we compared. One linear cut cannot tell many ordered values apart, so a perfect code scores .24 on
    dSprites: see `chance.ceiling`. The penalty makes the scale of the codes matter.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); those with one value among the rows fitted on are left out of the mean, see `sap_matrix`.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.

    Returns:
        The mean gap, in [0, 1].

    Raises:
        InputError: If an input fails `check`, d < 2, test has other columns, or no factor varies and is held out.
    """
    check(codes, factors, latents=2)
    ranked = np.sort(sap_matrix(codes, factors, test=test), axis=0)
    gaps = ranked[-1] - ranked[-2]
    if np.isnan(gaps).all():
        raise InputError("every factor is missing in the rows to score on: give more rows, or a test set")
    return float(np.nanmean(gaps))


def _present_rows(rows: Checked, factor: SupportsIndex) -> tuple[Codes, Values]:
    codes, truth = rows
    present = truth.present[:, factor]
    return codes[present], truth.values[present, factor]


def _accuracies(fitted: tuple[Codes, Values], scored: tuple[Codes, Values]) -> Values:
    classes, labels = np.unique(fitted[1], return_inverse=True)
    pairs = zip(fitted[0].T.astype(np.float64), scored[0].T.astype(np.float64), strict=True)
    return np.array([_accuracy(code, labels, classes == scored[1][:, None], other) for code, other in pairs])


def _accuracy(code: Values, labels: Labels, right: NDArray[np.bool_], other: Values) -> float:
    slopes, offsets = fit_machines(code, labels)
    guessed = (other[:, None] * slopes + offsets).argmax(axis=1)
    return float(right[np.arange(len(right)), guessed].mean())


def _squared_correlation(codes: Codes, factor: Values) -> Values:
    alive = moving(codes)
    codes = codes.astype(np.float64)
    moved, target = codes - codes.mean(axis=0), factor - factor.mean()
    shared = (target @ moved) ** 2
    spread = (moved**2).sum(axis=0) * (target @ target)
    squares: Values = np.divide(shared, spread, out=np.zeros(len(shared)), where=alive & (spread > 0))
    return squares
