"""Pictures of traversals: strips of slices with their differences, side by side for two models, and moving ones."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy.typing import NDArray
from PIL import Image

from disentangle_pl.brain.export import Cut
from disentangle_pl.brain.orientation import frames_of, side_by_side, write_letters
from disentangle_pl.callbacks.pictures import label, strip
from disentangle_pl.callbacks.traversals import Traversal

Pictures = NDArray[np.float32]
TILE = 0.7  # inches of a step
SECONDS = 0.25  # a frame
COLOURS = 64


class Sweep(NamedTuple):
    """A traversal of one model, ready to draw.

    Attributes:
        title: Of the model.
        traversal: Images (r, n, C, *S), n odd.
        words: (r,) what to write beside each row.
    """

    title: str
    traversal: Traversal
    words: Sequence[str]


def draw_sweeps(sweeps: Sequence[Sweep], cuts: Sequence[Cut], span: float) -> Figure:
    """Draw a row of images a latent and beneath it the differences to the middle image, models side by side.

    All differences share one symmetric colour scale, which ends at the 99.5 % quantile of their size.

    Args:
        sweeps: One a model, from left to right.
        cuts: The planes shown of volumes, side by side; none for images.
        span: Standard deviations at the ends.
    """
    images = [sweep.traversal.images.float().cpu().numpy() for sweep in sweeps]
    changes = [(each - each[:, each.shape[1] // 2, None]).mean(axis=2, keepdims=True) for each in images]
    limit = max(float(np.quantile(np.abs(np.concatenate([each.ravel() for each in changes])), 0.995)), 1e-6)
    low, high = min(each.min() for each in images), max(each.max() for each in images)
    pictures = [cut_planes((each - low) / max(high - low, 1e-6), cuts) for each in images]
    columns, (height, width) = images[0].shape[1], pictures[0].shape[2:4]
    tile = TILE * max(len(cuts), 1)
    rows = max(len(each) for each in images)
    size = (len(sweeps) * (columns * tile + 1.7) + 0.9, rows * 2 * tile * height / width + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    parts = figure.subfigures(1, len(sweeps), squeeze=False)[0]
    for part, sweep, shown, change in zip(parts, sweeps, pictures, changes, strict=True):
        _draw(part, sweep, shown, cut_planes(change, cuts), cuts, limit, rows)
        bar = part is parts[-1]
        if bar:
            drawn = part.axes[1].images[0]
            part.colorbar(drawn, ax=part.axes, fraction=0.02, pad=0.01, label="difference to the middle image")
    figure.suptitle(_caption(cuts, columns, span), fontsize=8)
    return figure


def write_movie(path: Path, sweep: Sweep, cuts: Sequence[Cut]) -> None:
    """Write the sweep there and back as a GIF, all latents at once.

    Args:
        path: The file.
        sweep: What to show.
        cuts: As in `draw_sweeps`.
    """
    images = sweep.traversal.images.float().cpu().numpy()
    low, high = images.min(), images.max()
    pictures = cut_planes((images - low) / max(high - low, 1e-6), cuts)
    across = min(3, len(pictures))
    down = -(-len(pictures) // across)
    height, width = pictures.shape[2:4]
    figure = Figure(figsize=(across * 2.4, down * (2.4 * height / width + 0.55)), dpi=80, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    shown = [
        axis.imshow(_plain(each[0]), cmap="gray", vmin=0, vmax=1) for axis, each in zip(axes, pictures, strict=False)
    ]
    for axis, words in zip(axes, sweep.words, strict=False):
        axis.set_title(", ".join(words.split("\n")[:2]), fontsize=7)
        letter_planes(axis, cuts, images.shape[3:], 8)
    for axis in axes:
        axis.axis("off")
    frames = []
    steps = [*range(pictures.shape[1]), *range(pictures.shape[1] - 2, 0, -1)]
    for step in steps:
        for drawn, each in zip(shown, pictures, strict=True):
            drawn.set_data(_plain(each[step]))
        frames.append(_picture_of(figure))
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=int(1000 * SECONDS), loop=0)


def cut_planes(images: Pictures, cuts: Sequence[Cut]) -> Pictures:
    """Turn images (r, n, C, H, W) into pictures (r, n, H, W, C), volumes (r, n, C, X, Y, Z) into planes side by side.

    They stand as `brain.orientation` says; 0 is around lower planes.
    """
    if not cuts:
        return np.moveaxis(images, 2, -1)
    planes = side_by_side(images, [(cut.axis, cut.voxel) for cut in cuts], fill=0.0)
    return np.moveaxis(planes, 2, -1)


def cut_words(cuts: Sequence[Cut]) -> str:
    """Say where planes lie."""
    planes = {0: "sagittal", 1: "coronal", 2: "axial"}
    return "; ".join(f"{planes[cut.axis]} {cut.words}" for cut in cuts)


def _draw(
    part: FigureBase, sweep: Sweep, pictures: Pictures, changes: Pictures, cuts: Sequence[Cut], limit: float, rows: int
) -> None:
    axes = part.subplots(2 * rows, 1, squeeze=False)[:, 0]
    for axis in axes[2 * len(pictures) :]:
        axis.set_visible(False)
    for row, words in enumerate(sweep.words):
        top, bottom = axes[2 * row], axes[2 * row + 1]
        top.imshow(_plain(strip(pictures[row], gap=1.0)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        bottom.imshow(
            strip(changes[row], gap=0.0)[..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        label(top, words)
        label(bottom, "change")
        letter_planes(top, cuts, tuple(sweep.traversal.images.shape[3:]), 5.5)
    axes[0].set_title(sweep.title, fontsize=9)


def letter_planes(axis: Axes, cuts: Sequence[Cut], shape: tuple[int, ...], points: float) -> None:
    """Write the letters of the planes of volumes (X, Y, Z) on the first picture of an axis; none for images."""
    for cut, frame in zip(cuts, frames_of(shape, [cut.axis for cut in cuts]) if cuts else [], strict=True):
        write_letters(axis, cut.axis, frame, points)


def _picture_of(figure: Figure) -> Image.Image:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)


def _plain(picture: Pictures) -> Pictures:
    return picture[..., 0] if picture.shape[-1] == 1 else picture


def _caption(cuts: Sequence[Cut], columns: int, span: float) -> str:
    shown = cut_words(cuts)
    steps = (
        f"{columns} steps from {-span:g} to {span:+g} sd of the latent; beneath each row the difference to its middle"
    )
    return f"{shown}\n{steps}" if shown else steps
