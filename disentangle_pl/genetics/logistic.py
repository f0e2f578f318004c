"""Logistic regression of cases on many variants at once, and Firth's penalised one where that has no maximum.

log odds of being a case = intercept + covariates + dosage is fitted to the people with a call. Iterations begin and end
as those of R's glm.fit, which plink2 imitates, so the digits are theirs. Where an allele is found in cases alone or in
controls alone, where iterations do not end, or where covariates alone tell cases from controls, the likelihood is
multiplied by the root of the determinant of the information (Firth), which has a maximum always; the standard error is
then that of the augmented data, as logistf and plink2 give it.

Source: McCullagh & Nelder 1989, Generalized Linear Models, 4.4; R Core Team, stats::glm.fit; Firth 1993, Biometrika
80:27; Heinze & Schemper 2002, Statistics in Medicine 21:2409 (logistf); plink2 --glm firth-fallback for when.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from disentangle_pl.genetics.designs import NONE, Values

ITERATIONS, FIRTH_ITERATIONS = 24, 100
CONVERGED, FIRTH_CONVERGED = 1e-8, 1e-8
LONGEST_STEP = 5.0
START = 2 * (np.log(3) + 4 / 3)  # glm.fit begins at fitted chances of 1/4 and 3/4
CERTAIN = 1e-7
SINGULAR = -50.0  # logarithm of the determinant of an information matrix with a diagonal of 1


class Odds(NamedTuple):
    """Fits of m variants, each (m,); NaN where the variant does not vary beside the covariates, or nothing converges.

    Attributes:
        beta: Change of the log odds an allele.
        error: Standard error.
        firth: Whether the fit is Firth's.
    """

    beta: Values
    error: Values
    firth: NDArray[np.bool_]


class _Design:
    """Columns of the basis (N, p) and a dosage a variant: sums over people, weighted differently for every variant."""

    def __init__(self, basis: Values) -> None:
        self.basis = basis
        self._one, self._two = np.triu_indices(basis.shape[1])
        self._pairs: Values = basis[:, self._one] * basis[:, self._two]

    def information(self, weights: Values, dosage: Values) -> Values:
        """Return X'WX (m, p + 1, p + 1) of weights (m, N)."""
        width = self.basis.shape[1]
        weighted = weights * dosage
        matrix = np.empty((len(weights), width + 1, width + 1))
        flat = weights @ self._pairs
        matrix[:, self._one, self._two] = matrix[:, self._two, self._one] = flat
        matrix[:, :width, width] = matrix[:, width, :width] = weighted @ self.basis
        matrix[:, width, width] = np.einsum("ij,ij->i", weighted, dosage)
        return matrix

    def score(self, residual: Values, dosage: Values) -> Values:
        """Return X'r (m, p + 1) of residuals (m, N)."""
        return np.column_stack((residual @ self.basis, np.einsum("ij,ij->i", residual, dosage)))

    def predictor(self, coefficients: Values, dosage: Values) -> Values:
        """Return X b (m, N)."""
        predictor: Values = coefficients[:, :-1] @ self.basis.T + coefficients[:, -1:] * dosage
        return predictor

    def leverage(self, inverse: Values, dosage: Values) -> Values:
        """Return x'Ax (m, N) of symmetric matrices A (m, p + 1, p + 1) and the rows x of the design."""
        flat = inverse[:, self._one, self._two] * np.where(self._one == self._two, 1, 2)
        mixed = 2 * inverse[:, :-1, -1] @ self.basis.T + inverse[:, -1:, -1] * dosage
        leverage: Values = flat @ self._pairs.T + mixed * dosage
        return leverage


def logistic(dosage: Values, there: Values, basis: Values, cases: Values, firth: bool = False) -> Odds:
    """Fit variants.

    Args:
        dosage: (m, N) of the counted allele, 0 where there is no call.
        there: (m, N) 1 where there is a call, else 0.
        basis: (N, p) columns of the covariates and the intercept, best of variance 1 each.
        cases: (N,) 1 for a case, 0 for a control.
        firth: Fit all by Firth's likelihood.
    """
    design = _Design(basis)
    beta, error = np.full((2, len(dosage)), np.nan)
    varies = _varies(design.information(there, dosage))
    apart = _apart(dosage, there, cases) | firth
    with np.errstate(all="ignore"):
        plain = np.flatnonzero(varies & ~apart)
        beta[plain], error[plain] = _likeliest(design, dosage[plain], there[plain], cases)
        penalised = np.flatnonzero(varies & ~np.isfinite(error))
        beta[penalised], error[penalised] = _penalised(design, dosage[penalised], there[penalised], cases)
    instead = np.zeros(len(dosage), dtype=bool)
    instead[penalised] = True
    return Odds(beta, error, instead)


def separated(basis: Values, cases: Values) -> bool:
    """Tell whether the columns of a basis (N, p) alone make somebody a case (N,) or a control for certain."""
    nothing = np.zeros((1, len(cases)))
    design, coefficients = _Design(basis), np.zeros((1, basis.shape[1]))
    with np.errstate(all="ignore"):
        for _ in range(3 * ITERATIONS):
            chance = special.expit(coefficients @ basis.T)
            matrix = design.information(chance * (1 - chance), nothing)[:, :-1, :-1]
            step = _times(_inverse(matrix), (cases - chance) @ basis)
            if not np.isfinite(step).all() or np.abs(step).max() < CONVERGED:
                break
            coefficients = coefficients + step * min(1, LONGEST_STEP / np.abs(step).max())
    return bool((np.minimum(chance, 1 - chance) < CERTAIN).any() or not np.isfinite(step).all())


