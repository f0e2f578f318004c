"""Planes of volumes as pictures that stand upright, and the letters that say where left and right are in them.

The first axis of a plane goes to the right, the second one upwards: left is left, and up is anterior or superior.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

LETTERS = {0: ("P", "A", "I", "S"), 1: ("L", "R", "I", "S"), 2: ("L", "R", "P", "A")}
"""Left, right, bottom and top of a plane of RAS volumes across axis 0 (sagittal), 1 (coronal) and 2 (axial)."""
COLOUR = "#ffcc33"


class Frame(NamedTuple):
    """Where a plane lies in a picture, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int


def frames_of(shape: tuple[int, ...], axes: Sequence[int], gap: int = 0) -> list[Frame]:
    """Lay planes of volumes (X, Y, Z) side by side, in the middle of the height of the tallest.

    Args:
        shape: (X, Y, Z).
        axes: Across each plane.
        gap: Pixels to the right of each.
    """
    sizes = [tuple(size for axis, size in enumerate(shape) if axis != across) for across in axes]
    tallest = max(height for _, height in sizes)
    starts = np.cumsum([0, *(width + gap for width, _ in sizes)]).tolist()
    return [Frame(x, (tallest - high) // 2, wide, high) for x, (wide, high) in zip(starts, sizes, strict=False)]


def side_by_side(
    volumes: NDArray[np.floating[Any]], cuts: Sequence[tuple[int, int]], fill: float, gap: int = 0
) -> NDArray[np.float32]:
    """Cut volumes (..., X, Y, Z) and lay the planes side by side, as (..., H, W).

    Args:
        volumes: In RAS order.
        cuts: The axis across each plane and the voxel along it.
        fill: Value around lower planes and between them.
        gap: Pixels to the right of each plane.
    """
    frames = frames_of(volumes.shape[-3:], [axis for axis, _ in cuts], gap)
    height, width = max(frame.height for frame in frames), frames[-1].x + frames[-1].width + gap
    picture = np.full((*volumes.shape[:-3], height, width), fill, np.float32)
    for (x, y, wide, high), (axis, voxel) in zip(frames, cuts, strict=True):
        plane = np.take(volumes, voxel, axis=volumes.ndim - 3 + axis).swapaxes(-1, -2)[..., ::-1, :]
        picture[..., y : y + high, x : x + wide] = plane
    return picture


def write_letters(axis: Axes, plane: int, frame: Sequence[float], points: float) -> None:
    """Write the four letters of a plane inside its edges, with a dark rim so that they are read on any grey.

    Args:
        axis: What the plane is drawn on; its y grows downwards.
        plane: 0 sagittal, 1 coronal, 2 axial.
        frame: Left edge, upper edge, width and height there.
        points: Size of the letters.
    """
    left, right, bottom, top = LETTERS[plane]
    x, y, width, height = frame
    rim = [withStroke(linewidth=points / 5, foreground="black")]
    for letter, across, down, ha, va in (
        (left, 0.02, 0.5, "left", "center"),
        (right, 0.98, 0.5, "right", "center"),
        (top, 0.5, 0.02, "center", "top"),
        (bottom, 0.5, 0.98, "center", "bottom"),
    ):
        text = axis.text(x + across * width, y + down * height, letter, ha=ha, va=va, fontsize=points, color=COLOUR)
        text.set(path_effects=rim, weight="bold")
