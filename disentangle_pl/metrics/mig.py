"""Mutual information gap (MIG)."""

import numpy as np

from disentangle_pl.metrics.information import discretise, entropy, mutual_information
from disentangle_pl.metrics.score import CodesLike, Factors, Values, check, varying


def mig_per_factor(codes: CodesLike, factors: Factors, *, bins: int = 20) -> Values:
    """Return the gap of the two most informative latents about every factor, over the factor's entropy.

    Quote it beside the mean: noise hurts a factor of many values more than one of few.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); a quantity is cut into as many bins, a row counts for the factors it has.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        (k,) in [0, 1], NaN for a factor with one value.

    Raises:
        InputError: If the input fails `check`, d < 2 or bins < 2.
    """
    codes, truth = check(codes, factors, latents=2)
    labels = truth.labels(bins)
    ranked = np.sort(mutual_information(discretise(codes, bins), labels), axis=0)
    nats = entropy(labels)
    gaps: Values = np.divide(ranked[-1] - ranked[-2], nats, out=np.full(len(nats), np.nan), where=nats > 0)
    return gaps


def mig(codes: CodesLike, factors: Factors, *, bins: int = 20) -> float:
    r"""Return mean_k (I(c_1; v_k) - I(c_2; v_k)) / H(v_k), c_1 and c_2 the two best latents for v_k.

    .. math::

        \frac{1}{K} \sum_{k=1}^{K} \frac{I(c_{(1)}; v_k) - I(c_{(2)}; v_k)}{H(v_k)}

    Source: Chen et al. 2018 (arXiv:1802.04942, section 4), with the 20 bins of Locatello et al. 2019
    (arXiv:1811.12359). A perfect code stays below 1 where a factor has more values than there are bins: see
    `chance.ceiling`.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); a quantity is cut into as many bins, a row counts for the factors it has, and a factor with
            one value in the sample is left out of the mean.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        The mean gap, in [0, 1].

    Raises:
        InputError: If the input fails `check`, d < 2, bins < 2, or no factor varies.
    """
    codes, truth = check(codes, factors, latents=2)
    varies = varying(truth)
    return float(mig_per_factor(codes, truth, bins=bins)[varies].mean())
