"""A small picture of traversals for a page: both ends of every latent and what changes between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from disentangle_pl.brain.export import Cut
from disentangle_pl.callbacks.pictures import GAP
from disentangle_pl.studies.traverse_plot import Sweep, cut_planes, cut_words, letter_planes

DPI = 200
"""The picture is 9 inches wide: 1,800 pixels, to be shown at 900 with letters of 11 pixels."""
WIDTH, LABEL, ABOVE, BELOW, BAR = 9.0, 1.0, 0.5, 0.62, 0.08
POINTS = 8.0
FOREGROUND = 0.15  # share of the largest value of the mean image above which a voxel is no background
MARGIN = 1  # voxels around the foreground


def draw_ends(sweeps: Sequence[Sweep], cuts: Sequence[Cut], span: float) -> Figure:
    """Draw a row a latent: the volume at both ends of its traversal and their difference, models side by side.

    What is background in all volumes is cut off. All differences share one symmetric colour scale, which ends at the
    99.5 % quantile of their size.

    Args:
        sweeps: One a model, from left to right, of volumes (r, n, C, X, Y, Z).
        cuts: The planes shown, side by side.
        span: Standard deviations at the ends.
    """
    volumes = [sweep.traversal.images[:, [0, -1]].float().cpu().numpy() for sweep in sweeps]
    box = foreground_box(np.concatenate([each.mean(axis=(0, 1, 2))[None] for each in volumes]).mean(axis=0))
    cuts = [cut._replace(voxel=int(np.clip(cut.voxel - box[cut.axis].start, 0, None))) for cut in cuts]
    volumes = [each[(..., *box)] for each in volumes]
    changes = [each[:, 1:] - each[:, :1] for each in volumes]
    limit = max(float(np.quantile(np.abs(np.concatenate([each.ravel() for each in changes])), 0.995)), 1e-6)
    low, high = min(each.min() for each in volumes), max(each.max() for each in volumes)
    pictures = [cut_planes((each - low) / max(high - low, 1e-6), cuts) for each in volumes]
    height, width = pictures[0].shape[2:4]
    block = WIDTH / len(sweeps)
    tile = (block - LABEL - 0.1) / 3
    tall, rows = tile * height / width + 0.06, max(len(each) for each in volumes)
    figure = Figure(figsize=(WIDTH, ABOVE + rows * tall + BELOW))
    across, up = 1 / figure.get_figwidth(), 1 / figure.get_figheight()
    for number, (sweep, shown, change) in enumerate(zip(sweeps, pictures, changes, strict=True)):
        start = number * block + LABEL
        figure.text((start + 1.5 * tile) * across, 1 - 0.06 * up, sweep.title, fontsize=10, ha="center", va="top")
        differences = cut_planes(change, cuts)
        for column, title in enumerate((f"\N{MINUS SIGN}{span:g} sd", f"+{span:g} sd", "change")):
            x = (start + (column + 0.5) * tile) * across
            figure.text(x, 1 - (ABOVE - 0.02) * up, title, fontsize=POINTS, ha="center", va="bottom")
        for row, words in enumerate(sweep.words):
            bottom = (BELOW + (rows - row - 1) * tall) * up
            size = (tall - 0.06) * up
            scans = figure.add_axes((start * across, bottom, 2 * tile * across, size))
            for end, picture in enumerate(shown[row][..., 0]):
                _show(scans, picture, end * (width + GAP), cmap="gray", vmin=0, vmax=1)
            scans.set_xlim(-0.5, 2 * (width + GAP) - 0.5)
            letter_planes(scans, cuts, volumes[number].shape[3:], POINTS)
            last = figure.add_axes(((start + 2 * tile) * across, bottom, tile * across, size))
            drawn = _show(last, differences[row, 0, ..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit)
            lines = "\n".join(words.split("\n")[:2])
            figure.text((start - 0.06) * across, bottom + size / 2, lines, fontsize=POINTS, ha="right", va="center")
    bar = figure.add_axes(((WIDTH - 3.2) * across, 0.42 * up, 2.8 * across, BAR * up))
    scale = figure.colorbar(drawn, cax=bar, orientation="horizontal", ticks=[-limit, 0, limit])
    scale.set_ticklabels([f"\N{MINUS SIGN}{limit:.2g}", "0", f"+{limit:.2g}"])
    scale.ax.tick_params(labelsize=POINTS, length=2, pad=1)
    side = " \N{MULTIPLICATION SIGN} ".join(map(str, sweeps[0].traversal.images.shape[3:]))
    finer = tile * DPI / width
    steps = f"change: from \N{MINUS SIGN}{span:g} to +{span:g} sd, one scale for all"
    where = f"{cut_words(cuts)}; {side} voxels, drawn with {finer:.1f} pixels each\n{steps}"
    figure.text(0.1 * across, 0.5 * up, where, fontsize=POINTS, ha="left", va="top")
    return figure


def foreground_box(mean: NDArray[np.floating[Any]]) -> tuple[slice, slice, slice]:
    """Return the smallest box around the foreground of a mean volume (X, Y, Z), with a margin of one voxel."""
    places = np.argwhere(mean > mean.min() + FOREGROUND * np.ptp(mean))
    if not len(places):
        return tuple(slice(0, size) for size in mean.shape)  # type: ignore[return-value]
    ends = zip(places.min(axis=0), places.max(axis=0), mean.shape, strict=True)
    return tuple(  # type: ignore[return-value]
        slice(max(int(low) - MARGIN, 0), min(int(high) + MARGIN + 1, size)) for low, high, size in ends
    )


def _show(axes: Axes, picture: NDArray[np.float32], start: int = 0, **colours: Any) -> Any:
    """Draw a picture (H, W) from a column on, smooth within itself and not into its neighbour."""
    axes.set_axis_off()
    height, width = picture.shape
    extent = (start - 0.5, start + width - 0.5, height - 0.5, -0.5)
    return axes.imshow(picture, aspect="auto", interpolation="bicubic", extent=extent, **colours)
