"""Tests that plink2, regenie, SAIGE, BOLT-LMM or fastGWA have made, or GWAS-SSF, side by side for all phenotypes.

Source: https://www.cog-genomics.org/plink/2.0/formats, https://rgcgithub.github.io/regenie/options,
https://saigegit.github.io/SAIGE-doc, https://alkesgroup.broadinstitute.org/BOLT-LMM/BOLT-LMM_manual.html,
https://yanglab.westlake.edu.cn/software/gcta and Hayhurst et al. 2022, bioRxiv 2022.07.15.500230, for the columns.
"""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
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

ENDS = re.compile(
    r"(\.glm\.(linear|logistic|logistic\.hybrid|firth)|\.regenie|\.fastGWA|(\.bgen)?\.stats|\.tsv|\.txt)?(\.gz|\.zst)?$"
)
CHROMOSOME = re.compile(r"(?<![^_.])chr(?:om)?([0-9]{1,2}|X)(?![^_.])[_.]?", re.IGNORECASE)
MISSING = ["NA", "nan", ".", "", "#NA"]
CHUNK = 20_000
_PROGRAMS = "plink2 --glm, regenie --step 2, SAIGE, BOLT-LMM or fastGWA, or GWAS-SSF"


class Layout(NamedTuple):
    """The columns of a program's output.

    Attributes:
        signs: Columns that it has and no other program's output.
        names: Its name for each of our columns; the first of several that is there. `odds` is an odds ratio, `chi2` the
            square of t, and `cases` and `controls` add up to n.
    """

    signs: tuple[str, ...]
    names: dict[str, tuple[str, ...]]


def _layout(signs: str, names: str) -> Layout:
    pairs = (pair.split("=") for pair in names.split())
    return Layout(tuple(signs.split()), {ours: tuple(theirs.split("|")) for ours, theirs in pairs})


LAYOUTS = (
    _layout(
        "#CHROM A1",
        "chromosome=#CHROM position=POS id=ID a1=A1 other=OTHER n=OBS_CT beta=BETA odds=OR se=SE|LOG(OR)_SE "
        "t=T_STAT|Z_STAT p=P neg_log10_p=LOG10_P|NEG_LOG10_P a1_frequency=A1_FREQ",
    ),
    _layout(
        "CHROM GENPOS",
        "chromosome=CHROM position=GENPOS id=ID a1=ALLELE1 other=ALLELE0 n=N beta=BETA se=SE chi2=CHISQ "
        "neg_log10_p=LOG10P a1_frequency=A1FREQ",
    ),
    _layout(
        "Allele1 Allele2",
        "chromosome=CHR position=POS id=MarkerID|SNPID|rsid a1=Allele2 other=Allele1 n=N cases=N_case controls=N_ctrl "
        "beta=BETA se=SE p=p.value a1_frequency=AF_Allele2",
    ),
    _layout(
        "SNP BP",
        "chromosome=CHR position=BP id=SNP a1=ALLELE1 other=ALLELE0 n=N beta=BETA se=SE "
        "chi2=CHISQ_BOLT_LMM|CHISQ_BOLT_LMM_INF p=P_BOLT_LMM|P_BOLT_LMM_INF a1_frequency=A1FREQ",
    ),
    _layout("SNP AF1", "chromosome=CHR position=POS id=SNP a1=A1 other=A2 n=N beta=BETA se=SE p=P a1_frequency=AF1"),
    _layout(
        "effect_allele base_pair_location",
        "chromosome=chromosome position=base_pair_location id=rsid|variant_id a1=effect_allele other=other_allele n=n "
        "beta=beta odds=odds_ratio se=standard_error p=p_value neg_log10_p=neg_log_10_p_value "
        "a1_frequency=effect_allele_frequency",
    ),
)


class Part(NamedTuple):
    """Some variants and their fits."""

    variants: pd.DataFrame
    fits: Associations


