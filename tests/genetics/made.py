"""Genotypes, phenotypes and covariates out of nothing, and filesets of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.genetics.plink import Calls, Row, write_plink

Values = NDArray[np.float64]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "genetics"


class Made(NamedTuple):
    """Calls (M, N), phenotypes (N, K) and covariates (N, c)."""

    calls: Calls
    phenotypes: Values
    covariates: Values


def make(people: int = 120, variants: int = 40, phenotypes: int = 3, missing: float = 0.03, seed: int = 0) -> Made:
    """Draw genotypes, a third of the variants with missing calls, and phenotypes that the first variant acts on."""
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, rng.uniform(0.1, 0.9, (variants, 1)), (variants, people)).astype(np.int8)
    covariates = np.column_stack((rng.normal(70, 7, people), rng.integers(0, 2, people), rng.standard_normal(people)))
    values = rng.standard_normal((people, phenotypes)) + 0.05 * covariates[:, :1] + 0.5 * calls[0][:, None]
    holes = rng.random(calls.shape) < missing
    holes[np.arange(variants) % 3 > 0] = False
    return Made(np.where(holes, np.int8(-127), calls), values, covariates.astype(np.float64))


def rows(variants: int, chromosome: int = 1, first: int = 1) -> list[Row]:
    """Name variants, 1,000 base pairs apart."""
    return [Row(f"rs{i}", chromosome, 1000 * i, "A", "G") for i in range(first, first + variants)]


def names(people: int) -> list[str]:
    """Name people."""
    return [f"P{i}" for i in range(people)]


def write(prefix: Path, calls: Calls, chromosome: int = 1, first: int = 1) -> Path:
    """Write a fileset and return its .bed."""
    male = [i % 2 == 0 for i in range(calls.shape[1])]
    write_plink(prefix, names(calls.shape[1]), male, rows(len(calls), chromosome, first), iter(calls))
    return prefix.with_suffix(".bed")


def write_study(folder: Path, drawn: Made, first: int = 40) -> None:
    """Write chr1 with the first variants, chr2 with the others, z.txt with phenotypes z0, z1, ... and c.txt."""
    people = names(len(drawn.phenotypes))
    write(folder / "chr1", drawn.calls[:first], 1)
    write(folder / "chr2", drawn.calls[first:], 2, first + 1)
    for name, values in (("z", drawn.phenotypes), ("c", drawn.covariates)):
        table = pd.DataFrame(values, columns=[f"{name}{k}" for k in range(values.shape[1])])
        table.insert(0, "IID", people)
        table.insert(0, "FID", people)
        table[::-1].to_csv(folder / f"{name}.txt", sep=" ", index=False, float_format="%.17g")
