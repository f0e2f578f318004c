"""The picture of two Gaussians: principal components find the wider one only as far as it is wider.

Where two factors induce equal variances, nothing tells their axes from rotated ones; the picture shows how many points
and which ratio it takes.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from disentangle_pl.data.two_gaussians import component_angles, expected_angle, two_gaussians

RATIOS = (1.0, 1.1, 1.2, 1.5, 2.0, 4.0)
SIZES = (50, 200, 1000)
SHOWN = (1.0, 2.0)
POINTS = 200


class Angle(NamedTuple):
    """How far the first principal component is from the wider Gaussian, in degrees, over many draws.

    Attributes:
        points: Points a draw.
        ratio: Of the standard deviations.
        median: Median angle.
        low: First quartile.
        high: Third quartile.
        rms: Root mean square.
        expected: What theory predicts for the root mean square at large n; at most 45.
    """

    points: int
    ratio: float
    median: float
    low: float
    high: float
    rms: float
    expected: float


def angle_table(*, draws: int = 1000, seed: int = 0) -> list[Angle]:
    """Return the angles for 50, 200 and 1,000 points and ratios from 1 to 4.

    Args:
        draws: For each.
        seed: Of the points.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for points in SIZES:
        for ratio in RATIOS:
            angles = component_angles(two_gaussians(points, ratio, generator, draws=draws)).numpy()
            low, median, high = np.quantile(angles, (0.25, 0.5, 0.75)).tolist()
            rms = float(np.sqrt(np.mean(angles**2)))
            found.append(Angle(points, ratio, median, low, high, rms, expected_angle(points, ratio)))
    return found


def draw_two_gaussians(table: list[Angle], *, seed: int = 1) -> Figure:
    """Draw points of equal and unequal variance, true axes (dashed), principal components (solid), and angles.

    Args:
        table: Of `angle_table`.
        seed: Of the points that are shown.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, right, angles = figure.subplots(1, 3, width_ratios=[1, 1, 1.2])
    for axes, ratio in zip((left, right), SHOWN, strict=True):
        _draw_points(axes, two_gaussians(POINTS, ratio, torch.Generator().manual_seed(seed))[0], ratio)
    for number, points in enumerate(SIZES):
        rows = [row for row in table if row.points == points]
        ratios = [row.ratio for row in rows]
        colour = f"C{number}"
        angles.plot(ratios, [row.median for row in rows], "o-", color=colour, label=f"{points} points")
        angles.fill_between(
            ratios, [row.low for row in rows], [row.high for row in rows], color=colour, alpha=0.15, linewidth=0
        )
    angles.set(xscale="log", xlabel="ratio of standard deviations", ylabel="degrees between component and axis")
    angles.set_xticks(RATIOS, [f"{ratio:g}" for ratio in RATIOS])
    angles.minorticks_off()
    angles.set_title("median angle, quartiles over draws", fontsize=10)
    angles.legend(frameon=False)
    angles.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_points(axes: Axes, points: Tensor, ratio: float) -> None:
    centred = points - points.mean(dim=0)
    values, vectors = torch.linalg.eigh(centred.mT @ centred / len(points))
    axes.plot(*points.T.numpy(), ".", color="0.7", markersize=4)
    for j, (truth, colour) in enumerate(zip(((2 * ratio, 0), (0, 2)), ("C3", "C0"), strict=True)):
        axes.plot([-truth[0], truth[0]], [-truth[1], truth[1]], "--", color=colour, linewidth=1.5)
        x, y = (2 * values[1 - j].sqrt() * vectors[:, 1 - j]).tolist()
        axes.plot([-x, x], [-y, y], "-", color=colour, linewidth=2)
    angle = float(component_angles(points[None])[0])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"ratio {ratio:g}: {angle:.0f} degrees between component and axis", fontsize=10)
    axes.set_xlabel("dashed: truth, solid: estimate")
    axes.spines[["top", "right"]].set_visible(False)
