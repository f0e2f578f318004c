"""All prepared scans at a glance: pages of middle slices, the least like the others first."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from disentangle_pl.brain.volumes import Volume

PAGE, ACROSS = 60, 5
OUTLIER = "#ff5555"
FIRST_PAGE, _PAGES = "quality.png", "quality*.png"
_LETTERS = ((0, "L", "R", "A", "P"), (1, "L", "R", "S", "I"), (2, "P", "A", "S", "I"))
_INCHES, _LABEL, _TITLE = 3.2, 0.16, 0.25
_GAP = 4

Picture = npt.NDArray[np.float32]


def draw_sheets(folder: Path, quality: pd.DataFrame, volume: Callable[[int], Volume]) -> list[Path]:
    """Draw `quality.png`, `quality-02.png` and so on, at most 60 scans a page.

    Args:
        folder: Where they go; pages of earlier calls are removed.
        quality: Of `quality_table`, N rows.
        volume: Gives the volume (D, H, W) of a row; those of one page are looked at together.

    Returns:
        The pages.
    """
    for old in folder.glob(_PAGES):
        old.unlink()
    order = np.argsort(quality["z"].to_numpy(), kind="stable")
    pages = [order[start : start + PAGE] for start in range(0, len(order), PAGE)]
    paths = [folder / (FIRST_PAGE if i == 0 else f"quality-{i + 1:02d}.png") for i in range(len(pages))]
    for number, (path, page) in enumerate(zip(paths, pages, strict=True), start=1):
        title = f"page {number} of {len(pages)}, {len(quality)} scans, those least like the mean first"
        figure = draw_page(quality.iloc[page], [middle_planes(volume(int(row))) for row in page], title)
        figure.savefig(path, dpi=110, metadata={"Software": None})
    return paths


def middle_planes(volume: Volume) -> Picture:
    """Lay the middle axial, coronal and sagittal slice of a volume (D, H, W) side by side, upright (h, 2 D + H)."""
    x, y, z = (side // 2 for side in volume.shape)
    planes = [volume[:, :, z].T[::-1], volume[:, y].T[::-1], volume[x].T[::-1]]
    height = max(plane.shape[0] for plane in planes)
    above = [(height - plane.shape[0]) // 2 for plane in planes]
    pads = [((top, height - plane.shape[0] - top), (0, 0)) for top, plane in zip(above, planes, strict=True)]
    padded = [np.pad(p, pad, constant_values=volume.min()) for p, pad in zip(planes, pads, strict=True)]
    return np.concatenate(padded, axis=1).astype(np.float32)


def draw_page(quality: pd.DataFrame, slices: list[Picture], title: str) -> Figure:
    """Draw scans in rows of five, all with the same grey levels; the names of outliers are red.

    Args:
        quality: n rows of `quality_table`.
        slices: n pictures of `middle_planes`, all of one shape.
        title: What stands above.

    Returns:
        The figure. L and R are the left and right of the person, A and P front and back, S and I up and down.
    """
    columns = min(ACROSS, len(slices))
    rows = -(-len(slices) // columns)
    height, width = slices[0].shape
    pixel = _INCHES / (width + _GAP)
    tall = height + _LABEL / pixel
    low, high = np.percentile(np.stack(slices), (1, 99.5))
    figure = Figure(figsize=(columns * _INCHES, rows * tall * pixel + _TITLE), facecolor="black")
    axis = figure.add_axes((0, 0, 1, 1 - _TITLE / figure.get_figheight()))
    axis.set_axis_off()
    for i, (picture, row) in enumerate(zip(slices, quality.to_dict("records"), strict=True)):
        x, y = i % columns * (width + _GAP), (i // columns + 1) * tall - height
        extent = (x, x + width, y + height, y)
        axis.imshow(picture, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest", extent=extent)
        colour = OUTLIER if row["outlier"] else "white"
        axis.text(x + width / 2, y, _label(row), color=colour, fontsize=6.5, ha="center", va="bottom")
        if i < columns:
            _letter(axis, x, y, height, width / 3)
    axis.set(xlim=(0, columns * (width + _GAP)), ylim=(rows * tall, 0), aspect="auto")
    figure.text(0.5, 1 - 0.05 / figure.get_figheight(), title, color="white", fontsize=8, ha="center", va="top")
    return figure


def _label(row: dict[Hashable, Any]) -> str:
    session = "" if row["session_id"] == "n/a" else f" {row['session_id']}"
    lost = f"  cut {row['cut_off']:.0%}" if row["cut_off"] >= 0.005 else ""
    return f"{row['participant_id']}{session}  r {row['correlation']:.2f}  z {row['z']:.1f}{lost}"


def _letter(axis: Axes, x: float, y: float, height: float, width: float) -> None:
    style: dict[str, Any] = {"color": "#ffcc33", "fontsize": 6}
    for plane, left, right, top, bottom in _LETTERS:
        start, middle = x + plane * width, x + (plane + 0.5) * width
        axis.text(start + 0.02 * width, y + height / 2, left, va="center", ha="left", **style)
        axis.text(start + 0.98 * width, y + height / 2, right, va="center", ha="right", **style)
        axis.text(middle, y, top, va="top", ha="center", **style)
        axis.text(middle, y + height, bottom, va="bottom", ha="center", **style)
