"""Pictures of a sparsity study: scores against strength, achieved density and reconstruction."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.axis_scale import near_runs
from disentangle_pl.studies.labels import short_score
from disentangle_pl.studies.sparsity_table import DENSE, RANDOM

MARKERS = "osD^v<>Pp*"
Panel = Callable[[Axes, pd.DataFrame, str, dict[str, str]], None]
# C7 is the grey of random masks, or nearly
COLOURS = [*(f"C{i}" for i in range(10) if i != 7), "navy", "maroon", "darkgreen", "gold", "indigo"]


def by_strength(runs: pd.DataFrame, scores: Sequence[str]) -> Figure:
    """Draw mean and interval of every setting of every kind, from the weakest to the strongest, beside the baseline.

    Args:
        runs: As `sparsity_table.arrange` returns them.
        scores: Columns, one column of panels each; data sets are the rows.
    """
    return _grid(runs, scores, _strength_panel, "strength of the mask, weakest to strongest")


def by_density(runs: pd.DataFrame, scores: Sequence[str]) -> Figure:
    """Draw every run against the density that it achieved, with means of settings."""
    return _grid(runs, scores, _density_panel, "channel pairs that matter")


def by_reconstruction(runs: pd.DataFrame, scores: Sequence[str], error: str = "val/nll") -> Figure:
    """Draw every run against its reconstruction error, with means of settings."""

    def panel(axes: Axes, mine: pd.DataFrame, score: str, colours: dict[str, str]) -> None:
        _scatter(axes, mine, error, score, colours)
        _baseline(axes, mine, score)

    return _grid(runs, scores, panel, f"{error} (nats an image; less is better)" if error == "val/nll" else error)


def _grid(runs: pd.DataFrame, scores: Sequence[str], panel: Panel, xlabel: str) -> Figure:
    names = list(dict.fromkeys(runs["data_set"]))
    kinds = sorted(set(runs["kind"]) - {DENSE}, key=lambda kind: (kind.startswith(RANDOM), kind))
    others = [kind for kind in kinds if kind != RANDOM]
    colours = {RANDOM: "0.45"} | {kind: COLOURS[i % len(COLOURS)] for i, kind in enumerate(others)}
    figure = Figure(figsize=(1.4 + 3.3 * len(scores), 1.2 + 2.7 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(scores), squeeze=False, sharex="row")
    for row, name in zip(panels, names, strict=True):
        for axes, score in zip(row, scores, strict=True):
            mine = runs[(runs["data_set"] == name) & np.isfinite(runs[score].to_numpy(float))]
            panel(axes, mine, score, colours)
            near_runs(axes, mine[[name for name in (score, f"{score}_floor") if name in mine]].to_numpy(float).ravel())
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
            if axes in panels[0]:
                axes.set_title(short_score(score), fontsize=9)
        row[0].set_ylabel(name, fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel(xlabel, fontsize=8)
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def _strength_panel(axes: Axes, mine: pd.DataFrame, score: str, colours: dict[str, str]) -> None:
    for shift, (kind, colour) in enumerate(colours.items()):
        runs = mine[mine["kind"] == kind]
        ranks = sorted(set(runs["rank"]))
        if not ranks:
            continue
        ends = np.array([mean_interval(runs[runs["rank"] == rank][score].tolist()) for rank in ranks])
        xs = np.array(ranks) + 0.06 * (shift - (len(colours) - 1) / 2)
        _intervals(axes, xs, ends, f"{_marker(kind, colours)}-", colour, kind)
    _baseline(axes, mine, score)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _density_panel(axes: Axes, mine: pd.DataFrame, score: str, colours: dict[str, str]) -> None:
    _scatter(axes, mine, "density", score, colours)
    _baseline(axes, mine, score)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.3g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _scatter(axes: Axes, mine: pd.DataFrame, x: str, score: str, colours: dict[str, str]) -> None:
    for kind, colour in {**colours, DENSE: "k"}.items():
        runs = mine[mine["kind"] == kind]
        if runs.empty:
            continue
        marker = _marker(kind, colours)
        axes.plot(runs[x], runs[score], marker, color=colour, markersize=3, alpha=0.35, markeredgewidth=0)
        settings = [setting for _, setting in runs.groupby("rank")]
        ends = np.array([mean_interval(setting[score].tolist()) for setting in settings])
        xs = np.array([setting[x].mean() for setting in settings])
        line = "" if kind == DENSE or x != "density" else "-"
        _intervals(axes, xs, ends, f"{marker}{line}", colour, kind)


def _intervals(axes: Axes, xs: Values, ends: Values, style: str, colour: str, label: str) -> None:
    """Draw means, and faintly their intervals, which over few seeds are longer than what there is to see."""
    drawing = axes.errorbar(
        xs, ends[:, 0], _arms(ends), fmt=style, color=colour, markersize=4.5, linewidth=1.2, elinewidth=0.8, label=label
    )
    for bars in drawing.lines[2]:
        bars.set_alpha(0.4)


def _baseline(axes: Axes, mine: pd.DataFrame, score: str) -> None:
    dense = mine[mine["kind"] == DENSE][score]
    if len(dense):
        mean, low, high = mean_interval(dense.tolist())
        axes.axhline(mean, color="k", linestyle="--", linewidth=1, label=f"{DENSE}, mean and interval")
        axes.axhspan(low, high, color="k", alpha=0.08, linewidth=0)
    floor = mine.get(f"{score}_floor", pd.Series(dtype=float)).dropna()
    if len(floor):
        axes.axhline(float(floor.mean()), color="0.6", linestyle=":", linewidth=1, label="noise codes")


def _marker(kind: str, colours: dict[str, str]) -> str:
    return "X" if kind == DENSE else MARKERS[list(colours).index(kind) % len(MARKERS)]


def _arms(ends: Values) -> Values:
    return np.stack([ends[:, 0] - ends[:, 1], ends[:, 2] - ends[:, 0]])
