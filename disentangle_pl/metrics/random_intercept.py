"""A regression whose rows come in groups: one random intercept a group, and rank correlations by permutation."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import minimize_scalar

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.score import Values

Labels: TypeAlias = NDArray[np.int64]

RATIOS = np.linspace(-10, 10, 41)  # log of the variance between groups over that within
SMALLEST = 1e-12


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


@one_blas_thread()
def random_intercept(outcome: Values, design: Values, groups: ArrayLike) -> Fit:
    """Fit outcome = design slopes + intercept of the group + rest by restricted maximum likelihood.

    Source: Laird and Ware 1982, Random-Effects Models for Longitudinal Data, section 4; the variances are profiled over
    their ratio, which is zero where groups differ no more than rows.

    Args:
        outcome: (N,).
        design: (N, p) of full rank, a column of ones included if wanted.
        groups: (N,) a label a row.

    Raises:
        InputError: If a number is not finite, the design is not of full rank, there are no rows left over, or the
            outcome has one value.
    """
    rows, columns = design.shape
    if not (np.isfinite(outcome).all() and np.isfinite(design).all()):
        raise InputError("a regression needs finite numbers: leave out the rows that lack one")
    if rows <= columns or np.linalg.matrix_rank(design) < columns or np.ptp(outcome) == 0:
        raise InputError(
            f"a regression of {rows} rows on {columns} columns cannot be solved: the columns must differ, the outcome "
            "must vary, and more rows than columns are needed"
        )
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(group, minlength=len(names)).astype(np.int64)
    group = group.astype(np.int64)
    curve = [_criterion(ratio, outcome, design, group, sizes) for ratio in RATIOS]
    lowest = int(np.argmin(curve))
    inside = (RATIOS[max(lowest - 1, 0)], RATIOS[min(lowest + 1, len(RATIOS) - 1)])
    optimum = minimize_scalar(
        _criterion, bounds=inside, args=(outcome, design, group, sizes), method="bounded", options={"xatol": 1e-7}
    )
    best = float(optimum.x)
    ratio = 0.0 if _criterion(-np.inf, outcome, design, group, sizes) <= float(optimum.fun) else float(np.exp(best))
    y, x = (_whitened(part, ratio, group, sizes) for part in (outcome[:, None], design))
    inverse = np.linalg.inv(x.T @ x)
    slopes: Values = inverse @ x.T @ y[:, 0]
    within = float(np.square(y[:, 0] - x @ slopes).sum() / (rows - columns))
    covariance: Values = np.asarray(within * inverse, dtype=np.float64)
    return Fit(slopes, covariance, ratio * within, within, len(sizes))


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


def _criterion(log_ratio: float, outcome: Values, design: Values, group: Labels, sizes: Labels) -> float:
    """Return -2 times the restricted log-likelihood, but for a constant, at its best variance within groups."""
    ratio = float(np.exp(log_ratio))
    y, x = (_whitened(part, ratio, group, sizes) for part in (outcome[:, None], design))
    residuals = y[:, 0] - x @ np.linalg.lstsq(x, y[:, 0], rcond=None)[0]
    free = len(y) - x.shape[1]
    spread = max(float(residuals @ residuals), SMALLEST * float(np.var(outcome)))
    return float(free * np.log(spread / free) + np.log1p(sizes * ratio).sum() + np.linalg.slogdet(x.T @ x)[1])


def _whitened(columns: Values, ratio: float, group: Labels, sizes: Labels) -> Values:
    means = np.zeros((len(sizes), columns.shape[1]))
    for i in range(columns.shape[1]):
        means[:, i] = np.bincount(group, columns[:, i], len(sizes)) / sizes
    taken = 1 - 1 / np.sqrt(1 + sizes * ratio)
    white: Values = columns - (taken[:, None] * means)[group]
    return white


def _unit(ranks: Values) -> Values:
    centred = ranks - ranks.mean()
    length = float(np.linalg.norm(centred))
    unit: Values = centred / length if length > 0 else np.zeros_like(centred)
    return unit
