"""Where tables are printed: as wide as the terminal, and whole where the output is a file or another program."""

import os
import sys

from rich.console import Console

WIDE = 240
"""Columns of an output that is no terminal, unless COLUMNS says otherwise."""


def wide_console() -> Console:
    """Return a console on standard output that cuts no table at 80 columns where nobody watches."""
    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if watched else WIDE)
