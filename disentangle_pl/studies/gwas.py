"""`disentangle-pl gwas`: all variants against all phenotypes, block by block, so that a kill loses little."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.control import permutations_of
from disentangle_pl.genetics.exports import check_exports
from disentangle_pl.genetics.filesets import build_of, open_filesets
from disentangle_pl.genetics.genotypes import AUTOSOMES, REASONS, Fileset, Genotypes, Limits, Span, X, spans
from disentangle_pl.genetics.loco import Loco
from disentangle_pl.genetics.people import PeopleTable
from disentangle_pl.genetics.relatives import relatives, sentences_of
from disentangle_pl.genetics.results import Journal
from disentangle_pl.genetics.scripts import check_scripts, write_scripts
from disentangle_pl.genetics.significance import pairwise_correlation
from disentangle_pl.memory import available_memory
from disentangle_pl.studies.gwas_blocks import ByChromosome, Routine, scan_block
from disentangle_pl.studies.gwas_findings import Found
from disentangle_pl.studies.gwas_inputs import Inputs, gather
from disentangle_pl.studies.gwas_journal import RECIPE, alone, compare, lines_of
from disentangle_pl.studies.gwas_report import Told, report
from disentangle_pl.studies.gwas_summary import Study, Variants

BLOCK = 8000
CALL_BYTES, DOSAGE_BYTES, TEST_BYTES = 4, 12, 300


@dataclass(frozen=True)
class Plan:
    """How to scan.

    Args:
        beds: Filesets, see `open_filesets`.
        limits: What a variant needs.
        block: Variants at a time; None for that of an earlier call, or else what the memory has room for.
        shard: This share (i, n) of the blocks, from (1, 1) for all.
        ranks: Rank-based inverse normal phenotypes.
        permute: Permute the calls of all variants too, for the nulls of MOSTest and min-P.
        together: Test all phenotypes together too.
        seed: Of the permutations.
        build: Genome build, where the variants do not tell.
        permutations: Of the people of every block, for the control; see `permutations_of`.
        loco: List of the predictions of step 1 of regenie, see `Loco`.
        sample: File of the people of the filesets, see `open_filesets`.

    Raises:
        InputError: If a setting makes no sense.
    """

    beds: Sequence[str]
    limits: Limits = field(default_factory=Limits)
    block: int | None = None
    shard: tuple[int, int] = (1, 1)
    ranks: bool = True
    permute: bool = False
    together: bool = True
    seed: int = 0
    build: str | None = None
    permutations: int | None = None
    loco: Path | None = None
    sample: str | None = None

    def __post_init__(self) -> None:
        self.limits.check()
        if not 1 <= self.shard[0] <= self.shard[1]:
            raise InputError(f"shard {self.shard[0]}/{self.shard[1]} is none: give i/n with i from 1 to n")


def associate(
    plan: Plan, phenotypes: PeopleTable, covariates: PeopleTable | None, out: Path, told: Told, merge: bool = False
) -> Found | None:
    """Scan the variants of a shard, and, when no block is missing, gather and report all.

    The same call goes on after a kill. Memory holds a block, and what does not grow with the variants.

    Args:
        plan: How.
        phenotypes: Numbers a person.
        covariates: Covariates a person, None for none.
        out: Folder of the study, new or of an earlier call with the same settings.
        told: How to report.
        merge: Scan nothing, but gather the blocks of all shards.

    Returns:
        What was found; None for a shard.

    Raises:
        InputError: If files, tables or settings are wrong, or blocks to merge are missing.
    """
    filesets = open_filesets(plan.beds, plan.sample)
    check_exports(told.exports, build_of(filesets, plan.build))
    if told.scripts:
        check_scripts([each.path for each in filesets])
    loco = None if plan.loco is None else _loco(plan.loco, phenotypes, filesets)
    inputs = gather(filesets, phenotypes, covariates, plan.ranks, loco)
    tests = ByChromosome(inputs, plan.together, loco)
    if len(tests.untested) == len(inputs.names):
        raise InputError(f"no phenotype can be tested: {next(iter(tests.untested.values()))}")
    size = plan.block if plan.block is not None else _block_size(out, inputs, any(each.dosages for each in filesets))
    blocks = spans(filesets, size, by_chromosome=loco is not None)
    permutations = permutations_of(plan.permutations, len(blocks), size, len(inputs.names))
    routine = Routine(plan.limits, plan.permute, permutations, plan.seed)
    settings = _settings(plan, routine, filesets, inputs) | {"loco": loco and loco.fingerprint(), "block": size}
    with ExitStack() as stack:
        chromosomes = AUTOSOMES | {X} if loco is None or loco.predicts(X) else AUTOSOMES
        genotypes = stack.enter_context(Genotypes(filesets, inputs.people, chromosomes))
        if not merge:
            stack.callback(alone(out, plan.shard).release)
            _scan(plan.shard, partial(scan_block, routine, tests, genotypes), inputs.names, blocks, settings, out)
        if not merge and plan.shard[1] > 1:
            print(f"shard {plan.shard[0]}/{plan.shard[1]} is done: when all are, run the same with --merge=true")
            return None
        lines = lines_of(out, settings, len(blocks))
        if told.scripts:
            _for_others(out, inputs, filesets, plan.limits)
        remarks = [*tests.remarks, *(f"{name} has no numbers (NA): {why}" for name, why in tests.untested.items())]
        remarks += [f"what other chromosomes predict is taken off, by {loco.path}"] if loco else []
        return report(_study(out, inputs, genotypes, lines, settings, remarks), told, plan.build)


def _block_size(out: Path, inputs: Inputs, dosages: bool) -> int:
    """Return the variants of a block of an earlier call, or for an eighth of the memory, from 100 to 8,000."""
    earlier = [line for path in sorted(out.glob("journal-*-of-*.jsonl")) for line in Journal(path).lines[:1]]
    if earlier:
        return int(earlier[0].get("block", BLOCK))
    bytes_of_one = (DOSAGE_BYTES if dosages else CALL_BYTES) * len(inputs.people) + TEST_BYTES * len(inputs.names)
    return int(np.clip(available_memory() // 8 // bytes_of_one // 100 * 100, 100, BLOCK))


def _loco(path: Path, phenotypes: PeopleTable, filesets: Sequence[Fileset]) -> Loco:
    there = {name for each in filesets for name in each.variants["chromosome"].unique().tolist()}
    return Loco(path, [str(name) for name in phenotypes.values.columns], sorted(there & AUTOSOMES, key=int))


def _scan(
    shard: tuple[int, int],
    do: Callable[[Span, Sequence[str], Path, int], dict[str, Any]],
    names: Sequence[str],
    blocks: Sequence[Span],
    settings: dict[str, Any],
    out: Path,
) -> None:
    i, n = shard
    journal = Journal(out / f"journal-{i}-of-{n}.jsonl")
    if journal.lines:
        compare(journal.lines[0], settings, out)
    else:
        journal.write(settings)
    done = {line["block"] for line in journal.lines[1:]}
    mine = [b for b in range(len(blocks) * (i - 1) // n, len(blocks) * i // n) if b not in done]
    (out / "blocks").mkdir(exist_ok=True)
    for number in track(mine, "scanning blocks of variants", console=Console(stderr=True), transient=True):
        journal.write(do(blocks[number], names, out / "blocks", number))


def _study(
    out: Path,
    inputs: Inputs,
    genotypes: Genotypes,
    lines: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    remarks: Sequence[str],
) -> Study:
    left_out = np.array([line["faults"] for line in lines]).sum(axis=0).tolist()
    variants = Variants(
        sum(line["variants"] for line in lines),
        sum(line["tested"] for line in lines),
        sum(line.get("unknown", 0) for line in lines),
        dict(zip(REASONS, left_out, strict=True)),
    )
    related = relatives(genotypes, len(inputs.people))
    names = inputs.people["iid"]
    pairs = {"iid": names.iloc[related.first].to_numpy(), "other": names.iloc[related.second].to_numpy()}
    sexes = set(inputs.people["sex"].dropna())
    counts = {name: inputs.phenotypes[:, k] for k, name in enumerate(inputs.names) if inputs.cases[k]}
    cases = {name: (int((values == 1).sum()), int((values == 0).sum())) for name, values in counts.items()}
    return Study(
        out,
        len(inputs.people),
        inputs.names,
        (~np.isnan(inputs.phenotypes)).sum(axis=0),
        pairwise_correlation(inputs.phenotypes),
        inputs.covariate_names,
        inputs.dropped,
        [*sentences_of(related, names), *inputs.remarks, *remarks],
        genotypes,
        [line["block"] for line in lines if line["tested"]],
        variants,
        settings,
        pd.DataFrame(pairs | {"kinship": related.kinship}),
        sex=sexes.pop() if len(sexes) == 1 and inputs.people["sex"].notna().all() else "combined",
        cases=cases,
    )


def _for_others(out: Path, inputs: Inputs, filesets: Sequence[Fileset], limits: Limits) -> None:
    tables = {
        "phenotypes": (inputs.names, inputs.phenotypes),
        "covariates": (inputs.covariate_names, inputs.covariates),
    }
    write_scripts(out / "scripts", inputs.people, tables, [each.path for each in filesets], limits)


def _settings(plan: Plan, routine: Routine, filesets: Sequence[Fileset], inputs: Inputs) -> dict[str, Any]:
    """Tell what makes the numbers: another value of any of these is another study."""
    told = asdict(plan)
    told = {name: told[name] for name in ("ranks", "permute", "together", "seed")}
    told |= {"limits": list(plan.limits), "inputs": inputs.fingerprint(), "recipe": RECIPE}
    told["permutations"] = routine.permutations
    told["genotypes"] = [[each.path.name, len(each.people), len(each.variants)] for each in filesets]
    return told
