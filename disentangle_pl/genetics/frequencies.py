"""How often the alleles of variants are there, and how well their dosages are imputed."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.hardy_weinberg import Counts
from disentangle_pl.genetics.plink import MISSING, Calls

NEAR = 0.1
"""How far a dosage may lie from a whole call that stands for it, as in plink2."""
CELLS = 1_000_000


class Seen(NamedTuple):
    """What the calls or dosages of m variants tell, each (m,).

    Attributes:
        known: People with a call.
        rarer: Frequency of the rarer allele; 0 without any call.
        quality: r2 of imputation, the variance of dosages over that of calls in Hardy-Weinberg proportions; 1 where
            all dosages are whole calls.
        none: People whose call is 0 times the allele; of chromosome X, women.
        one: Likewise once.
        two: Likewise twice.
    """

    known: Counts
    rarer: Values
    quality: Values
    none: Counts
    one: Counts
    two: Counts


class _Called(NamedTuple):
    none: Counts
    one: Counts
    two: Counts


def seen(calls: Calls) -> Seen:
    """Count calls or dosages (m, N).

    Source: Li et al. 2010, MaCH, Genetic Epidemiology 34:816, for the r2 of imputation.
    """
    if calls.dtype != np.int8:
        return Seen(*_moments(calls, np.ones(calls.shape[1])), *_called(nearest_calls(calls)))
    counts = _called(calls)
    known = counts.none + counts.one + counts.two
    rarer = (counts.one + 2 * np.minimum(counts.none, counts.two)) / np.maximum(2 * known, 1)
    return Seen(known, rarer, np.ones(len(calls)), *counts)


def seen_on_x(calls: Calls, sex: NDArray[np.object_]) -> Seen:
    """Count calls or dosages (m, N) of chromosome X by the sexes (N,), M or F.

    Men have one allele and dosages from 0 to 2, so they count half in frequencies and in the variance.
    """
    women, men = sex == "F", sex == "M"
    if calls.dtype != np.int8:
        known, rarer, quality = _moments(calls, np.select([women, men], [1.0, 0.5], 0.0))
        return Seen(known, rarer, quality, *_called(nearest_calls(calls[:, women])))
    hers, his = _called(calls[:, women]), _called(calls[:, men])
    of_women, of_men = (each.none + each.one + each.two for each in (hers, his))
    alleles = np.maximum(2 * of_women + of_men, 1)
    first = (hers.one + 2 * hers.two + his.two + his.one / 2) / alleles
    rarer = np.where(of_women + of_men > 0, np.minimum(first, 1 - first), 0)
    return Seen(of_women + of_men, rarer, np.ones(len(calls)), *hers)


def _moments(dosages: Calls, weight: Values) -> tuple[Counts, Values, Values]:
    """Return people, rarer frequency and quality of dosages (m, N) of people who have some weight (N,)."""
    known, alleles, total, square = np.empty((4, len(dosages)))
    whole = np.empty(len(dosages), dtype=bool)
    counted = (weight > 0).astype(np.float64)
    for rows in _tiles(dosages):
        there = (dosages[rows] >= 0).astype(np.float64)
        tile = np.maximum(dosages[rows], 0).astype(np.float64)
        known[rows], alleles[rows], total[rows] = there @ counted, there @ weight, tile @ weight
        square[rows] = (tile * tile) @ weight
        whole[rows] = (np.rint(tile) == tile).all(axis=1)
    frequency = total / np.maximum(2 * alleles, 1)
    rarer = np.where(known > 0, np.minimum(frequency, 1 - frequency), 0)
    spread = square - 4 * frequency * total + 4 * frequency**2 * alleles
    expected = 2 * frequency * (1 - frequency) * known
    quality = np.divide(spread, expected, out=np.zeros_like(spread), where=expected > 0)
    return known.astype(np.int64), rarer, np.where(whole, 1.0, quality)


def _tiles(dosages: Calls) -> Iterator[slice]:
    step = max(CELLS // max(dosages.shape[1], 1), 1)
    return (slice(start, start + step) for start in range(0, len(dosages), step))


def nearest_calls(dosages: Calls) -> Calls:
    """Return the whole calls (m, N) of dosages, missing where a dosage is far from each; of calls themselves."""
    if dosages.dtype == np.int8:
        return dosages
    calls = np.empty(dosages.shape, dtype=np.int8)
    for rows in _tiles(dosages):
        whole = np.rint(dosages[rows])
        calls[rows] = np.where(np.abs(dosages[rows] - whole) <= NEAR, whole, MISSING)
    return calls


def _called(calls: Calls) -> _Called:
    one, two = ((calls == value).sum(axis=1) for value in (1, 2))
    none = (calls == 0).sum(axis=1) if calls.min(initial=0) < 0 else calls.shape[1] - one - two
    return _Called(none, one, two)
