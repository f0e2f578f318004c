"""Tables are printed whole: as wide as the terminal, and wider where the output is a file or another program."""

import os
import sys
from collections.abc import Iterable

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

WIDE = 240
"""Columns of an output that is no terminal, unless COLUMNS says otherwise."""

KEYS = 0.6
"""Most of the width of a part for the columns that tell its rows apart."""


def wide_console() -> Console:
    """Return a console on standard output that cuts no table at 80 columns where nobody watches."""
    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if watched else WIDE)


def print_table(table: Table, keys: int = 1) -> None:
    """Print a table of text with no cell broken or cut: columns that do not fit come beneath, beside the first again.

    Args:
        table: Of str cells, which may hold markup.
        keys: Columns that tell the rows apart, and stand in front of every part; one if they leave too little room.
    """
    console = wide_console()
    widths = [_width([each.header, *each.cells]) for each in table.columns]
    few = sum(widths[:keys]) > KEYS * console.width
    keys = 1 if few else keys
    free = console.width - 1 - sum(widths[:keys])
    parts: list[list[int]] = [[]]
    taken = 0
    for number, width in list(enumerate(widths))[keys:]:
        if parts[-1] and taken + width > free:
            parts.append([])
            taken = 0
        parts[-1].append(number)
        taken += width
    if table.title:
        console.print(table.title, soft_wrap=True, style="italic")
    for numbers in parts:
        chosen = [table.columns[number] for number in (*range(keys), *numbers)]
        part = Table(*(Column(each.header, justify=each.justify, overflow="fold") for each in chosen))
        for row in zip(*(each.cells for each in chosen), strict=True):
            part.add_row(*row)
        console.print(part)
    if few and len(parts) > 1:
        console.print("the rows of all parts are in the same order", soft_wrap=True, style="dim italic")
    if table.caption:
        console.print(table.caption, soft_wrap=True, style="dim italic")


def _width(cells: Iterable[RenderableType]) -> int:
    """Return the characters that a column of text takes, with its blanks and a line."""
    return max(cell_len(line) for cell in cells for line in Text.from_markup(str(cell)).plain.split("\n")) + 3
