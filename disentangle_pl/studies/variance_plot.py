"""Pictures of a study of variance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from disentangle_pl.data.factors import FactorSpace
from disentangle_pl.studies.variance_components import Components, steps
from disentangle_pl.studies.variance_factors import FactorVariance
from disentangle_pl.studies.variance_signal import Signal
from disentangle_pl.studies.variance_table import profile

POINTS, ARROWS, SEEN, WRITTEN = 2000, 40, 0.5, 10


def draw_bars(space: FactorSpace, factors: Sequence[FactorVariance]) -> Figure:
    """Draw the variance of every factor, its main effect within it, and the consistencies of amount and direction.

    Args:
        space: The grid.
        factors: Measured.
    """
    figure = Figure(figsize=(10, max(2.6, 0.45 * len(factors) + 1.4)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(factors))
    names = [space.names[factor.k] for factor in factors]
    _bars(left, places, [factor.total for factor in factors], 0.7, "C0", "in all")
    _bars(left, places, [factor.main for factor in factors], 0.35, "C1", "main effect")
    _bars(right, places - 0.2, [factor.amount for factor in factors], 0.35, "C2", "amount")
    _bars(right, places + 0.2, [factor.direction for factor in factors], 0.35, "C4", "direction")
    left.set_yticks(places, names)
    left.invert_yaxis()
    left.set_xlabel("variance a factor induces")
    right.set(xlabel="consistency (1: the same everywhere)", xlim=(0, 1.02))
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8, loc="best")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_heat(space: FactorSpace, factors: Sequence[FactorVariance]) -> Figure:
    """Draw a panel a factor: its variance over the values of the two others that it depends on most.

    With one other factor, or where a sample saw less than half of the pairs, the panel is a strip over one. Colours are
    relative to the mean variance of the factor.

    Args:
        space: The grid.
        factors: Measured.
    """
    columns = min(3, len(factors))
    rows = -(-len(factors) // columns)
    figure = Figure(figsize=(4.6 * columns, (3.9 if len(factors) > 2 else 2.6) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in panels[len(factors) :]:
        axes.set_axis_off()
    for axes, factor in zip(panels, factors, strict=False):
        others = _most_felt(space, factors, factor)
        _heat(axes, space, factor, others)
        axes.set_title(f"variance of {space.names[factor.k]} over {' and '.join(space.names[j] for j in others)}")
        axes.title.set_fontsize(9)
    return figure


def draw_directions(signal: Signal, components: Components, factors: Sequence[int], seed: int = 0) -> Figure:
    """Draw points of the grid on the two first principal components, and the steps of every factor at some of them.

    Args:
        signal: On the grid.
        components: Its global components, two at least; with one only the second coordinate is 0.
        factors: Whose steps are drawn.
        seed: Of the choice of points.
    """
    draws = torch.Generator().manual_seed(seed)
    size = len(signal.space)
    index = torch.randperm(size, generator=draws) if size <= POINTS else torch.randint(size, (POINTS,), generator=draws)
    plane = _plane(components)
    cloud = (signal.at(index).double() - components.mean.double()) @ plane.T
    places, arrows = cloud[:ARROWS].numpy(), (steps(signal, factors, index[:ARROWS]) @ plane.T).numpy()
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*cloud.T.numpy(), ".", color="0.8", markersize=3)
    for number, k in enumerate(factors):
        moved: Any = arrows[:, number]
        axes.update_datalim(places + moved)
        axes.quiver(
            *places.T,
            *moved.T,
            angles="xy",
            scale_units="xy",
            scale=1,
            color=f"C{number}",
            width=0.004,
            label=signal.space.names[k],
        )
    share = components.eigenvalues[:2] / components.eigenvalues.sum() * components.explained
    labels = [f"component {j + 1} ({value:.0%} of the variance)" for j, value in enumerate(share.tolist())]
    axes.set(xlabel=labels[0], ylabel=labels[1] if len(labels) > 1 else "", title="a step of every factor")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_shares(names: Sequence[str], latents: Sequence[int], table: Tensor) -> Figure:
    """Draw the share matrix (factors, active latents)."""
    figure = Figure(figsize=(1.6 + 0.5 * len(latents), 1.3 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(table.numpy(), vmin=0, vmax=1, cmap="Greys", aspect="auto")
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(len(latents)), [str(latent) for latent in latents])
    axes.set_xlabel("latent")
    figure.colorbar(picture, ax=axes, label="share of the factor's movement")
    return figure


def _heat(axes: Axes, space: FactorSpace, factor: FactorVariance, others: Sequence[int]) -> None:
    table = profile(space, factor, *others).view(space.sizes[others[0]], -1)
    shown = np.ma.masked_invalid((table / max(factor.total.mean, 1e-300)).numpy())
    top = max(2.0, float(shown.max()))
    how: dict[str, Any] = {"aspect": "auto", "origin": "lower", "interpolation": "nearest"}
    picture = axes.imshow(shown.T, cmap="viridis", vmin=0, vmax=top, **how)
    axes.figure.colorbar(picture, ax=axes, label="variance / its mean")
    axes.set_xlabel(space.names[others[0]])
    axes.locator_params(axis="x", integer=True)
    if len(others) > 1:
        axes.set_ylabel(space.names[others[1]])
        axes.locator_params(axis="y", integer=True)
        return
    axes.set_yticks([])
    for place, value in enumerate(table[:, 0].tolist()):
        if len(table) <= WRITTEN and value == value:
            ink = "black" if value > 0.6 * top * factor.total.mean else "white"
            axes.text(place, 0, f"{value:.3g}", ha="center", va="center", color=ink, fontsize=9)


def _plane(components: Components) -> Tensor:
    plane = torch.zeros(2, components.vectors.shape[1], dtype=torch.float64)
    plane[: len(components.vectors)] = components.vectors[:2]
    return plane


def _most_felt(space: FactorSpace, factors: Sequence[FactorVariance], factor: FactorVariance) -> list[int]:
    """Return the two other factors over whose values the variance varies most, in grid order, or the first of them."""
    others = [other.k for other in factors if other.k != factor.k]
    spread = {j: float(np.nanvar(profile(space, factor, j).numpy())) for j in others}
    chosen = sorted(others, key=lambda j: -spread[j])[:2]
    seen = np.isfinite(profile(space, factor, *chosen).numpy()).mean()
    return sorted(chosen) if seen >= SEEN else chosen[:1]


def _bars(axes: Axes, places: Any, values: Sequence[Any], height: float, colour: str, label: str) -> None:
    means = np.array([value.mean for value in values])
    ends = np.array([(value.mean - value.low, value.high - value.mean) for value in values]).T
    axes.barh(places, means, height, color=colour, label=label, xerr=ends if ends.any() else None)
