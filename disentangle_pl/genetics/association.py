"""Least squares of many phenotypes on many variants: one matrix product a block, exact where calls are missing.

y = intercept + covariates + dosage is fitted to the people with this phenotype, all covariates and this call, for
every phenotype and variant. Phenotypes are freed of the covariates once; what people without a call had added to the
sums of squares and products is taken off again, so the numbers are those of a fit without them.

Source: Frisch & Waugh 1933, Econometrica 1:387, and Lovell 1963, for the residuals; Golub & Van Loan 2013, Matrix
Computations, section 6.5, for the removal of rows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import NONE, Holes, Rows, gather_holes, invertible, orthonormal_basis
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.tails import log10_p_of_t, p_of_t
from disentangle_pl.metrics.score import Values


class Associations(NamedTuple):
    """Fits of m variants and K phenotypes, each (m, K); NaN where the variant does not vary beside the covariates.

    Attributes:
        people: How many are in the fit.
        frequency: Of allele a1 among them.
        beta: Change of the phenotype an allele a1, in its units.
        error: Standard error.
        t: beta / error.
        p: Two-sided.
        log10_p: -log10 p, also where p is 0.
        freedom: Residual degrees of freedom.
    """

    people: NDArray[np.int64]
    frequency: Values
    beta: Values
    error: Values
    t: Values
    p: Values
    log10_p: Values
    freedom: Values


class Products(NamedTuple):
    """Sums of squares and products of m variants with everything, over the people with a call.

    Attributes:
        holes: For every variant the people without a call.
        people: (m,) with a call.
        dosage: (m,) sum of the calls.
        square: (m,) sum of the squared calls.
        basis: (m, p) with the covariates' basis.
        targets: (m, K) with the residual phenotypes.
    """

    holes: list[Holes]
    people: NDArray[np.int64]
    dosage: Values
    square: Values
    basis: Values
    targets: Values


class Panel:
    """Phenotypes of the same people, free of covariates.

    Args:
        phenotypes: (N, K) without missing values.
        covariates: (N, c) without missing values.
        names: Of the phenotypes, for messages.
        covariate_names: Likewise.

    Attributes:
        basis: (N, p) orthonormal basis of intercept and covariates.
        targets: (N, K) residual phenotypes of variance 1.
        scale: (K,) what they were divided by.
        squares: (K,) their sums of squares.
        padded: (N + 1, p + K) basis and targets above a row of zeros.

    Raises:
        InputError: If there are too few people, a covariate is constant or a combination of others, or a phenotype
            does not vary beside the covariates.
    """

    def __init__(
        self, phenotypes: Values, covariates: Values, names: Sequence[str], covariate_names: Sequence[str]
    ) -> None:
        self.basis = orthonormal_basis(covariates, covariate_names)
        people, parameters = self.basis.shape
        if people < parameters + 2:
            raise InputError(
                f"{people} people are too few for {parameters - 1} covariates and phenotype {names[0]}: at least "
                f"{parameters + 2} are needed"
            )
        centred = phenotypes - phenotypes.mean(axis=0)
        residual = centred - self.basis @ (self.basis.T @ centred)
        residual -= self.basis @ (self.basis.T @ residual)
        self.scale: Values = np.sqrt((residual**2).sum(axis=0) / (people - parameters))
        flat = self.scale <= NONE * np.maximum(np.abs(phenotypes).max(axis=0), np.finfo(np.float64).tiny)
        if flat.any():
            raise InputError(
                f"phenotype {names[int(flat.argmax())]} is constant, or given by the covariates, over {people} people: "
                "leave it out"
            )
        self.targets: Values = residual / self.scale
        self.squares: Values = (self.targets**2).sum(axis=0)
        self.padded: Values = np.vstack(
            (np.hstack((self.basis, self.targets)), np.zeros(parameters + self.targets.shape[1]))
        )

    def products(self, calls: Calls) -> Products:
        """Multiply calls (m, N) with basis and targets."""
        lacking = calls < 0
        missing = lacking.sum(axis=1)
        dosage = np.where(lacking, np.int8(0), calls).astype(np.float64)
        found = dosage @ self.padded[:-1]
        width = self.basis.shape[1]
        holes = list(gather_holes(lacking, missing, self.padded.shape[1]))
        square = np.einsum("ij,ij->i", dosage, dosage)
        return Products(holes, calls.shape[1] - missing, dosage.sum(axis=1), square, found[:, :width], found[:, width:])

    def fit(self, products: Products) -> Associations:
        """Fit all variants and phenotypes."""
        width = self.basis.shape[1]
        left = products.square - np.einsum("ij,ij->i", products.basis, products.basis)
        cross = products.targets.copy()
        total = np.broadcast_to(self.squares, cross.shape).copy()
        for variants, people in products.holes:
            gone = self.padded[people]
            basis, targets = gone[:, :, :width], gone[:, :, width:]
            inner = np.eye(width) - basis.transpose(0, 2, 1) @ basis
            sound = invertible(inner)
            inner[~sound] = np.eye(width)
            shared = -basis.transpose(0, 2, 1) @ targets
            seen = products.basis[variants]
            solved = np.linalg.solve(inner, np.concatenate((seen[:, :, None], shared), axis=2))
            left[variants] = products.square[variants] - np.einsum("ij,ij->i", seen, solved[:, :, 0])
            left[variants[~sound]] = np.nan
            cross[variants] -= np.einsum("ij,ijk->ik", seen, solved[:, :, 1:])
            total[variants] -= (targets**2).sum(axis=1) + np.einsum("ijk,ijk->ik", shared, solved[:, :, 1:])
        return self._statistics(products, left, cross, total)

    def _statistics(self, products: Products, left: Values, cross: Values, total: Values) -> Associations:
        freedom = (products.people - self.basis.shape[1] - 1).astype(np.float64)
        tested = (left > NONE * np.maximum(products.square, 1)) & (freedom > 0)
        left, freedom = np.where(tested, left, np.nan)[:, None], np.where(tested, freedom, 1.0)[:, None]
        beta = cross / left
        residual = np.maximum(total - beta * cross, np.finfo(np.float64).eps * total)
        error = np.sqrt(residual / freedom / left)
        t = beta / error
        p = p_of_t(t, freedom)
        frequency = products.dosage / np.maximum(2 * products.people, 1)
        people, frequency, freedom = (
            np.broadcast_to(each.reshape(-1, 1), t.shape) for each in (products.people, frequency, freedom)
        )
        log10_p = log10_p_of_t(t, freedom, p)
        return Associations(people, frequency, beta * self.scale, error * self.scale, t, p, log10_p, freedom)


class Scan:
    """Association of any phenotypes: those that lack the same people share one matrix product.

    Args:
        phenotypes: (N, K), NaN where missing.
        covariates: (N, c) without missing values.
        names: Of the phenotypes.
        covariate_names: Of the covariates.

    Attributes:
        scale: (K,) standard deviations of the residual phenotypes.

    Raises:
        InputError: As `Panel`.
    """

    def __init__(
        self, phenotypes: Values, covariates: Values, names: Sequence[str], covariate_names: Sequence[str] = ()
    ) -> None:
        known = ~np.isnan(phenotypes)
        patterns, group = np.unique(known, axis=1, return_inverse=True)
        self.count = phenotypes.shape[1]
        self.scale: Values = np.empty(self.count)
        self.parts: list[tuple[Rows, Rows, Panel]] = []
        for i, pattern in enumerate(patterns.T):
            rows, columns = np.flatnonzero(pattern), np.flatnonzero(group == i)
            mine = [names[int(column)] for column in columns]
            panel = Panel(phenotypes[np.ix_(rows, columns)], covariates[rows], mine, covariate_names)
            self.parts.append((rows, columns, panel))
            self.scale[columns] = panel.scale

    def __call__(self, calls: Calls) -> Associations:
        """Fit calls (m, N) of all people."""
        found = []
        for rows, columns, panel in self.parts:
            mine = calls if len(rows) == calls.shape[1] else calls[:, rows]
            found.append((columns, panel.fit(panel.products(mine))))
        return _joined(found, (len(calls), self.count))


def _joined(found: Sequence[tuple[Rows, Associations]], shape: tuple[int, int]) -> Associations:
    if len(found) == 1:
        return found[0][1]
    whole = []
    for parts in zip(*(each for _, each in found), strict=True):
        table = np.empty(shape, parts[0].dtype)
        for (columns, _), part in zip(found, parts, strict=True):
            table[:, columns] = part
        whole.append(table)
    return Associations(*whole)
