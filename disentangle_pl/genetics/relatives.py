"""Who is related to whom, by the genotypes themselves, and who is there twice.

Source: Manichaikul et al. 2010, Bioinformatics 26:2867, equation 11, for the coefficient, as plink2 --make-king has it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from disentangle_pl.errors import listing
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.frequencies import nearest_calls, seen
from disentangle_pl.genetics.genotypes import AUTOSOMES, Genotypes
from disentangle_pl.genetics.plink import Calls

VARIANTS, PEOPLE = 4000, 5000
CHUNK = 500
COMMON, CALLED = 0.05, 0.95
SAME, TWINS = "the same genotypes", 0.354
DEGREES = {SAME: TWINS, "first degree": 0.177, "second degree": 0.0884}
CHANCE = 0.05


class Relatives(NamedTuple):
    """Pairs of people who are closer than chance makes strangers look.

    Attributes:
        first: (P,) rows of one of each pair.
        second: (P,) rows of the other.
        kinship: (P,) coefficients, 1/2 for one person twice, 1/4 for parents, children, brothers and sisters.
        people: How many were compared.
        variants: By how many variants.
        degree: The most distant relation that so many variants tell from chance, a key of `DEGREES`; none if none.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    kinship: Values
    people: int
    variants: int
    degree: str | None


def relatives(genotypes: Genotypes, people: int, seed: int = 0) -> Relatives:
    """Find relatives by about 4,000 common variants, spread evenly over the autosomes.

    All pairs of up to 5,000 people are compared, of larger studies those of 5,000 drawn at random.

    Args:
        genotypes: Of the people of a study.
        people: N.
        seed: Of the draw.
    """
    rows = np.arange(people)
    if people > PEOPLE:
        rows = np.sort(np.random.default_rng(seed).choice(people, PEOPLE, replace=False))
    return closest(_common_calls(genotypes, rows), rows)


def closest(calls: Calls, rows: NDArray[np.integer]) -> Relatives:
    """Find the related among people.

    Args:
        calls: (m, n) of common variants that hardly correlate.
        rows: (n,) numbers of the people.
    """
    pairs = len(rows) * (len(rows) - 1) / 2
    reach = -float(special.ndtri(CHANCE / max(pairs, 1))) * kinship_error(calls)
    degree = next((name for name, least in reversed(DEGREES.items()) if least > reach), None)
    found: list[NDArray[np.float64]] = []
    for start in range(0, len(rows) if degree else 0, CHUNK):
        values = kinship(calls[:, start : start + CHUNK], calls)
        one, other = np.nonzero(np.triu(values >= DEGREES[str(degree)], start + 1))
        found.append(np.stack((rows[one + start], rows[other], values[one, other])))
    first, second, coefficient = np.concatenate([np.zeros((3, 0)), *found], axis=1)
    return Relatives(first.astype(np.intp), second.astype(np.intp), coefficient, len(rows), len(calls), degree)


def kinship(some: Calls, others: Calls) -> Values:
    """Return the robust kinship coefficients (k, n) of calls (m, k) and (m, n), over the variants that both have.

    phi = 1/2 - sum of (x_i - x_j)^2 / (4 min(h_i, h_j)), where x are dosages and h counts heterozygous variants; 0
    where that is 0.
    """
    (known, dosage, het), (known_2, dosage_2, het_2) = (_indicators(calls) for calls in (some, others))
    distance = (dosage**2).T @ known_2 + known.T @ dosage_2**2 - 2 * (dosage.T @ dosage_2)
    least = np.minimum(het.T @ known_2, known.T @ het_2)
    found: Values = np.where(least > 0, 0.5 - distance / (4 * np.maximum(least, 1)), 0).astype(np.float64)
    return found


def _indicators(calls: Calls) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return whether calls are known, the dosages, 0 where unknown, and whether they are heterozygous."""
    known = calls >= 0
    return known.astype(np.float32), np.where(known, calls, 0).astype(np.float32), (calls == 1).astype(np.float32)


def kinship_error(calls: Calls) -> float:
    """Return the standard error of the coefficient of strangers by independent variants (m, n); infinite without any.

    With frequency p and Hardy-Weinberg proportions a variant adds to (x_i - x_j)^2 / 4 - h_i / 2 the variance
    p q / 4 + 5 (p q)^2 / 2, and to h_i the mean 2 p q.
    """
    rarer = seen(calls).rarer
    product = rarer * (1 - rarer)
    heterozygous = float(2 * product.sum())
    return float(np.sqrt((product / 4 + 2.5 * product**2).sum())) / heterozygous if heterozygous > 0 else np.inf


def _common_calls(genotypes: Genotypes, people: NDArray[np.integer]) -> Calls:
    """Read the calls (m, n) of common variants at even distances."""
    rows = [np.flatnonzero(each.variants["chromosome"].isin(AUTOSOMES).to_numpy()) for each in genotypes.filesets]
    fileset = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    column = np.concatenate(rows)
    chosen = _even(len(column), 2 * VARIANTS)  # twice as many as are needed: some are rare
    parts: list[Calls] = [np.zeros((0, len(people)), np.int8)]
    for start in range(0, len(chosen), CHUNK):
        some = chosen[start : start + CHUNK]
        for i in np.unique(fileset[some]):
            calls = nearest_calls(genotypes.pick(int(i), column[some[fileset[some] == i]]).calls[:, people])
            counts = seen(calls)
            parts.append(calls[(counts.rarer >= COMMON) & (counts.known >= CALLED * len(people))])
    common = np.concatenate(parts)
    return common[_even(len(common), VARIANTS)]


def _even(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def sentences_of(found: Relatives, names: pd.Series) -> list[str]:
    """Say who is related, and who is there twice, by the names (N,) of the people; nothing where nobody is."""
    if not len(found.kinship):
        return []
    twins = np.flatnonzero(found.kinship >= TWINS)
    degree = "" if found.degree == SAME else f" to the {found.degree} or closer"
    drawn = f" drawn from {len(names)}" if len(names) > found.people else ""
    of = f"{len(found.kinship)} pairs of {found.people} people{drawn}"
    same = [f"{names.iloc[found.first[i]]} and {names.iloc[found.second[i]]}" for i in twins]
    said = (
        f", {len(twins)} of them with {SAME} ({listing(same, 3)}), as twins and one person twice have" if same else ""
    )
    return [
        f"**{of} are related{degree}{said}**: kinship by {found.variants} variants "
        "(relatives.tsv). Least squares takes all people for strangers, and its p are too small with relatives: leave "
        "one of each pair out, as scripts/ancestry.sh of --scripts=true does, or take --loco"
    ]
