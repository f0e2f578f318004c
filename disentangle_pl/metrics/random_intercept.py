"""Regressions whose rows come in groups: one random intercept a group, and rank correlations by permutation."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.score import Values

RATIOS = np.linspace(-10, 10, 41)  # log of the variance between groups over that within
SMALLEST = 1e-12
GOLDEN, SECTIONS = (5**0.5 - 1) / 2, 35  # so that the ratio is found to 1e-7 of itself


class Fit(NamedTuple):
    """A regression with a random intercept.

    Attributes:
        slopes: (p,).
        covariance: (p, p) of the slopes.
        between: The variance of the intercepts of groups.
        within: The variance of rows about them.
        groups: Their number.
    """

    slopes: Values
    covariance: Values
    between: float
    within: float
    groups: int


class Rank(NamedTuple):
    """A rank correlation: `rho` in [-1, 1] and its two-sided permutation `p`."""

    rho: float
    p: float


class Fits(NamedTuple):
    """Regressions of V outcomes on one design, each with a random intercept of its own.

    Attributes:
        slopes: (p, V).
        ratio: (V,) the variance of the intercepts of groups over that within groups.
        within: (V,) the variance of rows about the intercepts.
    """

    slopes: Values
    ratio: Values
    within: Values


def random_intercept(outcome: Values, design: Values, groups: ArrayLike) -> Fit:
    """Fit outcome = design slopes + intercept of the group + rest by restricted maximum likelihood.

    Args:
        outcome: (N,).
        design: (N, p) of full rank, a column of ones included if wanted.
        groups: (N,) a label a row.

    Raises:
        InputError: As `random_intercepts`.
    """
    fits = random_intercepts(outcome[:, None], design, groups)
    ratio, within = float(fits.ratio[0]), float(fits.within[0])
    sizes, member = _members(groups)
    inner = design.T @ design - np.einsum("g,gp,gq->pq", ratio / (1 + sizes * ratio), *[member @ design] * 2)
    covariance = np.asarray(within * np.linalg.inv(inner), dtype=np.float64)
    return Fit(fits.slopes[:, 0], covariance, ratio * within, within, len(sizes))


@one_blas_thread()
def random_intercepts(outcomes: Values, design: Values, groups: ArrayLike) -> Fits:
    """Fit every outcome = design slopes + intercept of the group + rest by restricted maximum likelihood.

    Source: Laird and Ware 1982, Random-Effects Models for Longitudinal Data, section 4; the variances are profiled over
    their ratio, which is zero where groups differ no more than rows.

    Args:
        outcomes: (N, V), V at least 1.
        design: (N, p) of full rank, a column of ones included if wanted.
        groups: (N,) a label a row.

    Raises:
        InputError: If a number is not finite, the design is not of full rank, there are no rows left over, or an
            outcome has one value.
    """
    rows, columns = design.shape
    if not (np.isfinite(outcomes).all() and np.isfinite(design).all()):
        raise InputError("a regression needs finite numbers: leave out the rows that lack one")
    if rows <= columns or np.linalg.matrix_rank(design) < columns or (np.ptp(outcomes, axis=0) == 0).any():
        raise InputError(
            f"a regression of {rows} rows on {columns} columns cannot be solved: the columns must differ, the outcome "
            "must vary, and more rows than columns are needed"
        )
    sizes, member = _members(groups)
    axes, triangle = np.linalg.qr(design)
    start = axes.T @ outcomes
    residual = outcomes - axes @ start
    sums = _Sums(sizes, member @ axes, member @ residual, np.square(residual).sum(0), np.var(outcomes, axis=0), rows)
    curve = np.stack([_profile(np.array([np.exp(ratio)]), sums).criterion for ratio in RATIOS])
    lowest = np.argmin(curve, axis=0)
    low, high = (RATIOS[np.clip(lowest + step, 0, len(RATIOS) - 1)] for step in (-1, 1))
    ratio = np.exp(_golden(lambda at: _profile(np.exp(at), sums).criterion, low, high))
    none = _profile(np.zeros(1), sums).criterion <= _profile(ratio, sums).criterion
    ratio = np.where(none | (sizes.max() == 1), 0.0, ratio)
    best = _profile(ratio, sums)
    slopes = np.linalg.solve(triangle, start + best.slopes)
    return Fits(np.asarray(slopes, dtype=np.float64), ratio, best.residual / (rows - columns))


def permuted_spearman(first: Values, second: Values, *, permutations: int = 9999, seed: int = 0) -> Rank:
    """Return Spearman's correlation of two (N,) and how often shuffled rows correlate as much, in either direction.

    Args:
        first: (N,).
        second: (N,).
        permutations: How many shuffles; the smallest p is 1 / (1 + permutations).
        seed: Of the shuffles.

    Returns:
        The correlation, 0 with p 1 where either has one value.

    Raises:
        InputError: If there are fewer than 3 rows, or a number is not finite.
    """
    if len(first) < 3 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError(f"a rank correlation needs 3 rows of finite numbers, got {len(first)} rows")
    x, y = (_unit(np.asarray(stats.rankdata(column), dtype=float)) for column in (first, second))
    rho = float(x @ y)
    if not (x.any() and y.any()):
        return Rank(0.0, 1.0)
    shuffled = np.random.default_rng(seed).permuted(np.tile(y, (permutations, 1)), axis=1) @ x
    return Rank(rho, float((1 + (np.abs(shuffled) >= abs(rho) - SMALLEST).sum()) / (1 + permutations)))


class _Sums(NamedTuple):
    """Of an orthonormal design Q and outcomes e orthogonal to it: rows a group, 1'Q (G, p), 1'e (G, V), e'e (V,)."""

    sizes: Values
    design: Values
    outcome: Values
    square: Values
    variance: Values
    rows: int


