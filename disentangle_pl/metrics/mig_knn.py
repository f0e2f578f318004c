"""The mutual information gap without bins: nearest neighbours, for quantities and classes."""

import numpy as np
from scipy.stats import rankdata

from disentangle_pl.metrics.infomec import normalised_information
from disentangle_pl.metrics.score import CodesLike, Factors, GroundTruth, Values, check, varying


def mig_knn_per_factor(codes: CodesLike, factors: Factors, *, neighbours: int = 10, seed: int = 0) -> Values:
    """Return the gap of the two most informative latents about every factor, see `mig_knn`.

    Returns:
        (k,) in [0, 1], NaN for a factor with one value.

    Raises:
        InputError: If the input fails `check`, d < 2, or neighbours is below 1.
    """
    codes, truth = check(codes, factors, latents=2)
    ranks = rankdata(truth.values, axis=0, nan_policy="omit")
    even = GroundTruth(np.where(truth.discrete, truth.values, ranks), truth.discrete)
    information = normalised_information(rankdata(codes, axis=0), even, neighbours=neighbours, seed=seed)
    ranked = np.sort(information, axis=0)
    gaps: Values = np.where(truth.varying, np.minimum(ranked[-1] - ranked[-2], 1.0), np.nan)
    return gaps


def mig_knn(codes: CodesLike, factors: Factors, *, neighbours: int = 10, seed: int = 0) -> float:
    r"""Return the mutual information gap with information estimated from nearest neighbours.

    .. math::

        \frac{1}{K} \sum_k \frac{\hat{I}(c_{(1)}; v_k) - \hat{I}(c_{(2)}; v_k)}{\hat{I}(v_k; v_k)}

    Neither latents nor quantities are cut into bins. They are replaced by their ranks, which changes no information and
    leaves outliers and skewed distributions without a part: monotone maps of either change nothing. For classes the
    denominator is the entropy; for quantities, whose entropy is infinite, it is the estimate itself, which grows with
    log N: compare quantities at one number of rows.

    Source: Chen et al. 2018 (arXiv:1802.04942, section 4) with the estimators of Ross 2014 and Kraskov et al. 2004, see
    `nearest`, and the denominators of InfoMEC (Hsu et al. 2023, arXiv:2305.18378).

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); a row counts for the factors it has, and a factor with one value is left out of the mean.
        neighbours: The number of neighbours, at least 1.
        seed: Seed of the noise that breaks ties.

    Returns:
        The mean gap, in [0, 1].

    Raises:
        InputError: If the input fails `check`, d < 2, neighbours is below 1, or no factor varies.
    """
    codes, truth = check(codes, factors, latents=2)
    varies = varying(truth)
    return float(mig_knn_per_factor(codes, truth, neighbours=neighbours, seed=seed)[varies].mean())
