"""Pictures of a study of variance: scores against what was measured, with intervals over runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.studies.axis_scale import near_runs
from disentangle_pl.studies.labels import short_score

MARKERS = "osD^v<>Pp*"
NAMED = 16  # factors; the names of more cover each other


def draw_means(runs: pd.DataFrame, scores: Sequence[str], measures: Sequence[str]) -> Figure:
    """Draw the mean score of every method on every data set against the measures of that data set.

    Args:
        runs: As `arrange_runs` returns them.
        scores: One row of panels each.
        measures: Of data sets, one column of panels each.
    """
    figure, panels = _panels(len(scores), len(measures))
    models = list(dict.fromkeys(runs["model"]))
    for line, score in zip(panels, scores, strict=True):
        for axes, measure in zip(line, measures, strict=True):
            for i, model in enumerate(models):
                mine = runs[(runs["model"] == model) & runs[measure].notna()]
                _points(axes, mine, measure, score, ["data_set"], *_style(i), model)
            axes.set(xlabel=measure.replace("_", " "))
        line[0].set_ylabel(short_score(score))
        near_runs(line[0], runs[score].to_numpy(float))
    _legend(figure, panels[0][0])
    return figure


def draw_factors(factors: pd.DataFrame, measures: Sequence[str]) -> Figure:
    """Draw the mean MIG of every factor, over methods and seeds, against the measures of that factor.

    Args:
        factors: As `factor_rows` returns them.
        measures: One panel each.
    """
    figure, panels = _panels(1, len(measures))
    named = len(factors[["data_set", "factor"]].drop_duplicates()) <= NAMED
    for axes, measure in zip(panels[0], measures, strict=True):
        for i, (data_set, mine) in enumerate(factors.groupby("data_set", sort=False)):
            known = mine[mine[measure].notna()]
            _points(axes, known, measure, "mig", ["factor"], *_style(i), str(data_set))
            for factor, one in known.groupby("factor", sort=False) if named else ():
                place = (float(one[measure].mean()), float(one["mig"].mean()))
                axes.annotate(str(factor), place, fontsize=6, xytext=(3, 3), textcoords="offset points")
        axes.set(xlabel=measure.replace("_", " "))
    panels[0][0].set_ylabel("MIG of the factor")
    near_runs(panels[0][0], factors["mig"].to_numpy(float))
    _legend(figure, panels[0][0])
    return figure


def draw_runs(runs: pd.DataFrame, scores: Sequence[str], measures: Sequence[str]) -> Figure:
    """Draw every run against the measures of its codes.

    Args:
        runs: As `arrange_runs` returns them.
        scores: One row of panels each.
        measures: Of codes, one column of panels each.
    """
    figure, panels = _panels(len(scores), len(measures))
    for line, score in zip(panels, scores, strict=True):
        for axes, measure in zip(line, measures, strict=True):
            for i, (data_set, mine) in enumerate(runs.groupby("data_set", sort=False)):
                colour, marker = _style(i)
                style = {"color": colour, "marker": marker, "linestyle": "none", "label": str(data_set)}
                axes.plot(mine[measure], mine[score], markersize=4, alpha=0.6, **style)
            axes.set(xlabel=measure.replace("_", " "))
        line[0].set_ylabel(short_score(score))
    _legend(figure, panels[0][0])
    return figure


def _style(i: int) -> tuple[str, str]:
    """Return a colour and a marker, a pair of their own for each of a hundred."""
    return f"C{i % 10}", MARKERS[(i + i // 10) % 10]


def _panels(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(1.2 + 3.1 * columns, 1.4 + 2.5 * rows), layout="constrained")
    panels: np.ndarray = figure.subplots(rows, columns, squeeze=False, sharex="col", sharey="row")
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
    return figure, panels


def _points(
    axes: Axes, rows: pd.DataFrame, x: str, y: str, by: list[str], colour: str, marker: str, label: str
) -> None:
    """Draw mean and 95 % interval of y for every group of rows."""
    if rows.empty:
        return
    groups = [mine for _, mine in rows.groupby(by, sort=False)]
    ends = np.array([mean_interval(mine[y].tolist()) for mine in groups])
    places = [float(mine[x].mean()) for mine in groups]
    arms = np.stack([ends[:, 0] - ends[:, 1], ends[:, 2] - ends[:, 0]])
    axes.errorbar(places, ends[:, 0], arms, fmt=marker, color=colour, markersize=4, linewidth=1, label=label)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
