"""What was predicted of every person at every visit, and how good that is of groups of them, as TRIPOD+AI asks.

Source: Collins et al. 2024, TRIPOD+AI, BMJ 385:e078378, items 12, 14 and 23.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Predicted, ProbeTarget
from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.metrics.prediction_scores import resampled_people, scored
from disentangle_pl.metrics.probability import brier, chance_calibration, net_benefit, quantity_calibration
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_inputs import Source
from disentangle_pl.studies.clinical_probe import Question, prediction, prior
from disentangle_pl.studies.clinical_questions import BOOSTED, LINEAR, Known, asked
from disentangle_pl.studies.clinical_table import BASES, LATENTS, RIVAL, SITE, VOLUMES, Name, added
from disentangle_pl.studies.clinical_targets import Target
from disentangle_pl.studies.clinical_verdicts import MAIN

COLUMNS = [
    *("target", "participant_id", "session_id", "setting", "model", "seed", "probe", "inputs", "kind"),
    *("observed", "predicted", "training"),
]
WHOSE = ["target", "setting", "model", "seed", "probe", "inputs"]
THRESHOLDS: Values = np.round(np.arange(0.05, 0.96, 0.05), 2)
DRAWS, FEW = 200, 10  # of intervals of subgroups; people below whom a subgroup is not scored
CLASS, QUANTITY = "class", "quantity"
ALONE, PLUS_VOLUMES = "covariates (the score, for scores to come)", "+ volumes"
EVERYBODY, NOBODY = "everybody is treated", "nobody is treated"


def prediction_table(targets: Sequence[Target], models: Sequence[tuple[Name, Source]], known: Known) -> pd.DataFrame:
    """Return a row per target, visit, model and inputs; targets that cannot be predicted have none.

    Args:
        targets: Of all scans.
        models: Names and latents.
        known: All else.

    Returns:
        Who and when, whose prediction; observed, predicted and training (what is said without inputs): quantities, or
        chances of class 1 at the odds of the people that probes were fitted to; means over repeats.
    """
    tables = [pd.DataFrame(columns=COLUMNS)]
    for target in targets:
        try:
            to, sources = asked(target, models, known)
            for name, source in sources:
                for probe in (LINEAR, BOOSTED) if known.boosting else (LINEAR,):
                    tables.append(_predicted(to, name, source, probe, known))
        except InputError:
            continue
    return pd.concat([each for each in tables if len(each)] or tables, ignore_index=True)


def _predicted(to: Question, name: Name, source: Source, probe: str, known: Known) -> pd.DataFrame:
    values, base = prediction(to, source, probe, known.plan, known.folder)
    if to.targets.discrete:
        odds = prior(to, known.plan)
        values, base = expit(values + odds), expit(base + odds)
    rows = known.visits.iloc[to.rows[to.test]]
    found = pd.DataFrame({"participant_id": rows["participant_id"], "session_id": rows["session_id"]})
    found = found.assign(target=to.name, **name._asdict(), probe=probe, inputs=source.name)
    found = found.assign(kind=CLASS if to.targets.discrete else QUANTITY)
    found = found.assign(observed=to.tested.target, predicted=values.mean(axis=0), training=base.mean(axis=0))
    return found[COLUMNS].reset_index(drop=True)


def calibration_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return calibration of all predictions of `prediction_table`, people counting alike.

    Returns:
        A row per target and model: people, intercept and slope (`chance_calibration`, `quantity_calibration`), and of
        classes the Brier score with its parts, and that of who says the share of the training people.
    """
    return _table(predictions, _calibration, ["people", "intercept", "slope", "brier", "brier_training"])


