"""What TRIPOD+AI asks to be reported beside scores: tables, pictures and sentences.

Source: Collins et al. 2024, TRIPOD+AI, BMJ 385:e078378.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from disentangle_pl.studies.clinical_calibration_plot import draw_calibration, draw_decisions
from disentangle_pl.studies.clinical_inputs import Source
from disentangle_pl.studies.clinical_participants import (
    flow_table,
    follow_up_sentences,
    follow_up_table,
    people_table,
    size_sentences,
)
from disentangle_pl.studies.clinical_predictions import (
    calibration_table,
    decision_table,
    main_predictions,
    prediction_table,
    subgroup_table,
)
from disentangle_pl.studies.clinical_questions import PLACES, Known
from disentangle_pl.studies.clinical_table import BASES, LATENTS, SITE, Name
from disentangle_pl.studies.clinical_targets import TITLES, Target
from disentangle_pl.studies.clinical_verdicts import MAIN, means_only
from disentangle_pl.studies.clinical_words import signed, who

WHO, CALIBRATED, GROUPED = "Whom it is of", "Are predictions calibrated, and worth acting on?", "Sites and sexes"


class Reporting(NamedTuple):
    """Tables by the name of their file, and sentences by section.

    Attributes:
        tables: Written as NAME.tsv.
        sentences: By `WHO`, `CALIBRATED` and `GROUPED`.
    """

    tables: dict[str, pd.DataFrame]
    sentences: dict[str, list[str]]

    def write(self, out: Path) -> None:
        """Write the tables."""
        for name, table in self.tables.items():
            table.to_csv(out / f"{name}.tsv", sep="\t", index=False, na_rep="n/a", float_format="%.6g")

    def pictures(self) -> dict[str, Figure]:
        """Draw calibration, and decision curves where there are classes, by the name of their file."""
        found = {}
        if len(self.tables["predictions"]):
            found["calibration"] = draw_calibration(self.tables["predictions"])
        if len(self.tables["decisions"]):
            found["decisions"] = draw_decisions(self.tables["decisions"])
        return found


def reporting_of(
    targets: Sequence[Target], models: Sequence[tuple[Name, Source]], latents: int, known: Known
) -> Reporting:
    """Gather what is to be reported.

    Args:
        targets: Of all scans.
        models: Names and latents.
        latents: How many the models have.
        known: All else.
    """
    places = known.places.get(SITE)
    predictions = prediction_table(targets, models, known)
    tables = {
        "predictions": predictions,
        "calibration": calibration_table(predictions),
        "decisions": decision_table(predictions),
        "subgroups": subgroup_table(main_predictions(predictions).drop(columns="series"), known.visits, places),
        "people": people_table(known.visits, known.sides, known.covariates, places),
        "flow": flow_table(targets, known.visits, known.sides, predictions),
        "follow_up": follow_up_table(targets, known.visits, known.sides),
    }
    sentences = {
        WHO: [
            *follow_up_sentences(tables["follow_up"]),
            *size_sentences(predictions, known.covariates.shape[1] + latents),
        ],
        CALIBRATED: calibration_sentences(tables["calibration"]),
        GROUPED: subgroup_sentences(tables["subgroups"]),
    }
    return Reporting(tables, sentences)


def calibration_sentences(calibration: pd.DataFrame) -> list[str]:
    """Say the slope, intercept and Brier score of predictions from what is known and the latents."""
    said = []
    for target, rows in main_predictions(calibration).groupby("target", sort=False):
        parts = []
        for row in rows.to_dict("records"):
            words = f"{row['series']}: slope {row['slope']:.2f}, intercept {row['intercept']:+.2f}"
            squared = row.get("brier", float("nan"))
            parts.append(
                f"{words}, Brier {squared:.3f} of {row['brier_training']:.3f}" if squared == squared else words
            )
        said.append(f"{TITLES.get(str(target), str(target))}: {'; '.join(parts)}")
    return said


def elsewhere_sentences(table: pd.DataFrame) -> list[str]:
    """Say what latents add for people of sites that probes have not seen."""
    rows = table[(table["mode"] == PLACES) & table["versus"].isin(BASES) & table["metric"].isin(MAIN)]
    rows = means_only(rows[rows["inputs"].str.endswith(f"+{LATENTS}") & (rows["interval"] != "seeds")])
    return [
        f"{TITLES.get(row['target'], row['target'])}, one site left out after another: latents of {who(row)} add "
        f"{MAIN[row['metric']]} {signed(row)}"
        for row in rows.to_dict("records")
    ]


def subgroup_sentences(subgroups: pd.DataFrame) -> list[str]:
    """Name the subgroups in which predictions with latents are best and worst."""
    if subgroups.empty:
        return []
    table = main_predictions(subgroups)
    table = table[table["series"].str.startswith(f"+ {LATENTS}")]
    said = []
    for (target, series, name), rows in table.groupby(["target", "series", "subgroup"], sort=False):
        if len(rows) < 2:
            continue
        ordered = rows.sort_values("value")
        worst, best = (
            f"{row['level']} {row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}] ({row['people']} people)"
            for row in (ordered.iloc[0].to_dict(), ordered.iloc[-1].to_dict())
        )
        title, metric = TITLES.get(str(target), str(target)), MAIN[str(ordered["metric"].iloc[0])]
        said.append(f"{title} by {name}, covariates {series}: {metric} from {worst} to {best}")
    return said
