"""Runs with masks in order: their data, the kind of the mask and its settings, and the density that came of it."""

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from disentangle_pl.errors import InputError
from disentangle_pl.studies.labels import short_names, short_value
from disentangle_pl.studies.run_groups import SEED, configured, group_numbers, meaningful, same, telling, varying
from disentangle_pl.studies.run_table import finished

MASK, DENSE, RANDOM = "model.mask", "dense", "RandomMask"
MATCHED = "RandomMask, layers as "
DENSITY, LAYERS = "sparsity/effective_density", ("sparsity/density_encoder_", "sparsity/density_decoder_")
DIGITS = 4
LEVEL = 0.95
RESAMPLES = 2000
STRENGTH = f"{MASK}.strength"
SAME = 1e-9  # differences that vary less are rounding


def arrange(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Put the finished runs of a sparsity study in order.

    Args:
        table: A tidy table of runs.
        metric: A score that they need.

    Returns:
        The runs with the columns `data_set` (all that tells experiments apart, but for the mask and the seed), `kind`
        (of the mask, or `dense`), `setting` (its settings), `seed`, `density` (the share of channel pairs that matter,
        1 if dense) and `rank` (of the setting within its kind, from 1: by its strength, and by falling density where
        that is the same).

    Raises:
        InputError: If no run has finished, or none is masked.
    """
    if metric not in table or finished(table, metric).empty:
        raise InputError(
            f"no run here has finished with {metric}: train some first, e.g. by sweeps/sparsity_small.yaml"
        )
    runs = configured(finished(table, metric)).reset_index(drop=True)
    keys = meaningful(runs)
    # a switch that older runs do not know is off
    runs[keys] = runs[keys].map(lambda value: None if same(value) in ("False", "false") else value)
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
    strength = pd.to_numeric(made[STRENGTH], errors="coerce") if STRENGTH in made else pd.Series(0.0, made.index)
    made["rank"] = made.groupby(["data_set", "kind"])["group"].transform(
        lambda groups: _ranks(groups, strength[groups.index].fillna(0.0), made.loc[groups.index, "density"])
    )
    return made


def is_learned(kind: str) -> bool:
    """Tell whether a kind chooses its pairs by the data: it is neither dense nor random."""
    return kind != DENSE and not kind.startswith(RANDOM)


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


def _ranks(groups: pd.Series, strengths: pd.Series, densities: pd.Series) -> pd.Series:
    """Number groups of runs by their strengths, and by falling mean densities where these are equal."""
    sparse = -densities.groupby(groups).transform("mean").round(9)
    order = sorted(set(zip(strengths, sparse, strict=True)))
    return pd.Series([order.index(key) + 1 for key in zip(strengths, sparse, strict=True)], index=groups.index)


def _left_out(run: pd.Series, place: str) -> bool:
    key = f"model.placement.{place}"
    return key in run and same(run[key]) in (None, "False", "false")


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
        asked = listed(row.get(f"{MASK}.density")) if row["kind"] == RANDOM else None
        known = lists.get((row["data_set"], asked)) if asked else None
        named.append(f"{MATCHED}{known}" if known else f"{RANDOM}, by layer" if asked else row["kind"])
    return named


def listed(density: Any) -> tuple[float, ...] | None:
    """Return the densities of the layers that a random mask was given one by one, or None if it was not."""
    loaded = json.loads(density) if isinstance(density, str) else density
    return tuple(loaded) if isinstance(loaded, list) else None
