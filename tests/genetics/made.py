"""Genotypes, phenotypes and covariates out of nothing, and filesets of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
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
