"""Least squares of many phenotypes on many variants: one matrix product a tile, exact where calls are missing.

y = intercept + covariates + dosage is fitted to the people with this phenotype, all covariates and this call, for
every phenotype and variant. Phenotypes are freed of the covariates once; what people without a call had added to the
sums of squares and products is taken off again, so the numbers are those of a fit without them. Phenotypes that lack
different people have bases of their own, 0 for whom they lack, beside each other in one product. Case/control
phenotypes are fitted by `logistic` instead.

Source: Frisch & Waugh 1933, Econometrica 1:387, and Lovell 1963, for the residuals; Golub & Van Loan 2013, Matrix
Computations, section 6.5, for the removal of rows.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import NONE, Holes, Rows, Values, gather_holes, orthonormal_basis, solve_each
from disentangle_pl.genetics.logistic import logistic, separated
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.tails import log10_p_of_z, p_of_z, tails_of_t

TILE, CHUNK = 500_000, 2048
"""Calls, and people of them, that are turned into floating-point numbers at a time: 4 MB, which a cache holds."""
STEEP = 1e3


class Associations(NamedTuple):
    """Fits of m variants and K phenotypes, each (m, K); NaN where the variant does not vary beside the covariates.

    Attributes:
        people: How many are in the fit.
        frequency: Of allele a1 among them.
        beta: Change of the phenotype an allele a1, in its units; of the log odds of being a case.
        error: Standard error.
        t: beta / error.
        p: Two-sided.
        log10_p: -log10 p, also where p is 0.
        freedom: Residual degrees of freedom, infinite for cases.
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

    A covariate that is constant among these people, or a combination of others, is left out.

    Args:
        phenotypes: (N, K), NaN in the rows of people who lack them.
        covariates: (N, c) without missing values.
        names: Of the phenotypes, for messages.
        covariate_names: Likewise.

    Attributes:
        there: (N,) who has the phenotypes.
        dropped: Names of covariates that are left out.
        basis: (N, p) orthonormal basis of intercept and covariates, 0 for people who lack the phenotypes.
        targets: (N, K) residual phenotypes of variance 1, likewise.
        scale: (K,) what they were divided by.
        squares: (K,) their sums of squares.
        padded: (N + 1, p + K) basis and targets above a row of zeros.

    Raises:
        InputError: If there are too few people, or a phenotype does not vary beside the covariates.
    """

    def __init__(
        self, phenotypes: Values, covariates: Values, names: Sequence[str], covariate_names: Sequence[str]
    ) -> None:
        self.there: NDArray[np.bool_] = ~np.isnan(phenotypes[:, 0])
        values = phenotypes[self.there]
        people = len(values)
        basis, columns = orthonormal_basis(covariates[self.there])
        self.dropped = [name for k, name in enumerate(covariate_names) if k not in set(columns.tolist())]
        parameters = basis.shape[1]
        if people < parameters + 2:
            raise InputError(
                f"{people} people are too few for {covariates.shape[1]} covariates and phenotype {names[0]}: at least "
                f"{covariates.shape[1] + 3} are needed"
            )
        centred = values - values.mean(axis=0)
        residual = centred - basis @ (basis.T @ centred)
        residual -= basis @ (basis.T @ residual)
        self.scale: Values = np.sqrt((residual**2).sum(axis=0) / (people - parameters))
        flat = self.scale <= NONE * np.maximum(np.abs(values).max(axis=0), np.finfo(np.float64).tiny)
        if flat.any():
            raise InputError(
                f"phenotype {names[int(flat.argmax())]} is constant, or given by the covariates, over {people} people: "
                "leave it out"
            )
        self.padded: Values = np.zeros((len(phenotypes) + 1, parameters + values.shape[1]))
        self.padded[:-1][self.there] = np.hstack((basis, residual / self.scale))
        self.basis: Values = self.padded[:-1, :parameters]
        self.targets: Values = self.padded[:-1, parameters:]
        self.squares: Values = (self.targets**2).sum(axis=0)

    def products(self, calls: Calls) -> Products:
        """Multiply calls (m, N) with basis and targets."""
        return Multiplier([self])(calls)[0]

    def fit(self, products: Products) -> Associations:
        """Fit all variants and phenotypes."""
        width = self.basis.shape[1]
        left = products.square - np.einsum("ij,ij->i", products.basis, products.basis)
        cross = products.targets.copy()
        total = np.broadcast_to(self.squares, cross.shape).copy()
        for variants, people in products.holes:
            gone = self.padded[people]
            basis, targets = gone[:, :, :width], gone[:, :, width:]
            transposed = np.ascontiguousarray(basis.transpose(0, 2, 1))
            shared = -(transposed @ targets)
            seen = products.basis[variants]
            right = np.concatenate((seen[:, :, None], shared), axis=2)
            solved, sound = solve_each(np.eye(width) - transposed @ basis, right)
            left[variants] = products.square[variants] - np.einsum("ij,ij->i", seen, solved[:, :, 0])
            left[variants[~sound]] = np.nan
            cross[variants] -= np.einsum("ij,ijk->ik", seen, solved[:, :, 1:])
            total[variants] -= np.einsum("ijk,ijk->ik", targets, targets)
            total[variants] -= np.einsum("ijk,ijk->ik", shared, solved[:, :, 1:])
        return self._statistics(products, left, cross, total)

    def _statistics(self, products: Products, left: Values, cross: Values, total: Values) -> Associations:
        freedom = (products.people - self.basis.shape[1] - 1).astype(np.float64)
        tested = (left > NONE * np.maximum(products.square, 1)) & (freedom > 0)
        left, freedom = np.where(tested, left, np.nan)[:, None], np.where(tested, freedom, 1.0)[:, None]
        beta = cross / left
        residual = np.maximum(total - beta * cross, np.finfo(np.float64).eps * total)
        error = np.sqrt(residual / freedom / left)
        t = beta / error
        p, log10_p = tails_of_t(t, freedom)
        frequency = products.dosage / np.maximum(2 * products.people, 1)
        people, frequency, freedom = (
            np.broadcast_to(each.reshape(-1, 1), t.shape) for each in (products.people, frequency, freedom)
        )
        return Associations(people, frequency, beta * self.scale, error * self.scale, t, p, log10_p, freedom)


class Multiplier:
    """Multiplies calls with the bases and targets of several panels of the same people, in one pass over the calls.

    Panels that lack few people share the basis of everybody: what those people add to it is taken off, and the rest is
    turned into the basis of the panel. Others bring their own.

    Args:
        panels: Of the same N people.
        shared: (N, p) orthonormal basis of intercept and covariates of everybody; None lets all panels bring their own.
    """

    def __init__(self, panels: Sequence[Panel], shared: Values | None = None) -> None:
        self.panels = panels
        self._turns = [None if shared is None else _turn(panel, shared) for panel in panels]
        alone = shared is None or all(turn is None for turn in self._turns)
        self._shared: Values = np.empty((len(panels[0].there), 0)) if shared is None or alone else shared
        parts = [
            panel.padded[:-1] if turn is None else panel.targets
            for panel, turn in zip(panels, self._turns, strict=True)
        ]
        stops = np.cumsum([self._shared.shape[1], *(part.shape[1] for part in parts)])
        self._columns = [slice(start, stop) for start, stop in pairwise(stops.tolist())]
        ones = np.ones((len(self._shared), 1))
        self._wide: Values = np.ascontiguousarray(np.hstack([self._shared, *parts, ones]))
        self._absent = [np.flatnonzero(~panel.there) for panel in panels]

    def __call__(self, calls: Calls) -> list[Products]:
        """Return the products of calls (m, N) with every panel."""
        lacking = calls < 0
        missing = lacking.sum(axis=1) if lacking.any() else np.zeros(len(calls), np.int64)
        found, dosage, square, *away = (
            np.zeros((len(calls), width))
            for width in (
                self._wide.shape[1],
                len(self.panels),
                len(self.panels),
                *(0 if turn is None else len(turn) for turn in self._turns),
            )
        )
        sums = _Sums(found, dosage, square, away)
        for rows in tiles(calls.shape):
            for start in range(0, calls.shape[1], CHUNK):
                tile = np.maximum(calls[rows, start : start + CHUNK], np.int8(0)).astype(np.float64)
                self._add(sums, rows, tile, start)
        holes = list(gather_holes(lacking, missing, max(panel.padded.shape[1] for panel in self.panels)))
        return [self._products(k, sums, holes, lacking, missing) for k in range(len(self.panels))]

    def _add(self, sums: "_Sums", rows: slice, tile: Values, start: int) -> None:
        """Add what a tile, of people from `start` on, has to the sums of these rows."""
        stop = start + tile.shape[1]
        found = tile @ self._wide[start:stop]
        sums.found[rows] += found
        sums.dosage[rows] += found[:, -1:]
        sums.square[rows] += np.einsum("ij,ij->i", tile, tile)[:, None]
        flipped = np.ascontiguousarray(tile.T) if any(len(absent) for absent in self._absent) else tile.T
        for k, absent in enumerate(self._absent):
            mine = absent[np.searchsorted(absent, start) : np.searchsorted(absent, stop)]
            if len(mine):
                part = flipped[mine - start]
                sums.dosage[rows, k] -= part.sum(axis=0)
                sums.square[rows, k] -= np.einsum("ij,ij->j", part, part)
                if self._turns[k] is not None:
                    sums.away[k][rows] += part.T @ self._shared[mine]

    def _products(
        self, k: int, sums: "_Sums", holes: list[Holes], lacking: NDArray[np.bool_], missing: NDArray[np.int64]
    ) -> Products:
        panel, turn, absent = self.panels[k], self._turns[k], self._absent[k]
        some = np.flatnonzero(missing) if len(absent) else np.empty(0, np.intp)
        people = panel.there.sum() - missing
        people[some] += lacking[np.ix_(some, absent)].sum(axis=1)
        mine = sums.found[:, self._columns[k]]
        width = panel.basis.shape[1]
        if turn is None:
            basis, targets = mine[:, :width], mine[:, width:]
        else:
            basis, targets = (sums.found[:, : len(turn)] - sums.away[k]) @ turn, mine
        return Products(holes, people, sums.dosage[:, k], sums.square[:, k], basis, targets)


class _Sums(NamedTuple):
    """Of m variants: products with all columns, sums and sums of squares for P panels, and what is to be taken off."""

    found: Values
    dosage: Values
    square: Values
    away: list[Values]


def _turn(panel: Panel, shared: Values) -> Values | None:
    """Return the matrix that turns the shared basis into that of a panel; None where that would cost time or digits."""
    if 2 * panel.there.sum() < len(panel.there):
        return None
    solved = np.linalg.lstsq(shared[panel.there], panel.basis[panel.there], rcond=None)[0]
    turn = np.asarray(solved, np.float64)
    return turn if np.abs(turn).max() < STEEP else None


def tiles(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut variants (m, N) into tiles that a cache holds, in which up to 2,048 people are looked at together."""
    size = max(TILE // min(max(shape[1], 1), CHUNK), 1)
    return (slice(start, start + size) for start in range(0, shape[0], size))


class Cases:
    """A case/control phenotype, fitted by `logistic`.

    Args:
        phenotype: (N,) 1 for a case and 0 for a control, NaN where missing.
        covariates: (N, c) without missing values; what is constant or a combination of others is left out.
        name: Of the phenotype, for messages.
        covariate_names: Likewise.

    Attributes:
        there: (N,) who has the phenotype.
        dropped: Names of covariates that are left out.
        separated: Whether covariates alone tell cases from controls, so that all fits are Firth's.

    Raises:
        InputError: If there are too few people, or no case or no control.
    """

    def __init__(self, phenotype: Values, covariates: Values, name: str, covariate_names: Sequence[str]) -> None:
        self.there: NDArray[np.bool_] = ~np.isnan(phenotype)
        self._cases = phenotype[self.there]
        people, number = len(self._cases), int(self._cases.sum())
        basis, columns = orthonormal_basis(covariates[self.there])
        self.dropped = [each for k, each in enumerate(covariate_names) if k not in set(columns.tolist())]
        if people < basis.shape[1] + 2 or number in (0, people):
            raise InputError(
                f"phenotype {name} has {number} cases and {people - number} controls for {basis.shape[1] - 1} "
                "covariates: leave it out"
            )
        self._basis: Values = basis * np.sqrt(people)
        self.separated = separated(self._basis, self._cases)

    def __call__(self, calls: Calls) -> Associations:
        """Fit calls (m, N); each (m, 1)."""
        mine = calls[:, self.there]
        beta, error, frequency, people = np.empty((4, len(calls)))
        for rows in tiles(mine.shape):
            there = (mine[rows] >= 0).astype(np.float64)
            dosage = np.maximum(mine[rows], np.int8(0)).astype(np.float64)
            beta[rows], error[rows], _ = logistic(dosage, there, self._basis, self._cases, self.separated)
            people[rows] = there.sum(axis=1)
            frequency[rows] = dosage.sum(axis=1) / np.maximum(2 * people[rows], 1)
        z = beta / error
        p = p_of_z(z)
        parts = frequency, beta, error, z, p, log10_p_of_z(z), np.full_like(z, np.inf)
        return Associations(people.astype(np.int64)[:, None], *(each[:, None] for each in parts))


class Scan:
    """Association of any phenotypes: those that lack the same people share a basis, and all share a pass over calls.

    Args:
        phenotypes: (N, K), NaN where missing.
        covariates: (N, c) without missing values.
        names: Of the phenotypes.
        covariate_names: Of the covariates.
        cases: (K,) which phenotypes are 1 for a case and 0 for a control; None for none.

    Attributes:
        scale: (K,) standard deviations of the residual phenotypes; 1 for cases.
        multiplier: Of the panels; None without any.
        panels: Quantities that lack the same people, with their columns.
        groups: Case/control phenotypes, with their columns.
        untested: Why phenotypes have no numbers, by name: there are too few people, or nothing varies.
        remarks: Which covariates are left out of which fits.
    """

    def __init__(
        self,
        phenotypes: Values,
        covariates: Values,
        names: Sequence[str],
        covariate_names: Sequence[str] = (),
        cases: NDArray[np.bool_] | None = None,
    ) -> None:
        self.count = phenotypes.shape[1]
        self.scale: Values = np.ones(self.count)
        self.panels: list[tuple[Rows, Panel]] = []
        self.groups: list[tuple[Rows, Cases]] = []
        self.untested: dict[str, str] = {}
        binary = np.zeros(self.count, dtype=bool) if cases is None else cases
        for columns in alike(phenotypes, binary):
            mine = phenotypes[:, columns], covariates, [names[k] for k in columns], covariate_names
            self._add(columns, *mine, bool(binary[columns[0]]))
        self.remarks = [*self._left_out(names), *self._told_apart(names)]
        self._everybody = orthonormal_basis(covariates).values if len(self.panels) > 1 else None
        self.multiplier = self.multiplied_with([]) if self.panels else None

    def multiplied_with(self, more: Sequence[Panel]) -> Multiplier:
        """Return what multiplies calls with the panels, and with more panels of the same people."""
        return Multiplier([*(panel for _, panel in self.panels), *more], self._everybody)

    def _add(
        self,
        columns: Rows,
        values: Values,
        covariates: Values,
        names: Sequence[str],
        covariate_names: Sequence[str],
        binary: bool,
    ) -> None:
        """Add phenotypes that lack the same people; one that cannot be tested is set aside, the others stay."""
        try:
            if binary:
                self.groups.append((columns, Cases(values[:, 0], covariates, names[0], covariate_names)))
                return
            panel = Panel(values, covariates, names, covariate_names)
            self.panels.append((columns, panel))
            self.scale[columns] = panel.scale
        except InputError as error:
            if len(columns) == 1:
                self.untested[names[0]] = str(error)
                return
            for k in range(len(columns)):
                part = slice(k, k + 1)
                self._add(columns[part], values[:, part], covariates, names[part], covariate_names, binary)

    def _left_out(self, names: Sequence[str]) -> list[str]:
        """Say which covariates are constant or combinations of others, and where."""
        where: dict[str, list[str]] = {}
        dropped = [(columns, panel.dropped) for columns, panel in self.panels]
        dropped += [(columns, group.dropped) for columns, group in self.groups]
        for columns, absent in dropped:
            for name in absent:
                where.setdefault(name, []).extend(names[k] for k in columns)
        tested = self.count - len(self.untested)
        return [
            f"covariate {name} is constant, or a combination of others, among the people with "
            f"{_some(of) if len(of) < tested else 'each phenotype'}: it is left out there"
            for name, of in where.items()
        ]

    def _told_apart(self, names: Sequence[str]) -> list[str]:
        of = [names[k] for columns, part in self.groups if part.separated for k in columns]
        return [f"covariates alone tell cases from controls of {_some(of)}: all its fits are Firth's"] if of else []

    def __call__(self, calls: Calls) -> Associations:
        """Fit calls (m, N) of all people."""
        products = self.multiplier(calls) if self.multiplier else []
        return self.join(calls, [panel.fit(each) for (_, panel), each in zip(self.panels, products, strict=True)])

    def join(self, calls: Calls, fits: Sequence[Associations]) -> Associations:
        """Put the fits of the panels beside those of case/control phenotypes, which are made here."""
        parts = [(columns, each) for (columns, _), each in zip(self.panels, fits, strict=True)]
        parts += [(columns, group(calls)) for columns, group in self.groups]
        if len(parts) == 1 and not self.untested:
            return parts[0][1]
        whole = [np.full((len(calls), self.count), 0 if i == 0 else np.nan) for i in range(len(Associations._fields))]
        for columns, part in parts:
            for table, values in zip(whole, part, strict=True):
                table[:, columns] = values
        return Associations(whole[0].astype(np.int64), *whole[1:])


def alike(phenotypes: Values, binary: NDArray[np.bool_]) -> list[Rows]:
    """Gather the columns (N, K) that lack the same people; one that is `binary` (K,) is alone."""
    patterns: dict[bytes, list[int]] = {}
    for k, values in enumerate(phenotypes.T):
        key = np.packbits(np.isnan(values)).tobytes() if not binary[k] else b"%d" % k
        patterns.setdefault(key, []).append(k)
    return [np.array(columns) for columns in patterns.values()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more phenotypes"
