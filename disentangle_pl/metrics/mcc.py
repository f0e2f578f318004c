"""Mean correlation coefficient (MCC): one latent for every factor, up to order and sign."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.score import Codes, CodesLike, Factors, Values, check, moving, varying

Correlation: TypeAlias = Callable[[Codes, Values], Values]


def pearson(codes: Codes, factor: Values) -> Values:
    """Return the correlation of latents (N, d) with a factor (N,): (d,) in [-1, 1], 0 where either is constant."""
    moved = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    target = factor - factor.mean()
    moved[:, ~moving(codes)] = 0
    spread = np.sqrt((moved**2).sum(axis=0) * (target @ target))
    shared: Values = np.divide(target @ moved, spread, out=np.zeros(len(spread)), where=spread > 0)
    return shared.clip(-1.0, 1.0)


def spearman(codes: Codes, factor: Values) -> Values:
    """Return the rank correlation of latents (N, d) with a factor (N,): (d,) in [-1, 1], 0 where either is constant."""
    return pearson(rankdata(codes, axis=0), rankdata(factor))


@one_blas_thread()
def mcc_per_factor(codes: CodesLike, factors: Factors, *, correlation: Correlation = pearson) -> Values:
    """Return the absolute correlation of every factor with the latent matched to it, see `mcc`.

    Args:
        codes: (N, d) posterior means; a constant latent correlates with nothing.
        factors: (N, k); a row counts for the factors it has.
        correlation: `pearson`, or `spearman` where any increasing map of a factor will do.

    Returns:
        (k,) in [0, 1]; 0 for a factor that no latent is left for, NaN for one with one value.

    Raises:
        InputError: If the input fails `check`, or no factor varies.
    """
    codes, truth = check(codes, factors)
    varied = np.flatnonzero(varying(truth))
    columns = ((truth.present[:, factor], truth.values[:, factor]) for factor in varied)
    strength = np.stack([np.abs(correlation(codes[present], column[present])) for present, column in columns], axis=1)
    latents, matched = linear_sum_assignment(strength, maximize=True)
    scores = np.full(truth.shape[1], np.nan)
    scores[varied] = 0.0
    scores[varied[matched]] = strength[latents, matched]
    return scores


def mcc(codes: CodesLike, factors: Factors, *, correlation: Correlation = pearson) -> float:
    r"""Return the mean absolute correlation of factors and latents under the one-to-one matching that maximises it.

    .. math::

        \max_{\pi} \frac{1}{K} \sum_k \big| \mathrm{corr}(c_{\pi(k)}, v_k) \big|, \qquad \pi \text{ one-to-one}

    Source: the work on identifiability, Hyvarinen & Morioka 2016 (arXiv:1605.06336), Khemakhem et
    al. 2020 (arXiv:1907.04809). Latents without a factor cost nothing, and a latent that mixes two factors
    evenly still correlates .71 with one of them: the floor of a rotation is high. It takes classes by their index, so
    leave out factors whose classes have no order, unless they have two.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); classes are taken as numbers, a row counts for the factors it has, a factor with one value is
            left out of the mean, and with d < k the factors that get no latent count as 0.
        correlation: `pearson`, or `spearman` where any increasing map of a factor will do.

    Returns:
        The mean, in [0, 1].

    Raises:
        InputError: If the input fails `check`, or no factor varies.
    """
    return float(np.nanmean(mcc_per_factor(codes, factors, correlation=correlation)))
