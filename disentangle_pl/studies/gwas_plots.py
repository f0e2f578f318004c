"""Pictures of a genome-wide study: QQ, Manhattan over all phenotypes, and two studies mirrored."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import special

from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.significance import BINS, STEP, Histogram, Thresholds
from disentangle_pl.studies.gwas_tables import ASSOCIATIONS, column_of, parts_of

COLOURS = ("#1f4e79", "#7fa8d1")
STRONG = "#c0392b"
FEW_LINES = 12
LOW = 1.0  # points below are thinned: they are a solid band
PIXELS = (2000, 0.02)
CUT, ABOVE = 20.0, 5.0
"""-log10 p from which an axis is cut, and the room for all above it, in steps of those below."""


class Peaks(NamedTuple):
    """The smallest p over phenotypes of every variant.

    Attributes:
        chromosome: (m,) text.
        position: (m,) base pairs.
        log10_p: (m,) -log10 of it.
        identifier: (m,) name of the variant.
    """

    chromosome: NDArray[np.object_]
    position: NDArray[np.int64]
    log10_p: Values
    identifier: NDArray[np.object_]


def draw_qq(histogram: Histogram, names: Sequence[str]) -> Figure:
    """Draw observed against expected -log10 p of every phenotype, with the 95 % band of independent tests."""
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    axis = figure.subplots()
    tests = int(histogram.counts.sum(axis=1).max())
    ranks = np.unique(np.geomspace(1, max(tests, 1), 300).astype(np.int64))
    expected = -np.log10(ranks / (tests + 1))
    low, high = (-np.log10(special.betaincinv(ranks, tests - ranks + 1, q)) for q in (0.975, 0.025))
    axis.fill_between(expected, low, high, color="#dddddd", label="95 % of independent tests", linewidth=0)
    axis.plot([0, expected[0]], [0, expected[0]], color="#777777", linewidth=0.8)
    lambdas = histogram.lambdas()
    for k, (name, counts) in enumerate(zip(names, histogram.counts, strict=True)):
        label = f"{name}, lambda {lambdas[k]:.3f}" if len(names) <= FEW_LINES else None
        axis.plot(*_quantiles(counts), ".", markersize=2.5, alpha=0.8, label=label)
    largest = int(np.flatnonzero(histogram.counts.sum(axis=0)).max(initial=0)) * STEP
    cut_axis(axis, largest)
    axis.set_xlabel("expected -log10 p")
    axis.set_ylabel("observed -log10 p")
    axis.set_title(f"{len(names)} phenotypes, median lambda {np.median(lambdas):.3f}", fontsize=10)
    axis.legend(fontsize=7, frameon=False, loc="upper left", markerscale=3)
    return figure


def _quantiles(counts: NDArray[np.int64]) -> tuple[Values, Values]:
    """Return expected and observed -log10 p of the filled bins, at the middle of their ranks."""
    total = max(int(counts.sum()), 1)
    filled = np.flatnonzero(counts)
    beyond = counts[::-1].cumsum()[::-1][filled]
    rank = beyond - (counts[filled] - 1) / 2
    return -np.log10(rank / (total + 1)), (filled + 0.5) * STEP * (filled < BINS) + BINS * STEP * (filled == BINS)


def cut_axis(axis: Axes, top: float) -> None:
    """Give what is above 20 a fifth of an axis of -log10 p up to `top`, so that a giant hides no other hit."""
    if top <= 1.5 * CUT:
        return
    squeeze = ABOVE / (top - CUT)

    def forward(height: Values) -> Values:
        return np.where(height <= CUT, height, CUT + (height - CUT) * squeeze)

    def backward(place: Values) -> Values:
        return np.where(place <= CUT, place, CUT + (place - CUT) / squeeze)

    axis.set_yscale("function", functions=(forward, backward))
    axis.set_yticks([*np.arange(0, CUT + 1, 5), round((CUT + top) / 2), round(top)])
    axis.axhline(CUT, color="#999999", linewidth=0.8, linestyle=(0, (1, 3)))
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axis.annotate("axis cut", (0, CUT), (3, 2), fontsize=6, **place)


def read_peaks(out: Path, phenotypes: int) -> Peaks:
    """Read the smallest p of every variant over the phenotypes of a study."""
    columns = ["chromosome", "position", "id", "neg_log10_p"]
    chromosome, position, peak, names = [], [], [], []
    for part in parts_of(out / ASSOCIATIONS, columns):
        log10_p = column_of(part, "neg_log10_p").reshape(-1, phenotypes)
        rows = part.take(np.arange(0, part.num_rows, phenotypes)).to_pandas()
        chromosome.append(rows["chromosome"].to_numpy(object))
        names.append(rows["id"].to_numpy(object))
        position.append(rows["position"].to_numpy(np.int64))
        peak.append(np.fmax.reduce(log10_p, axis=1, initial=0))
    return Peaks(np.concatenate(chromosome), np.concatenate(position), np.concatenate(peak), np.concatenate(names))


def draw_manhattan(out: Path, levels: Thresholds, names: Sequence[str]) -> Figure:
    """Draw the smallest p over the phenotypes along the genome."""
    peaks = read_peaks(out, len(names))
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axis = figure.subplots()
    starts = _starts([peaks])
    _draw(axis, peaks, starts, levels)
    _ticks(axis, starts)
    top = float(peaks.log10_p.max(initial=0))
    cut_axis(axis, top)
    axis.set_ylim(0, max(1.08 * top, 8.5))
    axis.set_ylabel("-log10 p")
    smallest = "smallest p of " if len(names) > 1 else ""
    axis.set_title(f"{smallest}{len(names)} phenotypes ({peaks.log10_p.size} variants)", fontsize=10)
    return figure


def draw_miami(first: tuple[str, Path, int], second: tuple[str, Path, int], levels: Thresholds) -> Figure:
    """Draw the smallest p over phenotypes of two studies, one up and one down.

    Args:
        first: Name, folder and number of phenotypes of the study above.
        second: Those of the one below.
        levels: Thresholds of the first.
    """
    both = [read_peaks(out, phenotypes) for _, out, phenotypes in (first, second)]
    starts = _starts(both)
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    top = 1.12 * max(float(peaks.log10_p.max()) for peaks in both)
    for axis, peaks, (name, _, _) in zip(axes, both, (first, second), strict=True):
        _draw(axis, peaks, starts, levels, axis is axes[0])
        cut_axis(axis, top / 1.12)
        axis.set_ylim(0, max(top, 8.5))
        axis.set_ylabel(f"{name}\n-log10 p")
    axes[1].invert_yaxis()
    axes[0].tick_params(axis="x", bottom=False)
    _ticks(axes[1], starts)
    return figure


def _starts(studies: Sequence[Peaks]) -> pd.DataFrame:
    """Lay chromosomes one behind the other: columns start and size."""
    places = pd.concat([pd.DataFrame({"chromosome": each.chromosome, "size": each.position}) for each in studies])
    sizes = places.groupby("chromosome")["size"].max().astype("int64")
    sizes = sizes.reindex(sorted(sizes.index, key=lambda name: (int(name) if name.isdigit() else 99, name)))
    gap = int(sizes.sum() * 0.008) + 1
    return pd.DataFrame({"start": (sizes + gap).cumsum() - sizes - gap, "size": sizes})


def _draw(axis: Axes, peaks: Peaks, starts: pd.DataFrame, levels: Thresholds, up: bool = True) -> None:
    x = peaks.position + starts["start"].reindex(peaks.chromosome).to_numpy()
    turn = pd.Series(np.arange(len(starts)) % 2, index=starts.index).reindex(peaks.chromosome).to_numpy()
    shown = _thinned(x, peaks.log10_p)
    strong = peaks.log10_p >= -np.log10(levels.genome_wide)
    for parity, colour in enumerate(COLOURS):
        mine = shown[(turn[shown] == parity) & ~strong[shown]]
        axis.scatter(x[mine], peaks.log10_p[mine], s=5, color=colour, linewidths=0)
    axis.scatter(x[strong], peaks.log10_p[strong], s=12, color=STRONG, linewidths=0)
    axis.axhline(-np.log10(levels.genome_wide), color="#555555", linewidth=0.8, linestyle="--", label="5e-8")
    if levels.effective < levels.genome_wide:
        label = f"5e-8 / {levels.effective_number:.1f}"
        axis.axhline(-np.log10(levels.effective), color=STRONG, linewidth=0.8, linestyle=":", label=label)
    if up:
        axis.legend(fontsize=7, frameon=False, loc="upper right", ncols=2)
    place: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6, "ha": "center"}
    for row in np.flatnonzero(strong)[_apart(x[strong], peaks.log10_p[strong], float(x.max()))]:
        point = (float(x[row]), float(peaks.log10_p[row]))
        axis.annotate(str(peaks.identifier[row]), point, (0, 4 if up else -9), **place)
    axis.set_xlim(-0.01 * x.max(), 1.01 * x.max())
    axis.spines[["top", "right"]].set_visible(False)


def _apart(x: NDArray[np.int64], height: Values, width: float, most: int = 12) -> list[int]:
    """Choose the highest points whose names do not overlap."""
    chosen: list[int] = []
    for i in np.argsort(-height, kind="stable"):
        if len(chosen) < most and all(abs(x[i] - x[j]) > 0.05 * width for j in chosen):
            chosen.append(int(i))
    return chosen


def _thinned(x: NDArray[np.int64], height: Values) -> NDArray[np.intp]:
    """Keep one of the points that fall on the same pixel."""
    column = (x / max(float(x.max()), 1) * PIXELS[0]).astype(np.int64)
    cell = column * 1_000_000 + (height / PIXELS[1]).astype(np.int64)
    return np.sort(np.unique(cell, return_index=True)[1])


def _ticks(axis: Axes, starts: pd.DataFrame) -> None:
    axis.set_xticks((starts["start"] + starts["size"] / 2).to_list(), starts.index.tolist(), fontsize=7)
    axis.set_xlabel("chromosome")
