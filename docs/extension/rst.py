"""Pieces of reStructuredText."""

from collections.abc import Iterable, Sequence
from textwrap import indent

from docs.extension.docstrings import Parts, escaped


def title(text: str, line: str = "=") -> str:
    """Return a heading."""
    return f"{text}\n{line * len(text)}\n"


def code(text: str, language: str) -> str:
    """Return a block of code."""
    return f".. code-block:: {language}\n\n{indent(text.strip(), '   ')}\n"


def formula(latex: str) -> str:
    """Return a displayed formula."""
    return f".. math::\n\n{indent(latex, '   ')}\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are reStructuredText of one line."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [f"   {'*' if not i else ' '} - {cell}" for i, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def leaf(text: str, above: str, page: str) -> str:
    """Return the top of a page that only another one leads to.

    Every entry of the sidebar is resolved for every page: with hundreds of them a build takes minutes.

    Args:
        text: Its heading.
        above: What the page above is called.
        page: The name of that page below generated/.
    """
    return f":orphan:\n\n:doc:`{above} </generated/{page}>` /\n\n{title(text)}"


def described(found: Parts) -> list[str]:
    """Return what a docstring says: summary, formulas, text and source."""
    source = [f"**Source.** {escaped(found.source.removeprefix('Source:').strip())}\n"] if found.source else []
    return [f"{escaped(found.summary)}\n", *map(formula, found.formulas), f"{escaped(found.text)}\n", *source]
