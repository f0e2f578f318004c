"""Models of one setting over seeds: means, intervals, and differences to the baseline seed by seed."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import pandas as pd

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.studies.labels import short_names, short_value
from disentangle_pl.studies.run_files import Broken, read_config
from disentangle_pl.studies.run_groups import SEED, meaningful, telling

NO_INTERVAL = (math.nan, math.nan, math.nan)


class Group(NamedTuple):
    """Which setting a model has.

    Attributes:
        name: The settings that tell it from the others; `model` if nothing does.
        seed: Its seed as text, empty where it is not known.
    """

    name: str
    seed: str


def groups_of(checkpoints: Sequence[Path], names: Sequence[str]) -> list[Group]:
    """Group checkpoints by the settings of their runs, the seed left out.

    A checkpoint without a config.yaml of its run is a group of its own, under its name.

    Args:
        checkpoints: The files.
        names: What to call them.
    """
    configs = [_config(path) for path in checkpoints]
    known = [i for i, config in enumerate(configs) if config]
    table = pd.DataFrame([configs[i] for i in known], dtype=object)
    keys = meaningful(table)
    shown = telling(table, keys)
    shorts = short_names(shown)
    groups = {}
    for row, model in enumerate(known):
        words = ", ".join(f"{shorts[key]}={short_value(table[key].iloc[row])}" for key in shown)
        groups[model] = Group(words or "model", str(configs[model].get(SEED, "")))
    return [groups.get(i, Group(name, "")) for i, name in enumerate(names)]


def baseline_of(groups: Sequence[Group], aggregated: Sequence[bool]) -> str:
    """Return the group that others are compared with: the only one without aggregation, else the first.

    Args:
        groups: Of every model.
        aggregated: Whether the model shares latents within pairs.
    """
    plain = dict.fromkeys(group.name for group, shares in zip(groups, aggregated, strict=True) if not shares)
    return next(iter(plain)) if len(plain) == 1 else groups[0].name


def summarised(models: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return mean and interval of every number over the seeds of a group, and its difference to the baseline.

    Args:
        models: Columns model, group, seed, number, value.
        baseline: The group to compare with.

    Returns:
        Columns group, number, n, mean, low, high, difference, difference_low, difference_high, pairs. Intervals are
        those of `mean_interval` over seeds, NaN below two. Differences are of models of the same seed; NaN where there
        is none, and for the baseline.
    """
    there = models[models["value"].notna()]
    values = there.groupby(["group", "number", "seed"], sort=False)["value"].mean()
    reference = values[baseline] if baseline in values.index.get_level_values(0) else values.iloc[:0].droplevel(0)
    rows = []
    for key, mine in values.groupby(level=["group", "number"], sort=False):
        group, number = cast(tuple[str, str], key)
        apart = mine.droplevel("group") - reference.reindex(mine.droplevel("group").index)
        pairs = [] if group == baseline else apart.dropna().tolist()
        row = {"group": group, "number": number, "n": len(mine)}
        row |= dict(zip(("mean", "low", "high"), _interval(mine.tolist()), strict=True))
        row |= dict(zip(("difference", "difference_low", "difference_high"), _interval(pairs), strict=True))
        rows.append(row | {"pairs": len(pairs)})
    return pd.DataFrame(rows)


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    return mean_interval(values) if values else NO_INTERVAL


def _config(checkpoint: Path) -> dict[str, object]:
    try:
        return read_config(checkpoint.absolute().parent.parent / "config.yaml", needed=False)
    except Broken:
        return {}
