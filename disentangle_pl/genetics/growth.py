"""Slopes of people by a mixed model: a person's own scans count as much as they tell.

Source: Laird & Ware 1982, Random-effects models for longitudinal data, Biometrics 38:963.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from disentangle_pl.genetics.designs import People, Values
from disentangle_pl.metrics.blas_threads import one_blas_thread

START = (1.0, 0.0, 0.5)


class _Sums(NamedTuple):
    """Sums over the scans of every person: Z'Z (P, 2, 2), Z'y (P, 2), and over all of them y'y; Z is (1, time)."""

    design: Values
    right: Values
    square: float
    rows: int


class _Fit(NamedTuple):
    """Fixed effects (2,), the random ones of every person (P, 2), and -2 log likelihood but for a constant."""

    fixed: Values
    random: Values
    deviance: float


@one_blas_thread()
def slopes_of_people(values: Values, people: People, years: Values) -> tuple[NDArray[np.int64], Values]:
    """Predict every person's change a year: y_ij = a + b t_ij + u_i + v_i t_ij + e_ij, for b + v_i.

    u and v are normal with any covariance; variances are those of the highest restricted likelihood, and predictions
    the best linear unbiased ones (BLUP). Few or close scans draw the prediction towards b, and, where level and change
    correlate, towards what the person's level tells. Columns are fitted one by one.

    Args:
        values: (N, K) of scans, finite.
        people: (N,) a number of the person of every scan.
        years: (N,) time of the scan, finite.

    Returns:
        The numbers of the people (P,), sorted, and their slopes (P, K).
    """
    who, index = np.unique(people, return_inverse=True)
    time = years - years.mean()
    unit = float(time.std()) or 1.0
    design = np.column_stack((np.ones(len(time)), time / unit))
    made = np.zeros((len(who), values.shape[1]))
    for k, column in enumerate(values.T):
        spread = float(column.std())
        if spread > 0:
            fit = _best((column - column.mean()) / spread, design, index, len(who))
            made[:, k] = (fit.fixed[1] + fit.random[:, 1]) * spread / unit
    return who.astype(np.int64), made


def _best(column: Values, design: Values, index: NDArray[np.intp], people: int) -> _Fit:
    inner, right = np.zeros((people, 2, 2)), np.zeros((people, 2))
    np.add.at(inner, index, design[:, :, None] * design[:, None, :])
    np.add.at(right, index, design * column[:, None])
    sums = _Sums(inner, right, float(column @ column), len(column))

    def deviance(at: Values, *_: object) -> float:
        return _fit(sums, at).deviance

    found = optimize.minimize(
        deviance, np.array(START), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9, "maxfev": 4000}
    )
    return _fit(sums, found.x)


def _fit(sums: _Sums, at: Values) -> _Fit:
    """Fit with the covariance L L' of the random effects relative to that of the noise, L = [[a, 0], [b, c]].

    With M = 1 + L' Z'Z L the inverse of the covariance of a person is 1 - Z L M^-1 L' Z', and its determinant |M|.
    """
    factor = np.array([[at[0], 0.0], [at[1], at[2]]])
    middle = np.eye(2) + factor.T @ sums.design @ factor
    pulled = factor @ np.linalg.solve(middle, np.broadcast_to(factor.T, middle.shape))
    weighted = sums.design - sums.design @ pulled @ sums.design
    right = sums.right - np.einsum("pij,pjk,pk->pi", sums.design, pulled, sums.right)
    total = weighted.sum(axis=0)
    fixed = np.linalg.lstsq(total, right.sum(axis=0), rcond=None)[0]
    left = sums.square - np.einsum("pi,pij,pj->", sums.right, pulled, sums.right) - fixed @ right.sum(axis=0)
    left = max(float(left), np.finfo(np.float64).tiny)
    determinants = np.linalg.slogdet(middle).logabsdet.sum() + np.linalg.slogdet(total).logabsdet
    random = np.einsum("pij,pj->pi", pulled, sums.right - sums.design @ fixed)
    return _Fit(fixed, random, float((sums.rows - 2) * np.log(left) + determinants))