class _Profile(NamedTuple):
    """At some ratios: -2 log restricted likelihood but for a constant (V,), slopes (p, V), weighted squares (V,)."""

    criterion: Values
    slopes: Values
    residual: Values


def _profile(ratio: Values, sums: _Sums) -> _Profile:
    """Solve at ratios (V,), or one (1,) for all outcomes; the inverse of I + r 11' is I - r / (1 + n r) 11'."""
    columns = sums.design.shape[1]
    shrink = ratio / (1 + sums.sizes[:, None] * ratio)
    squares = (sums.design[:, :, None] * sums.design[:, None, :]).reshape(len(sums.sizes), -1)
    inner = np.eye(columns) - (shrink.T @ squares).reshape(-1, columns, columns)
    right = -(sums.design.T @ (shrink * sums.outcome))
    slopes = np.asarray(np.linalg.solve(inner, right.T[:, :, None])[:, :, 0].T, dtype=np.float64)
    residual = sums.square - (shrink * sums.outcome**2).sum(0) - (right * slopes).sum(0)
    residual = np.maximum(residual, SMALLEST * sums.variance)
    free = sums.rows - columns
    determinants = np.log1p(sums.sizes[:, None] * ratio).sum(0) + np.linalg.slogdet(inner).logabsdet
    return _Profile(free * np.log(residual / free) + determinants, slopes, residual)


def _golden(function: Callable[[Values], Values], low: Values, high: Values) -> Values:
    """Minimise functions of one number each, all at once, by golden sections of [low, high] (V,)."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(SECTIONS):
        down = at_left <= at_right
        low, high = np.where(down, low, left), np.where(down, right, high)
        new = np.where(down, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = function(new)
        left, right = np.where(down, new, right), np.where(down, left, new)
        at_left, at_right = np.where(down, at_new, at_right), np.where(down, at_left, at_new)
    return np.asarray((low + high) / 2, dtype=np.float64)


def _members(groups: ArrayLike) -> tuple[Values, sparse.csr_array]:
    """Return the rows of every group (G,), and who is in it (G, N), 0 and 1."""
    _, group, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    places = (group, np.arange(len(group)))
    return sizes.astype(np.float64), sparse.csr_array((np.ones(len(group)), places), shape=(len(sizes), len(group)))


def _unit(ranks: Values) -> Values:
    centred = ranks - ranks.mean()
    length = float(np.linalg.norm(centred))
    unit: Values = centred / length if length > 0 else np.zeros_like(centred)
    return unit
