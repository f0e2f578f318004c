"""Runs with masks in order: data, kind and achieved density, compared with dense networks and random masks."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import bootstrap_interval
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.labels import short_names, short_value
from disentangle_pl.studies.run_groups import SEED, configured, group_numbers, meaningful, same, telling, varying
from disentangle_pl.studies.run_table import finished

MASK, DENSE, RANDOM = "model.mask", "dense", "RandomMask"
MATCHED = "RandomMask, layers as "
DENSITY, LAYERS = "sparsity/effective_density", ("sparsity/density_encoder_", "sparsity/density_decoder_")
DIGITS = 4
LEVEL = 0.95
RESAMPLES = 2000
SAME = 1e-9  # differences that vary less are rounding


def arrange(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Put the finished runs of a sparsity study in order.

    Args:
        table: A tidy table of runs.
        metric: A score that they need.

    Returns:
        The runs with the columns `data_set` (all that tells experiments apart, but for the mask and the seed), `kind`
        (of the mask, or `dense`), `setting` (its settings), `seed`, `density` (the share of channel pairs that matter,
        1 if dense) and `rank` (of the setting within its kind, 1 for the densest).

    Raises:
        InputError: If no run has finished, or none is masked.
    """
    if metric not in table or finished(table, metric).empty:
        raise InputError(
            f"no run here has finished with {metric}: train some first, e.g. by sweeps/sparsity_small.yaml"
        )
    runs = configured(finished(table, metric)).reset_index(drop=True)
    keys = meaningful(runs)
    masks = [key for key in keys if key == MASK or key.startswith(f"{MASK}.")]
    if MASK not in masks or runs[MASK].isna().all():
        raise InputError("none of these runs has a mask: give runs of a sweep over model.mask")
    others = [key for key in keys if key not in masks]
    made = runs.assign(
        data_set=_labels(runs, others),
        kind=[DENSE if same(value) is None else short_value(value) for value in runs[MASK]],
        setting=_settings(runs, masks),
        seed=runs.get(SEED, 0),
        density=runs[DENSITY].fillna(1.0) if DENSITY in runs else 1.0,
        group=group_numbers(runs, keys),
    )
    made.loc[made["kind"] == DENSE, "density"] = 1.0
    made["kind"] = _named_controls(made)
    made["rank"] = made.groupby(["data_set", "kind"])["group"].transform(
        lambda groups: _ranks(groups, made.loc[groups.index, "density"])
    )
    return made


