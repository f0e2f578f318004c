r"""Longitudinal ComBat: what a site adds to measures, and by how much it stretches them, is taken out.

.. math::

    y_{ijv} = \alpha_v + x_{ij}^\top \beta_v + \gamma_{iv} + u_{jv} + \delta_{iv} \varepsilon_{ijv}

for feature v of a scan of person j at site i. The site's shift and stretch are shrunk to what the site does to the
other features (empirical Bayes); covariates and the person stay in.

Source: Beer et al. 2020, Longitudinal ComBat, NeuroImage 220:117129, equations 1 to 8; Johnson, Li and Rabinovic 2007,
Adjusting batch effects in microarray expression data using empirical Bayes methods, Biostatistics 8:118, section 3.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.random_intercept import random_intercepts
from disentangle_pl.metrics.score import Values

FEWEST = 2
"""People a site needs: of one alone nobody can tell what is the person and what is the site."""
BLOCK = 2048
STEPS, CONVERGED = 1000, 1e-10

Sites = NDArray[np.object_]
Mask = NDArray[np.bool_]


class Combat(NamedTuple):
    """A fitted model of V features at m sites with c covariates.

    Attributes:
        sites: Their names, sorted.
        varies: (V,) False for features that had one value; they are left as they are.
        level: (V,) the mean over the scans of the fit.
        slopes: (c, V) of the covariates.
        effects: (m, V) least-squares shifts of the sites, whose mean over the scans of the fit is 0.
        spread: (V,) standard deviation of scans of one person.
        ratio: (V,) the variance between people over that of scans of one person.
        location: (m, V) the shrunk shift of a site, in units of `spread`.
        scale: (m, V) the shrunk stretch of a site, as a ratio of variances.
    """

    sites: tuple[str, ...]
    varies: Mask
    level: Values
    slopes: Values
    effects: Values
    spread: Values
    ratio: Values
    location: Values
    scale: Values


def fit_combat(values: NDArray[np.floating], sites: Sites, covariates: Values, people: NDArray[np.generic]) -> Combat:
    """Fit shifts and stretches of sites; of people with one scan each it is ComBat as it was before time came in.

    Args:
        values: (N, V) finite; any V, also voxels of a file, which are read in blocks of columns.
        sites: (N,) the name of the site of every scan.
        covariates: (N, c) what shall stay in, such as age and sex; finite.
        people: (N,) a label of the person of every scan.

    Raises:
        InputError: If there is one site only, a site has fewer than two people, or sites and covariates cannot be told
            apart.
    """
    names, index = np.unique(sites.astype(str), return_inverse=True)
    _check(names, index, people)
    shares = np.bincount(index) / len(index)
    design = np.column_stack((np.eye(len(names))[index], covariates))
    if np.linalg.matrix_rank(design) < design.shape[1] or len(design) <= design.shape[1]:
        raise InputError(
            f"{len(names)} sites and {covariates.shape[1]} columns of covariates cannot be told apart by "
            f"{len(design)} scans: a covariate is the same for all people of every site, or there are too few scans"
        )
    varies = np.concatenate([np.ptp(values[:, part], axis=0) > 0 for part in _blocks(values.shape[1])])
    alike = _alike(people)
    level, spread, ratio = np.zeros((3, len(varies)))
    slopes = np.zeros((covariates.shape[1], len(varies)))
    effects, shift, stretch = np.zeros((3, len(names), len(varies)))
    for part in _blocks(len(varies)):
        some = np.flatnonzero(varies[part]) + part.start
        if not len(some):
            continue
        y = values[:, part][:, some - part.start].astype(np.float64)
        fit = random_intercepts(y, design, people)
        level[some] = shares @ fit.slopes[: len(names)]
        slopes[:, some] = fit.slopes[len(names) :]
        effects[:, some] = fit.slopes[: len(names)] - level[some]
        spread[some], ratio[some] = np.sqrt(fit.within), fit.ratio
        raw = y - design @ fit.slopes
        own = _intercepts(raw, fit.ratio, alike)
        standard = (raw - own + effects[index][:, some]) / spread[some]
        shift[:, some] = [standard[index == site].mean(axis=0) for site in range(len(names))]
        stretch[:, some] = [standard[index == site].var(axis=0, ddof=1) for site in range(len(names))]
    location, scale = np.zeros_like(shift), np.ones_like(stretch)
    location[:, varies], scale[:, varies] = shrunk(shift[:, varies], stretch[:, varies], np.bincount(index))
    sites_of_fit = tuple(names.tolist())
    return Combat(sites_of_fit, varies, level, slopes, effects, spread, ratio, location, scale)


def shrunk(shift: Values, stretch: Values, scans: NDArray[np.integer]) -> tuple[Values, Values]:
    """Shrink the shifts (m, V) and variances (m, V) of m sites to their mean over features; of one feature they stay.

    Priors are normal for a site's shifts and inverse gamma for its variances, by the method of moments.

    Source: Johnson, Li and Rabinovic 2007, section 3.2 and appendix A.

    Args:
        shift: Means of standardised values.
        stretch: Their unbiased variances.
        scans: (m,) of every site.
    """
    if shift.shape[1] < 2:
        return shift, stretch
    n = scans[:, None].astype(np.float64)
    mean, variance = shift.mean(axis=1, keepdims=True), shift.var(axis=1, ddof=1, keepdims=True)
    middle, width = stretch.mean(axis=1, keepdims=True), stretch.var(axis=1, ddof=1, keepdims=True)
    sure = width <= np.finfo(np.float64).eps * middle**2  # features of one variance: the prior leaves no doubt
    scatter = np.where(sure, 1.0, width)
    shape, rate = (middle**2 + 2 * scatter) / scatter, (middle**3 + middle * scatter) / scatter
    location, scale = shift, stretch
    for _ in range(STEPS):
        before = location, scale
        location = (n * variance * shift + scale * mean) / (n * variance + scale)
        squares = (n - 1) * stretch + n * (shift - location) ** 2
        scale = np.where(sure, middle, (rate + squares / 2) / (n / 2 + shape - 1))
        if max(np.abs(location - before[0]).max(), np.abs(scale / before[1] - 1).max()) < CONVERGED:
            break
    return location, scale


def covered(combat: Combat, sites: Sites, covariates: Values) -> Mask:
    """Tell which scans (N,) are of sites of the fit, and have all covariates."""
    return np.isin(sites.astype(str), combat.sites) & np.isfinite(covariates).all(axis=1)


def harmonised(
    combat: Combat,
    values: NDArray[np.floating],
    sites: Sites,
    covariates: Values,
    people: NDArray[np.generic],
    *,
    times: Values | None = None,
    out: NDArray[np.floating] | None = None,
) -> NDArray[np.floating]:
    """Take out of values what the sites do to them, people of the fit or not; the fit stays as it is.

    What is a person's own is predicted from the person's scans by the variances of the fit (BLUP): all of them, as in
    the paper, or with `times` those up to the scan, so that nothing of what is to come leaks into it.

    Args:
        combat: The fit.
        values: (N, V); scans that are not `covered`, or not finite, stay as they are.
        sites: (N,) names.
        covariates: (N, c).
        people: (N,) labels.
        times: (N,) of the scans, in any unit; a scan of unknown time, NaN, counts for itself alone.
        out: (N, V) to write to, such as an array in a file; None for a new one, float64.
    """
    rows = np.flatnonzero(covered(combat, sites, covariates))
    finite = np.ones(len(rows), bool)
    for part in _blocks(values.shape[1]):
        finite &= np.isfinite(values[rows, part]).all(axis=1)
    rows = rows[finite]
    alike = _alike(people[rows], None if times is None else times[rows])
    site = np.searchsorted(combat.sites, sites[rows].astype(str))
    done = np.empty(values.shape) if out is None else out
    for part in _blocks(values.shape[1]):
        done[:, part] = values[:, part]
        base = combat.level[part] + covariates[rows] @ combat.slopes[:, part]
        effects = combat.effects[site][:, part]
        raw = values[rows, part].astype(np.float64) - base - effects
        own = _intercepts(raw, combat.ratio[part], alike)
        spread = np.where(combat.varies[part], combat.spread[part], 1.0)
        standard = (raw - own + effects) / spread
        new = spread / np.sqrt(combat.scale[site][:, part]) * (standard - combat.location[site][:, part]) + base + own
        done[rows, part] = np.where(combat.varies[part], new, values[rows, part])
    return done


def _alike(people: NDArray[np.generic], times: Values | None = None) -> sparse.csr_array:
    """Tell which scans (N, N) count for the own level of each: those of the person, with times up to the scan's."""
    scans = pd.DataFrame({"person": people, "row": np.arange(len(people))})
    scans["time"] = 0.0 if times is None else times
    pairs = scans.merge(scans, on="person", suffixes=("", "_of"))
    pairs = pairs[(pairs["time_of"] <= pairs["time"]) | (pairs["row_of"] == pairs["row"])]
    places = pairs["row"].to_numpy(), pairs["row_of"].to_numpy()
    return sparse.csr_array((np.ones(len(pairs)), places), shape=(len(people), len(people)))


def _intercepts(raw: Values, ratio: Values, alike: sparse.csr_array) -> Values:
    """Predict what is the person's own of (N, V) residuals."""
    counts = np.asarray(alike.sum(axis=1), dtype=np.float64).reshape(-1, 1)
    return np.asarray(ratio * (alike @ raw) / (1 + counts * ratio), dtype=np.float64)


def _check(names: NDArray[np.str_], index: NDArray[np.intp], people: NDArray[np.generic]) -> None:
    if len(names) < 2:
        raise InputError(f"ComBat needs scans of two sites, and all {len(index)} are of {', '.join(names) or 'none'}")
    counts = pd.Series(people).groupby(index).nunique()
    lonely = names[counts.to_numpy() < FEWEST]
    if len(lonely):
        raise InputError(
            f"ComBat needs {FEWEST} people of every site, and {', '.join(lonely[:3])} has fewer: leave the site out"
        )


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))