def by_phenotype(paths: Sequence[Path], genotypes: Sequence[str] = ()) -> dict[str, list[Path]]:
    """Tell phenotypes by file names, and gather the files of each: one, or one a fileset or chromosome, in this order.

    plink2 writes OUT.NAME.glm.linear. Of other programs' files the name is what comes before the suffix, without what
    all of them begin with up to a _, without regenie_GENOTYPES, as in the script that a study writes, and without a
    chromosome, such as chr7, between _ or dots.

    Args:
        paths: Files.
        genotypes: Names of the filesets, without suffix.

    Raises:
        InputError: If there is none, or phenotypes have different numbers of files.
    """
    if not paths:
        raise InputError(f"there are no results: give output of {_PROGRAMS}")
    stems = [ENDS.sub("", path.name) for path in paths]
    shared = _shared(stems) if len(stems) > 1 else ""
    files: dict[str, list[tuple[int, Path]]] = {}
    for path, stem in zip(paths, stems, strict=True):
        starts = [f"regenie_{each}_" for each in genotypes if stem.startswith(f"regenie_{each}_")]
        plain = stem.removeprefix(max(starts, key=len, default=shared))
        place = CHROMOSOME.search(plain)
        name = stem.rpartition(".")[2] if ".glm." in path.name else CHROMOSOME.sub("", plain).strip("_.") or plain
        number = 0 if place is None else int(place[1]) if place[1].isdigit() else 23
        files.setdefault(name, []).append((number, path))
    counts = {len(mine) for mine in files.values()}
    if len(counts) > 1:
        said = listing([f"{len(mine)} of {name}" for name, mine in files.items()])
        raise InputError(f"phenotypes have different numbers of files ({said}): give the same filesets for all of them")
    return {name: [path for _, path in sorted(mine, key=lambda each: each[0])] for name, mine in files.items()}


def _shared(stems: Sequence[str]) -> str:
    """Return the longest beginning up to a _ that all have."""
    first = stems[0].split("_")
    starts = ["".join(f"{word}_" for word in first[:count]) for count in range(len(first))]
    return max((start for start in starts if all(stem.startswith(start) for stem in stems)), key=len)


def read_outputs(files: Mapping[str, Sequence[Path]], chunk: int = CHUNK, people: int | None = None) -> Iterator[Part]:
    """Read the files of all phenotypes, of `by_phenotype`, side by side, a chunk in memory at a time.

    Additive tests (TEST is ADD) count. What is NA stays NaN. Frequencies are NaN where the file has none.

    Args:
        files: By phenotype.
        chunk: Variants.
        people: In the tests, where the files do not tell.

    Raises:
        InputError: If a file cannot be read, lacks a column, has a cell that is no number, or other variants than that
            of the first phenotype.
    """
    with ExitStack() as stack:
        one = partial(_chunks, size=chunk, people=people, stack=stack)
        readers = [chain.from_iterable(map(one, paths)) for paths in files.values()]
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


def _chunks(path: Path, size: int, people: int | None, stack: ExitStack) -> Iterator[pd.DataFrame]:
    """Yield chunks of `size` additive tests with the columns of a table of fits, the last one smaller."""
    try:
        reader = stack.enter_context(
            pd.read_csv(path, sep=r"\s+", dtype=str, keep_default_na=False, chunksize=size, encoding="utf-8")
        )
        left: pd.DataFrame | None = None
        for raw in reader:
            table = _fits(raw, path, people)
            left = table if left is None else pd.concat([left, table], ignore_index=True)
            while len(left) >= size:
                yield left.iloc[:size]
                left = left.iloc[size:].reset_index(drop=True)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({str(error).strip()}): give output of {_PROGRAMS}") from error
    if left is not None and len(left):
        yield left


