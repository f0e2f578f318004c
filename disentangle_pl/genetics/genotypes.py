"""Genotypes of chosen people, read block by block, and which variants are good enough to test."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from bed_reader import open_bed
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.filesets import Fileset
from disentangle_pl.genetics.hardy_weinberg import Counts, exact_mid_p
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.metrics.score import Values

AUTOSOMES = frozenset(map(str, range(1, 23)))
PERSON = ["fid", "iid"]
REASONS = (
    "not on chromosomes 1 to 22",
    "given twice",
    "no call at all",
    "monomorphic",
    "too few calls (geno)",
    "too rare (maf)",
    "out of Hardy-Weinberg proportions (hwe)",
)


class Limits(NamedTuple):
    """What a variant needs to be tested.

    Attributes:
        maf: Least frequency of the rarer allele.
        geno: Largest share of missing calls.
        hwe: Least mid-p of the exact test of Hardy-Weinberg proportions.
    """

    maf: float = 0.01
    geno: float = 0.05
    hwe: float = 1e-6

    def check(self) -> None:
        """Refuse what is no share.

        Raises:
            InputError: If a limit makes no sense.
        """
        if not (0 <= self.maf < 0.5 and 0 <= self.geno <= 1 and 0 <= self.hwe < 1):
            raise InputError(
                f"maf {self.maf} must lie in [0, 0.5), geno {self.geno} in [0, 1] and hwe {self.hwe} in [0, 1)"
            )


class Span(NamedTuple):
    """Some variants of one fileset, from `start` up to `stop`."""

    fileset: int
    start: int
    stop: int


class Block(NamedTuple):
    """Calls of some variants.

    Attributes:
        variants: Rows of `Fileset.variants`.
        calls: (m, N) int8: 0, 1 or 2 times allele a1, or -127 for a missing call.
    """

    variants: pd.DataFrame
    calls: Calls

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Block":
        """Return some of the variants."""
        return Block(self.variants[rows] if rows.dtype == bool else self.variants.iloc[rows], self.calls[rows])


class Genotypes:
    """The calls of chosen people in one or more filesets; a context that closes them.

    Args:
        filesets: Of `open_filesets`.
        people: Columns fid and iid of the chosen people, all of them in every fileset.
    """

    def __init__(self, filesets: Sequence[Fileset], people: pd.DataFrame) -> None:
        self.filesets = filesets
        wanted = pd.MultiIndex.from_frame(people[PERSON])
        self.rows = [pd.MultiIndex.from_frame(each.people[PERSON]).get_indexer(wanted) for each in filesets]
        self._stack = ExitStack()
        self._beds = [
            self._stack.enter_context(
                open_bed(
                    each.bed,
                    iid_count=len(each.people),
                    sid_count=len(each.variants),
                    count_A1=True,
                    num_threads=1,
                )
            )
            for each in filesets
        ]
        repeats = pd.concat([each.variants for each in filesets], ignore_index=True).duplicated().to_numpy()
        ends = np.cumsum([len(each.variants) for each in filesets])[:-1]
        self._twice = np.split(repeats, ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def read(self, span: Span) -> Block:
        """Read the calls of a span of variants."""
        return self.pick(span.fileset, np.arange(span.start, span.stop))

    def pick(self, fileset: int, columns: NDArray[np.int64]) -> Block:
        """Read the calls of any variants of one fileset."""
        calls = self._beds[fileset].read((self.rows[fileset], columns), dtype="int8", order="F", num_threads=1)
        return Block(self.filesets[fileset].variants.iloc[columns], calls.T)

    def faults(self, span: Span, block: Block, limits: Limits) -> NDArray[np.int64]:
        """Number (m,) the reason in `REASONS` why a variant is left out, -1 if it is not."""
        told = [~block.variants["chromosome"].isin(AUTOSOMES).to_numpy(), self._twice[span.fileset]]
        told[1] = told[1][span.start : span.stop]
        return first_fault([*told, *poor_calls(block.calls, limits)])


def spans(filesets: Sequence[Fileset], size: int, by_chromosome: bool = False) -> list[Span]:
    """Cut the variants of filesets into blocks of at most `size`; also where the chromosome changes, if asked for.

    Raises:
        InputError: If the size is below 1.
    """
    if size < 1:
        raise InputError(f"a block of {size} variants is none: give --block at least 1")
    return [
        Span(i, start, min(start + size, stop))
        for i, each in enumerate(filesets)
        for first, stop in _runs(each.variants["chromosome"], by_chromosome)
        for start in range(first, stop, size)
    ]


def _runs(chromosome: pd.Series, apart: bool) -> list[tuple[int, int]]:
    """Return where runs of one chromosome begin and end, or all of them together."""
    cells = chromosome.to_numpy()
    changes = (np.flatnonzero(cells[1:] != cells[:-1]) + 1).tolist() if apart else []
    return list(zip([0, *changes], [*changes, len(cells)], strict=True))


def common_people(filesets: Sequence[Fileset]) -> pd.DataFrame:
    """Return the people that are in all filesets, in the order of the first one, with their sex where one knows it."""
    people = filesets[0].people
    keys = pd.MultiIndex.from_frame(people[PERSON])
    for each in filesets[1:]:
        theirs = pd.MultiIndex.from_frame(each.people[PERSON])
        sex = each.people["sex"].set_axis(theirs).reindex(keys).set_axis(people.index)
        people = people.assign(sex=people["sex"].fillna(sex))[keys.isin(theirs)]
        keys = pd.MultiIndex.from_frame(people[PERSON])
    if people.empty:
        raise InputError("nobody is in all of the genotype files: their .fam files have no FID and IID in common")
    return people.reset_index(drop=True)


class Called(NamedTuple):
    """How often every call is there, each (m,)."""

    none: Counts
    one: Counts
    two: Counts

    @property
    def known(self) -> Counts:
        """Calls that are not missing."""
        return self.none + self.one + self.two

    @property
    def rarer(self) -> Values:
        """Frequency of the rarer allele; 0 without any call."""
        rarer: Values = (self.one + 2 * np.minimum(self.none, self.two)) / np.maximum(2 * self.known, 1)
        return rarer


def called(calls: Calls) -> Called:
    """Count the calls (m, N)."""
    return Called(*((calls == value).sum(axis=1) for value in (0, 1, 2)))


def poor_calls(calls: Calls, limits: Limits) -> Iterator[NDArray[np.bool_]]:
    """Yield which variants (m,) have no call, one allele, too few calls, a rare allele, and odd proportions."""
    counts = called(calls)
    yield counts.known == 0
    yield counts.rarer == 0
    yield counts.known < (1 - limits.geno) * calls.shape[1]
    yield counts.rarer < limits.maf
    yield exact_mid_p(counts.one, counts.two, counts.none) < limits.hwe


def first_fault(told: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return the number (m,) of the first of several faults, -1 where there is none."""
    table = np.stack([*told])
    return np.where(table.any(axis=0), table.argmax(axis=0), -1)
