"""OMES: overlap and multiple encoding, from pairs of rows that differ in one factor."""

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.interventions import all_but_one
from disentangle_pl.metrics.score import MISSING, Codes, CodesLike, Factors, Labels, Values, check, moving, varying


def encoding_strength(codes: CodesLike, factors: Factors, *, bins: int = 20, seed: int = 0) -> Values:
    """Return 1 - |correlation| of every latent over pairs of rows that differ in one factor alone.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), k >= 2; a quantity is cut into as many bins, and rows that lack a factor have no part. Rows are
            paired at random with others that share all other factors, each with one at most.
        bins: The number of bins of a quantity, at least 2.
        seed: Of the pairs.

    Returns:
        (d, k) in [0, 1], 0 for a latent that does not move; NaN for a factor with fewer than 3 pairs.

    Raises:
        InputError: If the input fails `check`, k < 2, or bins < 2.
    """
    codes, truth = check(codes, factors, values=2)
    labels, random = truth.labels(bins), np.random.default_rng(seed)
    pairs = zip(all_but_one(labels).T, labels.T, strict=True)
    return np.stack([_strength(codes.astype(np.float64), *each, random) for each in pairs], axis=1)


def omes_score(strength: Values, *, alpha: float = 0.5) -> float:
    r"""Return the score of a table (d, k) of how strongly latents encode factors.

    .. math::

        \frac{1}{K} \sum_k \frac{\sum_j S_{jk}^2 \, (\alpha \, O_{jk} + (1 - \alpha) \, M_{jk})}{\sum_j S_{jk}}

    with O_jk = 1 - mean_m |[m = k] - S_jm|, which overlap of factors in the latent lowers, and M_jk = 1 - mean_i
    |[i = j] - S_ik|, which multiple encodings of the factor lower. A factor that no latent encodes counts as 0.

    Source: Dapueto et al. 2024 (NeurIPS, arXiv:2409.18017) and the authors' code, with their average over latents.

    Args:
        strength: (d, k) in [0, 1].
        alpha: Weight of the overlap, in [0, 1]; the other part is that of multiple encodings.

    Raises:
        InputError: If alpha is not in [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha must lie between 0 and 1, got {alpha}")
    latents, factors = strength.shape
    overlap = 1 - (strength.sum(axis=1, keepdims=True) + 1 - 2 * strength) / factors
    encodings = 1 - (strength.sum(axis=0, keepdims=True) + 1 - 2 * strength) / latents
    weighted = (strength**2 * (alpha * overlap + (1 - alpha) * encodings)).sum(axis=0)
    total = strength.sum(axis=0)
    return float(np.divide(weighted, total, out=np.zeros(factors), where=total > 0).mean())


def omes(
    codes: CodesLike,
    factors: Factors,
    *,
    alpha: float = 0.5,
    threshold: float = 0.05,
    bins: int = 20,
    seed: int = 0,
) -> float:
    """Return how far each factor is encoded in one latent, and each latent encodes one factor.

    The strength of an encoding is 1 - |correlation| over pairs of rows that differ in one factor alone: there a latent
    that does not hold the factor is the same. Even a perfect code is below 1, for two different values of n correlate
    by -1 / (n - 1): a factor of two values always has its opposite, a correlation of -1, and seems not to be encoded at
    all. Compare it with its ceiling.

    Source: Dapueto et al. 2024 (NeurIPS, arXiv:2409.18017), see `encoding_strength` and `omes_score`.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; see `encoding_strength`. The table must be dense: a factor without 3 pairs of
            rows that share all others is left out.
        alpha: Weight of the overlap, in [0, 1].
        threshold: Latents whose codes have a smaller standard deviation are left out.
        bins: The number of bins of a quantity, at least 2.
        seed: Of the pairs.

    Returns:
        The score, in [0, 1]; 0 if no latent is active.

    Raises:
        InputError: If the input fails `check`, fewer than 2 factors vary, no factor has 3 pairs, bins < 2, or alpha is
            not in [0, 1].
    """
    codes, truth = check(codes, factors, values=2)
    truth = truth.columns(varying(truth, least=2))
    active = (codes.std(axis=0, ddof=1, dtype=np.float64) >= threshold) & moving(codes)
    strength = encoding_strength(codes, truth, bins=bins, seed=seed)[active]
    if not active.any():
        return 0.0
    paired = ~np.isnan(strength).any(axis=0)
    if not paired.any():
        raise InputError(
            "OMES needs pairs of rows that share all factors but one: the table is too sparse, give more rows or fewer "
            "factors"
        )
    return omes_score(strength[:, paired], alpha=alpha)


def _strength(codes: Codes, groups: Labels, values: Labels, random: np.random.Generator) -> Values:
    order = random.permutation(np.flatnonzero(groups != MISSING))
    order = order[np.argsort(groups[order], kind="stable")]
    place = np.arange(len(order)) - np.searchsorted(groups[order], groups[order])
    first = np.flatnonzero(place[:-1] % 2 == 0) if len(order) else np.empty(0, dtype=np.intp)
    pairs = np.stack([order[first], order[first + 1]]) if len(first) else np.empty((2, 0), dtype=np.intp)
    pairs = pairs[:, (groups[pairs[0]] == groups[pairs[1]]) & (values[pairs[0]] != values[pairs[1]])]
    if pairs.shape[1] < 3:
        return np.full(codes.shape[1], np.nan)
    one, other = (codes[rows] - codes[rows].mean(axis=0) for rows in pairs)
    scale = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    correlation = np.divide((one * other).sum(axis=0), scale, out=np.ones(codes.shape[1]), where=scale > 0)
    return np.asarray(1 - np.minimum(np.abs(correlation), 1.0))
