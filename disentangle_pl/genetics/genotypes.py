"""Genotypes of chosen people, read block by block, and which variants are good enough to test."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from bed_reader import open_bed
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.filesets import Fileset
from disentangle_pl.genetics.hardy_weinberg import Counts, departs
from disentangle_pl.genetics.plink import Calls

AUTOSOMES = frozenset(map(str, range(1, 23)))
X = "X"
PERSON = ["fid", "iid"]
REASONS = (
    "not on chromosomes 1 to 22 or X, or on X without sexes in the .fam",
    "at a negative position",
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
        people: Columns fid, iid and sex of the chosen people, all of them in every fileset.
        chromosomes: Whose variants are good enough to test; X needs people of known sex.
    """

    def __init__(
        self, filesets: Sequence[Fileset], people: pd.DataFrame, chromosomes: frozenset[str] = AUTOSOMES
    ) -> None:
        self.filesets = filesets
        self._sex = people["sex"].to_numpy(object) if X in chromosomes else np.empty(0, object)
        self._chromosomes = chromosomes if pd.notna(self._sex).any() else chromosomes - {X}
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
        repeats = pd.concat([either_way(each.variants) for each in filesets], ignore_index=True).duplicated().to_numpy()
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
        chromosome = block.variants["chromosome"]
        told = [
            ~chromosome.isin(self._chromosomes).to_numpy(),
            block.variants["position"].to_numpy() < 0,
            self._twice[span.fileset][span.start : span.stop],
        ]
        on_x = X in self._chromosomes and len(chromosome) > 0 and chromosome.iloc[0] == X
        poor = poor_on_x(block.calls, self._sex, limits) if on_x else poor_calls(block.calls, limits)
        return first_fault([*told, *poor])


def either_way(variants: pd.DataFrame) -> pd.DataFrame:
    """Name variants whichever of their alleles is counted."""
    first, second = variants["a1"].to_numpy(object), variants["other"].to_numpy(object)
    swapped = first > second
    alleles = {"one": np.where(swapped, second, first), "two": np.where(swapped, first, second)}
    return variants[["chromosome", "position", "id"]].assign(**alleles)


def spans(filesets: Sequence[Fileset], size: int, by_chromosome: bool = False) -> list[Span]:
    """Cut the variants of filesets into blocks of at most `size`, where X begins and ends, and at chromosomes if asked.

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
    """Return where runs of one chromosome begin and end, or of X and all others together."""
    cells = chromosome.to_numpy(object) if apart else (chromosome == X).to_numpy()
    changes = (np.flatnonzero(cells[1:] != cells[:-1]) + 1).tolist()
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
    one, two = ((calls == value).sum(axis=1) for value in (1, 2))
    none = (calls == 0).sum(axis=1) if calls.min(initial=0) < 0 else calls.shape[1] - one - two
    return Called(none, one, two)


def poor_calls(calls: Calls, limits: Limits) -> Iterator[NDArray[np.bool_]]:
    """Yield which variants (m,) have no call, one allele, too few calls, a rare allele, and odd proportions."""
    counts = called(calls)
    yield counts.known == 0
    yield counts.rarer == 0
    yield counts.known < (1 - limits.geno) * calls.shape[1]
    yield counts.rarer < limits.maf
    yield departs(counts.one, counts.two, counts.none, limits.hwe)


def poor_on_x(calls: Calls, sex: NDArray[np.object_], limits: Limits) -> Iterator[NDArray[np.bool_]]:
    """Yield the same as `poor_calls` for chromosome X, by the sexes (N,), M or F.

    Men have one allele, so they count half in frequencies; proportions are those of women.
    """
    women, men = called(calls[:, sex == "F"]), called(calls[:, sex == "M"])
    people = women.known + men.known
    alleles = np.maximum(2 * women.known + men.known, 1)
    first = (women.one + 2 * women.two + men.two + men.one / 2) / alleles
    rarer = np.where(people > 0, np.minimum(first, 1 - first), 0)
    yield people == 0
    yield rarer == 0
    yield people < (1 - limits.geno) * max(int(pd.notna(sex).sum()), 1)
    yield rarer < limits.maf
    yield departs(women.one, women.two, women.none, limits.hwe)


def first_fault(told: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return the number (m,) of the first of several faults, -1 where there is none."""
    table = np.stack([*told])
    return np.where(table.any(axis=0), table.argmax(axis=0), -1)
