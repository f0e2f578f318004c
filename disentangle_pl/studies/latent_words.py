"""What a study of latents has found, in words."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import pandas as pd

from disentangle_pl.studies.latent_numbers import best_with
from disentangle_pl.studies.latent_plot import in_order
from disentangle_pl.studies.latent_table import DYNAMIC, PASSIVE, STATIC

FEW = 20
SHOWN = ("separation", "mig", "dci_disentanglement", "infom", "identification_static", "identification_dynamic")
HEAD = (
    "Correlations are Pearson's on held-out people with 95 % intervals over people; *chance* is the 95 % quantile of "
    "the largest |correlation| of a latent after people are permuted. A latent is *static* if more than 90 % of the "
    "pairs of visits of a person have posteriors that Ada-GVAE's rule calls alike, *passive* if its KL is at most 0.01 "
    "nats, *dynamic* otherwise. Correlations are associations: they do not say that a latent changes nothing else."
)
OVER_SEEDS = (
    "Means over seeds, and differences seed by seed with 95 % intervals over seeds (Student's t below 20): one that "
    "holds 0 may be chance."
)


def findings(
    people: int,
    scans: int,
    tables: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]],
    groups: pd.DataFrame,
    baseline: str,
    apart: Sequence[str],
    remarks: Sequence[str],
    cautions: Sequence[str] = (),
) -> str:
    """Write the findings as Markdown.

    Args:
        people: Held-out people.
        scans: Their scans.
        tables: Name, latents and numbers of every model.
        groups: Table of `summarised`.
        baseline: The group the others are compared with.
        apart: The two factors that separate latents ought to hold.
        remarks: What could not be computed, and what ComBat did.
        cautions: What is said first: whether people who ought to be new have been seen.
    """
    lines = ["# What the latents mean", ""]
    for caution in cautions:
        lines += [f"**{caution[:1].upper()}{caution[1:]}.**", ""]
    lines += [f"{people} held-out people, {scans} scans. {HEAD}", ""]
    if people < FEW:
        lines += [f"**{people} people are few: the intervals are wide, and their ends are not to be trusted.**", ""]
    for name, latents, numbers in tables:
        lines += [f"## {name}", "", *_model(latents, numbers.set_index("number"), apart), ""]
    compared = groups[groups["group"] != baseline]
    if len(compared):
        lines += [f"## Compared with {baseline}", "", OVER_SEEDS, "", *_compared(compared), ""]
    if remarks:
        lines += ["## Remarks", "", *(f"- {remark}" for remark in remarks), ""]
    return "\n".join(lines)


def _model(latents: pd.DataFrame, numbers: pd.DataFrame, apart: Sequence[str]) -> Iterator[str]:
    counts = latents["kind"].value_counts()
    told = ", ".join(f"{counts.get(kind, 0)} {kind}" for kind in (DYNAMIC, STATIC, PASSIVE))
    yield f"{len(latents)} latents: {told}."
    yield ""
    if "separation" in numbers.index:
        yield from _separated(numbers, apart)
    if "identification_all" in numbers.index:
        rates = ", ".join(
            f"{numbers.value[f'identification_{what}']:.0%} by {what} latents" for what in ("all", "static", "dynamic")
        )
        yield f"- The nearest other visit is one of the same person for {rates}; " + (
            f"chance {numbers.chance['identification_all']:.0%}."
        )
    for name in ("mig", "dci_disentanglement", "infom"):
        if name in numbers.index:
            row = numbers.loc[name]
            yield f"- {name} {row.value:.2f} {_controls(row)}."
    yield ""
    for latent in in_order(latents).to_dict("records"):
        if latent["kind"] != PASSIVE:
            yield f"- {_latent(latent)}"


def _separated(numbers: pd.DataFrame, apart: Sequence[str]) -> Iterator[str]:
    value, row = numbers["value"], numbers.loc["separation"]
    interval = "" if row.low != row.low else f", 95 % interval {row.low:.2f} to {row.high:.2f}"
    first, second = apart
    strength = {(a, b): value[best_with(a, b)] for a in apart for b in apart}
    yield (
        f"- Are {first} and {second} separate latents? The best latent of {first} has |r| {strength[first, first]:.2f} "
        f"with it and {strength[first, second]:.2f} with {second}; the best of {second} has "
        f"{strength[second, second]:.2f} with it and {strength[second, first]:.2f} with {first}. Separation "
        f"{row.value:.2f}{interval} {_controls(row)}."
    )
    for name in apart:
        if strength[name, name] <= numbers.chance[best_with(name, name)]:
            yield f"- No latent follows {name} beyond chance, so that its separation says little: is it in the images?"


def _controls(row: Any) -> str:
    told = (("people permuted", row.chance), ("codes rotated", row.rotated))
    return f"({', '.join(f'{what} {number:.2f}' for what, number in told if number == number) or 'no control'})"


def _latent(latent: dict[Hashable, Any]) -> str:
    r, low, high = latent["r"], latent["r_low"], latent["r_high"]
    said = f"z{latent['latent']} ({latent['kind']}, KL {latent['kl']:.2f}): "
    if abs(r) <= latent["chance"]:
        return f"{said}follows no factor beyond chance ({latent['follows']}, r {r:+.2f}, chance {latent['chance']:.2f})"
    interval = "" if low != low else f" [{low:+.2f}, {high:+.2f}]"
    said += f"{latent['follows']}, r {r:+.2f}{interval}, {latent['gap']:.2f} ahead of the next"
    if latent["icc"] == latent["icc"]:
        said += f"; ICC on rescans {latent['icc']:.2f} [{latent['icc_low']:.2f}, {latent['icc_high']:.2f}]"
    if latent["slope"] == latent["slope"]:
        low, high = latent["slope_low"], latent["slope_high"]
        said += f"; {latent['slope']:+.2f} sd a year" + ("" if low != low else f" [{low:+.2f}, {high:+.2f}]")
    return said


def _compared(groups: pd.DataFrame) -> Iterator[str]:
    for row in groups[groups["number"].isin(SHOWN)].to_dict("records"):
        said, pairs = f"- {row['group']}: {row['number']} {row['mean']:.2f}", int(row["pairs"])
        if pairs:
            interval = "" if pairs < 2 else f" [{row['difference_low']:+.2f}, {row['difference_high']:+.2f}]"
            yield f"{said}, {row['difference']:+.2f}{interval} over {pairs} {'seed' if pairs == 1 else 'seeds'}"
        else:
            yield f"{said}; no seed in common with the baseline"
