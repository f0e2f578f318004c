"""Docstrings as plain English with backticks, turned into reStructuredText; their formulas stay as they are."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from sphinx.application import Sphinx

SPECIAL = re.compile(r"[\\*|_]")
CODE = re.compile(r"(`+[^`]+`+)")
SECTIONS = re.compile(r"^(Args|Attributes|Examples|Raises|Returns|Yields):$", re.MULTILINE)
FORMULA = re.compile(r"^\.\. math::\n\n((?:    .*\n?|\n)+)", re.MULTILINE)
SOURCE = re.compile(r"\b(Source:\s.+?)(?=\n\n|\Z)", re.DOTALL)


class Parts(NamedTuple):
    """What a docstring says, section by section.

    Attributes:
        summary: Its first sentence, the first paragraph.
        text: What stands between it and the sections, without formulas and sources.
        formulas: LaTeX.
        source: Where it is from, empty if it does not say.
    """

    summary: str
    text: str
    formulas: list[str]
    source: str


def escaped(text: str) -> str:
    """Escape what means something to reStructuredText and nothing to the writer; `code` becomes a literal."""
    parts = CODE.split(text)
    return "".join(f"``{part.strip('`')}``" if part[:1] == "`" else SPECIAL.sub(r"\\\g<0>", part) for part in parts)


def parts(doc: str) -> Parts:
    """Take a clean docstring apart."""
    head = SECTIONS.split(doc)[0]
    formulas = [_unindented(found) for found in FORMULA.findall(head)]
    head = FORMULA.sub("", head)
    found = SOURCE.search(FORMULA.sub("", doc))
    source = " ".join(found[1].split()) if found else ""
    summary, _, text = SOURCE.sub("", head).strip().partition("\n\n")
    return Parts(" ".join(summary.split()), re.sub(r"\n\n+", "\n\n", text).strip(), formulas, source)


def restructured(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a docstring with all but its formulas escaped."""
    formula, width = False, 0
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() == ".. math::":
            formula, width = True, indent
        elif formula and line.strip() and indent <= width:
            formula = False
        yield line if formula else escaped(line)


def _unindented(formula: str) -> str:
    return "\n".join(line.strip() for line in formula.strip().splitlines())


def _of_autodoc(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    text = "\n".join(lines)
    # A source that stands behind a section would become a definition with its second line indented.
    text = SOURCE.sub(lambda found: " ".join(found[1].split()), text)
    lines[:] = list(restructured(text.split("\n")))


def _skip(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    # Fields of a NamedTuple are told among its attributes; what others have made is told by them.
    ours = str(getattr(obj, "__module__", "disentangle_pl")).startswith("disentangle_pl")
    return True if type(obj).__name__ == "_tuplegetter" or (what == "module" and not ours) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Let autodoc read our docstrings."""
    app.connect("autodoc-process-docstring", _of_autodoc, priority=100)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
