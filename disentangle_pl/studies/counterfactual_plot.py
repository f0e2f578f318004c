"""The picture of a counterfactual scan: what changes, on one symmetric scale."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from disentangle_pl.brain.export import Cut
from disentangle_pl.studies.traverse_plot import Pictures, cut_planes, letter_planes

TITLES = {
    "scan": "scan",
    "counterfactual": "counterfactual",
    "difference": "difference",
    "difference_low": "its 2.5 % quantile",
    "difference_high": "its 97.5 % quantile",
}
"""Quantiles are those over other draws of the people whose ageing was measured."""


def draw_counterfactual(volumes: Mapping[str, Tensor], cuts: Sequence[Cut], title: str) -> Figure:
    """Draw the scan and its counterfactual, and below them what changes.

    Args:
        volumes: (D, H, W) by name: scan, counterfactual, difference, and where there is a band its ends.
        cuts: The planes shown, side by side.
        title: Above all.
    """
    differences = [name for name in volumes if name.startswith("difference")]
    limit = max(*(float(np.quantile(volumes[name].abs().numpy(), 0.995)) for name in differences), 1e-6)
    figure = Figure(figsize=(4.2 * max(len(differences), 2), 3.6), layout="constrained")
    panels = figure.subplots(2, max(len(differences), 2))
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, name in zip(panels[0], ("scan", "counterfactual"), strict=False):
        axes.imshow(_picture(volumes[name], cuts), cmap="gray", vmin=0, vmax=1)
        axes.set_title(TITLES[name], fontsize=9)
        letter_planes(axes, cuts, tuple(volumes[name].shape), 9)
    for axes, name in zip(panels[1], differences, strict=False):
        shown = axes.imshow(_picture(volumes[name], cuts), cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(TITLES[name], fontsize=9)
    figure.colorbar(shown, ax=panels[1].tolist(), fraction=0.02, pad=0.01)
    where = ", ".join(cut.words for cut in cuts)
    figure.suptitle(f"{title} ({where})", fontsize=10)
    return figure


def _picture(volume: Tensor, cuts: Sequence[Cut]) -> Pictures:
    return cut_planes(volume[None, None, None].numpy(), cuts)[0, 0, ..., 0]
