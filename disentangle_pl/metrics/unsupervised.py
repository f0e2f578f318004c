"""How far the latents depend on each other, whatever the factors: total correlation and its kin."""

from typing import NamedTuple

import numpy as np

from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.information import discretise, mutual_information
from disentangle_pl.metrics.score import Codes, Values, check_codes, moving

# rounding to single precision leaves this share of the variance of a latent that repeats another
FLOOR = float(np.finfo(np.float32).eps) ** 2


class Dependence(NamedTuple):
    """The unsupervised scores; 0 means independent.

    Attributes:
        total_correlation: See `gaussian_total_correlation`.
        wasserstein_correlation: See `gaussian_wasserstein_correlation`.
        wasserstein_correlation_normalised: The same over the sum of the variances.
        mutual_information: See `code_information`.
    """

    total_correlation: float
    wasserstein_correlation: float
    wasserstein_correlation_normalised: float
    mutual_information: float


@one_blas_thread()
def dependence(codes: Codes, *, bins: int = 20) -> Dependence:
    """Return all the scores of this module for codes (N, d).

    Raises:
        InputError: If the codes fail `check_codes`, or bins < 2.
    """
    return Dependence(
        gaussian_total_correlation(codes),
        gaussian_wasserstein_correlation(codes),
        gaussian_wasserstein_correlation(codes, normalised=True),
        code_information(codes, bins=bins),
    )


def gaussian_total_correlation(codes: Codes) -> float:
    r"""Return the total correlation of a Gaussian with the covariance of the codes.

    .. math::

        \frac{1}{2} \Big( \sum_j \log S_{jj} - \log \det S \Big), \qquad S = \mathrm{Cov}(c)

    TC = (sum_j log S_jj - log det S) / 2 = -1/2 sum_i log e_i, e_i the eigenvalues of the correlation matrix. A latent
    that is a linear function of others makes it infinite; eigenvalues below eps^2, eps that of single precision, count
    as eps^2, so that each such latent adds 15.9 nats at most. Source: Locatello et al. 2019 (arXiv:1811.12359).

    Args:
        codes: (N, d) posterior means; dead latents are left out.

    Returns:
        Nats, at least 0.

    Raises:
        InputError: If the codes fail `check_codes`.
    """
    centred = _centred(codes)
    if not centred.shape[1]:
        return 0.0
    unit = centred / np.abs(centred).max(axis=0)
    unit /= np.sqrt((unit**2).sum(axis=0))
    roots = np.linalg.eigvalsh(unit.T @ unit)
    return max(0.0, float(-0.5 * np.log(np.maximum(roots, FLOOR)).sum()))


def gaussian_wasserstein_correlation(codes: Codes, *, normalised: bool = False) -> float:
    r"""Return the squared Wasserstein distance of a Gaussian with the covariance S of the codes to its factorised twin.

    .. math::

        2 \, \mathrm{tr} \, S - 2 \, \mathrm{tr} \big( D^{1/2} S D^{1/2} \big)^{1/2}, \qquad D = \mathrm{diag} \, S

    W = 2 tr S - 2 tr (D^1/2 S D^1/2)^1/2, D the diagonal of S. It depends on the scale of the codes; normalised, over
    tr S, it does not. Source: Locatello et al. 2019 (arXiv:1811.12359), after Watters et al. 2019 (arXiv:1901.07017).

    Args:
        codes: (N, d) posterior means; dead latents add nothing.
        normalised: Divide by the sum of the variances.

    Returns:
        A number in the unit of the squared codes, or without a unit; at least 0.

    Raises:
        InputError: If the codes fail `check_codes`.
    """
    centred = _centred(codes)
    covariance = centred.T @ centred / (len(centred) - 1)
    variances = np.diag(covariance)
    spread = np.sqrt(variances)
    roots = np.linalg.eigvalsh(spread[:, None] * covariance * spread)
    total = float(variances.sum())
    distance = max(0.0, 2 * total - 2 * float(np.sqrt(np.maximum(roots, 0)).sum()))
    if not normalised:
        return distance
    return distance / total if total > 0 else 0.0


def code_information(codes: Codes, *, bins: int = 20) -> float:
    r"""Return the mean mutual information of two latents, cut into bins.

    .. math::

        \frac{1}{d (d - 1)} \sum_{i \neq j} I(c_i; c_j)

    Source: Locatello et al. 2019 (arXiv:1811.12359). It is biased upwards by about bins^2 / 2N.

    Args:
        codes: (N, d) posterior means; the pairs of a dead latent count as 0.
        bins: The number of bins a latent is cut into, at least 2.

    Returns:
        Nats, at least 0; 0 for a single latent.

    Raises:
        InputError: If the codes fail `check_codes`, or bins < 2.
    """
    codes = check_codes(codes)
    binned = discretise(codes, bins)
    information = mutual_information(binned, binned)
    pairs = information.size - len(information)
    return float((information.sum() - np.trace(information)) / pairs) if pairs else 0.0


def _centred(codes: Codes) -> Values:
    codes = check_codes(codes)
    alive = codes[:, moving(codes)].astype(np.float64)
    centred: Values = alive - alive.mean(axis=0)
    return centred
