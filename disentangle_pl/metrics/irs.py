"""The interventional robustness score (IRS): does a latent keep still while the other factors change?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.information import discretise
from disentangle_pl.metrics.score import MISSING, CodesLike, Factors, Labels, Values, check, moving, varying


class Robustness(NamedTuple):
    """The parts of the interventional robustness score.

    Attributes:
        matrix: (d, k), 1 - the deviation of a latent while the factor is held, over its largest, which it may exceed;
            0 for a dead latent and for a factor with one value.
        parents: (d,) the factor that holds each latent best; -1 for a dead latent.
        deviations: (d,) the largest deviation of every latent, its weight in the mean; 0 for a dead one.
    """

    matrix: Values
    parents: NDArray[np.int64]
    deviations: Values


def irs(codes: CodesLike, factors: Factors, *, bins: int = 20, quantile: float = 0.99) -> float:
    r"""Return the mean over latents of how still the best factor holds them, weighted by how far they go.

    .. math::

        \frac{\sum_j m_j \max_k (1 - D_{jk} / m_j)}{\sum_j m_j}

        D_{jk} = \mathbb{E}_u \, Q_{0.99} \big| c_j - \mathbb{E}[c_j \mid v_k = u] \big|,
        \qquad m_j = \max |c_j - \mathbb{E} c_j|

    Source: Suter et al. 2019 (arXiv:1811.00007, section 4), as set by Locatello et al. 2019 (arXiv:1811.12359).
    Pure noise scores about .38, not 0, and more where a value has few rows: see `chance.permuted_floor`.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); quantities and factors of more classes than bins are cut into bins of equal width, a row
            counts for the factors it has, and a factor with one value holds nothing.
        bins: The number of bins of a factor, at least 2.
        quantile: What stands for the largest deviation under a held factor; 1 is that of the paper.

    Returns:
        The mean, in [0, 1]; 0 if every latent is dead.

    Raises:
        InputError: If the input fails `check`, bins < 2, quantile is outside [0, 1], or no factor varies.
    """
    parts = robustness(codes, factors, bins=bins, quantile=quantile)
    weights = parts.deviations
    best = np.maximum(parts.matrix.max(axis=1), 0)
    return float(best @ weights / weights.sum()) if weights.any() else 0.0


def robustness(codes: CodesLike, factors: Factors, *, bins: int = 20, quantile: float = 0.99) -> Robustness:
    """Return the parts of the score for every latent and factor; see `irs` for the arguments.

    D_jk is the mean over the values u of factor k of the quantile of |c_j - E[c_j | v_k = u]|; the matrix holds
    1 - D_jk / max |c_j - E[c_j]|.
    """
    codes, truth = check(codes, factors)
    varies = np.flatnonzero(varying(truth))
    if not 0 <= quantile <= 1:
        raise InputError(f"quantile must be in [0, 1], got {quantile}")
    labels, alive = truth.labels(bins), moving(codes)
    rows: Values = codes.astype(np.float64)
    largest = np.where(alive, np.abs(rows - rows.mean(axis=0)).max(axis=0), 0.0)
    matrix = np.zeros((codes.shape[1], truth.shape[1]))
    for factor in varies:
        held = _deviation(rows, _merge(labels[:, factor], bins), quantile)
        matrix[:, factor] = 1 - np.divide(held, largest, out=np.ones(len(held)), where=alive)
    return Robustness(matrix, np.where(alive, varies[matrix[:, varies].argmax(axis=1)], MISSING), largest)


def _merge(labels: Labels, bins: int) -> Labels:
    """Cut the classes of one factor (N,) into bins where there are more, as the reference does."""
    labelled = labels != MISSING
    if labels.max() < bins:
        return labels
    merged = np.full(len(labels), MISSING)
    merged[labelled] = discretise(labels[labelled, None].astype(np.float64), bins)[:, 0]
    return merged


def _deviation(codes: Values, labels: Labels, quantile: float) -> Values:
    """Return the mean over the values of a factor (N,) of the quantile of how far codes (N, d) are from their mean."""
    values = np.unique(labels[labels != MISSING])
    groups = [codes[labels == value] for value in values]
    far = [np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0) for group in groups]
    deviation: Values = np.mean(far, axis=0)
    return deviation
