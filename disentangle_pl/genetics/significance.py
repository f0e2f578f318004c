"""What counts as a hit among many variants and phenotypes, counted in memory that does not grow with the variants."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from disentangle_pl.genetics.designs import Values

GENOME_WIDE = 5e-8
LEVEL = 0.05
STEP, LARGEST = 1e-3, 40.0
BINS = round(LARGEST / STEP)
MEDIAN_CHI2 = float(special.chdtri(1, 0.5))


class Thresholds(NamedTuple):
    """Largest p of a hit.

    Attributes:
        genome_wide: For one phenotype, 5e-8.
        phenotypes: Divided by the number of phenotypes (Bonferroni).
        effective: Divided by the effective number of phenotypes.
        effective_number: That number (see `effective_number`).
        study: 5 % divided by the number of tested variants and the effective number of phenotypes (Bonferroni).
        fdr: The largest p that the false discovery rate allows over all tests, 0 if none.
    """

    genome_wide: float
    phenotypes: float
    effective: float
    effective_number: float
    study: float
    fdr: float = 0.0


class Histogram:
    """Counts of -log10 p, K phenotypes in bins of 0.001: enough for lambda, QQ plots and false discovery rates.

    Args:
        phenotypes: K.

    Attributes:
        counts: (K, bins); the last bin has all beyond 40.
    """

    def __init__(self, phenotypes: int) -> None:
        self.counts: NDArray[np.int64] = np.zeros((phenotypes, BINS + 1), dtype=np.int64)

    def add(self, log10_p: Values) -> None:
        """Count -log10 p (m, K); NaN is left out."""
        known = ~np.isnan(log10_p)
        where = np.minimum(np.where(known, log10_p, 0) / STEP, BINS).astype(np.int64)
        where += np.arange(len(self.counts)) * (BINS + 1)
        self.counts += np.bincount(where[known], minlength=self.counts.size).reshape(self.counts.shape)

    def lambdas(self) -> Values:
        """Return the genomic inflation (K,): the median of chi-squared over that of no association; 1 without tests.

        Source: Devlin & Roeder 1999, Biometrics 55:997.
        """
        return np.array([_inflation(row) for row in self.counts])

    def false_discovery_threshold(self, rate: float = 0.05) -> float:
        """Return the largest p up to which at most this share of the hits is expected to be false, 0 if none.

        It is rounded down to a whole bin, so it never allows more than the exact rule.

        Source: Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57:289.
        """
        counts = self.counts.sum(axis=0)
        below = counts[::-1].cumsum()[::-1]  # tests whose -log10 p is at least the lower edge of the bin
        p = 10 ** (-STEP * np.arange(BINS + 1))
        allowed = (p * counts.sum() <= rate * below) & (below > 0)
        return float(p[allowed].max(initial=0.0))

    def beyond(self, p: float) -> NDArray[np.int64]:
        """Count the tests (K,) of at most this p, which `false_discovery_threshold` returned; 0 counts none."""
        first = BINS + 1 if p <= 0 else round(-np.log10(p) / STEP)
        counts: NDArray[np.int64] = self.counts[:, first:].sum(axis=1)
        return counts


def _inflation(counts: NDArray[np.int64]) -> float:
    tests = counts.sum()
    if not tests:
        return 1.0
    edges = 10 ** (-STEP * np.arange(BINS + 2))  # falling p; the bin i holds edges[i + 1] < p <= edges[i]
    larger = np.concatenate(([0], counts.cumsum()))
    middle = np.interp(tests / 2, larger, edges)
    return float(special.chdtri(1, middle) / MEDIAN_CHI2)


def genomic_inflation(p: Values) -> float:
    """Return the genomic inflation of p-values (m,), NaN left out; 1 without any."""
    if np.isnan(p).all():
        return 1.0
    return float(special.chdtri(1, np.nanmedian(p)) / MEDIAN_CHI2)


def effective_number(correlation: Values) -> float:
    """Return the effective number of phenotypes with this correlation (K, K), between 1 and K.

    Source: Li & Ji 2005, Heredity 95:221, equation 5: the sum over eigenvalues x of [x >= 1] + x - floor(x).
    """
    values = np.abs(np.linalg.eigvalsh(correlation))
    rounded = np.where(np.abs(values - np.round(values)) < 1e-9, np.round(values), values)  # 1 - 1e-16 is 1
    return float(np.clip(((rounded >= 1) + rounded - np.floor(rounded)).sum(), 1, len(values)))


def pairwise_correlation(values: Values) -> Values:
    """Return the correlation (K, K) of columns (N, K), each pair over the rows with both; 0 where unknown."""
    known = ~np.isnan(values)
    there = known.astype(np.float64)
    number = there.T @ there
    means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values - means, 0.0)
    sums = filled.T @ there  # sum of column i over the rows that have j
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = filled.T @ filled - sums * sums.T / number
        square = (filled**2).T @ there - sums**2 / number
        correlation: Values = cross / np.sqrt(square * square.T)
    correlation = np.nan_to_num(correlation, nan=0.0, posinf=0.0, neginf=0.0)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def thresholds(correlation: Values, variants: int) -> Thresholds:
    """Return the thresholds for phenotypes of this correlation (K, K) and so many tested variants; fdr is left at 0."""
    effective = effective_number(correlation)
    alone = GENOME_WIDE / len(correlation)
    return Thresholds(GENOME_WIDE, alone, GENOME_WIDE / effective, effective, LEVEL / max(variants, 1) / effective)
