"""The numbers of a finished genome-wide study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.genetics.control import LEVELS, Control, Inflation, inflation
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import Genotypes
from disentangle_pl.genetics.power import expected_finds, explained_at, planted_by_factor
from disentangle_pl.genetics.significance import GENOME_WIDE, Thresholds, genomic_inflation
from disentangle_pl.studies.gwas_blocks import JOINT
from disentangle_pl.studies.gwas_tables import TOGETHER, Counted, column_of, parts_of

STEPS = ("genome_wide", "phenotypes", "effective", "study")
STRICT = ("effective", "study")


class Variants(NamedTuple):
    """How many variants there are, are tested, and are untestable with how many phenotypes; and why others are not."""

    given: int
    tested: int
    untestable: int
    left_out: dict[str, int]


class Study(NamedTuple):
    """A study whose blocks are all done.

    Attributes:
        out: Its folder.
        people: N.
        names: Of the K phenotypes.
        samples: (K,) people with the phenotype.
        correlation: (K, K) of the phenotypes.
        covariates: Their names, None if unknown.
        dropped: Columns iid and reason: genotyped people who are not in the study.
        remarks: What else ought to be known.
        genotypes: Open.
        blocks: Numbers of those with tables.
        variants: Counts.
        settings: What made the numbers.
        sex: Of the people: M, F or combined; None if unknown.
        cases: Cases and controls of every case/control phenotype.
    """

    out: Path
    people: int
    names: list[str]
    samples: NDArray[np.int64]
    correlation: Values
    covariates: list[str] | None
    dropped: pd.DataFrame
    remarks: Sequence[str]
    genotypes: Genotypes
    blocks: Sequence[int]
    variants: Variants
    settings: dict[str, Any]
    sex: str | None = None
    cases: Mapping[str, tuple[int, int]] = MappingProxyType({})

    @property
    def free(self) -> int:
        """Degrees of freedom of a test without missing values."""
        return self.people - len(self.covariates or []) - 2


def summarise(
    study: Study,
    counted: Counted,
    levels: Thresholds,
    leads: pd.DataFrame,
    control: tuple[list[str], Control] | None,
    build: str | None,
) -> dict[str, Any]:
    """Return what goes to summary.json."""
    best = leads["neg_log10_p"] if len(leads) else pd.Series(dtype=float)
    together = study.out / TOGETHER
    return {
        "people": study.people,
        "people_left_out": study.dropped["reason"].value_counts().to_dict(),
        "phenotypes": study.names,
        "covariates": study.covariates,
        "case_control": dict(study.cases),
        "build": build,
        "variants": study.variants.given,
        "variants_tested": study.variants.tested,
        "variants_left_out": study.variants.left_out,
        "tests": int(counted.histogram.counts.sum()),
        "untestable": study.variants.untestable,
        "lambda": dict(zip(study.names, counted.histogram.lambdas().tolist(), strict=True)),
        "f_lambda": _f_lambda(together) if together.exists() else None,
        "thresholds": levels._asdict(),
        "loci": {name: int((best >= -np.log10(getattr(levels, name))).sum()) for name in STEPS},
        "permuted": None if control is None else _permuted(*control, len(study.names)),
        "explained_at_power_80": explained_at(study.free, 0.8, GENOME_WIDE),
        "settings": study.settings,
    }


def _permuted(of: Sequence[str], control: Control, phenotypes: int) -> dict[str, Any]:
    """Tell the control: shares of small p over all phenotypes, and lambda with its interval of every group of tests."""
    tests = int(control.tests[phenotypes])
    shares = {f"{level:g}": float(n / max(tests, 1)) for level, n in zip(LEVELS, control.low[phenotypes], strict=True)}
    rows = np.stack(inflation(control), axis=1).tolist()
    told = {"tests": tests, "draws": control.draws, "shares": shares}
    told |= {"lambda": dict(zip(of[:phenotypes], rows, strict=False)), "lambda_all": rows[phenotypes]}
    return told | ({"lambda_f": rows[-1]} if of[-1] == JOINT else {})


def _f_lambda(together: Path) -> float:
    """Return the inflation of the test of all phenotypes together."""
    parts = [column_of(part, "f_neg_log10_p") for part in parts_of(together, ["f_neg_log10_p"])]
    return genomic_inflation(10 ** -np.concatenate(parts))


def phenotypes_table(study: Study, counted: Counted, levels: Thresholds, control: Control | None) -> pd.DataFrame:
    """Count the hits of every phenotype, those at the false discovery rate from the histogram; with lambda."""
    table = pd.DataFrame({"phenotype": study.names, "n": study.samples, "lambda": counted.histogram.lambdas()})
    if control is not None:
        permuted: Inflation = inflation(control)
        columns = {f"permuted_lambda{end}": values for end, values in zip(("", "_low", "_high"), permuted, strict=True)}
        table = table.assign(**{name: values[: len(study.names)] for name, values in columns.items()})
    for name in STEPS:
        strong = counted.hits[counted.hits["neg_log10_p"] >= -np.log10(getattr(levels, name))]
        numbers = strong["phenotype"].value_counts() if len(strong) else pd.Series(dtype=int)
        table[f"hits_{name}"] = table["phenotype"].map(numbers).fillna(0).astype(int)
    return table.assign(hits_fdr=counted.histogram.beyond(levels.fdr))


def planted_tables(
    planted: pd.DataFrame, counted: Counted, free: int, levels: Thresholds
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the planted variants with their best test over all phenotypes, and what of every factor was found."""
    strict = {name: float(getattr(levels, name)) for name in STRICT}
    rows = counted.planted.sort_values("neg_log10_p", ascending=False, kind="stable").drop_duplicates("id")
    known = expected_finds(planted, free, strict)
    known = known.merge(rows[["id", "phenotype", "beta", "p", "neg_log10_p"]], how="left", on="id")
    return known, planted_by_factor(known, strict)
