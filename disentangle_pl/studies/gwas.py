"""`disentangle-pl gwas`: all variants against all phenotypes, block by block, so that a kill loses little."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import track

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Associations, Panel, Scan
from disentangle_pl.genetics.filesets import Fileset, genome_build, open_filesets
from disentangle_pl.genetics.genotypes import REASONS, Genotypes, Limits, Span, spans
from disentangle_pl.genetics.multivariate import Omnibus, Together
from disentangle_pl.genetics.people import PeopleTable
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.results import Journal, associations_table, together_table, write_whole
from disentangle_pl.genetics.significance import GENOME_WIDE
from disentangle_pl.studies.gwas_findings import Found
from disentangle_pl.studies.gwas_inputs import Inputs, gather
from disentangle_pl.studies.gwas_report import Study, Told, report

CONTROL = 100
LEVELS = (0.05, 1e-3, GENOME_WIDE)
RECIPE = 1
"""Counts changes of the files of blocks, so that no study is continued by another recipe."""


@dataclass(frozen=True)
class Plan:
    """How to scan.

    Args:
        beds: Filesets, see `open_filesets`.
        limits: What a variant needs.
        block: Variants at a time.
        shard: This share (i, n) of the blocks, from (1, 1) for all.
        ranks: Rank-based inverse normal phenotypes.
        permute: Permute the calls of all variants, for the nulls of MOSTest and min-P; else those of a few, as control.
        together: Test all phenotypes together too.
        seed: Of the permutations.
        build: Genome build, where the variants do not tell.

    Raises:
        InputError: If a setting makes no sense.
    """

    beds: Sequence[str]
    limits: Limits = field(default_factory=Limits)
    block: int = 2000
    shard: tuple[int, int] = (1, 1)
    ranks: bool = True
    permute: bool = False
    together: bool = True
    seed: int = 0
    build: str | None = None

    def __post_init__(self) -> None:
        self.limits.check()
        if not 1 <= self.shard[0] <= self.shard[1]:
            raise InputError(f"shard {self.shard[0]}/{self.shard[1]} is none: give i/n with i from 1 to n")


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
    filesets = open_filesets(plan.beds)
    inputs = gather(filesets, phenotypes, covariates, plan.ranks)
    tests = Tests(inputs, plan.together)
    settings = _settings(plan, filesets, inputs)
    blocks = spans(filesets, plan.block)
    with ExitStack() as stack:
        genotypes = stack.enter_context(Genotypes(filesets, inputs.people))
        if not merge:
            stack.callback(_alone(out, plan.shard).release)
            _scan(plan, genotypes, tests, inputs, blocks, settings, out)
        if not merge and plan.shard[1] > 1:
            print(f"shard {plan.shard[0]}/{plan.shard[1]} is done: when all are, run the same with --merge=true")
            return None
        lines = _lines(out, settings, len(blocks))
        build = plan.build or next(filter(None, (genome_build(each.variants) for each in filesets)), None)
        return report(Study(out, inputs, genotypes, lines, settings, LEVELS, build), told)


def _scan(
    plan: Plan,
    genotypes: Genotypes,
    tests: Tests,
    inputs: Inputs,
    blocks: Sequence[Span],
    settings: dict[str, Any],
    out: Path,
) -> None:
    i, n = plan.shard
    journal = Journal(out / f"journal-{i}-of-{n}.jsonl")
    if journal.lines:
        _compare(journal.lines[0], settings, out)
    else:
        journal.write(settings)
    done = {line["block"] for line in journal.lines[1:]}
    mine = [b for b in range(len(blocks) * (i - 1) // n, len(blocks) * i // n) if b not in done]
    (out / "blocks").mkdir(exist_ok=True)
    for number in track(mine, "scanning blocks of variants", console=Console(stderr=True), transient=True):
        span = blocks[number]
        block = genotypes.read(span)
        faults = genotypes.faults(span, block, plan.limits)
        kept = block.take(faults < 0)
        line: dict[str, Any] = {"block": number, "variants": len(faults), "tested": len(kept.variants)}
        line["faults"] = np.bincount(faults[faults >= 0], minlength=len(REASONS)).tolist()
        if len(kept.variants):
            fits, together = tests(kept.calls)
            write_whole(associations_table(kept.variants, fits, inputs.names), out / "blocks" / f"{number}.parquet")
            line |= {"unknown": int(np.isnan(fits.t).sum())}
            some = len(kept.calls) if plan.permute else min(CONTROL, len(kept.calls))
            rng = np.random.default_rng([plan.seed, number])
            null, null_together = tests(rng.permuted(kept.calls[:some], axis=1))
            line["control"] = [int((~np.isnan(null.p)).sum()), *(int((null.p <= level).sum()) for level in LEVELS)]
            if together is not None:
                table = together_table(kept.variants, together, null_together)
                write_whole(table, out / "blocks" / f"{number}.together.parquet")
        journal.write(line)


def _settings(plan: Plan, filesets: Sequence[Fileset], inputs: Inputs) -> dict[str, Any]:
    """Tell what makes the numbers: another value of any of these is another study."""
    told = asdict(plan)
    told = {name: told[name] for name in ("block", "ranks", "permute", "together", "seed")}
    told |= {"limits": list(plan.limits), "inputs": inputs.fingerprint(), "recipe": RECIPE}
    told["genotypes"] = [[each.bed.name, len(each.people), len(each.variants)] for each in filesets]
    return told


def _compare(theirs: dict[str, Any], ours: dict[str, Any], out: Path) -> None:
    other = [name for name in ours if theirs.get(name) != ours[name]]
    if other:
        raise InputError(
            f"{out} holds a study with other {', '.join(other)}: give --out another folder, or the same settings"
        )


def _lines(out: Path, settings: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Read the journals of all shards; every block must be done."""
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(out.glob("journal-*-of-*.jsonl")):
        lines = Journal(path).lines
        if lines:
            _compare(lines[0], settings, out)
        found |= {line["block"]: line for line in lines[1:]}
    missing = [number for number in range(count) if number not in found]
    if missing:
        raise InputError(
            f"{len(missing)} of {count} blocks are not in {out}, the first is number {missing[0]}: run all shards first"
        )
    return [found[number] for number in range(count)]


def _alone(out: Path, shard: tuple[int, int]) -> FileLock:
    lock = FileLock(out / f".lock-{shard[0]}-of-{shard[1]}", timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(path.name[:1] != "." for path in out.iterdir()) and not any(out.glob("journal-*-of-*.jsonl")):
            raise InputError(f"{out} holds other files: give --out a new folder, or one of this study")
        lock.acquire()
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{out} is no folder that can be written to ({error.strerror}): give another --out") from error
    except Timeout as error:
        raise InputError(f"another process writes this shard of {out}: wait for it, or give another --out") from error
    return lock
