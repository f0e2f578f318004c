"""The tests of a genome-wide study, and what they make of a block of variants."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Associations, Panel, Scan
from disentangle_pl.genetics.control import control_table, permute
from disentangle_pl.genetics.designs import Rows, Values
from disentangle_pl.genetics.genotypes import REASONS, Genotypes, Limits, Span, X
from disentangle_pl.genetics.loco import Loco, offset
from disentangle_pl.genetics.multivariate import Omnibus, Together, nothing_together
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.results import ARROW, associations_table, together_table, write_whole
from disentangle_pl.studies.gwas_inputs import Inputs

ALL, JOINT = "all phenotypes", "F-test"


class Tests:
    """All tests of a study.

    Args:
        inputs: People, phenotypes and covariates.
        together: Test all quantities together, over the people who have all.

    Attributes:
        scan: Of single phenotypes.
        omnibus: Of all quantities together; None if that was not asked for, or is not possible.
        remarks: What is left out of which tests, and why.
    """

    def __init__(self, inputs: Inputs, together: bool) -> None:
        self.scan = Scan(inputs.phenotypes, inputs.covariates, inputs.names, inputs.covariate_names, inputs.cases)
        self.omnibus: Omnibus | None = None
        self.remarks = list(self.scan.remarks)
        if together:
            self._add_omnibus(inputs)

    def _add_omnibus(self, inputs: Inputs) -> None:
        """Add the test of all quantities together, or say why there is none."""
        columns = np.sort(np.concatenate([np.empty(0, np.intp), *(each for each, _ in self.scan.panels)]))
        if not len(columns):
            self.remarks.append("without quantities that can be tested there is no test of all of them together")
            return
        try:
            panels = self.scan.panels
            self.omnibus = Omnibus(panels[0][1] if len(panels) == 1 else _panel_of_all(inputs, columns))
            self._multiplier = self.scan.multiplied_with([] if len(panels) == 1 else [self.omnibus.panel])
        except InputError as error:
            self.remarks.append(
                f"**there is no test of all phenotypes together**, of which it takes people who have all: {error}"
            )
        if self.omnibus is not None and inputs.cases.any():
            self.remarks.append("the test of all phenotypes together is of the quantities, without cases and controls")

    def __call__(self, calls: Calls) -> tuple[Associations, Together | None]:
        """Test calls (m, N)."""
        if self.omnibus is None:
            return self.scan(calls), None
        products = self._multiplier(calls)
        fits = [panel.fit(each) for panel, each in zip(self._multiplier.panels, products, strict=True)]
        return self.scan.join(calls, fits[: len(self.scan.panels)]), self.omnibus(products[-1], fits[-1])


def _panel_of_all(inputs: Inputs, columns: Rows) -> Panel:
    """Return the panel of people who have all of these phenotypes."""
    whole = inputs.phenotypes[:, columns]
    whole = np.where(np.isnan(whole).any(axis=1, keepdims=True), np.nan, whole)
    return Panel(whole, inputs.covariates, [inputs.names[k] for k in columns], inputs.covariate_names)


class ByChromosome:
    """The tests of one chromosome after the other: with predictions of other chromosomes they differ.

    Args:
        inputs: People, phenotypes and covariates.
        together: Test all phenotypes together.
        loco: Predictions, None for none.

    Attributes:
        together: Whether all phenotypes are tested together.
        remarks: What is left out of which tests, and why; on chromosome X it may be more.
        untested: Why phenotypes have no numbers, by name.
    """

    def __init__(self, inputs: Inputs, together: bool, loco: Loco | None) -> None:
        self._inputs, self._loco = inputs, loco
        self._now, self._tests = "", Tests(inputs, together)
        self.together = self._tests.omnibus is not None
        self._scale = self._tests.scan.scale
        self.remarks = list(self._tests.remarks)
        self.untested = dict(self._tests.scan.untested)

    def of(self, chromosome: str) -> Tests:
        """Return the tests of a chromosome."""
        now = chromosome if self._loco is not None or chromosome == X else ""
        if now != self._now:
            inputs = self._inputs
            if self._loco is not None:
                predicted = self._loco.predictions(chromosome, inputs.people, inputs.names)
                inputs = inputs._replace(phenotypes=offset(inputs.phenotypes, predicted, self._scale))
            self._now, self._tests = now, Tests(inputs.on_x() if chromosome == X else inputs, self.together)
        return self._tests

    def test(self, calls: Calls, chromosome: str) -> tuple[Associations, Together | None]:
        """Test calls (m, N); a test of all together that one chromosome lacks has no numbers there."""
        fits, together = self.of(chromosome)(calls)
        return fits, nothing_together(len(calls)) if self.together and together is None else together

    def p_values(self, calls: Calls, chromosome: str) -> Values:
        """Return p of calls (m, N): a column a phenotype, and the last one of the test of all together, if any."""
        fits, together = self.test(calls, chromosome)
        return fits.p if together is None else np.column_stack((fits.p, together.f_p))

    def groups(self) -> list[list[int]]:
        """Return the columns of `p_values` by group: every phenotype, all of them, and the test of all together."""
        each = list(range(len(self._inputs.names)))
        return [*([k] for k in each), each, *([[len(each)]] if self.together else [])]


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
    chromosome = str(kept.variants["chromosome"].iloc[0])
    fits, together = tests.test(kept.calls, chromosome)
    write_whole(associations_table(kept.variants, fits, names), folder / f"{i}{ARROW}")
    rng = np.random.default_rng([routine.seed, i])
    if together is not None:
        null = tests.test(rng.permuted(kept.calls, axis=1), chromosome)[1] if routine.permute else None
        write_whole(together_table(kept.variants, together, null), folder / f"{i}.together{ARROW}")
    p_of = partial(tests.p_values, chromosome=chromosome)
    control = permute(p_of, kept.calls, tests.groups(), routine.permutations, rng)
    of = [*names, ALL, *([] if together is None else [JOINT])]
    write_whole(control_table(control, of), folder / f"{i}.control{ARROW}")
    return line | {"unknown": int(np.isnan(fits.t).sum())}
