"""Questions put to probes, and their answers, kept in files so that a killed study goes on."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.prediction import (
    Plan,
    Predicted,
    Probe,
    ProbeTarget,
    boosted,
    cross_validated,
    dealt,
    left_out,
    linear,
    prior_log_odds,
    transferred,
)
from disentangle_pl.metrics.prediction_folds import Folds, Rows, person_weights
from disentangle_pl.metrics.prediction_scores import Scored, refitted_intervals, resampled_people, scored
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_inputs import Source
from disentangle_pl.studies.clinical_people import Protocol, Sides
from disentangle_pl.studies.clinical_targets import Target

PROBES: dict[str, Probe] = {"linear": linear, "boosted": boosted}
ALL, ONE = "all visits", "one scan a person"
VERSION = 1


class Question(NamedTuple):
    """A target, and the scans it is asked of.

    Attributes:
        name: Of the target.
        mode: All visits, with people counting alike, or one scan a person.
        rows: (n,) rows of the table of visits.
        targets: Of these rows.
        train: Which of them are fitted to; none in cross-validation.
        test: Which of them are scored.
    """

    name: str
    mode: str
    rows: Rows
    targets: ProbeTarget
    train: Rows
    test: Rows

    @property
    def tested(self) -> ProbeTarget:
        """What is asked of the scans that are scored; their people count alike."""
        people = self.targets.people[self.test]
        return ProbeTarget(self.targets.target[self.test], self.targets.discrete, people, person_weights(people))

    def people(self, folds: int) -> tuple[int, float]:
        """Return how many people are scored, and how many each probe is fitted to."""
        tested = len(np.unique(self.targets.people[self.test]))
        fitted = len(np.unique(self.targets.people[self.train]))
        return tested, fitted or tested * (folds - 1) / folds


def question(
    target: Target, visits: pd.DataFrame, sides: Sides, protocol: Protocol, known: Values, mode: str = ALL
) -> Question:
    """Put a question about all scans of which everything is known.

    Args:
        target: Of all scans.
        visits: Table of all scans.
        sides: Training and held-out scans.
        protocol: `held-out` cross-validates among held-out people; `train-test` fits to training people.
        known: (N, k) whatever else must be known: rivals of all kinds.
        mode: `ALL` or `ONE`, the first scan of each person of which everything is known.

    Raises:
        InputError: If nothing is known of any scan.
    """
    complete = np.isfinite(target.values) & np.isfinite(known).all(axis=1)
    rows = np.concatenate((sides.train, sides.held_out)) if protocol == "train-test" else sides.held_out
    rows = rows[complete[rows]]
    if mode == ONE:
        years = visits["years"].to_numpy(np.float64)[rows]
        rows = rows[np.lexsort((rows, np.nan_to_num(years, nan=np.inf)))]
        rows = np.sort(rows[np.unique(visits["participant_id"].to_numpy()[rows], return_index=True)[1]])
    people = pd.factorize(visits["participant_id"].iloc[rows])[0].astype(np.int64)
    test = np.flatnonzero(np.isin(rows, sides.held_out))
    train = np.flatnonzero(~np.isin(rows, sides.held_out))
    if not len(test):
        raise InputError(f"{target.name} and its covariates are not known together of any held-out scan")
    targets = ProbeTarget(target.values[rows], target.discrete, people, person_weights(people))
    return Question(target.name, mode, rows, targets, train, test)


def answer(
    to: Question, source: Source, probe: str, plan: Plan, folder: Path, drawn: Values | None = None
) -> dict[str, Scored]:
    """Score the answer to a question.

    Args:
        to: The question.
        source: What the probe sees.
        probe: `linear` or `boosted`.
        plan: Folds and repeats.
        folder: Of answers; the name of a file says what it is the answer to.
        drawn: (B, n) of `resampled_people`; None to draw.

    Raises:
        InputError: As `cross_validated`.
    """
    predicted = prediction(to, source, probe, plan, folder)
    return scored(to.tested, predicted, resampled_people(to.tested, seed=plan.seed) if drawn is None else drawn)


def prediction(
    to: Question, source: Source, probe: str, plan: Plan, folder: Path, folds: Folds | None = None
) -> Predicted:
    """Answer a question, or look the answer up.

    Args:
        to: The question.
        source: What the probe sees.
        probe: `linear` or `boosted`.
        plan: Folds and repeats.
        folder: Of answers.
        folds: (n,) folds of its rows, as sites; None for those of the plan.

    Raises:
        InputError: As `cross_validated`, or `left_out`.
    """
    key = _key(to, source, probe, plan)
    path = folder / f"{key if folds is None else hashlib.sha256(key.encode() + folds.tobytes()).hexdigest()[:32]}.npz"
    predicted = _read(path)
    if predicted is None:
        inputs, how = source.at(to.rows), PROBES[probe]
        if folds is not None:
            predicted = left_out(inputs, to.targets, how, folds, plan)
        elif len(to.train):
            predicted = transferred(inputs, to.targets, how, to.train, to.test, plan)
        else:
            predicted = cross_validated(inputs, to.targets, how, plan)
        _write(path, predicted)
    return predicted


def prior(to: Question, plan: Plan) -> Values:
    """Return the log odds (R, n) of class 1 among the people that each probe was fitted to."""
    if len(to.train):
        ill = np.average(to.targets.target[to.train], weights=to.targets.weights[to.train])
        return np.full((1, len(to.test)), np.log(ill / (1 - ill)))
    return np.stack([prior_log_odds(to.targets, folds) for folds in dealt(to.targets, plan)])


def refitted_answer(to: Question, source: Source, probe: str, plan: Plan, folder: Path) -> dict[str, Interval]:
    """Return cross-validated scores with intervals that hold what other people to train on would do, or look them up.

    Args:
        to: The question, in cross-validation.
        source: What the probe sees.
        probe: `linear` or `boosted`.
        plan: Folds and repeats.
        folder: Of answers.

    Raises:
        InputError: As `refitted_intervals`.
    """
    path = folder / f"{_key(to, source, probe, plan)}.refitted.json"
    if path.is_file():
        return {metric: Interval(*ends) for metric, ends in json.loads(path.read_text()).items()}
    intervals = refitted_intervals(source.at(to.rows), to.targets, PROBES[probe], plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(intervals))
    part.replace(path)
    return intervals


def _key(to: Question, source: Source, probe: str, plan: Plan) -> str:
    digest = hashlib.sha256(repr((VERSION, source.digest, probe, tuple(plan), to.targets.discrete)).encode())
    for values in (to.rows, to.targets.target, to.targets.people, to.train, to.test):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:32]


def _read(path: Path) -> Predicted | None:
    try:
        with np.load(path) as arrays:
            return Predicted(arrays["values"], arrays["base"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(path: Path, predicted: Predicted) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as file:
        np.savez(file, values=predicted.values, base=predicted.base)
    part.replace(path)