def _varies(information: Values) -> NDArray[np.bool_]:
    """Tell which dosages (m,) are no combination of the covariates, by X'X."""
    inverse = _inverse(information[:, :-1, :-1])
    mixed = information[:, :-1, -1]
    square = information[:, -1, -1]
    beside = square - np.einsum("ij,ij->i", mixed, _times(np.nan_to_num(inverse), mixed))
    varies: NDArray[np.bool_] = (beside > NONE * np.maximum(square, 1)) & np.isfinite(inverse).all(axis=(1, 2))
    return varies


def _apart(dosage: Values, there: Values, cases: Values) -> NDArray[np.bool_]:
    """Tell where one of the alleles (m,) is in cases alone or in controls alone."""
    sums = np.stack([(each @ cases, each.sum(axis=1)) for each in (dosage, 2 * there - dosage)])
    apart: NDArray[np.bool_] = ((sums[:, 0] == 0) | (sums[:, 0] == sums[:, 1])).any(axis=0)
    return apart


def _likeliest(design: _Design, dosage: Values, there: Values, cases: Values) -> tuple[Values, Values]:
    """Maximise the likelihood as R's glm.fit; NaN where it does not converge."""
    matrix = design.information(there, dosage)
    begin = design.score(there * (START * (cases - 0.5)), dosage)
    coefficients = _times(_inverse(matrix), begin)
    beta, error = np.full((2, len(dosage)), np.nan)
    going = np.arange(len(dosage))
    chance, before = _likelihood(design, coefficients, dosage, there, cases)
    for _ in range(ITERATIONS):
        weights = chance * (1 - chance) * there
        inverse = _inverse(design.information(weights, dosage))
        coefficients = coefficients + _times(inverse, design.score((cases - chance) * there, dosage))
        chance, now = _likelihood(design, coefficients, dosage, there, cases)
        done = np.abs(now - before) < CONVERGED * (0.05 + np.abs(now))
        beta[going[done]] = coefficients[done, -1]
        error[going[done]] = np.sqrt(inverse[done, -1, -1])
        more = ~done & np.isfinite(now)
        going, coefficients, before = going[more], coefficients[more], now[more]
        chance, dosage, there = (each if more.all() else each[more] for each in (chance, dosage, there))
        if not len(going):
            break
    return beta, error


def _likelihood(
    design: _Design, coefficients: Values, dosage: Values, there: Values, cases: Values
) -> tuple[Values, Values]:
    """Return the chance (m, N) of being a case, and the logarithm of the likelihood (m,)."""
    chance = special.expit(design.predictor(coefficients, dosage))
    log = np.log(np.where(cases > 0, chance, 1 - chance))
    return chance, np.einsum("ij,ij->i", log, there)


def _penalised(design: _Design, dosage: Values, there: Values, cases: Values) -> tuple[Values, Values]:
    """Maximise Firth's likelihood; NaN where it does not converge."""
    coefficients = np.zeros((len(dosage), design.basis.shape[1] + 1))
    beta, error = np.full((2, len(dosage)), np.nan)
    going = np.arange(len(dosage))
    for _ in range(FIRTH_ITERATIONS):
        if not len(going):
            break
        chance = special.expit(design.predictor(coefficients, dosage))
        weights = chance * (1 - chance) * there
        lever = weights * design.leverage(_inverse(design.information(weights, dosage)), dosage)
        residual = (cases - chance + lever * (0.5 - chance)) * there
        inverse = _inverse(design.information(weights * (1 + lever), dosage))
        step = _times(inverse, design.score(residual, dosage))
        longest = np.abs(step).max(axis=1)
        done = longest < FIRTH_CONVERGED
        beta[going[done]] = coefficients[done, -1]
        error[going[done]] = np.sqrt(inverse[done, -1, -1])
        more = ~done & np.isfinite(longest)
        coefficients = coefficients[more] + (step * np.minimum(1, LONGEST_STEP / longest)[:, None])[more]
        going, dosage, there = going[more], dosage[more], there[more]
    return beta, error


def _inverse(matrices: Values) -> Values:
    """Invert symmetric matrices (m, q, q); NaN where one is singular or not finite."""
    size = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    scale = np.where(size > 0, size, 1)
    scaled = matrices / (scale[:, :, None] * scale[:, None, :])
    bad = ~np.isfinite(scaled).all(axis=(1, 2)) | ~(size > 0).all(axis=1)
    scaled[bad] = np.eye(matrices.shape[1])
    sign, log = np.linalg.slogdet(scaled)
    bad |= (sign <= 0) | (log < SINGULAR)
    scaled[bad] = np.eye(matrices.shape[1])
    inverse: Values = np.linalg.inv(scaled) / (scale[:, :, None] * scale[:, None, :])
    inverse[bad] = np.nan
    return inverse


def _times(matrices: Values, vectors: Values) -> Values:
    product: Values = np.einsum("ijk,ik->ij", matrices, vectors)
    return product
