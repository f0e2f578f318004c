"""Which latents encode a factor, and are they the same ones everywhere?

A representation may fail to be disentangled in two ways that common scores do not tell apart: a factor is spread over
several latents (the axes are misaligned), or it is in one latent here and in another one there (the encoding is
inconsistent). The measures are our own; see `disentangle_pl.metrics.variance` for anchors and slices.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from disentangle_pl.errors import InputError


class EncodingShares(NamedTuple):
    """How a factor is encoded; tensors (...) for counts (..., A).

    Attributes:
        spread: E_a H(p(a)) / log d, 0 to 1: 0 if one latent follows the factor at every anchor.
        inconsistency: [H(E_a p(a)) - E_a H(p(a))] / log d, 0 to 1: 0 if the same latents do so everywhere.
        switching: 1 - max_j P_a(argmax p(a) = j), 0 to 1: how often another latent than the usual one leads.
    """

    spread: Tensor
    inconsistency: Tensor
    switching: Tensor


def share_matrix(amounts: Tensor, variances: Tensor) -> Tensor:
    """Return p_k(a): which share of the movement of standardised codes each latent has, (A, d), rows of sum 1.

    p_k(a)_j is proportional to Var(mu_j | anchor a) / Var(mu_j). Rows without any movement are 0.

    Args:
        amounts: (A, d) variance of every latent while the factor takes its values at an anchor.
        variances: (d,) variance of every latent over all data, above 0: pass active latents only.

    Raises:
        InputError: If a variance is not above 0, or anything is not finite.
    """
    if not (variances > 0).all() or not variances.isfinite().all() or not amounts.isfinite().all():
        raise InputError("encoding shares need finite codes whose every latent varies: leave passive latents out")
    relative = amounts.double() / variances.double()
    total = relative.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, relative / total.clamp(min=1e-300), 0.0)


def encoding_shares(share: Tensor, counts: Tensor | None = None) -> EncodingShares:
    """Tell misaligned axes from inconsistent encodings.

    Spread and inconsistency add up to the entropy of the mean shares over log d (Jensen and Shannon). Anchors at which
    nothing moves are left out; a factor that no latent follows anywhere counts as spread over all of them (spread 1).

    Args:
        share: (A, d) of `share_matrix`, the d active latents.
        counts: (..., A) how often each anchor is drawn; None for once.
    """
    latents = share.shape[1]
    moved = (share.sum(dim=-1) > 0).to(share.dtype)
    times = moved if counts is None else counts.to(share.dtype) * moved
    number = times.sum(dim=-1, keepdim=True)
    weights = times / number.clamp(min=1)
    defined = number.squeeze(-1) > 0
    unit = math.log(latents) if latents > 1 else 1.0
    within = weights @ torch.special.entr(share).sum(dim=-1) / unit
    whole = torch.special.entr(weights @ share).sum(dim=-1) / unit
    leads = torch.nn.functional.one_hot(share.argmax(dim=-1), latents).to(share.dtype)
    usual = (weights @ leads).max(dim=-1).values
    return EncodingShares(
        torch.where(defined, within.clamp(0, 1), 1.0),
        torch.where(defined, (whole - within).clamp(0, 1), 0.0),
        torch.where(defined, (1 - usual).clamp(0, 1), 0.0),
    )
