"""What a score gives by chance, a perfect code and a rotated one: the ends of its scale on these factors.

A score is wrapped by the functions that take it; a sheet of many scores draws the codes itself and scores them once.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Codes, CodesLike, Factors, Score, Values, check, ground_truth

# a float, or a NamedTuple of floats
Result = TypeVar("Result", bound=float | tuple[Any, ...])


def permuted_rows(groups: NDArray[np.integer[Any]], *, seed: int = 0) -> NDArray[np.intp]:
    """Return rows (N,) of others: each group gets the rows of another one, in their order, over again if too few.

    What the rows of a group, such as the scans of a person, have in common stays together, so a permuted table is a
    fair picture of chance.

    Args:
        groups: (N,) whose row it is.
        seed: Of the permutation.
    """
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    rows = np.argsort(group, kind="stable")
    start = np.cumsum(counts) - counts
    turn = np.empty(len(group), dtype=np.intp)
    turn[rows] = np.arange(len(group)) - np.repeat(start, counts)
    other = np.random.default_rng(seed).permutation(len(counts))[group]
    chosen: NDArray[np.intp] = rows[start[other] + turn % counts[other]]
    return chosen


def permuted(codes: Codes, groups: NDArray[np.integer[Any]] | None = None, *, seed: int = 0) -> Codes:
    """Shuffle the rows of codes (N, d), which then know nothing of the factors but keep their joint distribution.

    Where rows come in groups (N,), groups are shuffled: see `permuted_rows`.
    """
    if groups is None:
        return np.random.default_rng(seed).permutation(codes)
    return codes[permuted_rows(groups, seed=seed)]


def noise_codes(rows: int, latent_dim: int, *, groups: NDArray[np.integer[Any]] | None = None, seed: int = 0) -> Values:
    """Draw standard normal codes (rows, latent_dim).

    Where rows come in groups (N,), the rows of a group share one draw: such codes know whose row it is, and no more.
    """
    random = np.random.default_rng(seed)
    if groups is None:
        return random.normal(size=(rows, latent_dim))
    number, group = np.unique(groups, return_inverse=True)
    return random.normal(size=(len(number), latent_dim))[group]


def perfect_codes(factors: Factors, latent_dim: int, *, noise: float = 0.01, seed: int = 0) -> Values:
    """Return the codes of an ideal model: each factor in a latent of its own, in order, the rest collapsed.

    Args:
        factors: (N, k); the mean stands for a missing value.
        latent_dim: The number of latents, at least k.
        noise: Standard deviation of the collapsed latents.
        seed: Seed of the collapsed latents.

    Returns:
        (N, latent_dim) codes: k factors of mean 0 and variance 1 (those with one value are 0), then the collapsed.

    Raises:
        InputError: If the factors fail `ground_truth`, or latent_dim is below k.
    """
    truth = ground_truth(factors)
    rows, k = truth.shape
    if latent_dim < k:
        raise InputError(f"{latent_dim} latents cannot hold {k} factors one by one: give at least {k}")
    values = np.where(truth.varying, truth.values, 0.0)
    values = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    spread = values.std(axis=0)
    ordinal = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.hstack([ordinal, np.random.default_rng(seed).normal(0.0, noise, (rows, latent_dim - k))])


def random_rotation(dim: int, *, seed: int = 0) -> Values:
    """Draw a rotation matrix (dim, dim), every one equally likely (Haar), with determinant 1."""
    basis, triangle = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
    rotation: Values = basis * np.sign(np.diag(triangle))
    rotation[:, :1] *= np.sign(np.linalg.det(rotation))
    return rotation


def rotated_codes(factors: Factors, latent_dim: int, *, noise: float = 0.01, seed: int = 0) -> Values:
    """Return perfect codes whose latents of the factors that vary were rotated together; see `perfect_codes`.

    They hold all the information and are not disentangled.
    """
    codes = perfect_codes(factors, latent_dim, noise=noise, seed=seed)
    turned = np.flatnonzero(ground_truth(factors).varying)
    codes[:, turned] = codes[:, turned] @ random_rotation(len(turned), seed=seed)
    return codes


def permuted_floor(
    score: Callable[[Any, Any], Result], codes: CodesLike, factors: Factors, *, permutations: int = 5, seed: int = 0
) -> Result:
    """Return the mean score after the rows of the codes were shuffled against the factors.

    The latents keep their distribution and their dependence on each other, and know nothing of the factors.

    Args:
        score: The score, a float or a NamedTuple of floats.
        codes: (N, d) posterior means.
        factors: (N, k).
        permutations: How many shuffles to average, at least 1.
        seed: Seed of the shuffles.

    Returns:
        The score of chance.

    Raises:
        InputError: If the input fails `check`, or permutations is below 1.
    """
    codes, truth = check(codes, factors)
    seeds = _seeds(seed, permutations)
    return _mean([score(permuted(codes, truth.groups, seed=each), factors) for each in seeds])


def noise_floor(
    score: Callable[[Any, Any], Result], factors: Factors, latent_dim: int, *, draws: int = 5, seed: int = 0
) -> Result:
    """Return the mean score of standard normal codes (N, latent_dim) for factors (N, k).

    Unlike `permuted_floor` it does not depend on the model: use it to compare models.

    Raises:
        InputError: If draws is below 1, or the score refuses the factors.
    """
    truth, seeds = ground_truth(factors), _seeds(seed, draws)
    tables = (noise_codes(len(truth), latent_dim, groups=truth.groups, seed=each) for each in seeds)
    return _mean([score(codes, factors) for codes in tables])


def ceiling(score: Callable[[Codes, Factors], Result], factors: Factors, latent_dim: int) -> Result:
    """Return the score of `perfect_codes` for factors (N, k), which 20 bins or a linear cut hold below 1.

    Raises:
        InputError: If latent_dim is below k, or the score refuses the factors.
    """
    return score(perfect_codes(factors, latent_dim), factors)


def rotated(
    score: Callable[[Any, Any], Result], factors: Factors, latent_dim: int, *, rotations: int = 5, seed: int = 0
) -> Result:
    """Return the mean score of `rotated_codes` for factors (N, k): a score that sees rotation is far from its ceiling.

    Raises:
        InputError: If latent_dim is below k, rotations is below 1, or the score refuses the factors.
    """
    seeds = _seeds(seed, rotations)
    return _mean([score(rotated_codes(factors, latent_dim, seed=each), factors) for each in seeds])


def permutation_p_value(
    score: Score, codes: CodesLike, factors: Factors, *, permutations: int = 99, seed: int = 0
) -> float:
    """Return how probable so high a score is by chance: (1 + permuted scores as high) / (1 + permutations).

    Args:
        score: The score, higher for better codes.
        codes: (N, d) posterior means.
        factors: (N, k).
        permutations: How many shuffles of the rows, at least 1; the smallest value is 1 / (1 + permutations).
        seed: Seed of the shuffles.

    Returns:
        A probability, above 0.

    Raises:
        InputError: If the input fails `check`, or permutations is below 1.
    """
    codes, truth = check(codes, factors)
    reached = score(codes, factors)
    seeds = _seeds(seed, permutations)
    higher = sum(score(permuted(codes, truth.groups, seed=each), factors) >= reached for each in seeds)
    return (1 + higher) / (1 + permutations)


def _seeds(seed: int, number: int) -> list[int]:
    if number < 1:
        raise InputError(f"permutations, draws and rotations must be at least 1, got {number}")
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(number)]


def _mean(results: Sequence[Result]) -> Result:
    average = np.mean(results, axis=0)
    kind: Callable[..., Result] = type(results[0])
    return kind(*average.tolist()) if isinstance(results[0], tuple) else kind(average)
