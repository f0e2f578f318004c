"""The one table of a study of scores: a row a number, for models, rivals and settings over seeds."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.metrics.comparison import compared
from disentangle_pl.metrics.intervals import Interval, mean_interval
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.metrics.prediction_scores import Scored, not_below_chance
from disentangle_pl.studies.clinical_probe import Question
from disentangle_pl.studies.clinical_reliability import Line

COLUMNS = [
    "target",
    "mode",
    "people",
    "people_1",
    "scans",
    "setting",
    "model",
    "seed",
    "probe",
    "inputs",
    "versus",
    "metric",
    "value",
    "low",
    "high",
    "interval",
    "p",
]
COVARIATES, LATENTS, VOLUMES, PCA, SITE, BEFORE = "covariates", "latents", "volumes", "pca", "site", "score before"
WITH, AHEAD = f"{COVARIATES}+", f"{BEFORE}+"
BASES = (COVARIATES, BEFORE)
BASELINE = "baseline"
CHANCE = "chance"
RIVAL = "rival"
PEOPLE, REFITTED, SEEDS = "people", "people, probes fitted anew", "seeds"
COMPARED = "people to fit to and to score"


class Name(NamedTuple):
    """Whose number it is.

    Attributes:
        setting: Of a model; `rival` for what needs none.
        model: Its name.
        seed: As text.
    """

    setting: str = RIVAL
    model: str = ""
    seed: str = ""


class Answered(NamedTuple):
    """Scores of one source.

    Attributes:
        name: Of the model, or a rival.
        probe: Which.
        inputs: What it sees.
        scores: By metric.
        refitted: Their intervals over people to fit to and to score, by metric; empty where these were not computed.
    """

    name: Name
    probe: str
    inputs: str
    scores: Mapping[str, Scored]
    refitted: Mapping[str, Interval] = {}


def added(inputs: str) -> str:
    """Return what inputs add to covariates, or to the score at the scan; nothing if they do not."""
    return next((inputs.removeprefix(each) for each in (WITH, AHEAD) if inputs.startswith(each)), "")


def rows_of(
    to: Question, answers: Sequence[Answered], baseline: str | None, folds: int = Plan().folds
) -> list[dict[str, object]]:
    """Write the scores of one question, their increments over covariates or the score (at least chance) and baseline.

    Args:
        to: The question.
        answers: Of all rivals and models.
        baseline: The setting of the baseline model, if there is one.
        folds: Of cross-validation.
    """
    counts: dict[str, object] = {
        "target": to.name,
        "mode": to.mode,
        "people": len(np.unique(to.targets.people[to.test])),
    }
    ill = to.tested.people[to.tested.target == 1]
    counts |= {"scans": len(to.test), "people_1": len(np.unique(ill)) if to.targets.discrete else ""}
    averaged = [*answers, *_over_seeds(answers)]
    rows = []
    for each in averaged:
        for versus, other in _rivals(each, averaged, baseline):
            rows += [counts | row for row in _scores(each, versus, other, to.people(folds))]
        rows += [counts | row for row in _refitted(each)]
    return rows + _seed_rows(counts, pd.DataFrame(rows))


def reliability_rows(name: Name, lines: Sequence[Line], scans: int) -> list[dict[str, object]]:
    """Write numbers of measures."""
    return [
        {"target": line.measure, "mode": "reliability", "people": line.people, "scans": scans, "inputs": line.measure}
        | {"metric": line.number, **name._asdict(), "interval": PEOPLE if np.isfinite(line.value.low) else ""}
        | {"probe": "", "versus": ""}
        | dict(zip(("value", "low", "high"), line.value, strict=True))
        for line in lines
    ]


def table_of(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Make the table."""
    return pd.DataFrame(list(rows), columns=COLUMNS)


def _over_seeds(answers: Sequence[Answered]) -> list[Answered]:
    """Average the scores of the models of a setting; their bootstrap draws are those of the same people."""
    groups: dict[tuple[str, str, str], list[Answered]] = {}
    for each in answers:
        if each.name.setting != RIVAL:
            groups.setdefault((each.name.setting, each.probe, each.inputs), []).append(each)
    found = []
    for (setting, probe, inputs), members in groups.items():
        if len(members) > 1:
            scores = {metric: mean_of([each.scores[metric] for each in members]) for metric in members[0].scores}
            found.append(Answered(Name(setting, f"mean of {len(members)}"), probe, inputs, scores))
    return found


def mean_of(scores: Sequence[Scored]) -> Scored:
    """Average scores whose bootstrap draws are of the same people."""
    return Scored(float(np.mean([each.value for each in scores])), np.mean([each.draws for each in scores], axis=0))


def _rivals(
    each: Answered, answers: Sequence[Answered], baseline: str | None
) -> list[tuple[str, Mapping[str, Scored] | None]]:
    """Return what scores are compared with: nothing, what they are added to, rivals added to it, and the baseline."""
    found: list[tuple[str, Mapping[str, Scored] | None]] = [("", None)]
    for other in answers:
        if other.probe != each.probe:
            continue
        if each.inputs.startswith(f"{other.inputs}+") or (each.inputs, other.inputs) == (COVARIATES, BEFORE):
            found.append((other.inputs, not_below_chance(other.scores)))
        if added(each.inputs) == LATENTS and added(other.inputs) in (VOLUMES, PCA):
            found.append((added(other.inputs), other.scores))
        theirs = other.name.setting == baseline and each.name.setting not in (baseline, RIVAL)
        whole = other.name.model.startswith("mean of ") or not _has_mean(other, answers)
        if theirs and whole and other.inputs == each.inputs:
            found.append((BASELINE, other.scores))
    return found


def _has_mean(one: Answered, answers: Sequence[Answered]) -> bool:
    return sum(other.name.setting == one.name.setting and other[1:3] == one[1:3] for other in answers) > 1


def _scores(
    each: Answered, versus: str, other: Mapping[str, Scored] | None, people: tuple[int, float]
) -> list[dict[str, object]]:
    rows = []
    for metric, found in each.scores.items():
        row = {**each.name._asdict(), "probe": each.probe, "inputs": each.inputs, "versus": versus, "metric": metric}
        if other is None:
            rows.append({**row, "interval": PEOPLE, **_ends(found.interval())})
        else:
            difference = compared(found, other[metric], *people)
            rows.append({**row, "interval": COMPARED, **_ends(Interval(*difference[:3])), "p": difference.p})
    return rows


def _refitted(each: Answered) -> list[dict[str, object]]:
    named = each.name._asdict() | {"probe": each.probe, "inputs": each.inputs, "versus": "", "interval": REFITTED}
    return [{**named, "metric": metric, **_ends(value)} for metric, value in each.refitted.items()]


def _seed_rows(counts: Mapping[str, object], rows: pd.DataFrame) -> list[dict[str, object]]:
    """Say how much numbers differ between the seeds of a setting."""
    models = rows[
        (rows["setting"] != RIVAL) & (rows["interval"] != REFITTED) & ~rows["model"].str.startswith("mean of ")
    ]
    keys = ["setting", "probe", "inputs", "versus", "metric"]
    found = []
    for key, mine in models.groupby(keys, sort=False):
        if len(mine) > 1:
            value = mean_interval(mine["value"].tolist())
            named = dict(zip(keys, key, strict=True)) | {"model": f"mean of {len(mine)}", "seed": "", "interval": SEEDS}
            found.append({**counts, **named, **_ends(value)})
    return found


def _ends(value: Interval) -> dict[str, object]:
    return dict(zip(("value", "low", "high"), value, strict=True))
