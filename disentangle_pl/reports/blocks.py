"""What a page is made of: sections with remarks, pictures, charts and tables."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

NOTHING = Markup()
DASH = "\N{EN DASH}"


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: What it says.
        number: What it is sorted by; None for the text.
        css: Class of its look.
        mark: A drawing beneath the text.
    """

    text: str
    number: float | None = None
    css: str = ""
    mark: Markup = NOTHING


class Table(NamedTuple):
    """A table.

    Attributes:
        head: Titles of the columns.
        rows: The first cell of a row is its title.
        caption: What it shows.
        sortable: Whether a click on a title sorts the rows.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    sortable: bool = False


class Picture(NamedTuple):
    """A picture or a chart.

    Attributes:
        caption: Beneath it.
        source: A data URI; empty for a chart, and for a picture that is left out.
        chart: An SVG element.
        alt: What the picture shows, for those who cannot see it.
        width: Pixels.
        height: Pixels.
        keys: Colour class and name of what a chart shows.
        why: Why the picture is left out.
        wide: Give it the whole width.
    """

    caption: str
    source: str = ""
    chart: Markup = NOTHING
    alt: str = ""
    width: int = 0
    height: int = 0
    keys: Sequence[tuple[str, str]] = ()
    why: str = ""
    wide: bool = False


class Stack(NamedTuple):
    """A volume of a viewer.

    Attributes:
        group: What it belongs to.
        name: Which one of the group.
        source: A data URI of all its axial slices.
        signed: Whether it is a difference, zero in the middle of the grey levels.
    """

    group: str
    name: str
    source: str
    signed: bool


class Viewer(NamedTuple):
    """Volumes of one shape to scroll through.

    Attributes:
        caption: Beneath it.
        shape: (X, Y, Z), in RAS order.
        across: Slices in a row of the source of a volume.
        origin: Millimetres of the first voxel.
        spacing: Edge of the voxels in millimetres.
        stacks: The volumes.
    """

    caption: str
    shape: tuple[int, ...]
    across: int
    origin: tuple[float, ...]
    spacing: float
    stacks: Sequence[Stack]


class Fold(NamedTuple):
    """What is closed at first."""

    summary: str
    words: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


class Section(NamedTuple):
    """A part of a page, with an entry in its navigation."""

    anchor: str
    title: str
    words: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    folds: Sequence[Fold] = ()
    viewers: Sequence[Viewer] = ()


class Page(NamedTuple):
    """A page.

    Attributes:
        title: Its heading.
        lead: A sentence or two beneath it.
        facts: What one wants to know first, by name.
        warnings: What is wrong, each in a sentence.
        sections: The rest.
    """

    title: str
    lead: str
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    sections: Sequence[Section]


def figure_of(value: float | None) -> str:
    """Return a number with four digits; a dash for none, and for NaN."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def score_of(value: float | None) -> str:
    """Return a score with three decimals, a large one with fewer, a tiny one with one digit that is not 0."""
    if value is None or not math.isfinite(value) or abs(value) >= 10:
        return figure_of(value)
    if 0 < abs(value) < 0.01:
        return f"{value:.1g}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def number_cell(value: float | None) -> Cell:
    """Return a cell of a number."""
    return Cell(figure_of(value), value if value is not None and math.isfinite(value) else None, "n")


def score_cell(value: float | None) -> Cell:
    """Return a cell of a score."""
    return Cell(score_of(value), value if value is not None and math.isfinite(value) else None, "n")


def time_of(seconds: float) -> str:
    """Return a duration in words; a dash for NaN."""
    if not math.isfinite(seconds):
        return DASH
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{seconds:.3g} s"
