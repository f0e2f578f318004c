"""Many runs as the rows of a study: data set, model, strength, seed, scores and measures of variance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from disentangle_pl.errors import InputError
from disentangle_pl.studies.axis_scale import is_numeric
from disentangle_pl.studies.labels import short_names, short_value
from disentangle_pl.studies.run_groups import SEED, configured, meaningful, same, telling, varying
from disentangle_pl.studies.run_table import finished
from disentangle_pl.studies.variance_study_measures import OF_DATA, OF_RUNS, Measured, matched

DATA, MODEL, ORDERED = "data.dataset", "model", "OrderedVAE"
PER_FACTOR = "disentanglement/mig_"


def arrange_runs(table: pd.DataFrame, scores: Sequence[str], measured: Sequence[Measured]) -> pd.DataFrame:
    """Put the finished runs of a study in order.

    Args:
        table: A tidy table of runs.
        scores: Columns that they need.
        measured: What is known of their data sets, or of themselves.

    Returns:
        One row a run: `run`, `data_set` (the class and what tells its data from those of others), `model` (its class,
        and its aggregation if there is one), `strength` (the varying numeric setting of the model; NaN if none varies),
        `ordered` (whether the objective orders latents), `seed`, `seconds`, the scores, and the measures, NaN where
        they are not known.

    Raises:
        InputError: If no run has finished with the scores, or measures belong to no run.
    """
    for score in scores:
        if finished(table, score).empty:
            raise InputError(f"no run here has finished with {score}: train some by sweeps/variance_small.yaml")
    kept = table[np.isfinite(table[list(scores)].to_numpy(float)).all(axis=1)]
    runs = configured(finished(kept, scores[0])).reset_index(drop=True)
    if runs.empty:
        raise InputError(f"no run here has finished with all of {', '.join(scores)}: ask for fewer scores")
    made = runs.assign(data_set=data_labels(runs), **{MODEL: _model_labels(runs)})
    found = matched(made, measured)
    columns = {
        "run": made["run"],
        "data_set": made["data_set"],
        "model": made[MODEL],
        "strength": _strengths(made),
        "ordered": made[MODEL].str.startswith(ORDERED),
        "seed": made.get(SEED, pd.Series(0, made.index)),
        "seconds": made["seconds"],
    } | {score: made[score] for score in scores}
    for name in (*OF_DATA, *OF_RUNS):
        columns[name] = pd.Series([_first(parts, name) for parts in found], dtype=float)
    return pd.DataFrame(columns)


def factor_rows(table: pd.DataFrame, runs: pd.DataFrame, measured: Sequence[Measured]) -> pd.DataFrame:
    """Return the MIG of every factor of every run beside what was measured of that factor.

    Args:
        table: The tidy table.
        runs: As `arrange_runs` returns them.
        measured: See there.

    Returns:
        One row a run and factor: `run`, `data_set`, `model`, `strength`, `ordered`, `seed`, `factor`, `mig`, and the
        measures; factors of which nothing was measured are left out.
    """
    known = table.drop_duplicates("run").set_index("run")
    settings = runs.join(known[[name for name in known if str(name).startswith(DATA)]], on="run")
    rows = []
    for run, parts in zip(runs.to_dict("records"), matched(settings, measured), strict=True):
        names = dict.fromkeys(factor for part in parts for _, factor in part.factors)
        for factor in names:
            mig = known.loc[run["run"]].get(f"{PER_FACTOR}{factor}", np.nan)
            values = {key: value for part in parts for (key, other), value in part.factors.items() if other == factor}
            if np.isfinite(mig):
                shared = {key: run[key] for key in ("run", "data_set", "model", "strength", "ordered", "seed")}
                rows.append(shared | {"factor": factor, "mig": float(mig)} | values)
    return pd.DataFrame(rows)


def data_labels(runs: pd.DataFrame) -> list[str]:
    """Name the data set of every run by its class, and by the settings that tell it from others of that class."""
    if DATA not in runs:
        return ["all runs"] * len(runs)
    told = [key for key in telling(runs, [key for key in map(str, runs) if key.startswith(DATA)]) if key != DATA]
    names = short_names(told)
    labels: list[str] = []
    for row in runs[[DATA, *told]].astype(object).to_dict("records"):
        parts = [f"{names[key]}={short_value(row[key])}" for key in told if same(row[key]) is not None]
        labels.append(", ".join([short_value(row[DATA]), *parts]))
    return labels


def _model_labels(runs: pd.DataFrame) -> list[str]:
    if MODEL not in runs:
        return ["model"] * len(runs)
    shared = runs.get("model.aggregation", pd.Series(None, runs.index, dtype=object))
    return [
        short_value(model) + ("" if same(how) is None else f" + {short_value(how)}")
        for model, how in zip(runs[MODEL], shared, strict=True)
    ]


def _strengths(runs: pd.DataFrame) -> pd.Series:
    """Return the varying numeric setting of the model of every run."""
    found = pd.Series(np.nan, runs.index)
    keys = [key for key in meaningful(runs) if key.startswith("model.") and not key.startswith("model.optimizer")]
    for _, mine in runs.groupby(MODEL):
        moving = [key for key in varying(mine, keys) if is_numeric(mine[key].tolist())]
        if moving:
            found[mine.index] = pd.to_numeric(mine[moving[0]], errors="coerce").astype(float)
    return found


def _first(parts: Sequence[Measured], name: str) -> float:
    return next((part.values[name] for part in reversed(parts) if name in part.values), np.nan)
