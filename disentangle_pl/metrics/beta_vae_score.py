"""The BetaVAE score: can a linear probe tell which factor two images share?"""

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.interventions import Table, draw_known, draw_partners, shared_tables, turns
from disentangle_pl.metrics.logistic import fit_logistic
from disentangle_pl.metrics.score import CodesLike, Factors, Labels, Split, Values, train_test


def beta_vae_score(
    codes: CodesLike,
    factors: Factors,
    *,
    test: Split | None = None,
    points: int = 10_000,
    test_points: int = 5_000,
    pairs: int = 64,
    bins: int = 20,
    seed: int = 0,
) -> float:
    r"""Return how well logistic regression tells the shared factor from the mean difference of pairs that share it.

    .. math::

        P\big( \hat{k}(\phi) = k \big), \qquad \phi = \frac{1}{L} \sum_{l=1}^{L} |c(x_l) - c(x'_l)|, \qquad
        v_k(x_l) = v_k(x'_l)

    Source: Higgins et al. 2017 (ICLR, section 3), as set by Locatello et al. 2019 (arXiv:1811.12359, appendix). The
    pairs come from the rows given, not from a simulator: factors that are correlated there stay so. Chance is
    1/k. A rotated code can score 1, and the scale of the codes matters to the penalty: never quote it alone.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a quantity is shared by rows of one bin, rows in which a factor is missing or
            has a value of their own are not drawn for it, and a factor with one value has no part.
        test: Codes (M, d) and factors (M, k) to draw the test points from, or None for a random third of the rows.
        points: How many points to fit on; each factor has its turn.
        test_points: How many points to score on.
        pairs: How many pairs make a point.
        bins: The number of bins of a quantity.
        seed: Seed of the draw.

    Returns:
        The test accuracy, in [0, 1].

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors have values that rows
            share in both parts, bins < 2, or there are fewer points than factors or no pairs.
    """
    random = np.random.default_rng(seed)
    train, held_out = shared_tables(*train_test(codes, factors, test), bins)
    fitted = difference_points(train, points, pairs=pairs, random=random)
    scored = difference_points(held_out, test_points, pairs=pairs, random=random)
    return points_accuracy(fitted, scored)


def difference_points(table: Table, points: int, *, pairs: int, random: np.random.Generator) -> tuple[Values, Labels]:
    """Draw the points of the BetaVAE score: the mean over pairs of |c_i - c_j|, and the factor that they share.

    Args:
        table: Codes (N, d) and labels (N, k) to draw from.
        points: How many points, at least k.
        pairs: How many pairs a point averages; each has a value of its own, that of a random row.
        random: Source of the draw.

    Returns:
        (points, d) differences and (points,) factors.

    Raises:
        InputError: If there are fewer points than factors, or pairs is below 1.
    """
    if pairs < 1:
        raise InputError(f"a point needs at least 1 pair, got {pairs}")
    codes, labels = table
    shared = turns(points, labels.shape[1])
    differences = np.empty((points, codes.shape[1]))
    for factor, column in enumerate(labels.T):
        chosen = shared == factor
        first_rows = draw_known(column, (int(chosen.sum()), pairs), random)
        second_rows = draw_partners(column, first_rows, random)
        differences[chosen] = mean_differences(codes, first_rows, second_rows)
    return differences, shared


def mean_differences(codes: Values, first_rows: NDArray[np.int64], second_rows: NDArray[np.int64]) -> Values:
    """Return the mean over pairs of |c_i - c_j| (B, d) of codes (N, d), i and j the rows left and right (B, pairs)."""
    return np.stack([np.abs(code[first_rows] - code[second_rows]).mean(axis=1) for code in codes.T], axis=1)


def points_accuracy(train: tuple[Values, Labels], test: tuple[Values, Labels]) -> float:
    """Fit logistic regression on points (P, d) and the factors (P,) they share, and return its accuracy on others."""
    inputs, labels = train
    with one_blas_thread():
        return fit_logistic(inputs.astype(np.float64), labels).accuracy(*test)
