"""Gather what the blocks of a genome-wide study have found: tables, thresholds, lead variants, pictures, exports."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from scipy import optimize

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.clumping import Clumping
from disentangle_pl.genetics.exports import export
from disentangle_pl.genetics.genotypes import REASONS, Genotypes, Limits
from disentangle_pl.genetics.power import expected_finds, power, power_table, read_planted
from disentangle_pl.genetics.results import write_text
from disentangle_pl.genetics.scripts import write_scripts
from disentangle_pl.genetics.significance import (
    GENOME_WIDE,
    Thresholds,
    genomic_inflation,
    pairwise_correlation,
    thresholds,
)
from disentangle_pl.studies.gwas_findings import Found, findings
from disentangle_pl.studies.gwas_inputs import Inputs
from disentangle_pl.studies.gwas_plots import draw_manhattan, draw_miami, draw_qq
from disentangle_pl.studies.gwas_tables import (
    ASSOCIATIONS,
    TOGETHER,
    Counted,
    best_of_together,
    column_of,
    count,
    join_associations,
    join_together,
    lead_variants,
    parts_of,
)

DIGITS = "%.8g"


class Study(NamedTuple):
    """A study whose blocks are all done.

    Attributes:
        out: Its folder.
        inputs: People, phenotypes and covariates.
        genotypes: Open.
        lines: What the journals say of every block.
        settings: What made the numbers.
        levels: Thresholds of the control.
        build: Genome build, None if unknown.
    """

    out: Path
    inputs: Inputs
    genotypes: Genotypes
    lines: Sequence[dict[str, Any]]
    settings: dict[str, Any]
    levels: Sequence[float]
    build: str | None


@dataclass(frozen=True)
class Told:
    """How to tell what was found.

    Args:
        clumping: When variants belong to one lead variant.
        planted: A table of planted effects, see `read_planted`.
        exports: Formats to write beside: glm, regenie or ssf.
        trait: What the phenotypes are, for the metadata of exports.
        plots: Also draw pictures.
        against: Folder of another finished study, to be drawn mirrored.
        remarks: To be said in the findings.
        scripts: Also write tables and scripts for plink2 and regenie.
    """

    clumping: Clumping = field(default_factory=Clumping)
    planted: Path | None = None
    exports: Sequence[str] = ()
    trait: str = "latent of a brain model"
    plots: bool = True
    against: Path | None = None
    remarks: Sequence[str] = ()
    scripts: bool = False


def report(study: Study, told: Told) -> Found:
    """Write tables, summary.json, findings.md and pictures, and print the findings.

    Raises:
        InputError: If no variant passed the filters, or the table of planted effects is wrong.
    """
    out, names = study.out, study.inputs.names
    blocks = [line["block"] for line in study.lines if line["tested"]]
    if not blocks:
        raise InputError(f"no variant passes the filters: {_left_out(study)}; give other --maf, --geno or --hwe")
    planted = read_planted(told.planted) if told.planted else None
    join_associations(out, blocks)
    nulls = join_together(out, blocks, study.settings["permute"])
    counted = count(out / ASSOCIATIONS, len(names), planted["id"].tolist() if planted is not None else [])
    levels = thresholds(pairwise_correlation(study.inputs.phenotypes), counted.histogram.false_discovery_threshold())
    leads = lead_variants(counted.hits, "neg_log10_p", study.genotypes, told.clumping)
    together = None
    if (out / TOGETHER).exists():
        together = lead_variants(best_of_together(out / TOGETHER), "f_neg_log10_p", study.genotypes, told.clumping)
    free = len(study.inputs.people) - len(study.inputs.covariate_names) - 2
    known = None if planted is None else _planted(planted, counted, free, levels)
    found = Found(
        _summary(study, counted, levels, leads, free),
        levels,
        _phenotypes(study, counted, levels),
        leads,
        together,
        known,
        nulls,
    )
    _write(study, told, found, counted, free)
    shutil.rmtree(out / "blocks", ignore_errors=True)
    Console().print((out / "findings.md").read_text(), soft_wrap=True, markup=False, highlight=False)
    Console().print(f"tables and pictures are in {out}", soft_wrap=True, markup=False, highlight=False)
    return found


def _write(study: Study, told: Told, found: Found, counted: Counted, free: int) -> None:
    out = study.out
    levels = {f"{each:.3g}": each for each in dict.fromkeys((GENOME_WIDE, found.thresholds.effective))}
    tables = {
        "hits": counted.hits.sort_values("neg_log10_p", ascending=False, kind="stable"),
        "leads": found.leads,
        "leads_together": found.together,
        "phenotypes": found.phenotypes,
        "planted": found.planted,
        "power": power_table(free, levels),
        "dropped": study.inputs.dropped,
    }
    for name, table in tables.items():
        if table is not None:
            write_text(out / f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="n/a", float_format=DIGITS))
    write_text(out / "summary.json", json.dumps(found.summary, indent=1) + "\n")
    write_text(out / "findings.md", findings(found, study.inputs.dropped, [*study.inputs.remarks, *told.remarks]))
    if told.plots:
        draw_qq(counted.histogram, study.inputs.names).savefig(out / "qq.png", dpi=130)
        draw_manhattan(out, found.thresholds, study.inputs.names).savefig(out / "manhattan.png", dpi=130)
        if told.against:
            _mirror(study, told.against, found.thresholds)
    if told.scripts:
        _for_others(study)
    for kind in told.exports:
        export(out / ASSOCIATIONS, out / "export", kind, study.inputs.names, study.build, told.trait)


def _for_others(study: Study) -> None:
    inputs = study.inputs
    tables = {
        "phenotypes": (inputs.names, inputs.phenotypes),
        "covariates": (inputs.covariate_names, inputs.covariates),
    }
    beds = [each.bed for each in study.genotypes.filesets]
    write_scripts(study.out / "scripts", inputs.people, tables, beds, Limits(*study.settings["limits"]))


def _mirror(study: Study, other: Path, levels: Thresholds) -> None:
    try:
        theirs = json.loads((other / "summary.json").read_text())["phenotypes"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{other} holds no finished study ({error}): give --against the --out of one") from error
    both = (study.out.name, study.out, len(study.inputs.names)), (other.name, other, len(theirs))
    draw_miami(*both, levels).savefig(study.out / "miami.png", dpi=130)


def _summary(study: Study, counted: Counted, levels: Thresholds, leads: pd.DataFrame, free: int) -> dict[str, Any]:
    controls = np.array([line["control"] for line in study.lines if line["tested"]]).sum(axis=0)
    shares = {f"{level:g}": float(n / max(controls[0], 1)) for level, n in zip(study.levels, controls[1:], strict=True)}
    best = leads["neg_log10_p"] if len(leads) else pd.Series(dtype=float)
    loci = {
        name: int((best >= -np.log10(getattr(levels, name))).sum())
        for name in ("genome_wide", "phenotypes", "effective")
    }
    together = study.out / TOGETHER
    return {
        "people": len(study.inputs.people),
        "people_left_out": study.inputs.dropped["reason"].value_counts().to_dict(),
        "phenotypes": study.inputs.names,
        "covariates": study.inputs.covariate_names,
        "build": study.build,
        "variants": sum(line["variants"] for line in study.lines),
        "variants_tested": sum(line["tested"] for line in study.lines),
        "variants_left_out": _left_out(study),
        "tests": int(counted.histogram.counts.sum()),
        "untestable": sum(line.get("unknown", 0) for line in study.lines),
        "lambda": dict(zip(study.inputs.names, counted.histogram.lambdas().tolist(), strict=True)),
        "thresholds": levels._asdict(),
        "loci": loci,
        "permuted": {"tests": int(controls[0]), "shares": shares, **(_permuted(together) if together.exists() else {})},
        "explained_at_power_80": _needed(free),
        "settings": study.settings,
    }


def _permuted(together: Path) -> dict[str, float]:
    """Return the inflation of the F-test with true and with permuted genotypes."""
    columns = ["f_neg_log10_p", "permuted_f_log10_p"]
    true, drawn = (np.concatenate([column_of(part, name) for part in parts_of(together, [name])]) for name in columns)
    return {"f_lambda": genomic_inflation(10**-true), "permuted_f_lambda": genomic_inflation(10**-drawn)}


def _needed(free: int) -> float:
    """Return the share of variance that is found at 5e-8 with a chance of 80 %."""
    return float(optimize.brentq(lambda q: power(free, np.array([q]), GENOME_WIDE)[0] - 0.8, 1e-9, 1 - 1e-9))


def _left_out(study: Study) -> dict[str, int]:
    return dict(zip(REASONS, np.array([line["faults"] for line in study.lines]).sum(axis=0).tolist(), strict=True))


def _phenotypes(study: Study, counted: Counted, levels: Thresholds) -> pd.DataFrame:
    """Count the hits of every phenotype; those at the false discovery rate from the histogram."""
    table = pd.DataFrame({"phenotype": study.inputs.names})
    table["n"] = (~np.isnan(study.inputs.phenotypes)).sum(axis=0)
    table["lambda"] = counted.histogram.lambdas()
    for name in ("genome_wide", "phenotypes", "effective"):
        strong = counted.hits[counted.hits["neg_log10_p"] >= -np.log10(getattr(levels, name))]
        numbers = strong["phenotype"].value_counts() if len(strong) else pd.Series(dtype=int)
        table[f"hits_{name}"] = table["phenotype"].map(numbers).fillna(0).astype(int)
    return table.assign(hits_fdr=counted.histogram.beyond(levels.fdr))


def _planted(planted: pd.DataFrame, counted: Counted, free: int, levels: Thresholds) -> pd.DataFrame:
    rows = counted.planted.sort_values("neg_log10_p", ascending=False, kind="stable").drop_duplicates("id")
    known = expected_finds(planted, free, levels.effective)
    return known.merge(rows[["id", "phenotype", "beta", "p", "neg_log10_p"]], how="left", on="id")
