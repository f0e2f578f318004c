"""When mild impairment becomes dementia, of people who are seen for different times: beside the yes or no in years."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction_scores import Scored, resampled_people
from disentangle_pl.metrics.score import Values
from disentangle_pl.metrics.survival import Times, concordance, cox_risks
from disentangle_pl.studies.clinical_inputs import Source
from disentangle_pl.studies.clinical_probe import ONE, Question
from disentangle_pl.studies.clinical_questions import Known, Rows, asked
from disentangle_pl.studies.clinical_table import (
    BASES,
    COMPARED,
    LATENTS,
    PEOPLE,
    RIVAL,
    Answered,
    Name,
    added,
    rows_of,
)
from disentangle_pl.studies.clinical_targets import Target, conversion_times
from disentangle_pl.studies.clinical_verdicts import means_only
from disentangle_pl.studies.clinical_words import RIVALS, signed, who

TIME, MODE, COX, C_INDEX = "conversion_time", "survival", "cox", "c_index"


def survival_rows(
    models: Sequence[tuple[Name, Source]], known: Known, around: pd.DataFrame, baseline: str | None
) -> tuple[Rows, list[str]]:
    """Return C-indices of cross-validated Cox regression, one scan with mild impairment a person, the first.

    Args:
        models: Names and latents.
        known: All else.
        around: Of `visits_around`.
        baseline: The setting to compare with.

    Returns:
        Rows of the table, none where it cannot be told; and why not, in sentences.
    """
    if known.protocol != "held-out":
        return [], [f"{TIME}: times are cross-validated only, by --protocol held-out"]
    years, event = conversion_times(known.visits, around)
    try:
        to, sources = asked(Target(TIME, True, event), models, known, ONE)
        return rows_of(to, _answers(to, sources, years, known), baseline, known.plan.folds), []
    except InputError as error:
        return [], [f"{TIME}: {error}"]


def _answers(to: Question, sources: Sequence[tuple[Name, Source]], years: Values, known: Known) -> list[Answered]:
    times = Times(years[to.rows], to.targets.target)
    drawn = resampled_people(to.tested, seed=known.plan.seed)
    weights = np.concatenate((to.tested.weights[None], drawn))
    answers = []
    for name, source in sources:
        risks, folds = cox_risks(source.at(to.rows), times, known.plan)
        each = np.mean([concordance(times, *pair, weights) for pair in zip(risks, folds, strict=True)], axis=0)
        answers.append(Answered(name, COX, source.name, {C_INDEX: Scored(float(each[0]), each[1:])}))
    return answers


def survival_sentences(table: pd.DataFrame) -> list[str]:
    """Say how well covariates, and latents added to them, order people by the time of their conversion."""
    rows = table[(table["probe"] == COX) & table["interval"].isin((PEOPLE, COMPARED))]
    if rows.empty:
        return []
    first = rows.iloc[0].to_dict()
    alone = rows[(rows["versus"] == "") & (rows["setting"] == RIVAL)].to_dict("records")
    parts = [
        f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}] by {RIVALS[row['inputs']]}"
        for row in alone
        if row["inputs"] in RIVALS
    ]
    more = rows[rows["versus"].isin(BASES) & (rows["inputs"].map(added) == LATENTS)]
    gains = [f"{who(row)} {signed(row)}" for row in means_only(more).to_dict("records")]
    return [
        f"From the first scan with mild impairment to dementia ({first['people']} people, {first['people_1']:.0f} of "
        f"them seen to convert, the others censored when last diagnosed): C-index {', '.join(parts)}. Latents added to "
        f"covariates: {'; '.join(gains)} (exploratory)"
    ]
