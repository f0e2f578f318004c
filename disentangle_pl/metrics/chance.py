"""What a score gives by chance and what it gives a perfect code: the ends of its scale on these factors."""

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.information import Values
from disentangle_pl.metrics.score import Codes, Factors, Score, check


def permuted_floor(score: Score, codes: Codes, factors: Factors, *, permutations: int = 5, seed: int = 0) -> float:
    """Return the mean score after the rows of the codes were shuffled against the factors.

    The latents keep their distribution and their dependence on each other, and know nothing of the factors.

    Args:
        score: The score.
        codes: (N, d) posterior means.
        factors: (N, k) class indices.
        permutations: How many shuffles to average, at least 1.
        seed: Seed of the shuffles.

    Returns:
        The score of chance.

    Raises:
        InputError: If the input fails `check`, or permutations is below 1.
    """
    check(codes, factors)
    if permutations < 1:
        raise InputError(f"permutations must be at least 1, got {permutations}")
    random = np.random.default_rng(seed)
    return float(np.mean([score(random.permutation(codes), factors) for _ in range(permutations)]))


def perfect_codes(factors: Factors, latent_dim: int, *, noise: float = 0.01, seed: int = 0) -> Values:
    """Return the codes of an ideal model: each factor in a latent of its own, in order, the rest collapsed.

    Args:
        factors: (N, k) class indices.
        latent_dim: The number of latents, at least k.
        noise: Standard deviation of the collapsed latents.
        seed: Seed of the collapsed latents.

    Returns:
        (N, latent_dim) codes: k factors of mean 0 and variance 1 (constant ones are 0), then the collapsed.

    Raises:
        InputError: If latent_dim is below k.
    """
    rows, k = factors.shape
    if latent_dim < k:
        raise InputError(f"{latent_dim} latents cannot hold {k} factors one by one: give at least {k}")
    spread = factors.std(axis=0)
    ordinal = (factors - factors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.hstack([ordinal, np.random.default_rng(seed).normal(0.0, noise, (rows, latent_dim - k))])


def ceiling(score: Score, factors: Factors, latent_dim: int) -> float:
    """Return the score of `perfect_codes` for factors (N, k), which 20 bins or a linear cut hold below 1.

    Raises:
        InputError: If latent_dim is below k, or the score refuses the factors.
    """
    return score(perfect_codes(factors, latent_dim), factors)
