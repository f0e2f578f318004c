"""Pictures of a study of scores: what everything reaches and adds to covariates, and how many people a trial needs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentangle_pl.studies.clinical_probe import ALL
from disentangle_pl.studies.clinical_table import (
    BASES,
    BEFORE,
    COMPARED,
    COVARIATES,
    LATENTS,
    PCA,
    PEOPLE,
    RIVAL,
    SITE,
    VOLUMES,
    added,
)
from disentangle_pl.studies.clinical_targets import SCORES, TITLES
from disentangle_pl.studies.clinical_words import measure, who

GREYS = {COVARIATES: "0.45", BEFORE: "0.7", SITE: "0.8", VOLUMES: "#2a9d5c", PCA: "#e08a1e"}
COLOURS = ("#1f5fa8", "#b0307a", "#58b4d8", "#7a4fb5", "#0d9488", "#9a3412")
LABELS = {PCA: "components of the images", BEFORE: "score at the scan"}
METRICS = {"auc": ("AUC", 0.5), "r2": ("R² against the training mean", 0.0)}
LINE, SHOWN = 0.105, 6


def draw_scores(table: pd.DataFrame) -> Figure:
    """Draw scores and increments over covariates with their intervals over people, classes above quantities.

    Args:
        table: Of `table_of`; all visits, linear probes.
    """
    main = table[(table["mode"] == ALL) & (table["probe"] == "linear") & table["interval"].isin((PEOPLE, COMPARED))]
    series = _series(main)
    metrics = [metric for metric in METRICS if (main["metric"] == metric).any()]
    sizes = [main[main["metric"] == metric]["target"].nunique() for metric in metrics]
    height = LINE * (len(series) + 1.5) * sum(sizes) + 1.1 * len(metrics) + 0.8
    figure = Figure(figsize=(11, max(height, 3.0)), layout="constrained")
    grid = figure.subplots(len(metrics), 2, squeeze=False, gridspec_kw={"height_ratios": sizes})
    for row, metric in enumerate(metrics):
        name, nothing = METRICS[metric]
        metric_name = name.split()[0]
        mine = main[main["metric"] == metric]
        targets = list(dict.fromkeys(mine["target"]))
        _draw(grid[row][0], mine[mine["versus"] == ""], targets, series)
        more = mine[mine["versus"].isin(BASES)].assign(inputs=[*map(added, mine[mine["versus"].isin(BASES)]["inputs"])])
        _draw(grid[row][1], more, targets, series)
        grid[row][0].set_xlabel(name)
        grid[row][1].set_xlabel(f"{metric_name} added to covariates (scores to come: to the score)")
        grid[row][1].set_yticklabels([])
        for axis, at in zip(grid[row], (nothing, 0.0), strict=True):
            axis.axvline(at, color="black", linewidth=0.8)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return figure


def draw_trials(table: pd.DataFrame) -> Figure:
    """Draw ICC on rescans, and people an arm of a trial for a slowing by 25 %, of the measures that need fewest.

    Args:
        table: Of `table_of`.
    """
    lines = table[table["mode"] == "reliability"]
    sizes = lines[(lines["metric"] == "n80") & np.isfinite(lines["value"])].sort_values("value")
    scores = (sizes["setting"] == RIVAL) & sizes["inputs"].isin(SCORES)
    best = pd.concat((sizes[~scores].groupby("setting", sort=False).head(SHOWN), sizes[scores])).sort_values("value")
    agreed = lines[lines["metric"] == "icc"]
    settings = list(dict.fromkeys(lines.loc[lines["setting"] != RIVAL, "setting"]))
    colours = {RIVAL: "0.45"} | {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(settings)}
    figure = Figure(figsize=(11, max(3.0, 0.18 * len(best) + 1)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axis, rows, draw in ((left, best, _draw_sizes), (right, agreed, _draw_agreed)):
        if len(rows):
            draw(axis, rows, colours)
        else:
            axis.text(0.5, 0.5, "not known: no rescans, or too few patients", ha="center", transform=axis.transAxes)
            axis.set_axis_off()
    return figure


def _series(main: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return inputs, setting and colour of all that is drawn, in order."""
    rivals = [name for name in GREYS if (main["inputs"] == name).any()]
    found = [(name, RIVAL, GREYS[name]) for name in rivals]
    settings = list(dict.fromkeys(main.loc[main["setting"] != RIVAL, "setting"]))
    return found + [(LATENTS, name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(settings)]


def _draw(axis: Axes, rows: pd.DataFrame, targets: Sequence[str], series: list[tuple[str, str, str]]) -> None:
    step = 0.8 / max(len(series), 1)
    for number, (inputs, setting, colour) in enumerate(series):
        mine = rows[(rows["inputs"] == inputs) & (rows["setting"] == setting)]
        mean = mine[mine["model"].str.startswith("mean of ")]
        mine = (mean if len(mean) else mine).drop_duplicates("target").set_index("target").reindex(list(targets))
        places = np.arange(len(targets)) + (number - (len(series) - 1) / 2) * step
        value = mine["value"].to_numpy(float)
        ends = np.stack((value - mine["low"].to_numpy(float), mine["high"].to_numpy(float) - value))
        label = LABELS.get(inputs, inputs) if setting == RIVAL else f"latents of {_called(rows, setting)}"
        spread = np.maximum(ends, 0)
        axis.errorbar(value, places, xerr=spread, label=label, fmt="o", markersize=3.5, linewidth=1.2, color=colour)
    axis.set_yticks(range(len(targets)), [TITLES.get(name, name) for name in targets], fontsize=8)
    axis.set_ylim(len(targets) - 0.45, -0.55)
    for place in range(1, len(targets)):
        axis.axhline(place - 0.5, color="0.85", linewidth=0.8)
    axis.tick_params(labelsize=8)


def _called(rows: pd.DataFrame, setting: str) -> str:
    """Call a setting by its only model, if it has one."""
    models = rows.loc[rows["setting"] == setting, "model"].unique()
    return str(models[0]) if len(models) == 1 else setting


def _draw_agreed(axis: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    """Draw a row a model, a dot a latent."""
    axis.set_title("ICC(2,1) on rescans: a dot a latent, or volume", fontsize=9)
    groups = [mine for _, mine in rows.groupby(["setting", "model"], sort=False)]
    for place, mine in enumerate(groups):
        axis.plot(mine["value"], np.full(len(mine), place), "o", color=colours[mine["setting"].iloc[0]], alpha=0.5)
    names = [
        VOLUMES if first["setting"] == RIVAL else who(first) for first in (mine.iloc[0].to_dict() for mine in groups)
    ]
    axis.set_yticks(range(len(groups)), names, fontsize=8)
    axis.set_ylim(len(groups) - 0.4, -0.6)
    axis.set_xlim(min(0.0, rows["value"].min()) - 0.05, 1.05)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.tick_params(labelsize=8)


def _draw_sizes(axis: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    axis.set_title("people per arm to show a slowing by 25 % (power 80 %)", fontsize=9)
    most = rows["value"].max() * 10
    for place, row in enumerate(rows.to_dict("records")):
        colour = colours[row["setting"]]
        axis.plot([row["low"], min(row["high"], most * 10)], [place, place], color=colour, linewidth=1.2)
        axis.plot(row["value"], place, "o", color=colour, markersize=4)
    names = [measure(row) for row in rows.to_dict("records")]
    axis.set_xscale("log")
    axis.set_xlim(max(1.0, 0.7 * rows["low"].min()), most)
    axis.set_yticks(range(len(rows)), names, fontsize=7)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.tick_params(labelsize=8)
