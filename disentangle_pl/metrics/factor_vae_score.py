"""The FactorVAE score: does the latent that moves least tell which factor is held?"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.interventions import Table, draw_groups, draw_known, shared_tables, turns
from disentangle_pl.metrics.score import CodesLike, Factors, Labels, Split, Values, moving, train_test


def factor_vae_score(
    codes: CodesLike,
    factors: Factors,
    *,
    test: Split | None = None,
    votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    threshold: float = 0.05,
    bins: int = 20,
    seed: int = 0,
) -> float:
    r"""Return how well a majority vote tells the factor held fixed from the latent that varies least.

    .. math::

        P\big( \hat{k}(j^*) = k \big), \qquad j^* = \mathrm{argmin}_j \,
        \frac{\mathrm{Var}[c_j \mid v_k]}{\mathrm{Var}[c_j]}

    Source: Kim & Mnih 2018 (arXiv:1802.05983, section 4), as set by Locatello et al. 2019 (arXiv:1811.12359,
    appendix). The batches come from the rows given, not from a simulator, which costs about .02 where a value has but
    100 rows. Chance is 1/k. A rotated code can score 1: never quote it alone.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), of which 2 vary; a quantity is held by rows of one bin, rows in which a factor is missing or
            has a value of their own are not drawn for it, and a factor with one value has no part.
        test: Codes (M, d) and factors (M, k) to draw the test votes from, or None for a random third of the rows.
        votes: How many votes to fit on; each factor has its turn.
        test_votes: How many votes to score on.
        batch: How many rows a vote takes its variances from.
        threshold: Latents whose codes have a smaller standard deviation are left out.
        bins: The number of bins of a quantity.
        seed: Seed of the draw.

    Returns:
        The test accuracy, in [0, 1]; 0 if no latent is active.

    Raises:
        InputError: If an input fails `check`, test has other columns, fewer than 2 factors have values that rows
            share in both parts, bins < 2, there are fewer votes than factors, or batch is below 2.
    """
    random = np.random.default_rng(seed)
    tables = shared_tables(*train_test(codes, factors, test), bins)
    return voting_accuracy(tables, (votes, test_votes), quietest, batch=batch, threshold=threshold, random=random)


def voting_accuracy(
    tables: tuple[Table, Table],
    votes: tuple[int, int],
    elect: Callable[[Values, Values], NDArray[np.int64]],
    *,
    batch: int,
    threshold: float,
    random: np.random.Generator,
) -> float:
    """Return how often the majority names the factor that batches share, from a latent elected by its variance in them.

    Args:
        tables: Codes and labels to fit on, and to score on.
        votes: How many batches of either.
        elect: Maps local variances (votes, d) and those of all rows (d,) to a latent (votes,), as `quietest`.
        batch: How many rows a batch has.
        threshold: Latents whose codes have a smaller standard deviation are left out.
        random: Source of the draws.

    Returns:
        The accuracy, 0 if no latent is active.

    Raises:
        InputError: As `local_variances`.
    """
    spread = tables[0].codes.var(axis=0, ddof=1)
    active = (np.sqrt(spread) >= threshold) & moving(tables[0].codes)
    if not active.any():
        return 0.0
    counts = []
    for table, number in zip(tables, votes, strict=True):
        local, fixed = local_variances(table, number, batch=batch, random=random)
        latents = elect(local[:, active], spread[active])
        counts.append(vote_table(fixed, latents, (table.labels.shape[1], int(active.sum()))))
    return vote_accuracy(*counts)


def local_variances(table: Table, votes: int, *, batch: int, random: np.random.Generator) -> tuple[Values, Labels]:
    """Draw batches of rows that share the value of one factor, and return the variance of every latent in them.

    Args:
        table: Codes (N, d) and labels (N, k) to draw from.
        votes: How many batches, at least k.
        batch: How many rows a batch has, at least 2; its value is that of a random row.
        random: Source of the draw.

    Returns:
        (votes, d) unbiased variances and the (votes,) factors held.

    Raises:
        InputError: If there are fewer votes than factors, or batch is below 2.
    """
    if batch < 2:
        raise InputError(f"a variance needs a batch of at least 2 rows, got {batch}")
    codes, labels = table
    fixed = turns(votes, labels.shape[1])
    local = np.empty((votes, codes.shape[1]))
    for factor, column in enumerate(labels.T):
        chosen = fixed == factor
        held = draw_groups(column, draw_known(column, (int(chosen.sum()),), random), batch, random)
        local[chosen] = batch_variances(codes, held)
    return local, fixed


def batch_variances(codes: Values, rows: NDArray[np.int64]) -> Values:
    """Return the unbiased variance (B, d) of codes (N, d) in batches of their rows (B, size)."""
    return np.stack([code[rows].var(axis=1, ddof=1) for code in codes.T], axis=1)


def quietest(local: Values, spread: Values) -> NDArray[np.int64]:
    """Return the latent (votes,) of the smallest local variance (votes, d) over its variance (d,) in all rows, > 0."""
    latents: NDArray[np.int64] = np.argmin(local / spread, axis=1)
    return latents


def loudest(local: Values, spread: Values) -> NDArray[np.int64]:
    """Return the latent (votes,) of the largest local variance (votes, d) over its variance (d,) in all rows, > 0."""
    latents: NDArray[np.int64] = np.argmax(local / spread, axis=1)
    return latents


def vote_table(factors: Labels, latents: Labels, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Count the votes (factor, latent), each (votes,): a table of shape (k, d)."""
    table = np.zeros(shape, dtype=np.int64)
    np.add.at(table, (factors, latents), 1)
    return table


def vote_accuracy(train: NDArray[np.int64], test: NDArray[np.int64]) -> float:
    """Name each latent after the factor with most votes in train (k, d), and return the share it gets right of test."""
    named = train.argmax(axis=0)
    return float(test[named, np.arange(test.shape[1])].sum() / test.sum())
