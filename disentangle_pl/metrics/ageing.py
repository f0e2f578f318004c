"""How fast latents age: slopes of a random-intercept model, and what resampling people says of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread

Values = NDArray[np.float64]
RATIOS = (-12.0, 20.0)  # natural logarithms between which the ratio of variances is sought


class MixedSlopes(NamedTuple):
    """Change of every latent with age, in code units a year.

    Attributes:
        per_year: (d,) slopes.
        standard_errors: (d,) of the slopes.
        p: (d,) two-sided p-values against no change, Wald.
        q: (d,) the same, adjusted for the number of latents (Benjamini & Hochberg 1995).
        resampled: (R, d) slopes when people are drawn again with replacement.
        people: Number of people.
        rows: Number of scans.
    """

    per_year: Values
    standard_errors: Values
    p: Values
    q: Values
    resampled: Values
    people: int
    rows: int

    def band(self, level: float = 0.95) -> tuple[Values, Values]:
        """Return the ends (d,) of the bootstrap interval of the slopes."""
        low, high = np.quantile(self.resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high


@one_blas_thread()
def mixed_slopes(
    codes: Values, age: Values, person: NDArray[np.int64], *, resamples: int = 1000, seed: int = 0
) -> MixedSlopes:
    """Fit z_ij = a + b age_ij + u_i + e_ij to every latent by restricted maximum likelihood.

    The bootstrap draws people, and keeps the ratio of variances of the fit.

    Args:
        codes: (N, d) posterior means.
        age: (N,) in years, finite.
        person: (N,) any number for each person.
        resamples: Bootstrap samples.
        seed: Seed of the resampling.

    Raises:
        InputError: If there are fewer than 3 people, nobody has two scans, or all ages are equal.

    Source: Laird & Ware 1982, Random-effects models for longitudinal data, Biometrics 38:963; Efron & Tibshirani 1993,
        chapter 8, for the bootstrap of whole people.
    """
    _, who, count = np.unique(person, return_inverse=True, return_counts=True)
    if len(count) < 3 or count.max() < 2:
        raise InputError(f"slopes need 3 people and somebody with two scans, got {len(count)} people, {len(age)} scans")
    if np.ptp(age) == 0:
        raise InputError(f"slopes need different ages, but all {len(age)} scans are at {age[0]:g} years")
    design: Values = np.column_stack((np.ones_like(age), age - age.mean()))
    cross, moments = _sums(who, count, design, codes.astype(np.float64))
    ratios = np.array([_best_ratio(cross, moments, j, count) for j in range(codes.shape[1])])
    weighted_cross, weighted_moments = _weighted(cross, moments, ratios, count)
    inverse = np.linalg.inv(weighted_cross.sum(0))
    coefficients = np.einsum("dij,dj->di", inverse, weighted_moments.sum(0))
    residual = np.array([_residual(cross, moments, j, ratios[j], count) for j in range(codes.shape[1])])
    errors = np.sqrt(residual / (len(age) - 2) * inverse[:, 1, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        p: Values = np.where(errors > 0, 2 * stats.norm.sf(np.abs(coefficients[:, 1]) / errors), 1.0)
    drawn = np.random.default_rng(seed).multinomial(len(count), np.full(len(count), 1 / len(count)), size=resamples)
    crosses = np.einsum("rp,pdij->rdij", drawn.astype(np.float64), weighted_cross)
    rights = np.einsum("rp,pdi->rdi", drawn.astype(np.float64), weighted_moments)
    resampled = np.einsum("rdij,rdj->rdi", np.linalg.pinv(crosses, hermitian=True), rights)[..., 1]
    q: Values = stats.false_discovery_control(p)
    return MixedSlopes(coefficients[:, 1], errors, p, q, resampled, len(count), len(age))


class _Cross(NamedTuple):
    """Sums over the scans of each person that do not depend on the codes.

    Attributes:
        inner: (P, 2, 2) X'X.
        outer: (P, 2) X'1.
    """

    inner: Values
    outer: Values


class _Moments(NamedTuple):
    """Sums over the scans of each person: X'z (P, d, 2), 1'z (P, d) and z'z (P, d)."""

    inner: Values
    total: Values
    square: Values


def _sums(who: NDArray[np.intp], count: NDArray[np.intp], design: Values, codes: Values) -> tuple[_Cross, _Moments]:
    people = len(count)

    def add(values: Values) -> Values:
        out = np.zeros((people, *values.shape[1:]))
        np.add.at(out, who, values)
        return out

    centred = codes - codes.mean(0)
    cross = _Cross(add(design[:, :, None] * design[:, None, :]), add(design))
    return cross, _Moments(add(centred[:, :, None] * design[:, None, :]), add(centred), add(centred**2))


def _shrinkage(ratio: Values | float, count: NDArray[np.intp]) -> Values:
    """Return r / (1 + n r), which inverts I + r 11' for a person of n scans: I - shrinkage 11'."""
    return np.asarray(ratio / (1 + count * ratio), dtype=np.float64)


def _weighted(cross: _Cross, moments: _Moments, ratios: Values, count: NDArray[np.intp]) -> tuple[Values, Values]:
    """Return X'V^-1 X (P, d, 2, 2) and X'V^-1 z (P, d, 2) of every person."""
    shrink = _shrinkage(ratios[None, :], count[:, None])
    squares = cross.outer[:, :, None] * cross.outer[:, None, :]
    left = cross.inner[:, None] - shrink[:, :, None, None] * squares[:, None]
    right = moments.inner - (shrink * moments.total)[:, :, None] * cross.outer[:, None, :]
    return left, right


def _residual(cross: _Cross, moments: _Moments, j: int, ratio: float, count: NDArray[np.intp]) -> float:
    one = _Moments(moments.inner[:, [j]], moments.total[:, [j]], moments.square[:, [j]])
    left, right = (part.sum(0)[0] for part in _weighted(cross, one, np.array([ratio]), count))
    total = (one.square[:, 0] - _shrinkage(ratio, count) * one.total[:, 0] ** 2).sum()
    return max(float(total - right @ np.linalg.solve(left, right)), 0.0)


def _best_ratio(cross: _Cross, moments: _Moments, j: int, count: NDArray[np.intp]) -> float:
    """Return the ratio of the variances between and within people of the highest restricted likelihood."""
    rows = int(count.sum())
    if moments.square[:, j].sum() == 0:
        return 0.0

    def deviance(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        shrink = _shrinkage(ratio, count)
        left = cross.inner.sum(0) - np.einsum("p,pi,pj->ij", shrink, cross.outer, cross.outer)
        residual = max(_residual(cross, moments, j, ratio, count), np.finfo(float).tiny)
        return float((rows - 2) * np.log(residual) + np.log1p(count * ratio).sum() + np.linalg.slogdet(left).logabsdet)

    found = optimize.minimize_scalar(deviance, bounds=RATIOS, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))
