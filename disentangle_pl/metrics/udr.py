"""Unsupervised disentanglement ranking (UDR): do models of different seeds find the same latents?"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.score import Codes, Values, moving, sampled_rows


class UDR(NamedTuple):
    """The ranking of M models.

    Attributes:
        scores: (M,) in [0, 1] for Spearman, and about so for Lasso: the median of a model's pairs with the others.
        pairs: (M, M), how far the latents of model i (row) and model j (column) match one to one; diagonal 0.
    """

    scores: Values
    pairs: Values


def udr_lasso(
    codes: Sequence[Codes],
    kl: Sequence[Values],
    *,
    rows: int = 1000,
    nats: float = 0.01,
    penalty: float = 0.1,
    seed: int = 0,
) -> UDR:
    r"""Rank models by how sparsely each latent of one is predicted from those of another.

    .. math::

        \mathrm{UDR}_{ij} = \frac{1}{2} \left( \frac{1}{d_b} \sum_b \frac{\max_a R_{ab}^2}{\sum_a R_{ab}}
        + \frac{1}{d_a} \sum_a \frac{\max_b R_{ab}^2}{\sum_b R_{ab}} \right), \qquad R = |\text{Lasso coefficients}|

    Source: Duan et al. 2020 (arXiv:1905.12614), with the constants of their study: Lasso with a penalty of
    .1 on 1000 standardised codes. A perfect match scores .9, as the penalty takes .1 from a coefficient of 1. It
    needs at least 5 seeds of every setting.

    Args:
        codes: M posterior means (N, d_i) of the same N images; M >= 2.
        kl: M mean KL divergences (d_i,) of the latents to the prior.
        rows: How many images, drawn at random, to use at most.
        nats: A latent is informative if its mean KL is above this; the others are left out.
        penalty: Weight of the L1 norm.
        seed: Of the images drawn.

    Returns:
        Scores and pairs. The score of model j is the median of the pairs (i, j) that predict it; every pair of a model
        without informative latents is 0.

    Raises:
        InputError: If there are fewer than 2 models, their codes or divergences do not fit together, or a value is
            NaN or infinite.
    """
    return _rank(_standardised(codes, kl, rows, nats, seed, _as_they_are), partial(_lasso, penalty=penalty))


def udr_spearman(
    codes: Sequence[Codes], kl: Sequence[Values], *, rows: int = 1000, nats: float = 0.01, seed: int = 0
) -> UDR:
    """Rank models by the rank correlations of their latents; otherwise as `udr_lasso`. A perfect match scores 1."""
    return _rank(_standardised(codes, kl, rows, nats, seed, partial(rankdata, axis=0)), _correlation)


def match(strength: Values) -> float:
    """Return 1/2 (mean_b max_a R_ab^2 / sum_a R_ab + mean_a max_b R_ab^2 / sum_b R_ab).

    Args:
        strength: (a, b), how strongly latents of two models relate, not negative.

    Returns:
        The score; a latent that relates to none counts as 0, and so does a table without rows or columns.
    """
    if not strength.size:
        return 0.0
    sides = []
    for table in (strength, strength.T):
        total = table.sum(axis=0)
        sides.append(np.divide(table.max(axis=0) ** 2, total, out=np.zeros(len(total)), where=total > 0).mean())
    return float(np.mean(sides))


@one_blas_thread()
def _rank(views: Sequence[Values], relate: Callable[[Values, Values], Values]) -> UDR:
    pairs = np.zeros((len(views), len(views)))
    everything, ends = np.hstack(views), np.cumsum([view.shape[1] for view in views])[:-1]
    for i, view in enumerate(views):
        if view.size:
            pairs[i] = [match(strength) for strength in np.split(relate(view, everything), ends, axis=1)]
    np.fill_diagonal(pairs, 0.0)
    scores = [np.median(np.delete(column, j)) for j, column in enumerate(pairs.T)]
    return UDR(np.array(scores), pairs)


def _lasso(inputs: Values, targets: Values, penalty: float) -> Values:
    weights: Values = Lasso(alpha=penalty, precompute=True).fit(inputs, targets).coef_
    return np.abs(weights).reshape(targets.shape[1], inputs.shape[1]).T


def _correlation(first: Values, second: Values) -> Values:
    correlation: Values = first.T @ second / len(first)
    return np.abs(correlation)


def _as_they_are(codes: Values) -> Values:
    return codes


def _standardised(
    codes: Sequence[Codes],
    kl: Sequence[Values],
    rows: int,
    nats: float,
    seed: int,
    transform: Callable[[Values], Values],
) -> list[Values]:
    """Return the informative latents of every model, transformed, with mean 0 and variance 1 (or constant 0)."""
    _check(codes, kl, rows)
    sample, views = sampled_rows(len(codes[0]), rows, seed), []
    for code, divergence in zip(codes, kl, strict=True):
        informative = transform(code[sample][:, divergence > nats].astype(np.float64))
        moved = informative - informative.mean(axis=0)
        moved[:, ~moving(informative)] = 0
        spread = moved.std(axis=0)
        views.append(moved / np.where(spread > 0, spread, 1.0))
    return views


def _check(codes: Sequence[Codes], kl: Sequence[Values], rows: int) -> None:
    shapes = [code.shape for code in codes], [divergence.shape for divergence in kl]
    if len(codes) < 2 or len(codes) != len(kl):
        raise InputError(f"UDR compares 2 models at least, got codes of {len(codes)} and divergences of {len(kl)}")
    if any(code.ndim != 2 or code.shape[1:] != divergence.shape for code, divergence in zip(codes, kl, strict=True)):
        raise InputError(f"every model needs codes (N, d) and divergences (d,), got {shapes[0]} and {shapes[1]}")
    if len({len(code) for code in codes}) > 1 or min(len(codes[0]), rows) < 2:
        raise InputError(f"all models must encode the same images, at least 2, got {shapes[0]} and rows={rows}")
    for i, values in enumerate(zip(codes, kl, strict=True)):
        if not all(np.isfinite(value).all() for value in values):
            raise InputError(f"codes or divergences of model {i} are NaN or infinite: check that it converged")
