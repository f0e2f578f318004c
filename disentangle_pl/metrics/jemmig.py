"""Joint entropy minus mutual information gap (JEMMIG), normalised so that more is better."""

import numpy as np

from disentangle_pl.metrics.information import discretise, entropy, mutual_information
from disentangle_pl.metrics.score import MISSING, CodesLike, Factors, Values, check, varying


def jemmig_per_factor(codes: CodesLike, factors: Factors, *, bins: int = 20) -> Values:
    """Return 1 - JEMMIG / (H(v) + log bins) for every factor v, see `jemmig`.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); a quantity is cut into as many bins, a row counts for the factors it has.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        (k,) in [0, 1]; 0 for a factor that no latent knows anything about, NaN for one with one value.

    Raises:
        InputError: If the input fails `check`, d < 2, or bins < 2.
    """
    codes, truth = check(codes, factors, latents=2)
    labels = truth.labels(bins)
    binned = discretise(codes, bins)
    information, nats = mutual_information(binned, labels), entropy(labels)
    ranked = np.sort(information, axis=0)
    best = binned[:, information.argmax(axis=0)]
    spread = entropy(np.where(labels == MISSING, MISSING, best))
    joint = nats + spread - ranked[-1]
    scores = 1 - (joint - ranked[-1] + ranked[-2]) / (nats + np.log(bins))
    return np.where(nats > 0, np.where(ranked[-1] > 0, scores, 0.0), np.nan)


def jemmig(codes: CodesLike, factors: Factors, *, bins: int = 20) -> float:
    r"""Return the mean over factors of 1 - (H(v, c_1) - I(c_1; v) + I(c_2; v)) / (H(v) + log bins), in nats.

    .. math::

        \frac{1}{K} \sum_k \left( 1 - \frac{H(v_k, c_{(1)}) - I(c_{(1)}; v_k) + I(c_{(2)}; v_k)}
        {H(v_k) + \log B} \right)

    c_1 and c_2 are the two best latents for v. Unlike MIG it also asks that the best latent knows nothing but v: noise
    or a second factor in c_1 raises H(v, c_1). For the same reason a factor of few values in a latent of many bins
    stays far from 1, and a latent scores above 0 where it fills its bins unevenly: .11 for pure noise on dSprites, much
    more if almost constant. Quote it beside MIG. Source: Do & Tran 2020
    (arXiv:1908.09961), normalised as in Carbonneau et al. 2022 (arXiv:2012.09276).

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); see `jemmig_per_factor` for quantities and missing values; a factor with one value in the
            sample is left out of the mean.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        The mean, in [0, 1].

    Raises:
        InputError: If the input fails `check`, d < 2, bins < 2, or no factor varies.
    """
    codes, truth = check(codes, factors)
    return float(jemmig_per_factor(codes, truth, bins=bins)[varying(truth)].mean())
