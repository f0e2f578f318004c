"""Tests that plink2 --glm or regenie --step 2 have made, read side by side for all phenotypes.

Source: https://www.cog-genomics.org/plink/2.0/formats and https://rgcgithub.github.io/regenie/options for the columns.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.association import Associations
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import chromosome_names
from disentangle_pl.genetics.results import PLACE
from disentangle_pl.genetics.tails import TINY, log10_p_of_t

GLM, REGENIE = ".glm.linear", (".regenie", ".regenie.gz")
MISSING = ["NA", "nan", ".", ""]
CHUNK = 20_000
_GLM = {"chromosome": "#CHROM", "position": "POS", "id": "ID", "a1": "A1", "n": "OBS_CT", "beta": "BETA", "se": "SE"}
_REGENIE = {"chromosome": "CHROM", "position": "GENPOS", "id": "ID", "a1": "ALLELE1", "other": "ALLELE0", "n": "N"}
_REGENIE |= {"beta": "BETA", "se": "SE", "a1_frequency": "A1FREQ", "neg_log10_p": "LOG10P"}


class Part(NamedTuple):
    """Some variants and their fits."""

    variants: pd.DataFrame
    fits: Associations


def by_phenotype(paths: Sequence[Path], genotypes: Sequence[str] = ()) -> dict[str, list[Path]]:
    """Tell phenotypes by file names, and gather the files of each: one, or one a fileset.

    plink2 writes OUT.NAME.glm.linear. regenie writes OUT_NAME.regenie; OUT is regenie_GENOTYPES, as in the script that
    a study writes, or else what the names of all files begin with up to a _.

    Args:
        paths: Files.
        genotypes: Names of the filesets, without suffix.

    Raises:
        InputError: If a file is of neither program, or phenotypes have different numbers of files.
    """
    wrong = [str(path) for path in paths if not path.name.endswith((GLM, *REGENIE))]
    if wrong or not paths:
        raise InputError(f"{listing(wrong, 3)} is no .glm.linear, .regenie or .regenie.gz file: unpack or rename it")
    stems = [path.name.removesuffix(".gz").removesuffix(REGENIE[0]) for path in paths]
    shared = _shared(stems) if len(stems) > 1 else ""
    files: dict[str, list[Path]] = {}
    for path, stem in zip(paths, stems, strict=True):
        starts = [f"regenie_{each}_" for each in genotypes if stem.startswith(f"regenie_{each}_")]
        plain = stem.removeprefix(max(starts, key=len, default=shared))
        name = stem.removesuffix(GLM).rpartition(".")[2] if stem.endswith(GLM) else plain
        files.setdefault(name, []).append(path)
    counts = {len(mine) for mine in files.values()}
    if len(counts) > 1:
        said = listing([f"{len(mine)} of {name}" for name, mine in files.items()])
        raise InputError(f"phenotypes have different numbers of files ({said}): give the same filesets for all of them")
    return files


def _shared(stems: Sequence[str]) -> str:
    """Return the longest beginning up to a _ that all have."""
    first = stems[0].split("_")
    starts = ["".join(f"{word}_" for word in first[:count]) for count in range(len(first))]
    return max((start for start in starts if all(stem.startswith(start) for stem in stems)), key=len)


def read_outputs(files: Mapping[str, Sequence[Path]], chunk: int = CHUNK) -> Iterator[Part]:
    """Read the files of all phenotypes, of `by_phenotype`, side by side, a chunk in memory at a time.

    Additive tests (TEST is ADD) count. What is NA stays NaN. Frequencies are NaN where the file has none.

    Raises:
        InputError: If a file cannot be read, lacks a column, has a cell that is no number, or other variants than that
            of the first phenotype.
    """
    with ExitStack() as stack:
        readers = [chain.from_iterable(_chunks(path, chunk, stack) for path in paths) for paths in files.values()]
        names = list(files)
        while True:
            tables = [next(reader, None) for reader in readers]
            for name, table in zip(names, tables, strict=True):
                _check_same(tables[0], table, (names[0], name))
            there = [table for table in tables if table is not None]
            if not there:
                return
            yield _part(there)


def _part(tables: Sequence[pd.DataFrame]) -> Part:
    columns = ("n", "a1_frequency", "beta", "se", "t", "p", "neg_log10_p")
    n, frequency, beta, error, t, p, log10_p = (
        np.stack([table[name].to_numpy(np.float64) for table in tables], axis=1) for name in columns
    )
    people = np.nan_to_num(n).astype(np.int64)
    fits = Associations(people, frequency, beta, error, t, p, log10_p, np.full_like(t, np.nan))
    return Part(tables[0][list(PLACE)], fits)


def _check_same(first: pd.DataFrame | None, other: pd.DataFrame | None, names: tuple[str, str]) -> None:
    mine, theirs = (0 if table is None else len(table) for table in (first, other))
    if first is not None and other is not None:
        both = min(mine, theirs)
        same = (first[list(PLACE)].iloc[:both].to_numpy() == other[list(PLACE)].iloc[:both].to_numpy()).all(axis=1)
        if not same.all():
            row = int(np.argmin(same))
            raise InputError(
                f"the results of {names[1]} have variant {other['id'].iloc[row]} where those of {names[0]} have "
                f"{first['id'].iloc[row]}, or other alleles: give files of one run"
            )
    if mine != theirs:
        raise InputError(
            f"the results of {names[0]} and {names[1]} have different numbers of variants: give files of one run"
        )


def _chunks(path: Path, size: int, stack: ExitStack) -> Iterator[pd.DataFrame]:
    """Yield chunks of `size` additive tests with the columns of a table of fits, the last one smaller."""
    plink2 = path.name.endswith(GLM)
    try:
        reader = stack.enter_context(
            pd.read_csv(path, sep=r"\s+", dtype=str, keep_default_na=False, chunksize=size, encoding="utf-8")
        )
        left: pd.DataFrame | None = None
        for raw in reader:
            table = _plink2(raw, path) if plink2 else _regenie(raw, path)
            left = table if left is None else pd.concat([left, table], ignore_index=True)
            while len(left) >= size:
                yield left.iloc[:size]
                left = left.iloc[size:].reset_index(drop=True)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({str(error).strip()}): give output of plink2 or regenie") from error
    if left is not None and len(left):
        yield left


def _plink2(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    p = next((name for name in ("LOG10_P", "NEG_LOG10_P") if name in raw), "P")
    statistic = "Z_STAT" if "Z_STAT" in raw else "T_STAT"
    table = _columns(raw, [*_GLM.values(), "TEST", "REF", "ALT", statistic, p], path)
    made = pd.DataFrame({name: table[column] for name, column in _GLM.items()})
    made["other"] = table["ALT"].where(table["A1"] != table["ALT"], table["REF"])
    made["a1_frequency"] = table.get("A1_FREQ", "NA")
    made["t"] = table[statistic]
    made = _numbers(made, path)
    log10_p = log10_p_of_text(table["P"], path) if p == "P" else _number(table[p], path)
    t, n = made["t"].to_numpy(np.float64), made["n"].to_numpy(np.float64)
    nothing = np.isinf(log10_p) & ~np.isnan(t)
    filled = log10_p.copy()
    filled[nothing] = log10_p_of_t(t[nothing], n[nothing], np.zeros(int(nothing.sum())))
    return _complete(made, filled)


def _regenie(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    table = _columns(raw, [*_REGENIE.values(), "TEST", "CHISQ"], path)
    made = _numbers(pd.DataFrame({name: table[column] for name, column in _REGENIE.items()}), path)
    made["t"] = np.sign(made["beta"]) * np.sqrt(_number(table["CHISQ"], path))
    return _complete(made, made["neg_log10_p"].to_numpy(np.float64))


def _columns(raw: pd.DataFrame, needed: Sequence[str], path: Path) -> pd.DataFrame:
    lacking = [name for name in needed if name not in raw]
    if lacking:
        raise InputError(
            f"{path} has no column {listing(lacking, 3)}, but {listing(list(raw.columns), 20)}: give output of plink2 "
            "--glm for quantitative phenotypes, or of regenie step 2 with one file a phenotype"
        )
    return raw[raw["TEST"] == "ADD"].reset_index(drop=True)


def _numbers(made: pd.DataFrame, path: Path) -> pd.DataFrame:
    columns = [str(name) for name in made if name not in ("chromosome", "id", "a1", "other")]
    numbers: dict[str, Values] = {name: _number(made[name], path) for name in columns}
    chromosome = chromosome_names(made["chromosome"])
    if np.isnan(numbers["position"]).any():
        raise InputError(f"{path} has a variant without position: give output of plink2 or regenie")
    position = numbers["position"].astype(np.int64)
    return made.assign(**numbers).assign(position=position, chromosome=chromosome)


def _number(cells: pd.Series, path: Path) -> Values:
    values = pd.to_numeric(cells.mask(cells.isin(MISSING)), errors="coerce").to_numpy(np.float64)
    wrong = cells[np.isnan(values) & ~cells.isin(MISSING).to_numpy()]
    if len(wrong):
        raise InputError(f"{path} has {wrong.iloc[0]!r} in column {cells.name}: it ought to be a number or NA")
    return values


def _complete(made: pd.DataFrame, log10_p: Values) -> pd.DataFrame:
    """Add p, and make all of a test NaN where a part of it is unknown."""
    made = made.assign(neg_log10_p=log10_p, p=10.0**-log10_p)
    tests = ["beta", "se", "t", "p", "neg_log10_p"]
    made.loc[made[tests].isna().any(axis=1), tests] = np.nan
    return made


def log10_p_of_text(cells: pd.Series, path: Path) -> Values:
    """Return -log10 of p written as text, also of one too small for a floating-point number, such as 3.2e-412."""
    p = _number(cells, path)
    with np.errstate(divide="ignore"):
        found: Values = -np.log10(p) + 0.0
    for row in np.flatnonzero(p < TINY):
        front, _, exponent = cells.iloc[row].lower().partition("e")
        found[row] = -np.log10(float(front)) - int(exponent or 0) if float(front) > 0 else np.inf
    return found
