"""The tests of a genome-wide study, and what they make of a block of variants."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from disentangle_pl.genetics.association import Associations, Panel, Scan
from disentangle_pl.genetics.control import control_table, permute
from disentangle_pl.genetics.genotypes import REASONS, Genotypes, Limits, Span
from disentangle_pl.genetics.loco import Loco, offset
from disentangle_pl.genetics.multivariate import Omnibus, Together
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.results import associations_table, together_table, write_whole
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.gwas_inputs import Inputs

ALL, JOINT = "all phenotypes", "F-test"


class Tests:
    """All tests of a study.

    Args:
        inputs: People, phenotypes and covariates.
        together: Test all phenotypes together, over the people who have all.
    """

    def __init__(self, inputs: Inputs, together: bool) -> None:
        self.scan = Scan(inputs.phenotypes, inputs.covariates, inputs.names, inputs.covariate_names)
        self.rows = np.flatnonzero(~np.isnan(inputs.phenotypes).any(axis=1))
        if not together:
            self.omnibus = None
            return
        whole, covariates = inputs.phenotypes[self.rows], inputs.covariates[self.rows]
        alike = len(self.scan.parts) == 1
        self.panel = self.scan.parts[0][2] if alike else Panel(whole, covariates, inputs.names, inputs.covariate_names)
        self.omnibus = Omnibus(self.panel)

    def __call__(self, calls: Calls) -> tuple[Associations, Together | None]:
        """Test calls (m, N)."""
        if self.omnibus is None:
            return self.scan(calls), None
        products = self.panel.products(calls if len(self.rows) == calls.shape[1] else calls[:, self.rows])
        fits = self.panel.fit(products)
        return fits if len(self.scan.parts) == 1 else self.scan(calls), self.omnibus(products, fits)

    def p_values(self, calls: Calls) -> Values:
        """Return p of calls (m, N): a column a phenotype, and the last one of the test of all together, if any."""
        fits, together = self(calls)
        return fits.p if together is None else np.column_stack((fits.p, together.f_p))

    def groups(self) -> list[list[int]]:
        """Return the columns of `p_values` by group: every phenotype, all of them, and the test of all together."""
        each = list(range(self.scan.count))
        return [*([k] for k in each), each, *([] if self.omnibus is None else [[len(each)]])]


class ByChromosome:
    """The tests of one chromosome after the other: with predictions of other chromosomes they differ.

    Args:
        inputs: People, phenotypes and covariates.
        together: Test all phenotypes together.
        loco: Predictions, None for none.
    """

    def __init__(self, inputs: Inputs, together: bool, loco: Loco | None) -> None:
        self._inputs, self._together, self._loco = inputs, together, loco
        self._now, self._tests = "", Tests(inputs, together)
        self._scale = self._tests.scan.scale

    def of(self, chromosome: str) -> Tests:
        """Return the tests of a chromosome."""
        if self._loco is not None and chromosome != self._now:
            inputs = self._inputs
            predicted = self._loco.predictions(chromosome, inputs.people, inputs.names)
            values = offset(inputs.phenotypes, predicted, self._scale)
            self._now, self._tests = chromosome, Tests(inputs._replace(phenotypes=values), self._together)
        return self._tests


class Routine(NamedTuple):
    """What is done with a block.

    Attributes:
        limits: What a variant needs.
        permute: Permute the calls of all variants, for the nulls of MOSTest and min-P.
        permutations: Of the people, for the control.
        seed: Of the permutations.
    """

    limits: Limits
    permute: bool
    permutations: int
    seed: int


def scan_block(
    routine: Routine, tests: ByChromosome, genotypes: Genotypes, span: Span, names: Sequence[str], folder: Path, i: int
) -> dict[str, Any]:
    """Test the variants of block `i`, write the tables of it, and return its line of the journal."""
    block = genotypes.read(span)
    faults = genotypes.faults(span, block, routine.limits)
    kept = block.take(faults < 0)
    line: dict[str, Any] = {"block": i, "variants": len(faults), "tested": len(kept.variants)}
    line["faults"] = np.bincount(faults[faults >= 0], minlength=len(REASONS)).tolist()
    if not len(kept.variants):
        return line
    mine = tests.of(str(kept.variants["chromosome"].iloc[0]))
    fits, together = mine(kept.calls)
    write_whole(associations_table(kept.variants, fits, names), folder / f"{i}.parquet")
    rng = np.random.default_rng([routine.seed, i])
    if together is not None:
        null = mine(rng.permuted(kept.calls, axis=1))[1] if routine.permute else None
        write_whole(together_table(kept.variants, together, null), folder / f"{i}.together.parquet")
    control = permute(mine.p_values, kept.calls, mine.groups(), routine.permutations, rng)
    of = [*names, ALL, *([] if together is None else [JOINT])]
    write_whole(control_table(control, of), folder / f"{i}.control.parquet")
    return line | {"unknown": int(np.isnan(fits.t).sum())}
