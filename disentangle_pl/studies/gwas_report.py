"""Gather what the blocks of a genome-wide study have found: tables, thresholds, lead variants, pictures, exports."""

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import pandas as pd
from rich.console import Console

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.clumping import Clumping
from disentangle_pl.genetics.exports import About, export
from disentangle_pl.genetics.filesets import build_of, open_filesets
from disentangle_pl.genetics.genotypes import Genotypes, common_people
from disentangle_pl.genetics.power import power_table, read_planted
from disentangle_pl.genetics.results import write_text
from disentangle_pl.genetics.significance import GENOME_WIDE, thresholds
from disentangle_pl.studies.gwas_findings import Found, findings
from disentangle_pl.studies.gwas_summary import Study, phenotypes_table, planted_tables, summarise
from disentangle_pl.studies.gwas_tables import (
    ASSOCIATIONS,
    SUGGESTIVE,
    TOGETHER,
    Counted,
    best_of_together,
    count,
    fits_of,
    join_associations,
    join_control,
    join_together,
    lead_variants,
)

DIGITS = "%.8g"


@dataclass(frozen=True)
class Told:
    """How to tell what was found.

    Args:
        clumping: When variants belong to one lead variant.
        planted: A table of planted effects, see `read_planted`.
        exports: Formats to write beside: glm, regenie, ssf or ldsc.
        trait: What the phenotypes are, for the metadata of exports.
        plots: Also draw pictures.
        against: Folder of another finished study, to be drawn mirrored.
        remarks: To be said in the findings.
        scripts: Also write tables and scripts for plink2 and regenie.
        ld_reference: Filesets of other people, by whose linkage disequilibrium variants are clumped; none for those
            that were tested.
    """

    clumping: Clumping = field(default_factory=Clumping)
    planted: Path | None = None
    exports: Sequence[str] = ()
    trait: str = "latent of a brain model"
    plots: bool = True
    against: Path | None = None
    remarks: Sequence[str] = ()
    scripts: bool = False
    ld_reference: Sequence[str] = ()


def report(study: Study, told: Told, build: str | None) -> Found:
    """Write tables, summary.json, findings.md and pictures, and print the findings.

    Args:
        study: Whose blocks are done.
        told: How.
        build: Genome build; None to tell it by the variants of APOE.

    Raises:
        InputError: If no variant passed the filters, or the table of planted effects is wrong.
    """
    out = study.out
    if not study.variants.tested:
        raise InputError(f"no variant passes the filters: {study.variants.left_out}; give other --maf, --geno or --hwe")
    planted = read_planted(told.planted) if told.planted else None
    join_associations(out, study.blocks)
    nulls = join_together(out, study.blocks, study.settings.get("permute", False))
    control = join_control(out, study.blocks)
    levels = thresholds(study.correlation, study.variants.tested)
    largest = max(SUGGESTIVE, levels.study)
    wanted = planted["id"].tolist() if planted is not None else []
    counted = count(fits_of(out, study.blocks), len(study.names), wanted, largest)
    levels = levels._replace(fdr=counted.histogram.false_discovery_threshold())
    strong = best_of_together(out / TOGETHER, largest) if (out / TOGETHER).exists() else None
    leads, together, remarks = _clumped(study, told, counted.hits, strong)
    told = replace(told, remarks=[*told.remarks, *remarks])
    build = build_of(study.genotypes.filesets, build)
    known, factors = (None, None) if planted is None else planted_tables(planted, counted, study.free, levels)
    found = Found(
        summarise(study, counted, levels, leads, control, build),
        levels,
        phenotypes_table(study, counted, levels, control and control[1]),
        leads,
        together,
        known,
        factors,
        nulls,
    )
    _write(study, told, found, counted)
    shutil.rmtree(out / "blocks", ignore_errors=True)
    Console().print((out / "findings.md").read_text(), soft_wrap=True, markup=False, highlight=False)
    Console().print(f"tables and pictures are in {out}", soft_wrap=True, markup=False, highlight=False)
    return found


def _clumped(
    study: Study, told: Told, hits: pd.DataFrame, strong: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str]]:
    """Return the lead variants of single tests and of those of all phenotypes together, and by whom they are told."""
    with ExitStack() as stack:
        genotypes, reference = study.genotypes, bool(told.ld_reference)
        if reference:
            filesets = open_filesets(told.ld_reference)
            genotypes = stack.enter_context(Genotypes(filesets, common_people(filesets)))
        leads = lead_variants(hits, "neg_log10_p", genotypes, told.clumping, reference)
        together = None
        if strong is not None:
            together = lead_variants(strong, "f_neg_log10_p", genotypes, told.clumping, reference)
    if not reference:
        return leads, together, []
    alone = 0 if leads.empty else int((~leads["clumped"]).sum())
    people = len(genotypes.rows[0])
    said = f"variants are clumped by {people} people of {listing(list(told.ld_reference), 3)}"
    return leads, together, [f"{said}, who lack {alone} of the {len(leads)} lead variants, which stand alone"]


def _write(study: Study, told: Told, found: Found, counted: Counted) -> None:
    out = study.out
    levels = {f"{each:.3g}": each for each in dict.fromkeys((GENOME_WIDE, found.thresholds.effective))}
    tables = {
        "hits": counted.hits.sort_values("neg_log10_p", ascending=False, kind="stable"),
        "leads": found.leads,
        "leads_together": found.together,
        "phenotypes": found.phenotypes,
        "planted": found.planted,
        "planted_by_factor": found.factors,
        "power": power_table(study.free, levels),
        "dropped": study.dropped,
        "relatives": study.relatives if len(study.relatives) else None,
    }
    for name, table in tables.items():
        if table is not None:
            write_text(out / f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="n/a", float_format=DIGITS))
    write_text(out / "summary.json", json.dumps(found.summary, indent=1) + "\n")
    write_text(out / "findings.md", findings(found, study.dropped, [*study.remarks, *told.remarks]))
    if told.plots:
        plots = import_module("disentangle_pl.studies.gwas_plots")  # with matplotlib, half a second
        plots.draw_qq(counted.histogram, study.names).savefig(out / "qq.png", dpi=130)
        plots.draw_manhattan(out, found.thresholds, study.names).savefig(out / "manhattan.png", dpi=130)
        if told.against:
            plots.draw_miami(*_both(study, told.against), found.thresholds).savefig(study.out / "miami.png", dpi=130)
    rarest = study.settings["limits"][0] if "limits" in study.settings else None
    about = About(told.trait, study.sex, study.covariates, study.cases, rarest)
    for kind in told.exports:
        export(out / ASSOCIATIONS, out / "export", kind, study.names, found.summary["build"], about)


def _both(study: Study, other: Path) -> tuple[tuple[str, Path, int], tuple[str, Path, int]]:
    """Return name, folder and number of phenotypes of this study and of another finished one."""
    try:
        theirs = json.loads((other / "summary.json").read_text())["phenotypes"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{other} holds no finished study ({error}): give --against the --out of one") from error
    return (study.out.name, study.out, len(study.names)), (other.name, other, len(theirs))
