"""Supplement of the mutual information gap (MIG-sup): does a latent hold one factor only?"""

import numpy as np

from disentangle_pl.metrics.information import discretise, entropy, mutual_information
from disentangle_pl.metrics.score import CodesLike, Factors, Values, check, varying


def mig_sup_per_latent(codes: CodesLike, factors: Factors, *, bins: int = 20) -> Values:
    """Return, for every latent, the gap of the two factors it knows best, each over the entropy of the factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a quantity is cut into as many bins, a row counts for the factors it has, and
            a factor with one value in the sample is left out.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        (d,) in [0, 1]; 0 for a latent that knows nothing.

    Raises:
        InputError: If the input fails `check`, bins < 2, or fewer than 2 factors vary.
    """
    codes, truth = check(codes, factors, values=2)
    labels = truth.columns(varying(truth, least=2)).labels(bins)
    information = mutual_information(discretise(codes, bins), labels)
    ranked = np.sort(information / entropy(labels), axis=1)
    gaps: Values = ranked[:, -1] - ranked[:, -2]
    return gaps


def mig_sup(codes: CodesLike, factors: Factors, *, bins: int = 20) -> float:
    r"""Return mean_j (I(c_j; v_1) / H(v_1) - I(c_j; v_2) / H(v_2)), v_1 and v_2 the two best factors for c_j.

    .. math::

        \frac{1}{d} \sum_j \left( \frac{I(c_j; v_{(1)})}{H(v_{(1)})} - \frac{I(c_j; v_{(2)})}{H(v_{(2)})} \right)

    MIG does not see two factors in one latent; this does. Source: Li et al. 2020 (arXiv:2002.10549), with
    the 20 bins of Locatello et al. 2019 (arXiv:1811.12359). Latents that know nothing count as 0, so a perfect code
    with k of d latents in use stays below k / d.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; see `mig_sup_per_latent` for quantities and missing values.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        The mean gap, in [0, 1].

    Raises:
        InputError: If the input fails `check`, bins < 2, or fewer than 2 factors vary.
    """
    return float(mig_sup_per_latent(codes, factors, bins=bins).mean())
