"""Which settings tell runs apart, and what runs that differ in their seed only score together."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.metrics.score import Values
from disentangle_pl.run_state import FINISHED
from disentangle_pl.studies.run_table import scores, settings

SEED = "seed_everything"
NEUTRAL = (  # settings that say where a run lies, how it is watched and what is drawn, not what is learned
    *(SEED, "run_id", "runs_dir", "project", "wandb", "ckpt_path", "weights_only", "data.resident_mib", "report"),
    "disentangle_pl",
    *("checkpoint", "disentanglement", "layers", "sharing", "sparsity", "traversals", "reconstructions"),
    *("trainer.accelerator", "trainer.logger", "trainer.callbacks", "trainer.enable_progress_bar", "trainer.profiler"),
    *("trainer.default_root_dir", "trainer.enable_model_summary", "trainer.enable_checkpointing", "trainer.barebones"),
    *("trainer.log_every_n_steps", "trainer.enable_autolog_hparams", "trainer.model_registry"),
)
ENDS = ("floor", "ceiling")


def same(value: Any) -> Hashable:
    """Return what equal settings have in common however they were written: 4 and 4.0, or null and not there."""
    if value is None or value in ("null", "None") or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def meaningful(table: pd.DataFrame) -> list[str]:
    """Return the settings that make another experiment of a run: all but the seed and where or how it was run."""
    return [key for key in settings(table) if not any(key == name or key.startswith(f"{name}.") for name in NEUTRAL)]


def configured(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs whose configuration is known; all, if that of none is."""
    known = table[settings(table)].notna().any(axis=1)
    here: pd.DataFrame = table[known] if known.any() else table
    return here


def varying(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return the keys that have more than one value."""
    return [key for key in keys if len(set(map(same, table[key]))) > 1]


def telling(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """Return the varying keys, without those that only follow the class they belong to.

    A setting that some classes do not have, and that is the same wherever a class is the same, says nothing that the
    class has not said.
    """
    vary = varying(table, keys)
    return [key for key in vary if not any(_follows(table, key, other) for other in vary)]


def copies(table: pd.DataFrame) -> dict[int, int]:
    """Return the rows that repeat another one, and that one: all their settings and their seed are the same.

    Of a folder and its copy, or a folder and an export of it, the first that has finished is the one. Runs without a
    known seed repeat nothing.
    """
    if SEED not in table:
        return {}
    keys = [*meaningful(table), SEED]
    ordered = table.loc[(table["state"] != FINISHED).sort_values(kind="stable").index]
    first: dict[tuple[Hashable, ...], int] = {}
    rows = ordered[keys].itertuples(name=None)
    seeded = [(row, values) for row, *values in rows if same(values[-1]) is not None and values[-1] is not True]
    ones = {row: first.setdefault(tuple(map(same, values)), row) for row, values in seeded}
    return {row: one for row, one in ones.items() if row != one}


def group_numbers(table: pd.DataFrame, keys: Sequence[str]) -> list[int]:
    """Number the groups of runs that share all values of the keys, in order of their first runs; one number a run."""
    names = zip(*(map(same, table[key]) for key in keys), strict=True) if keys else [()] * len(table)
    known: dict[tuple[Hashable, ...], int] = {}
    return [known.setdefault(tuple(name), len(known)) for name in names]


def group_scores(table: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """Return mean and 95 % interval of every score of every group, one row each; copies of a run count once.

    Args:
        table: A tidy table of runs.
        keys: Settings; runs that share their values are one group.
        metrics: Scores; None for all.

    Returns:
        Columns `group` (its number), the keys that tell the groups apart, `runs` (all of the group), `score`, `n` (the
        runs that finished with a finite value), `mean`, `low`, `high` (the ends are NaN below two runs), `floor` and
        `ceiling` (NaN where they are not known).
    """
    table = table.drop(index=list(copies(table)))
    shown = telling(table, keys)
    wanted = scores(table) if metrics is None else list(metrics)
    ended = (table["state"] == FINISHED).to_numpy()
    columns = {name: table[name].to_numpy(float) for name in table.columns if name.startswith(tuple(wanted))}
    numbers = np.array(group_numbers(table, keys))
    rows = []
    for number in range(numbers.max(initial=-1) + 1):
        mine = numbers == number
        named = {"group": number} | {key: table[key].iloc[mine.argmax()] for key in shown} | {"runs": int(mine.sum())}
        for score in wanted:
            runs = mine & ended & np.isfinite(columns[score])
            ends = {
                end: _mean(columns[f"{score}_{end}"][runs]) if f"{score}_{end}" in columns else math.nan for end in ENDS
            }
            rows.append(named | {"score": score} | _summary(columns[score][runs].tolist()) | ends)
    told = {key: pd.Series([row[key] for row in rows], dtype=object) for key in shown}
    return pd.DataFrame(rows).assign(**told)


def _summary(values: list[float]) -> dict[str, float]:
    mean, low, high = mean_interval(values) if values else (math.nan,) * 3
    return {"n": len(values), "mean": mean, "low": low, "high": high}


def _mean(values: Values) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _follows(table: pd.DataFrame, key: str, above: str) -> bool:
    if not key.startswith(f"{above}."):
        return False
    pairs = set(zip(map(same, table[above]), map(same, table[key]), strict=True))
    values = {value for _, value in pairs}
    return None in values and len(pairs) == len({name for name, _ in pairs})
