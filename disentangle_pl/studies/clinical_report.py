"""The files of a study of scores: one table, words, pictures, and one page with all of it inside."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console

from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.studies.clinical_headline import called, headlines
from disentangle_pl.studies.clinical_page import page
from disentangle_pl.studies.clinical_people import HeldOut, Protocol
from disentangle_pl.studies.clinical_plot import draw_scores, draw_trials
from disentangle_pl.studies.clinical_reporting import CALIBRATED, GROUPED, WHO, Reporting, elsewhere_sentences
from disentangle_pl.studies.clinical_survival import survival_sentences
from disentangle_pl.studies.clinical_table import RIVAL
from disentangle_pl.studies.clinical_targets import CONVERSION
from disentangle_pl.studies.clinical_verdicts import LEVEL, PRIMARY
from disentangle_pl.studies.clinical_words import (
    baseline_sentences,
    lines_of,
    place_sentences,
    target_sentences,
    trial_sentences,
)

FEW = 50
TITLE = "Dementia scores from latents"
TIMED = "Time to conversion"
SHORT, ADDED, TRUSTED = "In short", "What latents add to covariates", "Can they be trusted as measures?"
WINDOWS = (
    "A score 12 or 24 months later is that of the visit nearest to that time, within 3 months; conversion is dementia "
    "within {years:g} years and 3 months of a scan with mild impairment, against none known by then; all else is known "
    "at the scan"
)
CAVEATS = [
    "Intervals of scores, 95 % bootstraps over people, are of the same probes by other people: they do not hold what "
    "other people to train probes on would do (of the mean R² of probes they hold 74 % at 40 people, 89 % at 100, 94 % "
    "at 400). Intervals of comparisons do, by the correction of Nadeau and Bengio (2003). Neither holds other cohorts, "
    "scanners or trainings of the encoder",
    "Covariates below chance count as chance when something is added to them",
    "The latent that needs the fewest people was chosen among many on the same people, so it will need more of others",
    "Inputs that take away from covariates have made probes fit noise: there are too few people for so many inputs",
    "Somebody is recognised by latents, so whoever splits by visit and not by person measures that",
]


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
        conversion: Years within which impairment becomes dementia.
        cautions: What else encoders may have to do with the tested people.
        certain: Whether all checkpoints say that they were not trained on them.
        reporting: What TRIPOD+AI asks for beside scores.
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
    conversion: float = CONVERSION
    cautions: tuple[str, ...] = ()
    certain: bool = True
    reporting: Reporting = Reporting({}, {})


def write_report(study: Study, out: Path) -> None:
    """Write `scores.tsv`, `findings.md`, `scores.png`, `reliability.png` and `report.html`, and print the findings.

    Args:
        study: All of it.
        out: Folder to write to.
    """
    out.mkdir(parents=True, exist_ok=True)
    study.table.to_csv(out / "scores.tsv", sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    said = plainly(study)
    study.reporting.write(out)
    figures = {"scores": draw_scores(said.table), "reliability": draw_trials(said.table)}
    figures |= study.reporting.pictures() if study.reporting.tables else {}
    pictures = {name: _png(figure) for name, figure in figures.items()}
    for name, content in pictures.items():
        (out / f"{name}.png").write_bytes(content)
    sections = sections_of(said)
    lines = [f"# {TITLE}", "", lead_of(said), ""]
    for title, sentences in sections.items():
        lines += lines_of(title, sentences)
    (out / "findings.md").write_text("\n".join(lines), encoding="utf-8")
    shown = {title: [] if title == ADDED or title.startswith("Against") else told for title, told in sections.items()}
    placed = {ADDED: ["scores"], TRUSTED: ["reliability"], CALIBRATED: ["calibration", "decisions"]}
    images = {title: [pictures[name] for name in names if name in pictures] for title, names in placed.items()}
    tables = {WHO: [study.reporting.tables[name] for name in ("people", "flow") if name in study.reporting.tables]}
    (out / "report.html").write_text(page(TITLE, lead_of(said), said.table, shown, images, tables), encoding="utf-8")
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
    seen = "no encoder was trained on any of them" if study.certain else "an encoder may have been trained on them"
    said = f"{len(study.tested)} people of the {parts} part, {study.scans} scans; {seen}."
    said += f" {way}; scalers, components and confounds too are fitted to training folds alone."
    if study.residualised:
        said += f" Taken out as training controls have them: {', '.join(study.residualised)}."
    if len(study.tested) < FEW:
        said += f" {len(study.tested)} people are few: differences below about 0.1 cannot be seen."
    return said


def sections_of(study: Study) -> dict[str, list[str]]:
    """Return the sentences of the report by section, the first of which is the headline."""
    return {
        SHORT: [*study.cautions, *headlines(study.table, study.baseline)],
        ADDED: target_sentences(study.table),
        f"Against the baseline {study.baseline}": baseline_sentences(study.table),
        CALIBRATED: study.reporting.sentences.get(CALIBRATED, []),
        GROUPED: [*elsewhere_sentences(study.table), *study.reporting.sentences.get(GROUPED, [])],
        TIMED: survival_sentences(study.table),
        TRUSTED: trial_sentences(study.table),
        "Do they know the scanner?": place_sentences(study.table),
        WHO: study.reporting.sentences.get(WHO, []),
        "How it was done": [
            how(study).removesuffix("."),
            WINDOWS.format(years=study.conversion),
            _primary(study.table),
        ],
        "Caveats": CAVEATS,
        "Notes": [remark.rstrip(".") for remark in study.remarks],
    }


def _primary(table: pd.DataFrame) -> str:
    """Say which comparisons have a verdict, and how their number was corrected for."""
    count = table["p_holm"].notna().sum()
    return (
        f"Primary is {PRIMARY}; these {count} comparisons have a verdict, at p < {LEVEL:g} after Holm over them. "
        "All others are exploratory: they have intervals, not corrected for their number, and no verdict"
    )


def lead_of(study: Study) -> str:
    """Say in a sentence what the report is of."""
    new = "whom no encoder has seen" if study.certain else "who are held out by the split of these data"
    return (
        f"What frozen latents say of {len(study.tested)} people ({study.scans} scans) {new}. Associations, not a "
        "diagnosis; not for clinical use."
    )


def plainly(study: Study) -> Study:
    """Call settings by as little as tells them apart, and say in a remark what they are in full."""
    names = called([name for name in study.table["setting"].unique() if name != RIVAL])
    remarks = [f"{short} is {name}" for name, short in names.items() if short != name]
    table = study.table.assign(setting=study.table["setting"].replace(names))
    baseline = names.get(study.baseline, study.baseline) if study.baseline else None
    return study._replace(table=table, baseline=baseline, remarks=[*study.remarks, *remarks])


def _png(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()
