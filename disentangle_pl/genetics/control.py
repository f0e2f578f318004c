"""The control of a study: its tests with genotypes of other people, and lambda with its uncertainty."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import special

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.significance import GENOME_WIDE, MEDIAN_CHI2

LEVELS = (0.05, 1e-3, GENOME_WIDE)
VARIANTS, MOST = 100, 200
TOGETHER = 1000
TESTS, LEAST, LARGEST = 40_000, 2_000, 20_000
BINS = 200


class Control(NamedTuple):
    """Counts of the p of permuted tests, for R groups of tests; it does not grow with the tests, and counts add up.

    Attributes:
        bins: (R, 200) tests by p, in equal bins from 0 to 1.
        low: (R, 3) tests with p up to 0.05, 0.001 and 5e-8.
        sums: (R, 3) sums over draws of c^2, c n and n^2, where n tests of a draw have a p and c of them one below 1/2.
        draws: Permutations of people, each of the variants of one block.
    """

    bins: NDArray[np.int64]
    low: NDArray[np.int64]
    sums: Values
    draws: int

    @property
    def tests(self) -> NDArray[np.int64]:
        """Tests (R,) with a p."""
        tests: NDArray[np.int64] = self.bins.sum(axis=1)
        return tests


class Inflation(NamedTuple):
    """Genomic inflation of R groups of tests and the ends of its 95 % intervals, each (R,)."""

    value: Values
    low: Values
    high: Values


def permutations_of(given: int | None, blocks: int, size: int, phenotypes: int) -> int:
    """Return how often the people of every block are permuted.

    By default so often that a study makes about 40,000 permuted tests, of 2,000 to 20,000 variants, but at least twice;
    so the control of ten blocks of 2,000 variants costs a tenth of their scan, and that of more blocks a twentieth.

    Args:
        given: What was asked for.
        blocks: Of the study.
        size: Variants a block.
        phenotypes: Of the study.

    Raises:
        InputError: If fewer than two permutations are asked for, which have no spread.
    """
    if given is None:
        variants = min(max(TESTS // phenotypes, LEAST), LARGEST)
        return int(np.clip(-(-variants // max(blocks * min(VARIANTS, size), 1)), 2, MOST))
    if given < 2:
        raise InputError(f"{given} permutations tell no uncertainty: give --permutations at least 2")
    return given


def permute(
    p_of: Callable[[Calls], Values],
    calls: Calls,
    groups: Sequence[Sequence[int]],
    permutations: int,
    rng: np.random.Generator,
) -> Control:
    """Test up to 100 variants of a block with the people of their calls permuted, several times.

    One permutation holds for all variants of a draw: that is the same as permuted rows of phenotypes and covariates, it
    keeps linkage disequilibrium and the correlation of phenotypes, and so the spread between draws has what correlated
    tests do to a lambda. Each variant permuted for itself would make tests independent and the interval too narrow.

    Args:
        p_of: Tests calls (m, N) and returns p (m, C), NaN where there is none.
        calls: (M, N) of the block; variants are taken at even distances.
        groups: Columns of p that belong to each of the R groups.
        permutations: Draws.
        rng: Random numbers.
    """
    some = calls[np.unique(np.linspace(0, len(calls) - 1, min(len(calls), VARIANTS)).round().astype(np.int64))]
    made: list[Control] = []
    together = max(TOGETHER // max(len(some), 1), 1)
    for start in range(0, permutations, together):
        draws = [some[:, rng.permutation(calls.shape[1])] for _ in range(min(together, permutations - start))]
        p = p_of(np.concatenate(draws))
        made += [tally(part, groups) for part in np.split(p, len(draws))]
    return total(made)


def total(parts: Sequence[Control]) -> Control:
    """Add counts up, of draws or of blocks."""
    bins, low = np.sum([each.bins for each in parts], axis=0), np.sum([each.low for each in parts], axis=0)
    return Control(bins, low, np.sum([each.sums for each in parts], axis=0), sum(each.draws for each in parts))


def tally(p: Values, groups: Sequence[Sequence[int]]) -> Control:
    """Count the p (m, C) of one draw."""
    known = [values[~np.isnan(values)] for values in (p[:, list(group)] for group in groups)]
    bins = np.stack([np.bincount(np.minimum(each * BINS, BINS - 1).astype(np.int64), minlength=BINS) for each in known])
    low = np.array([[(each <= level).sum() for level in LEVELS] for each in known])
    half, tests = bins[:, : BINS // 2].sum(axis=1).astype(np.float64), bins.sum(axis=1).astype(np.float64)
    return Control(bins, low, np.stack((half**2, half * tests, tests**2), axis=1), 1)


def inflation(control: Control) -> Inflation:
    """Return lambda: the median of chi-squared over that of no association; 1 with an interval of 1 without tests.

    The interval is that of a median from a sample of clusters, which are the draws: the share of tests with p below
    1/2 has the variance of a ratio over draws, and the quantiles at one half plus and minus its error are the ends.

    Source: Devlin & Roeder 1999, Biometrics 55:997, for lambda; Woodruff 1952, Journal of the American Statistical
        Association 47:635, for the interval.
    """
    tests = np.maximum(control.tests, 1).astype(np.float64)
    share = control.bins[:, : BINS // 2].sum(axis=1) / tests
    below, both, all_of = control.sums.T
    squares = below - 2 * share * both + share**2 * all_of
    draws = max(control.draws, 2)
    error = np.sqrt(np.maximum(squares, 0) * draws / (draws - 1)) / tests
    reach = special.stdtrit(draws - 1, 0.975) * error
    return Inflation(*(_lambda_at(control, 0.5 + side * reach) for side in (0, 1, -1)))


def _lambda_at(control: Control, quantile: Values) -> Values:
    edges = np.linspace(0, 1, BINS + 1)
    found = np.ones(len(quantile))
    for row, counts in enumerate(control.bins):
        if counts.any():
            below = np.concatenate(([0], counts.cumsum()))
            rank = np.clip(quantile[row] * below[-1], 0.5, below[-1] - 0.5)  # within the tests, where p is not 0
            found[row] = special.chdtri(1, np.interp(rank, below, edges)) / MEDIAN_CHI2
    return found


def control_table(control: Control, names: Sequence[str]) -> pa.Table:
    """Lay counts out, a row a group of tests."""
    counts = {"bins": control.bins.tolist(), "low": control.low.tolist(), "sums": control.sums.tolist()}
    return pa.table({"tests_of": list(names), "draws": [control.draws] * len(names), **counts})


def control_of(table: pa.Table) -> Control:
    """Read what `control_table` has laid out."""
    bins, low, sums = (np.array(table[name].to_pylist()) for name in ("bins", "low", "sums"))
    return Control(bins.astype(np.int64), low.astype(np.int64), sums.astype(np.float64), table["draws"][0].as_py())
