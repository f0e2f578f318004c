"""The files of a study of scores: one table, words, pictures, and one page with all of it inside."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.studies.clinical_people import HeldOut, Protocol
from disentangle_pl.studies.clinical_plot import draw_scores, draw_trials
from disentangle_pl.studies.clinical_words import (
    baseline_sentences,
    lines_of,
    place_sentences,
    target_sentences,
    trial_sentences,
)

FEW = 50
CAUTION = (
    "Associations in these data, not a diagnosis, and not for clinical use. Intervals are 95 % bootstraps over people; "
    "they do not know of other cohorts, scanners or trainings of the encoder. Covariates below chance count as chance. "
    "Nothing is corrected for the number of targets."
)
STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:#222}
img{max-width:100%}table{border-collapse:collapse;font-size:12px}td,th{padding:2px 8px;border-bottom:1px solid #ddd;
text-align:left}td.n{text-align:right;font-variant-numeric:tabular-nums}details{margin:1em 0}li{margin:.35em 0}
.caution{background:#fff6e0;padding:.6em 1em;border-left:4px solid #e0a020}"""


class Study(NamedTuple):
    """What is reported.

    Attributes:
        table: Of `table_of`.
        tested: The held-out participants.
        scans: Their scans, rescans left out.
        protocol: How they were tested.
        part: Which parts of the split they are.
        plan: Folds.
        baseline: The setting others are compared with, if there is another.
        residualised: Confounds that were taken out.
        remarks: What was left out and why.
    """

    table: pd.DataFrame
    tested: Sequence[str]
    scans: int
    protocol: Protocol
    part: HeldOut
    plan: Plan
    baseline: str | None
    residualised: tuple[str, ...]
    remarks: Sequence[str]


def write_report(study: Study, out: Path) -> None:
    """Write `scores.tsv`, `findings.md`, `scores.png`, `reliability.png` and `report.html`, and print the findings.

    Args:
        study: All of it.
        out: Folder to write to.
    """
    out.mkdir(parents=True, exist_ok=True)
    study.table.to_csv(out / "scores.tsv", sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    pictures = {"scores": _png(draw_scores(study.table)), "reliability": _png(draw_trials(study.table))}
    for name, content in pictures.items():
        (out / f"{name}.png").write_bytes(content)
    sections = sections_of(study)
    lines = ["# Dementia scores from latents", "", how(study), "", CAUTION, ""]
    for title, sentences in sections.items():
        lines += lines_of(title, sentences)
    (out / "findings.md").write_text("\n".join(lines), encoding="utf-8")
    (out / "report.html").write_text(page(study, sections, pictures), encoding="utf-8")
    console = Console()
    console.print("\n".join(lines), soft_wrap=True, markup=False, highlight=False)
    console.print(f"written: {', '.join(str(out / name) for name in ('report.html', 'scores.tsv'))}", soft_wrap=True)


def how(study: Study) -> str:
    """Say how people were tested."""
    plan = study.plan
    if study.protocol == "held-out":
        way = (
            f"Probes were cross-validated among them ({plan.folds} folds of people, {plan.inner} inner folds for the "
            f"penalty, {plan.repeats} repeats)"
        )
    else:
        way = "Probes were fitted to the people the encoders were trained on, whose codes may be better than new ones"
    parts = "validation and test" if study.part == "both" else {"val": "validation"}.get(study.part, study.part)
    said = (
        f"{len(study.tested)} people of the {parts} part, {study.scans} scans; no encoder was trained on any of them."
    )
    said += f" {way}; scalers, components and confounds too are fitted to training folds alone."
    if study.residualised:
        said += f" Taken out as training controls have them: {', '.join(study.residualised)}."
    if len(study.tested) < FEW:
        said += f" {len(study.tested)} people are few: differences below about 0.1 cannot be seen."
    return said


def sections_of(study: Study) -> dict[str, list[str]]:
    """Return the sentences of the report by section."""
    return {
        "What latents add to covariates": target_sentences(study.table),
        f"Against the baseline {study.baseline}": baseline_sentences(study.table),
        "Do they know the scanner?": place_sentences(study.table),
        "As measures": trial_sentences(study.table),
        "Left out": [remark.rstrip(".") for remark in study.remarks],
    }


def page(study: Study, sections: dict[str, list[str]], pictures: dict[str, bytes]) -> str:
    """Write the page: no other file, no network, every value escaped."""
    parts = [f"<p>{escape(how(study))}</p>", f'<p class="caution">{escape(CAUTION)}</p>']
    for title, sentences in sections.items():
        if sentences:
            items = "".join(f"<li>{escape(sentence)}.</li>" for sentence in sentences)
            parts.append(f"<h2>{escape(title)}</h2><ul>{items}</ul>")
        for name in {"What latents add to covariates": ["scores"], "As measures": ["reliability"]}.get(title, []):
            source = b64encode(pictures[name]).decode()
            parts.append(f'<img alt="{escape(name)}" src="data:image/png;base64,{source}">')
    parts.append(f"<details><summary>All {len(study.table)} numbers</summary>{_table(study.table)}</details>")
    title = "Dementia scores from latents"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{title}</h1>{"".join(parts)}</body></html>\n'


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    rows = ("".join(_cell(value) for value in row) for row in table.itertuples(index=False, name=None))
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="n">{"" if value != value else f"{value:.4g}"}</td>'
    return f"<td>{escape(str(value))}</td>"


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()
