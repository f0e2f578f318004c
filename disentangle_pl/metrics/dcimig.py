"""DCIMIG: the information that latents hold about one factor and no other."""

import numpy as np

from disentangle_pl.metrics.information import discretise, entropy, mutual_information
from disentangle_pl.metrics.score import CodesLike, Factors, Values, check, varying


def exclusive_information(information: Values) -> Values:
    """Return, for every factor, the largest gap among the latents that know it best.

    The gap of a latent is its information about its best factor less that about its second best.

    Args:
        information: (d, k) mutual information, k >= 2.

    Returns:
        (k,) in nats, 0 for a factor that is the best of no latent.
    """
    ranked = np.sort(information, axis=1)
    gaps = np.zeros_like(information)
    np.put_along_axis(gaps, information.argmax(axis=1)[:, None], ranked[:, -1:] - ranked[:, -2:-1], axis=1)
    best: Values = gaps.max(axis=0)
    return best


def dcimig(codes: CodesLike, factors: Factors, *, bins: int = 20) -> float:
    r"""Return sum_k G_k / sum_k H(v_k), G_k the `exclusive_information` about factor k.

    .. math::

        \frac{\sum_k \max_{j :\, k^*_j = k} \big( I(c_j; v_{(1)}) - I(c_j; v_{(2)}) \big)}{\sum_k H(v_k)}

    Source: Sepliarskaia et al. 2019 (arXiv:1910.05587), with 20 bins. Factors of high entropy weigh more; a
    latent of two factors counts for the gap only, a factor in two latents for the better one.

    Args:
        codes: (N, d) posterior means; a constant latent knows nothing.
        factors: (N, k), of which 2 vary; a quantity is cut into as many bins, a row counts for the factors it has, and
            a factor with one value in the sample is left out.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        The share, in [0, 1].

    Raises:
        InputError: If the input fails `check`, bins < 2, or fewer than 2 factors vary.
    """
    codes, truth = check(codes, factors, values=2)
    labels = truth.columns(varying(truth, least=2)).labels(bins)
    exclusive = exclusive_information(mutual_information(discretise(codes, bins), labels))
    return float(exclusive.sum() / entropy(labels).sum())
