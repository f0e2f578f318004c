"""Genotypes of chosen people, read block by block, and which variants are good enough to test."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Rows
from disentangle_pl.genetics.frequencies import Seen, seen, seen_on_x
from disentangle_pl.genetics.hardy_weinberg import departs
from disentangle_pl.genetics.plink import Calls

AUTOSOMES = frozenset(map(str, range(1, 23)))
X = "X"
PERSON = ["fid", "iid"]
REASONS = (
    "not on chromosomes 1 to 22 or X, or on X without known sexes",
    "at a negative position",
    "given twice",
    "of more than two alleles",
    "no call at all",
    "monomorphic",
    "too few calls (geno)",
    "too rare (maf)",
    "out of Hardy-Weinberg proportions (hwe)",
    "imputed too uncertainly (info)",
)
_BY_NUMBER = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT"}


class Limits(NamedTuple):
    """What a variant needs to be tested.

    Attributes:
        maf: Least frequency of the rarer allele.
        geno: Largest share of missing calls.
        hwe: Least mid-p of the exact test of Hardy-Weinberg proportions; of dosages, by the calls that are near them.
        info: Least r2 of imputation, of variants with dosages that are no whole calls.
    """

    maf: float = 0.01
    geno: float = 0.05
    hwe: float = 1e-6
    info: float = 0.3

    def check(self) -> None:
        """Refuse what is no share.

        Raises:
            InputError: If a limit makes no sense.
        """
        if not (0 <= self.maf < 0.5 and 0 <= self.geno <= 1 and 0 <= self.hwe < 1 and 0 <= self.info <= 1):
            raise InputError(
                f"maf {self.maf} must lie in [0, 0.5), geno {self.geno} in [0, 1], hwe {self.hwe} in [0, 1) and info "
                f"{self.info} in [0, 1]"
            )


class Source(Protocol):
    """Open genotypes of a fileset."""

    def read(self, people: Rows, variants: NDArray[np.int64]) -> Calls:
        """Return calls or dosages of allele a1 (m, N) of some people and variants, given by their rows.

        Raises:
            InputError: If the file is damaged.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Fileset(NamedTuple):
    """Genotypes with their people and variants.

    Attributes:
        path: The file of genotypes.
        people: Columns fid, iid (text) and sex (M, F, or missing), a row a person in the order of the file.
        variants: Columns chromosome, id (text), position (base pairs), a1 (the counted allele) and other, a row a
            variant in the order of the file; a1 of a variant with more than two alleles has a comma.
        source: Opens the genotypes.
        dosages: Whether they are read as dosages, of four bytes, and not as calls, of one.
    """

    path: Path
    people: pd.DataFrame
    variants: pd.DataFrame
    source: Callable[[], Source]
    dosages: bool = True


class Span(NamedTuple):
    """Some variants of one fileset, from `start` up to `stop`."""

    fileset: int
    start: int
    stop: int


class Block(NamedTuple):
    """Calls or dosages of some variants.

    Attributes:
        variants: Rows of `Fileset.variants`.
        calls: (m, N) int8: 0, 1 or 2 times allele a1; or float32: expected numbers of it, 0 to 2. A missing one is
            -127.
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
        self._sources = [self._stack.enter_context(closing(each.source())) for each in filesets]
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
        calls = self._sources[fileset].read(self.rows[fileset], columns)
        return Block(self.filesets[fileset].variants.iloc[columns], calls)

    def faults(self, span: Span, block: Block, limits: Limits) -> NDArray[np.int64]:
        """Number (m,) the reason in `REASONS` why a variant is left out, -1 if it is not."""
        chromosome = block.variants["chromosome"]
        told = [
            ~chromosome.isin(self._chromosomes).to_numpy(),
            block.variants["position"].to_numpy() < 0,
            self._twice[span.fileset][span.start : span.stop],
            block.variants["a1"].str.contains(",", regex=False).to_numpy(bool),
        ]
        on_x = X in self._chromosomes and len(chromosome) > 0 and chromosome.iloc[0] == X
        poor = poor_on_x(block.calls, self._sex, limits) if on_x else poor_calls(block.calls, limits)
        return first_fault([*told, *poor])


def library(name: str, files: str) -> Any:
    """Import a library that reads some files.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{files} are read by {name}, which is not here ({error}): pip install 'disentangle_pl[genomes]'"
        ) from error


def variants_table(cells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Make `Fileset.variants` of columns of text.

    Raises:
        InputError: If a position is no number.
    """
    position = pd.to_numeric(cells["position"], errors="coerce")
    wrong = cells.index[position.isna()]
    if len(wrong):
        raise InputError(
            f"{path} has {cells['position'][wrong[0]]!r} as position of variant {wrong[0] + 1}: write base pairs"
        )
    places = {"chromosome": chromosome_names(cells["chromosome"]), "position": position.astype("int64")}
    return cells[["id", "a1", "other"]].assign(**places)


def chromosome_names(cells: pd.Series) -> pd.Series:
    """Write chromosomes alike: chr1, 01 and 1 are 1, and 23 is X, as plink2 prints them."""
    names = {cell: _chromosome_name(cell) for cell in cells.unique()}
    return cells.map(names)


def _chromosome_name(cell: str) -> str:
    name = cell.upper().removeprefix("CHR")
    plain = name.lstrip("0") or name if name.isdigit() else name
    return _BY_NUMBER.get(plain, plain)


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


def poor_calls(calls: Calls, limits: Limits) -> Iterator[NDArray[np.bool_]]:
    """Yield which (m,) have no call, one allele, too few calls, a rare allele, odd proportions, or poor r2."""
    return _poor(seen(calls), calls.shape[1], limits)


def poor_on_x(calls: Calls, sex: NDArray[np.object_], limits: Limits) -> Iterator[NDArray[np.bool_]]:
    """Yield the same as `poor_calls` for chromosome X, by the sexes (N,), M or F.

    Men have one allele, so they count half in frequencies; proportions are those of women.
    """
    return _poor(seen_on_x(calls, sex), max(int(pd.notna(sex).sum()), 1), limits)


def _poor(variants: Seen, people: int, limits: Limits) -> Iterator[NDArray[np.bool_]]:
    yield variants.known == 0
    yield variants.rarer == 0
    yield variants.known < (1 - limits.geno) * people
    yield variants.rarer < limits.maf
    yield departs(variants.one, variants.two, variants.none, limits.hwe)
    yield variants.quality < limits.info


def first_fault(told: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Return the number (m,) of the first of several faults, -1 where there is none."""
    table = np.stack([*told])
    return np.where(table.any(axis=0), table.argmax(axis=0), -1)
