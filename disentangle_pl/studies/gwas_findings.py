"""What a genome-wide study has found, in numbers and in words."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.errors import listing
from disentangle_pl.genetics.multivariate import Nulls
from disentangle_pl.genetics.significance import Thresholds
from disentangle_pl.studies.gwas_summary import STRICT
from disentangle_pl.studies.gwas_tables import SUGGESTIVE

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
        factors: What of every factor was planted, expected and found; None without.
        nulls: Of MOSTest and min-P; None without permutations.
    """

    summary: dict[str, Any]
    thresholds: Thresholds
    phenotypes: pd.DataFrame
    leads: pd.DataFrame
    together: pd.DataFrame | None
    planted: pd.DataFrame | None
    factors: pd.DataFrame | None
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
    largest = max(SUGGESTIVE, levels.study)
    lines += _table(found.leads, "neg_log10_p", ["phenotype", "a1_frequency", "beta", "se"], largest)
    if found.together is not None:
        strong = int((found.together["f_neg_log10_p"] >= -np.log10(levels.genome_wide)).sum())
        lines += ["## All phenotypes together", "", _together(found.nulls, strong), ""]
        lines += _table(found.together, "f_neg_log10_p", ["f", "min_p_neg_log10_p"], largest)
    if found.factors is not None:
        lines += ["## Planted effects", "", *_planted(found.factors, levels), ""]
    return "\n".join([*lines, CAUTION, ""])


def _who(summary: dict[str, Any], dropped: pd.DataFrame, remarks: Sequence[str]) -> list[str]:
    counts = [f"{count} with {why}" for why, count in dropped["reason"].value_counts().items()]
    left_out = [f"{count} {why}" for why, count in summary["variants_left_out"].items() if count]
    covariates = "unknown" if summary["covariates"] is None else listing(summary["covariates"], 30) or "none"
    lines = [
        f"{summary['people']} people, {len(summary['phenotypes'])} phenotypes, covariates: {covariates}. "
        f"Genome build: {summary['build'] or 'unknown'}.",
        f"People left out: {listing(counts) or 'none'}.",
        f"{summary['variants_tested']} of {summary['variants']} variants are tested; left out: "
        f"{listing(left_out) or 'none'}.",
        *([f"{summary['untestable']} tests have no number (NA)."] if summary["untestable"] else []),
        *[f"{said[:1].upper()}{said[1:]}." for said in remarks],
    ]
    if summary["people"] < FEW and len(summary["case_control"]) < len(summary["phenotypes"]):
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
    if control is None:
        return lines
    shares = ", ".join(f"{100 * share:.3g} % have p <= {level}" for level, share in control["shares"].items())
    each = found.phenotypes["permuted_lambda"]
    lines += [
        "",
        f"With genotypes permuted over people lambda is {_interval(control['lambda_all'])} over all phenotypes, "
        f"{each.min():.3f} to {each.max():.3f} for single ones (phenotypes.tsv): the interval of 95 % takes into "
        f"account that the tests of a permutation are correlated. Of {control['tests']} tests in {control['draws']} "
        f"permutations {shares}.",
    ]
    if "lambda_f" in control:
        lines += [
            "",
            f"The test of all phenotypes together has lambda {found.summary['f_lambda']:.3f}, with permuted genotypes "
            f"{_interval(control['lambda_f'])}.",
        ]
    return lines


def _interval(values: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)


def _hits(found: Found) -> list[str]:
    levels, total, variants = found.thresholds, found.phenotypes, found.summary["variants_tested"]
    rows = [
        ("5e-8, one phenotype", levels.genome_wide, total["hits_genome_wide"].sum()),
        (f"5e-8 / {len(total)} phenotypes", levels.phenotypes, total["hits_phenotypes"].sum()),
        (f"5e-8 / {levels.effective_number:.1f} effective phenotypes", levels.effective, total["hits_effective"].sum()),
        (f"5 % / {variants} variants / {levels.effective_number:.1f}", levels.study, total["hits_study"].sum()),
        ("false discovery rate 5 %", levels.fdr, total["hits_fdr"].sum()),
    ]
    lines = ["| threshold | p | tests |", "|---|---|---|", *(f"| {name} | {p:.2g} | {n} |" for name, p, n in rows)]
    return [
        *lines,
        "",
        f"Loci at 5e-8: {found.summary['loci']['genome_wide']}; at the threshold of the effective phenotypes: "
        f"{found.summary['loci']['effective']}; at that of this study's own number of tests: "
        f"{found.summary['loci']['study']}.",
    ]


def _table(leads: pd.DataFrame, column: str, more: Sequence[str], largest: float) -> list[str]:
    if leads.empty:
        return [f"No variant has p <= {largest:.2g}.", ""]
    names = ["id", "chromosome", "position", "a1", *more, column, "variants"]
    rows = [[_cell(row[name]) for name in names] for row in leads.head(SHOWN).to_dict("records")]
    rest = len(leads) - SHOWN
    more_lines = [f"And {rest} more lead variants with p <= {largest:.2g}.", ""] if rest > 0 else []
    return [*_markdown(names, rows), "", *more_lines]


def _markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", *(f"| {' | '.join(row)} |" for row in rows)]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "n/a" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def _together(nulls: Nulls | None, strong: int) -> str:
    said = f"The F-test of all phenotypes together has {strong} loci at 5e-8."
    if nulls is None:
        return f"{said} For the p of MOSTest and min-P under permuted genotypes give --mostest-permute=true."
    return (
        f"{said} Permuted genotypes of {nulls.variants} variants give MOSTest a gamma distribution of shape "
        f"{nulls.shape:.3g} and scale {nulls.scale:.3g}, and min-P a beta one of {nulls.a:.3g} and {nulls.b:.3g}."
    )


def _planted(factors: pd.DataFrame, levels: Thresholds) -> list[str]:
    total = factors.drop(columns="factor").sum().to_dict() | {"factor": "all"}
    rows = [
        [
            str(row["factor"]),
            *(f"{row[name]:.0f}" for name in ("planted", "tested")),
            *(
                f"{row[f'{kind}_{step}']:{form}}"
                for step in STRICT
                for kind, form in (("expected", ".1f"), ("found", ".0f"))
            ),
        ]
        for row in [*factors.to_dict("records"), total]
    ]
    strict, study = (f"p <= {getattr(levels, step):.2g}" for step in STRICT)
    names = ["factor", "planted", "tested", f"expected, {strict}", "found", f"expected, {study}", "found"]
    return [
        *_markdown(names, rows),
        "",
        f"Thresholds are 5e-8 / {levels.effective_number:.1f} effective phenotypes, and 5 % by this study's own number "
        "of tests. Expected is what as many people would find by phenotypes that are the factors themselves, from the "
        "share of variance that a variant explains; found is by any of the phenotypes (planted.tsv).",
    ]
