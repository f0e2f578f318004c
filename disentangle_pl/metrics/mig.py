"""Mutual information gap (MIG)."""

import numpy as np

from disentangle_pl.metrics.information import Values, discretise, entropy, mutual_information
from disentangle_pl.metrics.score import Codes, Factors, check_sizes, varying


def mig_per_factor(codes: Codes, factors: Factors, *, bins: int = 20) -> Values:
    """Return the gap of the two most informative latents about every factor, over the factor's entropy.

    Quote it beside the mean: noise hurts a factor of many values more than one of few.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k) class indices.
        bins: The number of bins a latent is cut into.

    Returns:
        (k,) in [0, 1], NaN for a factor with one value.

    Raises:
        InputError: If the input fails `check`, or d < 2.
    """
    check_sizes(codes, factors, latents=2)
    ranked = np.sort(mutual_information(discretise(codes, bins), factors), axis=0)
    nats = entropy(factors)
    gaps: Values = np.divide(ranked[-1] - ranked[-2], nats, out=np.full(len(nats), np.nan), where=nats > 0)
    return gaps


def mig(codes: Codes, factors: Factors, *, bins: int = 20) -> float:
    """Return mean_k (I(c_1; v_k) - I(c_2; v_k)) / H(v_k), c_1 and c_2 the two best latents for v_k.

    Source: Chen et al. 2018 (arXiv:1802.04942, section 4), with the 20 bins of Locatello et al. 2019
    (arXiv:1811.12359). A perfect code stays below 1 where a factor has more values than there are bins: see
    `chance.ceiling`.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k) class indices; those with one value in the sample are left out of the mean.
        bins: The number of bins a latent is cut into.

    Returns:
        The mean gap, in [0, 1].

    Raises:
        InputError: If the input fails `check`, d < 2, or no factor varies.
    """
    gaps = mig_per_factor(codes, factors, bins=bins)
    return float(gaps[varying(factors)].mean())