def _fits(raw: pd.DataFrame, path: Path, people: int | None) -> pd.DataFrame:
    layout = next((each for each in LAYOUTS if all(sign in raw for sign in each.signs)), None)
    if layout is None:
        raise InputError(f"{path} has the columns {listing(list(raw.columns), 20)}: give output of {_PROGRAMS}")
    if "TEST" in raw:
        raw = raw[raw["TEST"] == "ADD"].reset_index(drop=True)
    if "#CHROM" in raw and {"REF", "ALT"} <= set(raw.columns):
        raw = raw.assign(OTHER=raw["ALT"].where(raw["A1"] != raw["ALT"], raw["REF"]))
    theirs = {ours: name for ours, names in layout.names.items() for name in names[::-1] if name in raw}
    _check_columns(theirs, layout, list(raw.columns), path, people)
    words = {ours: raw[theirs[ours]] for ours in ("chromosome", "id", "a1", "other")}
    numbers = {ours: _number(raw[theirs[ours]], ours, path) for ours in theirs if ours not in (*words, "p")}
    made = pd.DataFrame(words).assign(chromosome=chromosome_names(words["chromosome"]))
    if np.isnan(numbers["position"]).any():
        raise InputError(f"{path} has a variant without position: give output of {_PROGRAMS}")
    with np.errstate(divide="ignore"):
        beta = numbers["beta"] if "beta" in numbers else np.log(numbers["odds"])
    t = _statistic(numbers, beta)
    made = made.assign(position=numbers["position"].astype(np.int64), n=_people(numbers, len(raw), people), beta=beta)
    made = made.assign(a1_frequency=numbers.get("a1_frequency", np.full(len(raw), np.nan)), se=numbers["se"], t=t)
    if "neg_log10_p" in numbers:
        return _complete(made, numbers["neg_log10_p"])
    log10_p = log10_p_of_text(raw[theirs["p"]], path)
    nothing = np.isinf(log10_p) & ~np.isnan(t)
    log10_p[nothing] = log10_p_of_t(t[nothing], made["n"].to_numpy(np.float64)[nothing], np.zeros(int(nothing.sum())))
    return _complete(made, log10_p)


def _check_columns(
    theirs: dict[str, str], layout: Layout, columns: Sequence[str], path: Path, people: int | None
) -> None:
    choices = [[name] for name in ("chromosome", "position", "id", "a1", "other", "se")]
    choices += [["beta", "odds"], ["p", "neg_log10_p"]]
    lacking = [
        next(layout.names[name][0] for name in each if name in layout.names)
        for each in choices
        if not any(name in theirs for name in each)
    ]
    if lacking:
        raise InputError(f"{path} has no column {listing(lacking, 3)}, but {listing(list(columns), 20)}")
    if people is None and "n" not in theirs and not {"cases", "controls"} <= theirs.keys():
        raise InputError(f"{path} does not tell how many people are in its tests: give --results_n")


def _people(numbers: Mapping[str, Values], count: int, people: int | None) -> Values:
    if "n" in numbers:
        return numbers["n"]
    return numbers["cases"] + numbers["controls"] if "cases" in numbers else np.full(count, float(people or 0))


def _statistic(numbers: Mapping[str, Values], beta: Values) -> Values:
    if "t" in numbers:
        return numbers["t"]
    square = numbers["chi2"] if "chi2" in numbers else (beta / np.where(numbers["se"] > 0, numbers["se"], np.nan)) ** 2
    t: Values = np.sign(beta) * np.sqrt(square)
    return t


def _number(cells: pd.Series, name: str, path: Path) -> Values:
    values = pd.to_numeric(cells.mask(cells.isin(MISSING)), errors="coerce").to_numpy(np.float64)
    wrong = cells[np.isnan(values) & ~cells.isin(MISSING).to_numpy()]
    if len(wrong):
        raise InputError(f"{path} has {wrong.iloc[0]!r} in column {name}: it ought to be a number or NA")
    return values


def _complete(made: pd.DataFrame, log10_p: Values) -> pd.DataFrame:
    """Add p, and make all of a test NaN where a part of it is unknown."""
    made = made.assign(neg_log10_p=log10_p, p=10.0**-log10_p)
    tests = ["beta", "se", "t", "p", "neg_log10_p"]
    made.loc[made[tests].isna().any(axis=1), tests] = np.nan
    return made


def log10_p_of_text(cells: pd.Series, path: Path) -> Values:
    """Return -log10 of p written as text, also of one too small for a floating-point number, such as 3.2e-412."""
    p = _number(cells, str(cells.name), path)
    with np.errstate(divide="ignore"):
        found: Values = -np.log10(p) + 0.0
    for row in np.flatnonzero(p < TINY):
        front, _, exponent = cells.iloc[row].lower().partition("e")
        found[row] = -np.log10(float(front)) - int(exponent or 0) if float(front) > 0 else np.inf
    return found