def compare(runs: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Compare every setting of every mask with the dense network and with random masks of the same density.

    Differences are paired by seed. The random masks are those with the same density in every layer where such runs
    are given; otherwise the scores of random masks are interpolated in the logarithm of the density, for every seed.

    Args:
        runs: As `arrange` returns them.
        scores: Columns to compare.

    Returns:
        One row for each data set, kind, setting and score: `rank`, `density`, `n`, `mean`, `low`, `high` (95 %
        bootstrap interval over seeds); `gain`, `gain_low`, `gain_high` over the dense network (95 % t interval) and
        its `gain_p`; `over`, `over_low`, `over_high` and `over_p` likewise over random masks, `control` (how these
        were matched). The p-values are corrected after Holm (1979) over all settings of a data set and score.
    """
    rows = []
    for (data_set, score), mine in _pieces(runs, scores):
        dense = _by_seed(mine[mine["kind"] == DENSE], score)
        for (kind, rank), found in mine.groupby(["kind", "rank"], sort=True):
            values = _by_seed(found, score)
            mean, low, high = bootstrap_interval(list(values.values()), resamples=RESAMPLES)
            first = found.iloc[0]
            row = {"data_set": data_set, "score": score, "kind": kind, "rank": rank, "setting": first["setting"]}
            row |= {"density": found["density"].mean(), "n": len(values), "mean": mean, "low": low, "high": high}
            row |= _paired("gain", values, dense if kind != DENSE else {})
            learned = kind != DENSE and not str(kind).startswith(RANDOM)
            control, how = _control(mine, found, score) if learned else ({}, "")
            rows.append(row | _paired("over", values, control) | {"control": how})
    table = pd.DataFrame(rows)
    for column in ("gain_p", "over_p"):
        table[column] = table.groupby(["data_set", "score"])[column].transform(holm)
    return table


def trends(runs: pd.DataFrame, scores: Sequence[str]) -> pd.DataFrame:
    """Correlate every score with the density, over the runs of a kind and the dense ones.

    Returns:
        One row for each data set, kind and score: `n` runs, `rho` (Spearman) and its `p`, corrected after Holm over the
        kinds of a data set and score. A positive rho: sparser is lower.
    """
    rows = []
    for (data_set, score), mine in _pieces(runs, scores):
        for kind in sorted(set(mine["kind"]) - {DENSE}):
            here = mine[mine["kind"].isin([kind, DENSE])]
            vary = here["density"].nunique() > 1 and here[score].nunique() > 1
            rho, p = stats.spearmanr(here["density"], here[score]) if vary else (math.nan, math.nan)
            rows.append(
                {"data_set": data_set, "score": score, "kind": kind, "n": len(here), "rho": float(rho), "p": float(p)}
            )
    table = pd.DataFrame(rows)
    table["p"] = table.groupby(["data_set", "score"])["p"].transform(holm)
    return table


def holm(values: pd.Series) -> Values:
    """Correct p-values (n,) for their number; NaN stays NaN and does not count (Holm 1979)."""
    p = values.to_numpy(float)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected = np.full(len(p), math.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return corrected


def layer_densities(found: pd.DataFrame) -> list[float]:
    """Return the mean density of every masked layer of some runs, encoder first, as a random mask takes them."""
    columns = list(map(str, found.columns))
    places = [sorted((name for name in columns if name.startswith(part)), key=_number) for part in LAYERS]
    first = found.iloc[0]
    wanted = []
    for part, names, ends in zip(
        ("encoder", "decoder"), places, (("pixels", "latents"), ("latents", "pixels")), strict=True
    ):
        kept = [name for name in names if found[name].notna().any()]
        inner = slice(int(_left_out(first, ends[0])), len(kept) - int(_left_out(first, ends[1])))
        wanted += [] if _left_out(first, part) else kept[inner]
    return [round(max(float(found[name].mean()), 10.0**-DIGITS), DIGITS) for name in wanted]


def _ranks(groups: pd.Series, densities: pd.Series) -> pd.Series:
    """Number groups of runs by their mean densities, 1 for the densest."""
    return (-densities.groupby(groups).transform("mean").round(9)).rank(method="dense").astype(int)


def _left_out(run: pd.Series, place: str) -> bool:
    return same(run.get(f"model.placement.{place}")) in ("False", "false")


def _number(column: str) -> int:
    return int(column.rsplit("_", 1)[-1])


def _labels(runs: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    told = telling(runs, keys)
    names = short_names(told)
    if "data.dataset" not in told and "data.dataset" in runs:
        told, names = ["data.dataset", *told], {"data.dataset": "dataset"} | names
    said = [key for key in told if not key.startswith("data.dataset.")] or told
    return [_label(row, said, names) for row in runs[list(runs.columns.intersection(said))].to_dict("records")]


def _label(row: dict[Any, Any], keys: Sequence[str], names: dict[str, str]) -> str:
    parts = [
        short_value(row[key]) if key == "data.dataset" else f"{names[key]}={short_value(row[key])}"
        for key in sorted(keys, key=lambda key: (key != "data.dataset", key))
    ]
    return ", ".join(parts) or "all runs"


def _settings(runs: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Name the settings of every run that vary within its kind of mask."""
    kinds = list(map(same, runs[MASK]))
    vary = {
        kind: varying(runs[[other == kind for other in kinds]], [key for key in keys if key != MASK]) for kind in kinds
    }
    return [
        ", ".join(f"{key.removeprefix(f'{MASK}.')}={short_value(row[key], 60)}" for key in vary[kind])
        for kind, row in zip(kinds, runs[list(keys)].to_dict("records"), strict=True)
    ]


def _named_controls(runs: pd.DataFrame) -> list[str]:
    """Name the random masks that copy the densities of the layers of a learned kind after that kind."""
    lists = {}
    learned = runs[~runs["kind"].isin([DENSE, RANDOM])]
    for (data_set, _, kind), found in learned.groupby(["data_set", "group", "kind"]):
        if all(any(str(column).startswith(part) for column in found.columns) for part in LAYERS):
            lists[data_set, tuple(layer_densities(found))] = kind
    named = []
    for row in runs.to_dict("records"):
        asked = _listed(row.get(f"{MASK}.density")) if row["kind"] == RANDOM else None
        known = lists.get((row["data_set"], asked)) if asked else None
        named.append(f"{MATCHED}{known}" if known else f"{RANDOM}, by layer" if asked else row["kind"])
    return named


def _listed(density: Any) -> tuple[float, ...] | None:
    loaded = json.loads(density) if isinstance(density, str) else density
    return tuple(loaded) if isinstance(loaded, list) else None


def _pieces(runs: pd.DataFrame, scores: Sequence[str]) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    return [
        ((str(data_set), score), mine[np.isfinite(mine[score].to_numpy(float))])
        for data_set, mine in runs.groupby("data_set", sort=False)
        for score in scores
    ]


def _by_seed(found: pd.DataFrame, score: str) -> dict[Any, float]:
    return found.groupby("seed")[score].mean().to_dict()


def _control(mine: pd.DataFrame, found: pd.DataFrame, score: str) -> tuple[dict[Any, float], str]:
    """Return the scores of random masks as dense as some runs, by seed, and how they were matched."""
    kind, wanted = found["kind"].iloc[0], None
    matched = mine[mine["kind"] == f"{MATCHED}{kind}"]
    if len(matched):
        wanted = tuple(layer_densities(found))
        exact = matched[[_listed(value) == wanted for value in matched[f"{MASK}.density"]]]
        if len(exact):
            return _by_seed(exact, score), "same density in every layer"
    control = _interpolated(mine, score)(found)
    return control, "same density over all, interpolated" if control else ""


def _interpolated(mine: pd.DataFrame, score: str) -> Callable[[pd.DataFrame], dict[Any, float]]:
    curves: dict[Any, tuple[Values, Values]] = {}
    for seed, curve in mine[mine["kind"].isin([RANDOM, DENSE])].groupby("seed"):
        if (curve["kind"] == RANDOM).any():
            means = curve.groupby("density")[score].mean()
            curves[seed] = (np.log(means.index.to_numpy(float)), means.to_numpy(float))

    def at(found: pd.DataFrame) -> dict[Any, float]:
        asked: dict[Any, float] = found.groupby("seed")["density"].mean().clip(1e-9).map(math.log).to_dict()
        inside = {seed: x for seed, x in asked.items() if seed in curves and x >= curves[seed][0][0]}
        return {seed: float(np.interp(x, *curves[seed])) for seed, x in inside.items()}

    return at


def _paired(name: str, values: dict[Any, float], others: dict[Any, float]) -> dict[str, float]:
    """Return the mean difference over the seeds that both have, with its t interval and p-value."""
    gains = np.array([value - others[seed] for seed, value in values.items() if seed in others])
    mean, low, high, p = float(gains.mean()) if len(gains) else math.nan, math.nan, math.nan, math.nan
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    if error > SAME:
        students = stats.t(len(gains) - 1)
        half = float(students.ppf((1 + LEVEL) / 2)) * error
        low, high, p = mean - half, mean + half, 2 * float(students.sf(abs(mean) / error))
    return {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_p": p}
