"""The picture of what latents follow: a heat map of latents and factors, one panel a model."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.labels import short_factor
from disentangle_pl.studies.latent_table import KINDS

CELL = 0.42
LINE = 0.23
DARK = 0.55
COLUMNS = 2


class Panel(NamedTuple):
    """What is shown of one model.

    Attributes:
        title: Above it.
        latents: `Meanings.latents`.
        pairs: `Meanings.pairs`.
    """

    title: str
    latents: pd.DataFrame
    pairs: pd.DataFrame


def in_order(latents: pd.DataFrame) -> pd.DataFrame:
    """Sort latents: dynamic, static, active, passive, and by falling KL among these."""
    rank = latents["kind"].map({kind: i for i, kind in enumerate(KINDS)})
    return latents.assign(rank=rank).sort_values(["rank", "kl"], ascending=[True, False]).drop(columns="rank")


def draw_latents(panels: Sequence[Panel]) -> Figure:
    """Draw |correlations| of latents and factors; numbers in bold are beyond chance.

    Args:
        panels: One a model.
    """
    factors = len(panels[0].pairs["factor"].unique())
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    tallest = max(len(panel.latents) for panel in panels)
    size = (columns * (CELL * factors + 3.0) + 0.6, rows * (LINE * tallest + 1.9) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        shown = _draw(axis, panel)
    bar = figure.colorbar(shown, ax=axes.ravel().tolist(), fraction=0.025, pad=0.01)
    bar.set_label("|correlation|, held-out people\n(bold: beyond chance)", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    return figure


def _draw(axis: Axes, panel: Panel) -> AxesImage:
    ordered = in_order(panel.latents)
    names = list(dict.fromkeys(panel.pairs["factor"]))
    strength, chance = (_matrix(panel.pairs, column, ordered, names) for column in ("pearson", "chance"))
    strength = np.abs(strength)
    shown = axis.imshow(strength, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for row, column in np.ndindex(strength.shape):
        value = strength[row, column]
        weight = "bold" if value > chance[row, column] else "light"
        colour, text = "white" if value > DARK else "black", f"{value:.2f}".removeprefix("0")
        axis.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour, weight=weight)
    axis.set_xticks(range(len(names)), [short_factor(name) for name in names], rotation=45, ha="right", fontsize=7)
    axis.set_yticks(range(len(ordered)), [_label(row) for row in ordered.to_dict("records")], fontsize=6.5)
    axis.tick_params(length=0)
    _mark_kinds(axis, ordered["kind"].tolist())
    axis.set_title(panel.title, fontsize=8)
    return shown


def _matrix(pairs: pd.DataFrame, column: str, ordered: pd.DataFrame, names: Sequence[str]) -> Values:
    table = pairs.pivot(index="latent", columns="factor", values=column)
    return table.loc[ordered["latent"], list(names)].to_numpy(np.float64)


def _mark_kinds(axis: Axes, kinds: Sequence[str]) -> None:
    """Draw a line where the kind of the latents changes."""
    for row in range(1, len(kinds)):
        if kinds[row] != kinds[row - 1]:
            axis.axhline(row - 0.5, color="black", linewidth=0.8)


def _label(latent: dict[Hashable, Any]) -> str:
    stays, shared = latent["stays"], latent["shared"]
    often = "" if stays != stays else f", same {stays:.0%}"
    often += "" if shared != shared else f", shared {shared:.0%}"
    return f"z{latent['latent']} {latent['kind']}, KL {latent['kl']:.2f}{often}"
