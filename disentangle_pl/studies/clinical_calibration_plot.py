"""Pictures of calibration and of decision curves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.metrics.probability import prediction_groups
from disentangle_pl.studies.clinical_plot import COLOURS
from disentangle_pl.studies.clinical_predictions import ALONE, EVERYBODY, PLUS_VOLUMES, is_class, main_predictions
from disentangle_pl.studies.clinical_targets import TITLES

ACROSS = 4
GREYS = {ALONE: "0.45", PLUS_VOLUMES: "#2a9d5c"}


def draw_calibration(predictions: pd.DataFrame) -> Figure:
    """Draw what came true over what was predicted, in fifths of the scans, a panel a target.

    Args:
        predictions: Of `prediction_table`.
    """
    rows = main_predictions(predictions)
    colours = _colours(rows)
    figure, axes = _panels(list(dict.fromkeys(rows["target"])), 2.9)
    for axis, (target, own) in zip(axes, rows.groupby("target", sort=False), strict=True):
        ends = []
        for series, each in own.groupby("series", sort=False):
            weights = person_weights(pd.factorize(each["participant_id"])[0].astype(np.int64))
            observed, predicted = (each[name].to_numpy(np.float64) for name in ("observed", "predicted"))
            cut = prediction_groups(observed, predicted, weights)
            axis.plot(
                cut.predicted, cut.observed, "o-", markersize=3.5, linewidth=1, color=colours[str(series)], label=series
            )
            ends += [*cut.predicted, *cut.observed]
        low, high = (0.0, 1.0) if is_class(own) else (min(ends), max(ends))
        axis.plot([low, high], [low, high], color="black", linewidth=0.8, linestyle="--")
        axis.set_title(TITLES.get(str(target), str(target)), fontsize=9)
        axis.set_xlabel("predicted chance" if is_class(own) else "predicted", fontsize=8)
        axis.set_ylabel("share observed" if is_class(own) else "observed", fontsize=8)
    return _legend(figure, axes)


def draw_decisions(decisions: pd.DataFrame) -> Figure:
    """Draw the net benefit of acting on chances from a threshold on, a panel a target of two classes.

    Args:
        decisions: Of `decision_table`.
    """
    rows = main_predictions(decisions)
    colours = _colours(rows)
    figure, axes = _panels(list(dict.fromkeys(rows["target"])), 3.2)
    for axis, (target, own) in zip(axes, rows.groupby("target", sort=False), strict=True):
        for series, each in own.groupby("series", sort=False):
            axis.plot(each["threshold"], each["net_benefit"], linewidth=1.2, color=colours[str(series)], label=series)
        whole = own.drop_duplicates("threshold")
        axis.plot(whole["threshold"], whole[EVERYBODY], color="black", linewidth=0.8, linestyle=":", label=EVERYBODY)
        axis.axhline(0, color="black", linewidth=0.8)
        top = max(0.05, own[["net_benefit", EVERYBODY]].to_numpy(np.float64).max())
        axis.set_ylim(-0.3 * top, 1.1 * top)
        axis.set_title(TITLES.get(str(target), str(target)), fontsize=9)
        axis.set_xlabel("threshold from which one acts", fontsize=8)
        axis.set_ylabel("net benefit per person", fontsize=8)
    return _legend(figure, axes)


def _colours(rows: pd.DataFrame) -> dict[str, str]:
    series = [name for name in dict.fromkeys(rows["series"]) if name not in GREYS]
    return GREYS | {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(series)}


def _panels(targets: Sequence[str], height: float) -> tuple[Figure, list[Axes]]:
    across = min(ACROSS, max(len(targets), 1))
    down = max(-(-len(targets) // across), 1)
    figure = Figure(figsize=(max(2.9 * across, 6.0), height * down + 0.5), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).ravel())
    for axis in axes:
        axis.tick_params(labelsize=7)
    for axis in axes[len(targets) :]:
        axis.set_axis_off()
    return figure, axes[: len(targets)]


def _legend(figure: Figure, axes: Sequence[Axes]) -> Figure:
    if axes:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return figure
