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
        standard_errors: (d,) of the slopes, for few people (Kenward & Roger).
        freedom: (d,) degrees of freedom of Student's t for them (Satterthwaite's; so are those of Kenward & Roger).
        p: (d,) two-sided p-values against no change, by this t.
        q: (d,) the same, adjusted for the number of latents (Benjamini & Hochberg 1995).
        resampled: (R, d) slopes when people are drawn again with replacement, spread so that 95 % of them lie within
            the interval of this t: with few people the draws themselves lie too close together.
        people: Number of people.
        rows: Number of scans.
    """

    per_year: Values
    standard_errors: Values
    freedom: Values
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

    The bootstrap draws people, and keeps the ratio of variances of the fit. With few people a normal approximation
    would find change where there is none (one latent in six at 4 people): slopes are tested by Student's t. False
    alarms at 4 to 40 people are measured in `benchmarks/results/intervals.md`.

    Args:
        codes: (N, d) posterior means.
        age: (N,) in years, finite.
        person: (N,) any number for each person.
        resamples: Bootstrap samples.
        seed: Seed of the resampling.

    Raises:
        InputError: If there are fewer than 3 people, nobody has two scans, or all ages are equal.

    Source: Laird & Ware 1982, Random-effects models for longitudinal data, Biometrics 38:963; Kenward & Roger 1997,
        Small sample inference for fixed effects from restricted maximum likelihood, Biometrics 53:983, for errors and
        degrees of freedom; Efron & Tibshirani 1993, chapter 8, for the bootstrap of whole people.
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
    freedom, inflation = np.array([_few_people(cross, ratio, count) for ratio in ratios]).T
    errors = np.sqrt(residual / (len(age) - 2) * inverse[:, 1, 1] * inflation)
    with np.errstate(divide="ignore", invalid="ignore"):
        p: Values = np.where(errors > 0, 2 * stats.t.sf(np.abs(coefficients[:, 1]) / errors, freedom), 1.0)
    multiplicity = np.random.default_rng(seed).multinomial(
        len(count), np.full(len(count), 1 / len(count)), size=resamples
    )
    crosses = np.einsum("rp,pdij->rdij", multiplicity.astype(np.float64), weighted_cross)
    rights = np.einsum("rp,pdi->rdi", multiplicity.astype(np.float64), weighted_moments)
    resampled = np.einsum("rdij,rdj->rdi", np.linalg.pinv(crosses, hermitian=True), rights)[..., 1]
    resampled = _spread(resampled, coefficients[:, 1], stats.t.ppf(0.975, freedom) * errors)
    q: Values = stats.false_discovery_control(p)
    return MixedSlopes(coefficients[:, 1], errors, freedom, p, q, resampled, len(count), len(age))


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
    gram = cross.inner[:, None] - shrink[:, :, None, None] * squares[:, None]
    cross_moments = moments.inner - (shrink * moments.total)[:, :, None] * cross.outer[:, None, :]
    return gram, cross_moments


def _residual(cross: _Cross, moments: _Moments, j: int, ratio: float, count: NDArray[np.intp]) -> float:
    one = _Moments(moments.inner[:, [j]], moments.total[:, [j]], moments.square[:, [j]])
    gram, cross_moments = (part.sum(0)[0] for part in _weighted(cross, one, np.array([ratio]), count))
    total = (one.square[:, 0] - _shrinkage(ratio, count) * one.total[:, 0] ** 2).sum()
    return max(float(total - cross_moments @ np.linalg.solve(gram, cross_moments)), 0.0)


def _few_people(cross: _Cross, ratio: float, count: NDArray[np.intp]) -> tuple[float, float]:
    """Return the degrees of freedom of the slope, and by what its squared error v grows as the variances are estimated.

    The degrees are 2 v^2 / var(v). What is uncertain of the two variances (within, between), in units of the one
    within, follows from their expected information. W is V^-1, by which W 1 = s 1; V_1 = I and V_2 = 11'.
    """
    s, squares = 1 / (1 + count * ratio), np.einsum("pi,pj->pij", cross.outer, cross.outer)
    everyone = cross.inner.sum(0)

    def power(k: int) -> Values:
        """Return X'W^k X (2, 2)."""
        return np.asarray(everyone - np.einsum("p,pij->ij", (1 - s**k) / count, squares))

    covariance = np.linalg.inv(power(1))
    first = np.stack((power(2), np.einsum("p,pij->ij", s**2, squares)))  # X'W V_i W X
    mixed = np.einsum("p,pij->ij", s**3, squares)
    second = np.array([[power(3), mixed], [mixed, np.einsum("p,pij->ij", count * s**3, squares)]])  # X'W V_i W V_j W X
    mixed_trace = float((count * s**2).sum())
    traces = np.array([[(count - 1 + s**2).sum(), mixed_trace], [mixed_trace, ((count * s) ** 2).sum()]])
    moved = covariance @ first
    information = traces - 2 * np.einsum("ab,ijba->ij", covariance, second) + np.einsum("iab,jba->ij", moved, moved)
    uncertain = np.linalg.pinv(information / 2, hermitian=True)
    slope = (moved @ covariance)[:, 1, 1]
    variance, most = float(slope @ uncertain @ slope), float(count.sum() - 2)
    freedom = np.clip(2 * covariance[1, 1] ** 2 / variance, 1, most) if variance > 0 else most
    missed = np.einsum("ij,ijab->ab", uncertain, second - np.einsum("iab,jbc->ijac", first, moved))
    return float(freedom), float(1 + 2 * (covariance @ missed @ covariance)[1, 1] / covariance[1, 1])


def _spread(resampled: Values, slopes: Values, half: Values) -> Values:
    """Stretch draws (R, d) about the slopes (d,) so that 95 % of them lie within half a width (d,) of t."""
    apart = resampled - slopes
    width = np.quantile(np.abs(apart), 0.95, axis=0)
    factor = np.divide(half, width, out=np.ones_like(half), where=(width > 0) & (half > 0))
    return np.asarray(slopes + apart * np.maximum(factor, 1.0))


def _best_ratio(cross: _Cross, moments: _Moments, j: int, count: NDArray[np.intp]) -> float:
    """Return the ratio of the variances between and within people of the highest restricted likelihood."""
    rows = int(count.sum())
    if moments.square[:, j].sum() == 0:
        return 0.0

    def deviance(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        shrink = _shrinkage(ratio, count)
        gram = cross.inner.sum(0) - np.einsum("p,pi,pj->ij", shrink, cross.outer, cross.outer)
        residual = max(_residual(cross, moments, j, ratio, count), np.finfo(float).tiny)
        return float((rows - 2) * np.log(residual) + np.log1p(count * ratio).sum() + np.linalg.slogdet(gram).logabsdet)

    optimum = optimize.minimize_scalar(deviance, bounds=RATIOS, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(optimum.x))
