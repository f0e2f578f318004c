"""All pictures of a sweep from the table of its runs."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from disentangle_pl.flat import flat_name
from disentangle_pl.studies.axis_scale import is_numeric
from disentangle_pl.studies.importance import importance, plot_importance
from disentangle_pl.studies.parallel_plot import parallel_coordinates
from disentangle_pl.studies.run_groups import SEED, same, varying
from disentangle_pl.studies.versus_plot import metric_versus

DPI = 130
MOST_LINES = 10


def plot_sweep(table: pd.DataFrame, keys: Sequence[str], metric: str, goal: str, folder: Path) -> list[Path]:
    """Draw parallel coordinates, the importance of the settings, and the metric against every numeric one.

    Args:
        table: A tidy table of runs.
        keys: Settings that were swept, in any spelling that the command line takes; one that no run has is null.
        metric: The score.
        goal: `maximize` or `minimize`.
        folder: Where the files go; made if it is not there.

    Returns:
        The files: parallel.png, importance.png, importance.tsv and a versus_<key>.png for every numeric setting but the
        seed, with one line for each value of the most important categorical setting.

    Raises:
        InputError: If no run has the metric, or the goal is not known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(dict.fromkeys(flat_name(key) for key in keys))
    figures = {"parallel": parallel_coordinates(table, wanted, metric, goal)}
    found = importance(table, wanted, metric)
    figures["importance"] = plot_importance(found, metric)
    for key in wanted:
        if key in table and key != SEED and is_numeric(table[key].tolist()):
            lines = _lines(table, found["key"].tolist(), key)
            figures[f"versus_{_file_name(key)}"] = metric_versus(table, key, [metric], lines)
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path, dpi=DPI, facecolor="white")
    found.to_csv(folder / "importance.tsv", sep="\t", index=False)
    return [*paths, folder / "importance.tsv"]


def _lines(table: pd.DataFrame, keys: Sequence[str], strength: str) -> str | None:
    """Choose the setting to draw a line each for: the first category of a few values that vary along the strength."""
    here = table[[same(value) is not None for value in table[strength]]]
    vary = varying(here, [key for key in keys if key in here and key not in (strength, SEED)])
    few = [key for key in vary if not is_numeric(here[key].tolist()) and len(set(map(same, here[key]))) <= MOST_LINES]
    return next(iter(few), None)


def _file_name(key: str) -> str:
    return re.sub(r"[^\w.-]", "_", key)