def _calibration(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    target, predicted, weights = _columns(rows)
    found: dict[str, object] = {"people": rows["participant_id"].nunique()}
    if is_class(rows):
        parts = brier(target, predicted, weights)
        line = chance_calibration(target, logit(np.clip(predicted, 1e-12, 1 - 1e-12)), weights)
        found |= {"brier": parts.score, "reliability": parts.reliability, "resolution": parts.resolution}
        found["brier_training"] = brier(target, rows["training"].to_numpy(np.float64), weights).score
    else:
        line = quantity_calibration(target, predicted, weights)
    yield found | line._asdict()


def decision_table(predictions: pd.DataFrame, thresholds: Values = THRESHOLDS) -> pd.DataFrame:
    """Return the net benefit of acting on chances, of treating everybody, and of nobody, at thresholds.

    Args:
        predictions: Of `prediction_table`; quantities are left out.
        thresholds: (t,) in (0, 1).
    """

    def curve(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
        if not is_class(rows):
            return
        target, predicted, weights = _columns(rows)
        all_treated = net_benefit(target, np.ones(len(target)), thresholds, weights)
        for at, gain, whole in zip(
            thresholds, net_benefit(target, predicted, thresholds, weights), all_treated, strict=True
        ):
            yield {"threshold": at, "net_benefit": gain, EVERYBODY: whole, NOBODY: 0.0}

    return _table(predictions, curve, ["threshold", "net_benefit", EVERYBODY, NOBODY])


def subgroup_table(predictions: pd.DataFrame, visits: pd.DataFrame, places: pd.Series | None) -> pd.DataFrame:
    """Return AUC or R² of people of either sex and of every site, with 95 % intervals over these people.

    Args:
        predictions: Of `prediction_table`.
        visits: Table of all scans.
        places: (N,) the site of each scan; None without.

    Returns:
        A row per target, model and subgroup of 10 people or more in which it can be told.
    """
    groups = pd.DataFrame({"sex": visits["sex"]})
    if places is not None:
        groups[SITE] = places.to_numpy()
    keys = visits[["participant_id", "session_id"]].join(groups)
    table = predictions.merge(keys, on=["participant_id", "session_id"], how="left")

    def split(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
        for name in groups.columns:
            for level, own in rows.groupby(name):
                if own["participant_id"].nunique() >= FEW:
                    yield from _scored_group(own, str(name), str(level), discrete=is_class(rows))

    return _table(table, split, ["subgroup", "level", "people", "metric", "value", "low", "high"])


def _scored_group(rows: pd.DataFrame, name: str, level: str, *, discrete: bool) -> Iterator[dict[str, object]]:
    target, predicted, weights = _columns(rows)
    people = pd.factorize(rows["participant_id"])[0].astype(np.int64)
    asked_of = ProbeTarget(target, discrete, people, weights)
    guess = Predicted(predicted[None], rows["training"].to_numpy(np.float64)[None])
    try:
        scores = scored(asked_of, guess, resampled_people(asked_of, DRAWS))
    except InputError:  # one class only
        return
    metric = next(each for each in scores if each in MAIN)
    value, low, high = scores[metric].interval()
    counts = {"subgroup": name, "level": level, "people": len(np.unique(people))}
    yield {**counts, "metric": metric, "value": value, "low": low, "high": high}


def is_class(rows: pd.DataFrame) -> bool:
    """Say whether targets are classes."""
    return bool((rows["kind"] == CLASS).all())


def main_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """Keep linear probes of covariates (or the score at the scan), and with latents and volumes added to them.

    Of a setting the first model is taken. A column `series` names what was predicted from.
    """
    rows = predictions[predictions["probe"] == LINEAR]
    ahead = rows.groupby("target")["inputs"].transform(lambda inputs: (inputs == BASES[1]).any())
    alone = rows["inputs"].where(rows["inputs"].isin(BASES), "")
    base = (alone == BASES[0]) & ~ahead | (alone == BASES[1])
    more = rows["inputs"].map(added)
    named = more.where(~base, ALONE).replace({VOLUMES: PLUS_VOLUMES})
    named = named.where(rows["setting"] == RIVAL, "+ latents of " + rows["model"])
    first = rows["model"] == rows.groupby(["target", "setting"])["model"].transform("first")
    kept = first & (base | more.isin((LATENTS, VOLUMES)))
    return rows[kept].assign(series=named[kept])


def _columns(rows: pd.DataFrame) -> tuple[Values, Values, Values]:
    people = pd.factorize(rows["participant_id"])[0].astype(np.int64)
    observed, predicted = (rows[name].to_numpy(np.float64) for name in ("observed", "predicted"))
    return observed, predicted, person_weights(people)


def _table(
    predictions: pd.DataFrame, make: Callable[[pd.DataFrame], Iterable[dict[str, object]]], more: list[str]
) -> pd.DataFrame:
    found = []
    for key, rows in predictions.groupby(WHOSE, sort=False):
        found += [dict(zip(WHOSE, key, strict=True)) | line for line in make(rows)]
    return pd.DataFrame(found) if found else pd.DataFrame(columns=[*WHOSE, *more])
