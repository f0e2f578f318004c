"""Covariates as an orthonormal basis, and who is missing from which fit."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Values

Rows = NDArray[np.intp]
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


def orthonormal_basis(covariates: Values, names: Sequence[str]) -> Values:
    """Return a basis (N, 1 + c) of an intercept and covariates (N, c).

    Raises:
        InputError: If a covariate is constant or a combination of others.
    """
    people = len(covariates)
    centred = covariates - covariates.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    flat = spread <= NONE * np.maximum(np.abs(covariates).max(axis=0, initial=0), np.finfo(np.float64).tiny)
    if flat.any():
        raise InputError(f"covariate {names[int(flat.argmax())]} is constant over {people} people: leave it out")
    q, r = np.linalg.qr(np.column_stack((np.full(people, people**-0.5), centred / spread)))
    given = np.abs(np.diag(r)) <= NONE if people > covariates.shape[1] else np.zeros(0, dtype=bool)
    if given.any():
        raise InputError(
            f"covariate {names[int(given.argmax()) - 1]} is a combination of those before it over {people} people: "
            "leave it out"
        )
    basis: Values = q
    return basis


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


def invertible(inner: Values) -> NDArray[np.bool_]:
    """Tell which of the matrices (h, p, p) can be inverted: the smallest eigenvalue is at least 1 - tr(1 - A)."""
    width = inner.shape[1]
    least = np.trace(inner, axis1=1, axis2=2) - width + 1
    unsure = np.flatnonzero(least < SINGULAR**0.5)
    least[unsure] = np.linalg.eigvalsh(inner[unsure])[:, 0] if len(unsure) else 0
    sound: NDArray[np.bool_] = least > SINGULAR
    return sound
