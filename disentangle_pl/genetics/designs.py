"""Covariates as an orthonormal basis, and who is missing from which fit."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
People: TypeAlias = NDArray[np.integer]
Values = NDArray[np.float64]
NONE = 1e-8
SINGULAR = 1e-10
CELLS = 4_000_000


class Holes(NamedTuple):
    """Variants with missing calls.

    Attributes:
        variants: (h,) which variants.
        people: (h, w) who has no call; filled up with N, which is nobody.
    """

    variants: Rows
    people: Rows


class Basis(NamedTuple):
    """What covariates of N people span.

    Attributes:
        values: (N, 1 + c') orthonormal basis of an intercept and the columns.
        columns: (c',) of the covariates; the others are constant, or combinations of those before them.
    """

    values: Values
    columns: Rows


def orthonormal_basis(covariates: Values) -> Basis:
    """Return a basis of an intercept and covariates (N, c)."""
    people = len(covariates)
    centred = covariates - covariates.mean(axis=0) if people else covariates
    spread = np.sqrt((centred**2).sum(axis=0))
    flat = spread <= NONE * np.maximum(np.abs(covariates).max(axis=0, initial=0), np.finfo(np.float64).tiny)
    columns = np.flatnonzero(~flat)
    intercept = np.full((people, 1), max(people, 1) ** -0.5)
    while True:
        q, r = np.linalg.qr(np.hstack((intercept, centred[:, columns] / spread[columns])))
        given = np.flatnonzero(np.abs(np.diag(r)) <= NONE)
        if not len(given):
            return Basis(q, columns[: max(people - 1, 0)])
        columns = np.delete(columns, given[0] - 1)


def gather_holes(lacking: NDArray[np.bool_], missing: NDArray[np.int64], width: int) -> Iterator[Holes]:
    """Gather variants with missing calls, in parts of alike numbers of them that fit in memory.

    Args:
        lacking: (m, N) True where a call is missing.
        missing: (m,) how many are.
        width: Numbers a person that will be looked up.
    """
    nobody = lacking.shape[1]
    order = np.argsort(missing, kind="stable")
    order = order[missing[order] > 0]
    while len(order):
        fits = missing[order] * np.arange(1, len(order) + 1) * width <= CELLS
        part = order[: len(order) if fits.all() else max(int(fits.argmin()), 1)]
        order = order[len(part) :]
        variant, person = np.nonzero(lacking[part])
        starts = np.cumsum(missing[part]) - missing[part]
        people = np.full((len(part), int(missing[part].max())), nobody)
        people[variant, np.arange(len(variant)) - starts[variant]] = person
        yield Holes(part, people)


def solve_each(matrices: Values, right: Values) -> tuple[Values, NDArray[np.bool_]]:
    """Solve many small systems at once, by a Cholesky decomposition that runs over all of them in step.

    Args:
        matrices: (h, p, p), symmetric and positive semidefinite, with a diagonal up to 1.
        right: (h, p, k).

    Returns:
        The solutions (h, p, k), and which matrices (h,) are far enough from singular to have one.
    """
    width = matrices.shape[1]
    lower = np.array(matrices.transpose(1, 2, 0), order="C")
    solved = np.array(right.transpose(1, 2, 0), order="C")
    sound = np.ones(len(matrices), dtype=bool)
    for j in range(width):
        pivot = lower[j, j] - np.einsum("kh,kh->h", lower[j, :j], lower[j, :j])
        sound &= pivot > SINGULAR
        root = np.sqrt(np.where(pivot > SINGULAR, pivot, 1))
        lower[j, j] = root
        lower[j + 1 :, j] -= np.einsum("ikh,kh->ih", lower[j + 1 :, :j], lower[j, :j])
        lower[j + 1 :, j] /= root
        solved[j] = (solved[j] - np.einsum("ih,ikh->kh", lower[j, :j], solved[:j])) / root
    for j in reversed(range(width)):
        solved[j] = (solved[j] - np.einsum("ih,ikh->kh", lower[j + 1 :, j], solved[j + 1 :])) / lower[j, j]
    return solved.transpose(2, 0, 1), sound
