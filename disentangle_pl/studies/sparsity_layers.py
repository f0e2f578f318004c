"""Where in a network features are mixed: the scores of its layers over their own rotation, for every kind of mask."""

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.metrics.layerwise import TITLES
from disentangle_pl.studies.axis_scale import near_runs
from disentangle_pl.studies.sparsity_table import DENSE, RANDOM

LAYER = re.compile(r"layers/(?P<score>.+?)_(?P<layer>(?:encoder|decoder)_\d+|latents)(?P<end>_floor|_rotated)?")
PARTS = ("encoder", "latents", "decoder")


def over_rotation(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how far the units of every layer are above a random rotation of the layer.

    Args:
        runs: As `sparsity_table.arrange` returns them; runs without scores of layers do not count.

    Returns:
        One row for each data set, kind, setting, score and layer: `place` (from the image to the latents and back),
        `density`, `n`, `mean`, `low`, `high` (95 % interval over runs). Empty if there are no such scores.
    """
    found = [match for match in map(LAYER.fullmatch, map(str, runs.columns)) if match and not match["end"]]
    order = sorted({match["layer"] for match in found}, key=_place)
    rows: list[dict[str, Any]] = []
    for (data_set, kind, rank), mine in runs.groupby(["data_set", "kind", "rank"], sort=True):
        for match in found:
            column = match.group()
            above = (mine[column] - mine.get(f"{column}_rotated", np.nan)).dropna()
            if above.empty:
                continue
            mean, low, high = mean_interval(above.tolist())
            row = {"data_set": data_set, "kind": kind, "rank": rank, "setting": mine["setting"].iloc[0]}
            row |= {"score": match["score"], "layer": match["layer"], "place": order.index(match["layer"])}
            rows.append(
                row | {"density": mine["density"].mean(), "n": len(above), "mean": mean, "low": low, "high": high}
            )
    return pd.DataFrame(rows)


def by_layer(found: pd.DataFrame) -> Figure:
    """Draw `over_rotation`: one row of panels a data set, one column a score, one line a setting; 0 is the rotation."""
    names, scores = list(dict.fromkeys(found["data_set"])), list(dict.fromkeys(found["score"]))
    lines = sorted(set(zip(found["kind"], found["setting"], strict=True)), key=_line_order)
    figure = Figure(figsize=(1.5 + 4.4 * len(scores), 1.3 + 2.8 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(scores), squeeze=False, sharex=True)
    layers = found.sort_values("place")["layer"].drop_duplicates().tolist()
    for row, name in zip(panels, names, strict=True):
        row[0].set_ylabel(f"{name}\nabove its rotation", fontsize=9)
        for axes, score in zip(row, scores, strict=True):
            axes.axhline(0, color="0.6", linewidth=1, linestyle=":")
            for i, (kind, setting) in enumerate(lines):
                mine = found[(found["data_set"] == name) & (found["score"] == score)]
                mine = mine[(mine["kind"] == kind) & (mine["setting"] == setting)].sort_values("place")
                colour = "k" if kind == DENSE else "0.45" if kind == RANDOM else f"C{i % 10}"
                axes.plot(
                    mine["place"], mine["mean"], "o-", color=colour, markersize=4, label=f"{kind} {setting}".strip()
                )
                axes.fill_between(mine["place"], mine["low"], mine["high"], color=colour, alpha=0.12, linewidth=0)
            near_runs(axes, found.loc[(found["data_set"] == name) & (found["score"] == score), "mean"].to_numpy(float))
            axes.set_xticks(range(len(layers)), layers, rotation=60, ha="right", fontsize=7)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
            if axes in panels[0]:
                axes.set_title(TITLES.get(score, score), fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return figure


def _place(layer: str) -> tuple[int, int]:
    part, _, number = layer.partition("_")
    return PARTS.index(part), int(number or 0)


def _line_order(line: tuple[str, str]) -> tuple[bool, bool, tuple[str, str]]:
    return line[0] != DENSE, line[0].startswith(RANDOM), line
