"""Scores against the strength of one setting, with the spread over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.studies.axis_scale import is_numeric, near_runs, spans_decades
from disentangle_pl.studies.labels import short_names, short_score, short_value
from disentangle_pl.studies.parallel_plot import empty_figure
from disentangle_pl.studies.run_groups import ENDS, same
from disentangle_pl.studies.run_table import check_column, finished

DASHES = {"floor": ":", "ceiling": "--"}
COLOURS = 10
MOST_MEANS = 10


def metric_versus(table: pd.DataFrame, key: str, metrics: Sequence[str], group: str | None = None) -> Figure:
    """Draw every run as a point, and mean and 95 % interval of the runs that share a strength as a line.

    Where more than 10 strengths have one run each, as after a random search, the points stand alone.

    Args:
        table: A tidy table of runs; only those that finished with a finite score count.
        key: A numeric setting; runs where it is null are left out. The axis is logarithmic if the values span more
            than 1.5 decades, with a linear piece around 0 if that is one of them.
        metrics: Scores, one panel each, with floor and ceiling where the table has them.
        group: A setting with a line for each of its values.

    Raises:
        InputError: If no run has a metric.
    """
    for metric in metrics:
        check_column(metric, list(table.columns), "score")
    values = table[key].tolist() if key in table else []
    if not metrics or not is_numeric(values):
        return empty_figure(f"{key} has no numbers to draw a score against")
    known = table[[same(value) is not None for value in values]]
    figure = Figure(figsize=(1.6 + 4.6 * len(metrics), 4.2), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    names = short_names([key, group] if group else [key])
    for axes, metric in zip(panels, metrics, strict=True):
        _panel(axes, finished(known, metric), key, metric, group)
        axes.set(xlabel=names[key], ylabel=short_score(metric))
    handles, labels = panels[0].get_legend_handles_labels()
    if len(labels) > 1 or group:
        figure.legend(handles, labels, loc="outside right upper", title=names[group] if group else None, fontsize=8)
    return figure


def _panel(axes: Axes, runs: pd.DataFrame, key: str, metric: str, group: str | None) -> None:
    kinds = [same(value) for value in runs[group]] if group and group in runs else [None] * len(runs)
    order = sorted(set(kinds), key=lambda kind: (kind is not None, str(kind)))
    strengths = runs[key].astype(float).to_numpy()
    numbers = runs[metric].to_numpy(float)
    for i, kind in enumerate(order):
        mine = np.array([other == kind for other in kinds])
        label = short_value(_written(runs[group], kind)) if group and group in runs else "mean, 95 % interval"
        _line(axes, strengths[mine], numbers[mine], label, f"C{i % COLOURS}", "os^Dv"[i // COLOURS % 5])
    shown = [numbers]
    for end in ENDS:
        column = f"{metric}_{end}"
        bounds = runs[column].to_numpy(float) if column in runs else np.array([])
        if np.isfinite(bounds).any():
            axes.axhline(float(np.nanmean(bounds)), color="0.5", linestyle=DASHES[end], linewidth=1, label=end)
            shown.append(bounds)
    near_runs(axes, np.concatenate(shown))
    if len(strengths) and spans_decades(strengths.tolist()):
        _log_axis(axes, strengths)
    axes.spines[["top", "right"]].set_visible(False)


def _line(axes: Axes, strengths: Any, numbers: Any, label: str, colour: str, marker: str) -> None:
    xs = np.unique(strengths)
    if len(xs) > MOST_MEANS and len(xs) == len(strengths):
        axes.plot(strengths, numbers, marker, color=colour, markersize=5, alpha=0.7, markeredgewidth=0, label=label)
        return
    axes.plot(strengths, numbers, marker, color=colour, markersize=4, alpha=0.35, markeredgewidth=0)
    ends = np.array([mean_interval(numbers[strengths == x].tolist()) for x in xs])
    axes.plot(xs, ends[:, 0], f"{marker}-", color=colour, markersize=5, label=label)
    if len(xs) > 1:
        axes.fill_between(xs, ends[:, 1], ends[:, 2], color=colour, alpha=0.15, linewidth=0)
    else:
        axes.vlines(xs, ends[:, 1], ends[:, 2], color=colour)


def _log_axis(axes: Axes, strengths: Any) -> None:
    above = strengths[strengths > 0]
    if strengths.min() > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=float(above.min()))
        axes.set_xlim(-0.1 * float(above.min()), 1.5 * float(above.max()))


def _written(column: pd.Series, kind: Any) -> Any:
    """Return a value as it stands in the table: `same` makes floats of whole numbers."""
    return next(value for value in column if same(value) == kind)
