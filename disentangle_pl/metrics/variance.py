"""How much variance every factor induces in images or codes, and whether it is the same everywhere.

These measures are our own, made for the questions of Rakowski and Lippert, Disentanglement and Local Directions of
Variance (ECML PKDD 2021), whose measures are not public. Signals x(v) are functions of the values v of factors on a
grid. The *anchors* of a factor are the points of the grid of all other factors; its *slice* at an anchor has one signal
for each of its values. Everything is in the squared units of the signal. Unordered factors are treated like others.

Averages over anchors take `counts` (..., A): how often each anchor is drawn in a resample; None for once each.
"""

import torch
from torch import Tensor

from disentangle_pl.errors import InputError

NOTHING = 1e-12  # variances below this share of the largest are rounding errors


def induced_variance(slices: Tensor) -> Tensor:
    r"""Return V_k(a) = tr Cov(x | anchor a), the variance that a factor induces at every anchor.

    .. math::

        V_k(a) = \mathrm{tr} \, \mathrm{Cov}_{v_k}(x \mid a)

    Source: the total effect of Sobol 1993 summed over pixels; its use here is ours.

    Args:
        slices: (A, n, D) signals for the n values of the factor at A anchors.

    Returns:
        (A,) variances, of n values taken equally often.
    """
    return slices.var(dim=1, correction=0).sum(dim=-1)


def main_effect_products(slices: Tensor) -> Tensor:
    """Return the matrix (A, A) whose mean over pairs of anchors is the main effect tr Cov(E[x | v_k]).

    Args:
        slices: (A, n, D).
    """
    centred = (slices - slices.mean(dim=1, keepdim=True)).flatten(1)
    return centred @ centred.mT / slices.shape[1]


def mean_over_anchors(values: Tensor, counts: Tensor | None = None) -> Tensor:
    """Return the mean of values (A,) for counts (..., A): (...)."""
    times = torch.ones_like(values) if counts is None else counts.to(values.dtype)
    return times @ values / times.sum(dim=-1)


def mean_over_pairs(
    products: Tensor,
    counts: Tensor | None = None,
    *,
    weights: Tensor | None = None,
    population: int | None = None,
) -> Tensor:
    """Return the weighted mean of a matrix (A, A) over all pairs of anchors, for counts (..., A): (...).

    Of a sample, pairs of an anchor with itself are too many; given the number of all anchors, they count as often as
    they do among these. The estimate is then unbiased for equal weights.

    Args:
        products: One number a pair.
        counts: How often each anchor is drawn; None for once.
        weights: (A,) of the anchors; None for equal ones.
        population: Of how many anchors the A are a sample; None if they are all.
    """
    times = products.new_ones(len(products)) if counts is None else counts.to(products.dtype)
    heavy = products.new_ones(len(products)) if weights is None else weights.to(products.dtype)
    loads = times * heavy
    total, whole = ((loads @ products) * loads).sum(dim=-1), loads.sum(dim=-1).square()
    totals = times.sum(dim=-1)
    pairs = totals.square() - times.square().sum(dim=-1)
    if population is None or not (pairs > 0).any():
        return total / whole
    apart = torch.where(pairs > 0, (population - 1) / pairs.clamp(min=1), 1.0)
    same = torch.where(pairs > 0, 1 / totals, 0.0)
    same_row = torch.where(pairs > 0, loads.square() @ products.diagonal(), 0.0)
    alone = torch.where(pairs > 0, loads.square().sum(dim=-1), 0.0)
    own = times * heavy.square()
    top = apart * (total - same_row) + same * (own @ products.diagonal())
    return top / (apart * (whole - alone) + same * own.sum(dim=-1))


def interaction(total: Tensor, main: Tensor) -> Tensor:
    r"""Return I_k = 1 - main / total in [0, 1]: 0 if the factor acts additively, 1 if its mean effect is none.

    .. math::

        I_k = 1 - \frac{\mathrm{tr} \, \mathrm{Cov}(\mathbb{E}[x \mid v_k])}{\mathbb{E}_a V_k(a)}

    Args:
        total: E_a V_k(a), above 0.
        main: tr Cov(E[x | v_k]); estimates outside [0, total] are cut off.
    """
    return (1 - main / total).clamp(0, 1)


def amount_consistency(amounts: Tensor, counts: Tensor | None = None) -> Tensor:
    r"""Return AC_k = 1 / (1 + CV^2) in (0, 1], CV the coefficient of variation of V_k(a) over anchors.

    .. math::

        \mathrm{AC}_k = \frac{1}{1 + \mathrm{CV}^2},
        \qquad \mathrm{CV} = \frac{\mathrm{sd}_a V_k(a)}{\mathbb{E}_a V_k(a)}

    1 if the factor induces the same amount of variance everywhere.

    Args:
        amounts: (A,) V_k(a), some above 0.
        counts: (..., A).

    Raises:
        InputError: If an amount is negative or not finite, or all are 0.
    """
    _check(amounts)
    return mean_over_anchors(amounts, counts).square() / mean_over_anchors(amounts.square(), counts)


def shares(totals: Tensor) -> Tensor:
    """Return V_k / sum_j V_j (K,) from totals (K,)."""
    _check(totals)
    return totals / totals.sum()


def gaps(totals: Tensor) -> Tensor:
    r"""Return for every factor its distance to the nearest other one, min_{j != k} |log V_k - log V_j|: (K,) nats.

    .. math::

        \min_{j \neq k} |\log V_k - \log V_j|

    Args:
        totals: (K,) V_k, all above 0; K at least 2.

    Raises:
        InputError: If there is one factor only, or a variance is not above 0.
    """
    logs = _logs(totals)
    away = (logs[:, None] - logs).abs()
    return away.masked_fill(torch.eye(len(logs), dtype=torch.bool), torch.inf).min(dim=1).values


def heterogeneity(totals: Tensor) -> float:
    """Return the standard deviation of log V_k over factors, in nats: 0 if all induce equal variances.

    Args:
        totals: (K,) V_k, all above 0; K at least 2.

    Raises:
        InputError: If there is one factor only, or a variance is not above 0.
    """
    return float(_logs(totals).std(correction=0))


def _logs(totals: Tensor) -> Tensor:
    _check(totals)
    if len(totals) < 2 or not (totals > 0).all():
        raise InputError(f"variances are compared between two factors at least, all above 0, got {totals.tolist()}")
    return totals.double().log()


def _check(amounts: Tensor) -> None:
    if amounts.ndim != 1 or not amounts.isfinite().all() or (amounts < 0).any() or not (amounts > 0).any():
        raise InputError(
            f"variances must be finite, not negative and not all 0, got {amounts.shape[0]} of another kind"
        )
