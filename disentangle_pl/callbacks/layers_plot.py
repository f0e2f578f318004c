"""The picture of the layers: how far their units keep to one factor each, from the image to the latents and back."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from disentangle_pl.metrics.layerwise import TITLES, LayerScores

LOOKS = {  # of the fields of metrics.layerwise.Axes
    "value": {"color": "tab:blue", "marker": "o", "label": "units of the layer"},
    "rotated": {"color": "tab:orange", "marker": "s", "linestyle": "--", "label": "random rotation of the layer"},
    "floor": {"color": "tab:gray", "marker": ".", "linestyle": ":", "label": "floor: rows permuted"},
}


def draw_layers(layers: Mapping[str, LayerScores]) -> Figure:
    """Draw the scores of the layers beside their floors and rotations.

    Args:
        layers: By the name of the layer, from the image to the latents and back to the image; a layer without scores
            leaves a gap.

    Returns:
        The figure, one panel a score.
    """
    figure = Figure(figsize=(2.5 + 0.75 * len(layers), 6.4), layout="constrained")
    panels = figure.subplots(len(TITLES), 1, sharex=True)
    for panel, (score, title) in zip(panels, TITLES.items(), strict=True):
        _lines(panel, score, layers)
        panel.set_ylabel(title)
    panels[0].legend(fontsize=7, loc="upper left")
    panels[0].set_title("do the axes of a layer mean something? only where blue is above orange", fontsize=9)
    labels = [f"{name.replace('_', '.')}\n{layer.alive} of {layer.units}" for name, layer in layers.items()]
    panels[-1].set_xticks(range(len(layers)), labels, fontsize=7)
    panels[-1].set_xlabel("from the image to the latents and back to the image; units alive")
    return figure


def _lines(panel: Panel, score: str, layers: Mapping[str, LayerScores]) -> None:
    for field, look in LOOKS.items():
        heights = [
            layer.scores[score]._asdict()[field] if score in layer.scores else np.nan for layer in layers.values()
        ]
        panel.plot(range(len(layers)), heights, **look)  # type: ignore[arg-type]
    panel.axvline(list(layers).index("latents"), color="black", linewidth=0.8, alpha=0.4)
    panel.set_ylim(0, 1)
    panel.tick_params(labelsize=7)
