"""Parallel coordinates: every run a line through its settings to its score."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.axis_scale import Scale, place, ruler
from disentangle_pl.studies.labels import short_names, short_score, wrapped
from disentangle_pl.studies.run_table import check_column, finished, more_is_better

LETTER, GAP, HEIGHT = 0.082, 1.0, 4.6
BOX = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.8}


def parallel_coordinates(table: pd.DataFrame, keys: Sequence[str], metric: str, goal: str) -> Figure:
    """Draw one axis a setting and the metric last, and every finished run as a line in the colour of its metric.

    Args:
        table: A tidy table of runs.
        keys: Settings, from left to right; one that no run has is null throughout.
        metric: The score.
        goal: `maximize` or `minimize`; the better a run, the darker and the further in front its line.

    Raises:
        InputError: If no run has the metric, or the goal is not known.
    """
    check_column(metric, list(table.columns), "score")
    more = more_is_better(goal)
    runs = finished(table, metric).sort_values(metric, ascending=more)
    if runs.empty:
        return empty_figure(f"no finished run has {metric}")
    names = [*short_names(keys).values(), short_score(metric)]
    scales = [place(runs[key].tolist() if key in runs else [None] * len(runs)) for key in dict.fromkeys(keys)]
    scales.append(ruler(runs[metric].tolist()))
    xs = _positions(scales, names)
    width = xs[-1] + 2.1
    figure = Figure(figsize=(max(width, 6.0), HEIGHT), layout="constrained")
    axes = figure.add_subplot()
    colours = _colours(runs[metric].to_numpy(float), more)
    axes.add_collection(_lines(runs, scales, xs, metric, colours))
    for x, name, scale in zip(xs, names, scales, strict=True):
        _axis(axes, x, name, scale)
    axes.set(xlim=(-_reach(scales[0]), xs[-1] + 0.15), ylim=(-0.04, 1.04))
    axes.set_axis_off()
    bar = figure.colorbar(colours, ax=axes, fraction=0.3 / width, pad=0.15 / width, aspect=30)
    bar.set_label(f"{short_score(metric)} ({'higher' if more else 'lower'} is better)")
    left_out = len(table) - len(runs)
    figure.suptitle(f"{len(runs)} runs" + (f", {left_out} without a final score left out" if left_out else ""), size=10)
    return figure


def empty_figure(words: str) -> Figure:
    """Return a picture that says why it is empty."""
    figure = Figure(figsize=(6.0, 2.0))
    figure.text(0.5, 0.5, words, ha="center", va="center", wrap=True)
    return figure


def _colours(values: Values, more: bool) -> ScalarMappable:
    low, high = float(values.min()), float(values.max())
    room = 0.0 if high > low else max(abs(low), 1.0) * 0.01
    return ScalarMappable(Normalize(low - room, high + room), mpl.colormaps["viridis_r" if more else "viridis"])


def _lines(
    runs: pd.DataFrame, scales: Sequence[Scale], xs: Sequence[float], metric: str, colours: ScalarMappable
) -> LineCollection:
    """Join the positions by smooth curves, flat where they meet an axis."""
    t = np.linspace(0, 1, 24)
    ease = t * t * (3 - 2 * t)
    ys = np.stack([scale.positions for scale in scales], axis=1)
    if len(xs) == 1:
        x, y = np.array([-0.2, 0.0]), np.repeat(ys, 2, axis=1)
    else:
        x = np.concatenate([a + (b - a) * t for a, b in pairwise(xs)])
        y = np.concatenate([a[:, None] + (b - a)[:, None] * ease for a, b in pairwise(ys.T)], axis=1)
    points = np.stack([np.broadcast_to(x, y.shape), y], axis=-1)
    shades = colours.to_rgba(runs[metric].to_numpy(float))
    return LineCollection(list(points), colors=shades, linewidths=1.4, alpha=0.8)


def _axis(axes: Axes, x: float, name: str, scale: Scale) -> None:
    axes.plot([x, x], [0, 1], color="0.2", linewidth=1, zorder=3)
    title = wrapped(name) + ("\n(log)" if scale.log else "")
    axes.annotate(title, (x, 1), (0, 8), textcoords="offset points", ha="center", va="bottom", size=9, weight="bold")
    for y, label in scale.ticks:
        axes.plot([x - 0.04, x], [y, y], color="0.2", linewidth=1, zorder=3)
        axes.text(x - 0.07, y, label, ha="right", va="center", size=8, zorder=4, bbox=BOX)


def _positions(scales: Sequence[Scale], names: Sequence[str]) -> list[float]:
    xs = [0.0]
    titles = [max(map(len, wrapped(name).split("\n"))) * LETTER for name in names]
    for i, scale in enumerate(scales[1:], start=1):
        xs.append(xs[-1] + max(GAP, _reach(scale) + 0.3, (titles[i - 1] + titles[i]) / 2 + 0.1))
    return xs


def _reach(scale: Scale) -> float:
    """Return how far the labels of an axis reach to the left, in inches."""
    return 0.15 + LETTER * max(len(label) for _, label in scale.ticks)
