"""What a genome-wide study has found, in numbers and in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.brain.tables import listing
from disentangle_pl.genetics.multivariate import Nulls
from disentangle_pl.genetics.significance import Thresholds

SHOWN = 15
FEW = 5000
CAUTION = (
    "An association is no cause: relatedness and ancestry that the covariates leave, batch and head motion make such "
    "numbers too, lambda far from 1 is their usual sign, and a locus counts once it is replicated in other people."
)


class Found(NamedTuple):
    """All numbers of a study.

    Attributes:
        summary: What goes to summary.json.
        thresholds: Largest p of a hit.
        phenotypes: One row a phenotype: n, lambda, hits by threshold.
        leads: Lead variants of single phenotypes, suggestive ones too.
        together: Lead variants of the F-test; None without.
        planted: Planted variants; None without.
        nulls: Of MOSTest and min-P; None without permutations.
    """

    summary: dict[str, Any]
    thresholds: Thresholds
    phenotypes: pd.DataFrame
    leads: pd.DataFrame
    together: pd.DataFrame | None
    planted: pd.DataFrame | None
    nulls: Nulls | None


def findings(found: Found, dropped: pd.DataFrame, remarks: Sequence[str]) -> str:
    """Write the findings as Markdown.

    Args:
        found: All numbers.
        dropped: Columns iid and reason.
        remarks: What else ought to be known.
    """
    summary, levels = found.summary, found.thresholds
    lines = ["# Association of phenotypes with variants", "", *_who(summary, dropped, remarks), ""]
    lines += ["## Calibration", "", *_calibration(found), "", "## Hits", "", *_hits(found), ""]
    lines += _table(found.leads, "neg_log10_p", ["phenotype", "a1_frequency", "beta", "se"])
    if found.together is not None:
        strong = int((found.together["f_neg_log10_p"] >= -np.log10(levels.genome_wide)).sum())
        lines += ["## All phenotypes together", "", _together(found.nulls, strong), ""]
        lines += _table(found.together, "f_neg_log10_p", ["f", "min_p_neg_log10_p"])
    if found.planted is not None:
        lines += ["## Planted effects", "", _planted(found.planted, levels), ""]
    return "\n".join([*lines, CAUTION, ""])


def _who(summary: dict[str, Any], dropped: pd.DataFrame, remarks: Sequence[str]) -> list[str]:
    counts = [f"{count} with {why}" for why, count in dropped["reason"].value_counts().items()]
    left_out = [f"{count} {why}" for why, count in summary["variants_left_out"].items() if count]
    lines = [
        f"{summary['people']} people, {len(summary['phenotypes'])} phenotypes, covariates: "
        f"{listing(summary['covariates'], 30) or 'none'}. Genome build: {summary['build'] or 'unknown'}.",
        f"People left out: {listing(counts) or 'none'}.",
        f"{summary['variants_tested']} of {summary['variants']} variants are tested; left out: "
        f"{listing(left_out) or 'none'}.",
        *[f"{said[:1].upper()}{said[1:]}." for said in remarks],
    ]
    if summary["people"] < FEW:
        lines.append(
            f"**{summary['people']} people find only large effects**: a variant needs to explain "
            f"{100 * summary['explained_at_power_80']:.2g} % of a phenotype's variance to be found at 5e-8 with a "
            "chance of 80 % (power.tsv)."
        )
    return [text for line in lines for text in (line, "")][:-1]


def _calibration(found: Found) -> list[str]:
    inflation, control = found.phenotypes["lambda"], found.summary["permuted"]
    lines = [
        f"Lambda is {inflation.median():.3f} in the middle, {inflation.min():.3f} to {inflation.max():.3f} over the "
        "phenotypes (1 without any association or confounding)."
    ]
    if control["tests"]:
        shares = ", ".join(f"{100 * share:.3g} % have p <= {level}" for level, share in control["shares"].items())
        lines += ["", f"With genotypes permuted over people, of {control['tests']} tests {shares}."]
    return lines


def _hits(found: Found) -> list[str]:
    levels, total = found.thresholds, found.phenotypes
    rows = [
        ("5e-8, one phenotype", levels.genome_wide, total["hits_genome_wide"].sum()),
        (f"5e-8 / {len(total)} phenotypes", levels.phenotypes, total["hits_phenotypes"].sum()),
        (f"5e-8 / {levels.effective_number:.1f} effective phenotypes", levels.effective, total["hits_effective"].sum()),
        ("false discovery rate 5 %", levels.fdr, total["hits_fdr"].sum()),
    ]
    lines = ["| threshold | p | tests |", "|---|---|---|", *(f"| {name} | {p:.2g} | {n} |" for name, p, n in rows)]
    return [
        *lines,
        "",
        f"Loci at 5e-8: {found.summary['loci']['genome_wide']}; at the threshold of the effective phenotypes: "
        f"{found.summary['loci']['effective']}.",
    ]


def _table(leads: pd.DataFrame, column: str, more: Sequence[str]) -> list[str]:
    if leads.empty:
        return ["No variant has p <= 1e-5.", ""]
    names = ["id", "chromosome", "position", "a1", *more, column, "variants"]
    rows = [[_cell(row[name]) for name in names] for row in leads.head(SHOWN).to_dict("records")]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", *(f"| {' | '.join(row)} |" for row in rows)]
    rest = len(leads) - SHOWN
    return [*lines, "", *([f"And {rest} more lead variants with p <= 1e-5.", ""] if rest > 0 else [])]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _together(nulls: Nulls | None, strong: int) -> str:
    said = f"The F-test of all phenotypes together has {strong} loci at 5e-8."
    if nulls is None:
        return f"{said} For the p of MOSTest and min-P under permuted genotypes give --mostest-permute=true."
    return (
        f"{said} Permuted genotypes of {nulls.variants} variants give MOSTest a gamma distribution of shape "
        f"{nulls.shape:.3g} and scale {nulls.scale:.3g}, and min-P a beta one of {nulls.a:.3g} and {nulls.b:.3g}."
    )


def _planted(planted: pd.DataFrame, levels: Thresholds) -> str:
    log10_p = planted["neg_log10_p"].fillna(0)
    found = int((log10_p >= -np.log10(levels.effective)).sum())
    expected = planted["power"].sum()
    return (
        f"Of {len(planted)} planted variants {found} are found at the threshold of the effective phenotypes; those "
        f"that were the factors themselves would be expected to find {expected:.1f} (planted.tsv)."
    )
