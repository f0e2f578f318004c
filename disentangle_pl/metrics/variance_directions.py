"""Into which directions factors move images: alike everywhere, along principal components, locally as globally?

The measures are our own; see `disentangle_pl.metrics.variance` for the questions, anchors and slices.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from disentangle_pl.metrics.variance import NOTHING, mean_over_pairs


class Directions(NamedTuple):
    """Principal directions at A anchors.

    Attributes:
        vectors: (A, r, D) orthonormal rows, the first with the largest variance; zeros where there is no variance.
        variances: (A, r) along them.
    """

    vectors: Tensor
    variances: Tensor


class LocalAlignment(NamedTuple):
    """One step of every factor at A points.

    Attributes:
        alignment: (A,) of local principal directions with factors, 0 to 1; see `alignment`.
        discrepancy: (A,) share of the local directions outside the span of the global ones, 0 to 1.
        moving: (A,) bool, whether any step changes anything; both numbers are 0 where not.
    """

    alignment: Tensor
    discrepancy: Tensor
    moving: Tensor


def principal_directions(slices: Tensor, rank: int = 1) -> Directions:
    """Return the top eigenvectors of Cov(x | anchor) at every anchor.

    Args:
        slices: (A, n, D) signals for the n values of the factor at A anchors.
        rank: How many, r; at most n - 1 and D of them have any variance.
    """
    return _directions(slices - slices.mean(dim=1, keepdim=True), rank, slices.shape[1])[0]


def direction_overlaps(vectors: Tensor) -> Tensor:
    """Return tr(P_a P_b) / r for all pairs of anchors, P the projection onto r directions: (A, A) in [0, 1].

    Args:
        vectors: (A, r, D) orthonormal rows.
    """
    anchors, rank, _ = vectors.shape
    flat = vectors.flatten(0, 1)
    return (flat @ flat.mT).square().view(anchors, rank, anchors, rank).sum(dim=(1, 3)) / rank


def direction_consistency(
    overlaps: Tensor, weights: Tensor, counts: Tensor | None = None, *, population: int | None = None
) -> Tensor:
    r"""Return DC_k, the mean squared cosine between the first directions of a factor at two anchors, in [0, 1].

    .. math::

        \mathrm{DC}_k = \mathbb{E}_{a, b} \big( u_k(a)^{\top} u_k(b) \big)^2

    1 if the factor moves images along the same line everywhere. Over r directions it is the mean overlap of subspaces.

    Source: a measure of our own.

    Args:
        overlaps: (A, A) of `direction_overlaps`.
        weights: (A,) of the anchors: the variances V_k(a), or `has_direction` for equal ones.
        counts: (..., A) how often each anchor is drawn; None for once.
        population: Of how many anchors the A are a sample; None if they are all.
    """
    return mean_over_pairs(overlaps, counts, weights=weights, population=population)


def has_direction(amounts: Tensor) -> Tensor:
    """Return equal weights: 1 for anchors where the factor induces variance (A,), 0 where it has no direction."""
    return (amounts > NOTHING * amounts.max()).to(amounts.dtype)


def alignment(variances: Tensor, eigenvalues: Tensor) -> Tensor:
    r"""Return how well principal components coincide with factors: (...) in [0, 1], 1 if each is moved by one alone.

    .. math::

        \frac{\sum_j \lambda_j \big( 1 - H_K(p_j) \big)}{\sum_j \lambda_j}, \qquad
        p_{jk} \propto w_j^{\top} \bar{C}_k \, w_j

    The mean over components j, weighted by their eigenvalues, of 1 - H(p_j) / log K, p_jk the share of factor k in the
    variance that single factors induce along component j. The form is that of the disentanglement score of DCI
    (Eastwood and Williams 2018). Components of equal eigenvalues are arbitrary within their span, and so is the score.

    Args:
        variances: (..., J, K) variance along component j that factor k induces.
        eigenvalues: (..., J).
    """
    factors = variances.shape[-1]
    if factors < 2:
        return variances.new_ones(variances.shape[:-2])
    total = variances.sum(dim=-1, keepdim=True)
    share = torch.where(total > 0, variances / total.clamp(min=torch.finfo(variances.dtype).tiny), 1 / factors)
    pure = 1 - torch.special.entr(share).sum(dim=-1) / math.log(factors)
    weights = eigenvalues / eigenvalues.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(variances.dtype).tiny)
    mean: Tensor = (weights * pure).sum(dim=-1)
    return mean.clamp(0, 1)


def local_alignment(steps: Tensor, owners: Tensor, components: Tensor) -> LocalAlignment:
    """Compare the principal directions of steps at every point with factors and with global components.

    The local directions are the eigenvectors of sum_k d_k d_k', d_k the change by a step of factor k, at most as many
    as there are factors.

    Args:
        steps: (A, m, D) changes; several may belong to one factor.
        owners: (m,) which of the K factors each belongs to, 0 to K - 1, each at least once.
        components: (J, D) orthonormal global components, best first; the first K are compared.
    """
    factors = int(owners.max()) + 1
    local, rows = _directions(steps, min(factors, steps.shape[1]), 1)
    onto = torch.nn.functional.one_hot(owners, factors).to(steps.dtype)
    along = (rows.square() @ onto) * local.variances[..., None]
    real = local.variances > 0
    projection = (local.vectors @ components[:factors].mT.to(steps.dtype)).square().sum(dim=-1)
    number = real.sum(dim=-1)
    apart = 1 - (projection * real).sum(dim=-1) / number.clamp(min=1)
    moving = number > 0
    return LocalAlignment(
        alignment(along, local.variances) * moving, torch.where(moving, apart.clamp(0, 1), 0.0), moving
    )


def _directions(rows: Tensor, rank: int, number: int) -> tuple[Directions, Tensor]:
    """Return the top directions of rows (A, m, D) with variances R'R / number, and the left vectors (A, r, m)."""
    rank = min(rank, rows.shape[1])
    values, left = torch.linalg.eigh(rows @ rows.mT)
    values, left = values[:, -rank:].flip(-1), left[..., -rank:].flip(-1).mT
    some = values > 1e3 * torch.finfo(rows.dtype).eps * values[:, :1]
    values = torch.where(some, values, 0.0)
    vectors = (left @ rows) * torch.where(some, values, torch.inf).rsqrt()[..., None]
    return Directions(vectors, values / number), left
