"""All prepared scans at a glance: pages of middle slices, the least like the others first."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from disentangle_pl.brain.orientation import frames_of, side_by_side, write_letters
from disentangle_pl.brain.volumes import Volume

PAGE, ACROSS = 60, 5
OUTLIER = "#ff5555"
FIRST_PAGE, _PAGES = "quality.png", "quality*.png"
_PLANES = (2, 1, 0)
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
        slices, shape = [middle_planes(volume(int(row))) for row in page], volume(int(page[0])).shape
        figure = draw_page(quality.iloc[page], slices, shape, title)
        figure.savefig(path, dpi=110, metadata={"Software": None})
    return paths


def middle_planes(volume: Volume) -> Picture:
    """Lay the middle axial, coronal and sagittal slice of a volume (D, H, W) side by side, upright (h, 2 D + H)."""
    cuts = [(axis, volume.shape[axis] // 2) for axis in _PLANES]
    return side_by_side(volume, cuts, float(volume.min()))


def draw_page(quality: pd.DataFrame, slices: list[Picture], shape: tuple[int, ...], title: str) -> Figure:
    """Draw scans in rows of five, all with the same grey levels; the names of outliers are red.

    Args:
        quality: n rows of `quality_table`.
        slices: n pictures of `middle_planes`, all of one shape.
        shape: (D, H, W) of the volumes.
        title: What stands above.

    Returns:
        The figure. L and R are the left and right of the person, A and P front and back, S and I up and down.
    """
    columns = min(ACROSS, len(slices))
    rows = -(-len(slices) // columns)
    height, width = slices[0].shape
    frames = frames_of(shape, _PLANES)
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
        for plane, frame in zip(_PLANES, frames, strict=True) if i < columns else ():
            write_letters(axis, plane, (x + frame.x, y + frame.y, frame.width, frame.height), 6)
    axis.set(xlim=(0, columns * (width + _GAP)), ylim=(rows * tall, 0), aspect="auto")
    figure.text(0.5, 1 - 0.05 / figure.get_figheight(), title, color="white", fontsize=8, ha="center", va="top")
    return figure


def _label(row: dict[Hashable, Any]) -> str:
    session = "" if row["session_id"] == "n/a" else f" {row['session_id']}"
    lost = f"  cut {row['cut_off']:.0%}" if row["cut_off"] >= 0.005 else ""
    return f"{row['participant_id']}{session}  r {row['correlation']:.2f}  z {row['z']:.1f}{lost}"
