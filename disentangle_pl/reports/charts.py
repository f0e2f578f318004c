"""Charts as SVG: lines, the scale of a score, dots of groups."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from disentangle_pl.reports.blocks import figure_of
from disentangle_pl.reports.scales import Scale, colour_class, pixel_text, svg, ticks

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 10, 34
BUCKETS = 200
SETTLED = 0.05  # share of the steps after which a loss has left its start
ROW = 24
NAMES, LETTERS = 172, 26  # room for the names of groups


class Curve(NamedTuple):
    """One line of a chart.

    Attributes:
        name: Of the line.
        steps: Ascending.
        values: Finite, one a step.
        colour: Number of its colour.
        dashed: Whether it is broken.
    """

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    colour: int = 0
    dashed: bool = False


def line_chart(title: str, curves: Sequence[Curve]) -> Markup:
    """Draw lines over training steps; what lies beyond the frame at the start of a training is cut off.

    Args:
        title: For those who cannot see it.
        curves: At least one of them has a value.
    """
    low, high = _range(curves)
    last = max(max(curve.steps) for curve in curves if len(curve.steps))
    first = min(min(curve.steps) for curve in curves if len(curve.steps))
    last = last if last > first else first + 1
    across = Scale(first, last, LEFT, WIDTH - RIGHT)
    up = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_grid(up, across)]
    for curve in curves:
        if len(curve.steps):
            css = f"line {colour_class(curve.colour)}{' dash' if curve.dashed else ''}"
            css += " thin" if len(curves) > 4 else ""
            parts.append(_path(curve, across, up, css))
    ends = ", ".join(f"{curve.name} ends at {figure_of(curve.values[-1])}" for curve in curves[:6] if len(curve.steps))
    return svg(WIDTH, HEIGHT, f"{title}: {ends}", Markup().join(parts))


def scale_mark(value: float, floor: float, rotated: float, ceiling: float) -> Markup:
    """Draw a score from 0 to 1 as a bar, with ticks where noise, rotated and perfect codes are; NaN has no tick."""
    place = Scale(0, 1, 1, 129)
    parts = [Markup('<rect class="track" x="1" y="5" width="128" height="4"/>')]
    parts.append(Markup('<rect class="full" x="1" y="5" width="{}" height="4"/>').format(pixel_text(place(value) - 1)))
    for end, css in ((floor, "end"), (ceiling, "end"), (rotated, "turned")):
        if math.isfinite(end):
            x = pixel_text(place(end))
            parts.append(Markup('<line class="{}" x1="{}" x2="{}" y1="1" y2="13"/>').format(css, x, x))
    return svg(130, 14, f"{value:.2f} on a scale from 0 to 1", Markup().join(parts))


class Dots(NamedTuple):
    """A row of a chart of groups: runs, their mean and its interval."""

    name: str
    values: Sequence[float]
    mean: float
    low: float
    high: float
    colour: int


def dot_chart(title: str, rows: Sequence[Dots], floor: float, ceiling: float) -> Markup:
    """Draw the runs of groups as dots, the mean as a ring, its interval as a bar, floor and ceiling as lines.

    The scale is that of the dots: an interval that is wider ends at the edge, and its numbers stand in the table.
    """
    height = TOP + ROW * len(rows) + BOTTOM
    shown = [value for row in rows for value in row.values] + [end for end in (floor, ceiling) if math.isfinite(end)]
    low, high = min(0.0, *shown), max(0.1, *shown)
    edge = high + (high - low) * 0.03
    place = Scale(low, edge, NAMES, WIDTH - RIGHT)
    parts = []
    for tick in ticks(low, high, 5):
        x = pixel_text(place(tick))
        parts.append(Markup('<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x, TOP, height - BOTTOM))
        text = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
        parts.append(text.format(x, height - BOTTOM + 16, figure_of(tick)))
    for end in (floor, ceiling):
        if math.isfinite(end):
            line = Markup('<line class="end" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>')
            parts.append(line.format(pixel_text(place(end)), TOP, height - BOTTOM))
    for number, row in enumerate(rows):
        inside = row._replace(low=max(row.low, low), high=min(row.high, edge))  # NaN stays: it is compared first
        parts.append(_dots(inside, TOP + ROW * (number + 0.5), place))
    said = ", ".join(f"{row.name} {figure_of(row.mean)}" for row in rows[:8])
    return svg(WIDTH, height, f"{title}: {said}", Markup().join(parts))


def _dots(row: Dots, y: float, place: Scale) -> Markup:
    name = row.name if len(row.name) <= LETTERS else f"{row.name[: LETTERS - 1]}…"
    parts = [Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(NAMES - 8, pixel_text(y + 4), name)]
    if math.isfinite(row.low) and math.isfinite(row.high):
        bar = Markup('<line class="bar" x1="{}" x2="{}" y1="{y}" y2="{y}"/>')
        parts.append(bar.format(pixel_text(place(row.low)), pixel_text(place(row.high)), y=pixel_text(y)))
    circle = Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>')
    parts += [circle.format("dot", pixel_text(place(value)), pixel_text(y), 2.5) for value in row.values]
    if math.isfinite(row.mean):
        parts.append(circle.format("ring", pixel_text(place(row.mean)), pixel_text(y), 5))
    return Markup('<g class="{}">{}</g>').format(colour_class(row.colour), Markup().join(parts))


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(curve.values, dtype=float) for curve in curves])
    settled = np.concatenate(
        [np.asarray(curve.values, dtype=float)[int(SETTLED * len(curve.values)) :] for curve in curves]
    )
    low, high = float(settled.min()), float(settled.max())
    span = high - low
    low, high = max(float(values.min()), low - span), min(float(values.max()), high + span)
    span = (high - low) or max(abs(high), 1.0) * 0.1
    return low - 0.04 * span, high + 0.04 * span


def _path(curve: Curve, across: Scale, up: Scale, css: str) -> Markup:
    steps, values = _thinned(np.asarray(curve.steps, dtype=float), np.asarray(curve.values, dtype=float))
    places = [
        f"{pixel_text(across(step))},{pixel_text(min(max(up(value), TOP), HEIGHT - BOTTOM))}"
        for step, value in zip(steps, values, strict=True)
    ]
    if len(places) == 1:
        x, _, y = places[0].partition(",")
        return Markup('<circle class="dot {}" cx="{}" cy="{}" r="3"/>').format(css.split()[1], x, y)
    return Markup('<polyline class="{}" points="{}"><title>{}</title></polyline>').format(
        css, " ".join(places), curve.name
    )


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the lowest and the highest value of every bucket, so that no spike is lost."""
    if len(steps) <= 2 * BUCKETS:
        return steps, values
    kept: list[int] = [0, len(steps) - 1]
    for bucket in np.array_split(np.arange(len(steps)), BUCKETS):
        kept += [int(bucket[values[bucket].argmin()]), int(bucket[values[bucket].argmax()])]
    chosen = np.unique(kept)
    return steps[chosen], values[chosen]


def _grid(up: Scale, across: Scale) -> Markup:
    parts = []
    for tick in ticks(up.low, up.high, 5):
        y = pixel_text(up(tick))
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(LEFT, WIDTH - RIGHT, y=y))
        parts.append(Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(LEFT - 6, y, figure_of(tick)))
    for tick in ticks(across.low, across.high, 4):
        text = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
        parts.append(text.format(pixel_text(across(tick)), HEIGHT - BOTTOM + 15, f"{tick:,.0f}"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">training step</text>').format(middle, HEIGHT - 4))
    return Markup().join(parts)
