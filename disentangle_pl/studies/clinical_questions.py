"""All that is asked about a target: models and rivals on the same scans of the same people."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan, ProbeTarget
from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.metrics.prediction_scores import resampled_people, scored
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_inputs import Source, fixed, indicators, joined
from disentangle_pl.studies.clinical_people import Protocol, Sides
from disentangle_pl.studies.clinical_probe import ALL, ONE, Question, answer, prediction, question, refitted_answer
from disentangle_pl.studies.clinical_table import (
    BASES,
    BEFORE,
    COVARIATES,
    PCA,
    SITE,
    Answered,
    Name,
    added,
    mean_of,
    rows_of,
)
from disentangle_pl.studies.clinical_targets import Target, score

Rows = list[dict[str, object]]
PLACES = "leave one site out"
ILL = ("cn_ad", "cn_mci", "conversion")
LINEAR, BOOSTED = "linear", "boosted"
CONFOUND = "site probe"


class Known(NamedTuple):
    """What is known of N scans, and how it is asked.

    Attributes:
        visits: Table of the scans.
        sides: Training and held-out scans.
        protocol: How people are tested.
        plan: Folds.
        covariates: (N, c), NaN where unknown.
        volumes: (N, v) shares, NaN where unknown.
        rivals: Sources that need no model: volumes and components.
        places: What may tell where a scan was made.
        confounds: (N, r) to take out.
        controls: (N,) True for scans of healthy people.
        boosting: Also fit boosted trees.
        refitted: Also compute intervals for which all probes are fitted anew.
        folder: Of answers.
        volume_names: Of the volumes.
    """

    visits: pd.DataFrame
    sides: Sides
    protocol: Protocol
    plan: Plan
    covariates: pd.DataFrame
    volumes: Values
    rivals: Sequence[Source]
    places: dict[str, pd.Series]
    confounds: Values
    controls: NDArray[np.bool_]
    boosting: bool
    folder: Path
    volume_names: tuple[str, ...] = ()
    refitted: bool = False


def target_rows(
    target: Target, models: Sequence[tuple[Name, Source]], known: Known, baseline: str | None
) -> list[Callable[[], Rows]]:
    """Return two questions about a target, of all visits and of one scan a person, that answer with rows of the table.

    Args:
        target: Of all scans.
        models: Names and latents.
        known: All else.
        baseline: The setting to compare with.
    """
    return [partial(_target_rows, target, models, known, baseline, mode) for mode in (ALL, ONE)]


def _target_rows(
    target: Target, models: Sequence[tuple[Name, Source]], known: Known, baseline: str | None, mode: str
) -> Rows:
    return _answers(*asked(target, models, known, mode), known, baseline)


def asked(
    target: Target, models: Sequence[tuple[Name, Source]], known: Known, mode: str = ALL
) -> tuple[Question, list[tuple[Name, Source]]]:
    """Return a question about a target, and all that it is put to: rivals and models, alone and added to covariates.

    Args:
        target: Of all scans.
        models: Names and latents.
        known: All else.
        mode: `ALL` or `ONE`.

    Raises:
        InputError: As `question`.
    """
    table = known.covariates.drop(columns=[name for name in target.omit if name in known.covariates.columns])
    before = score(known.visits, target.baseline)[:, None] if target.baseline else np.empty((len(table), 0))
    base = np.column_stack((table.to_numpy(np.float64), before))
    needed = np.column_stack((base, known.volumes, known.confounds))
    to = question(target, known.visits, known.sides, known.protocol, needed, mode)
    covariates = fixed(COVARIATES, base)
    sources = [(Name(), covariates)]
    beside = fixed(BEFORE, before) if target.baseline else covariates
    sources += [(Name(), beside)] if target.baseline else []
    sources += [(Name(), indicators_of) for indicators_of in _sites(known, target)]
    for name, source in [*((Name(), rival) for rival in known.rivals), *models]:
        sources += [(name, source), (name, joined(beside, source))]
    return to, sources


def place_rows(target: Target, models: Sequence[tuple[Name, Source]], known: Known, baseline: str | None) -> Rows:
    """Return rows of predictions of people at each site by probes fitted to people elsewhere.

    Somebody seen at several sites is at the first. Nothing is returned without sites, or where probes are fitted to
    training people.

    Raises:
        InputError: As `left_out`, as for two sites each of one class.
    """
    if SITE not in known.places or known.protocol != "held-out":
        return []
    to, sources = asked(target, models, known)
    table = pd.DataFrame({"who": to.targets.people, "site": known.places[SITE].iloc[to.rows].to_numpy()})
    at = table["who"].map(table.dropna().drop_duplicates("who").set_index("who")["site"])
    rows = np.flatnonzero(at.notna())
    if at.nunique() < 2:
        return []
    to = to._replace(
        mode=PLACES,
        rows=to.rows[rows],
        targets=ProbeTarget(
            to.targets.target[rows],
            to.targets.discrete,
            to.targets.people[rows],
            person_weights(to.targets.people[rows]),
        ),
        test=np.arange(len(rows)),
    )
    folds = pd.factorize(at.iloc[rows])[0].astype(np.int64)
    drawn = resampled_people(to.tested, seed=known.plan.seed)
    answers = []
    for name, source in sources:
        if source.name in BASES or added(source.name):
            predicted = prediction(to, source, LINEAR, known.plan, known.folder, folds)
            answers.append(Answered(name, LINEAR, source.name, scored(to.tested, predicted, drawn)))
    return rows_of(to, answers, baseline, int(at.nunique()))


def _answers(to: Question, sources: Sequence[tuple[Name, Source]], known: Known, baseline: str | None) -> Rows:
    drawn = resampled_people(to.tested, seed=known.plan.seed)
    answers = []
    for probe in (LINEAR, BOOSTED) if known.boosting else (LINEAR,):
        for name, source in sources:
            scores = answer(to, source, probe, known.plan, known.folder, drawn)
            anew = refitted_answer(to, source, probe, known.plan, known.folder) if known.refitted else {}
            answers.append(Answered(name, probe, source.name, scores, anew))
    return rows_of(to, answers, baseline, known.plan.folds)


def _sites(known: Known, target: Target) -> Iterator[Source]:
    """Yield what the place alone says of a diagnosis."""
    if target.name in ILL and SITE in known.places:
        yield fixed(SITE, indicators(known.places[SITE]))


def confound_rows(models: Sequence[tuple[Name, Source]], known: Known) -> list[tuple[str, Callable[[], Rows]]]:
    """Return questions whether latents and components tell where a scan was made: mean AUC of each place against all.

    Args:
        models: Names and latents.
        known: All else.
    """
    sources = [(Name(), rival) for rival in known.rivals if rival.name == PCA] + list(models)
    return [(name, partial(_confound, name, cells, sources, known)) for name, cells in known.places.items()]


def _confound(name: str, cells: pd.Series, sources: Sequence[tuple[Name, Source]], known: Known) -> Rows:
    targets = [to for level in sorted(cells.dropna().unique()) if (to := _level(name, cells, level, known))]
    if not targets:
        raise InputError(f"no {name} has {known.plan.folds} held-out people, and as many elsewhere")
    answers = []
    for who, source in sources:
        each = [
            answer(to, source, LINEAR, known.plan, known.folder, resampled_people(to.tested._replace(discrete=False)))
            for to in targets
        ]
        scores = {metric: mean_of([scores[metric] for scores in each]) for metric in each[0]}
        answers.append(Answered(who, LINEAR, source.name, scores))
    return [{**row, "mode": CONFOUND, "people_1": ""} for row in rows_of(targets[0], answers, None)]


def _level(name: str, cells: pd.Series, level: str, known: Known) -> Question | None:
    """Ask whether a scan is from one place, if enough people are."""
    values = np.where(cells.isna(), np.nan, (cells == level).astype(np.float64))
    to = question(Target(name, True, values), known.visits, known.sides, known.protocol, known.confounds)
    sides = [to.test, to.train] if len(to.train) else [to.test]
    people = [
        len(np.unique(to.targets.people[rows][to.targets.target[rows] == side])) for rows in sides for side in (0, 1)
    ]
    return to if min(people) >= known.plan.folds else None
