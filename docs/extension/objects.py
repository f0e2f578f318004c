"""What a class or function of the package says of itself: summary, formula, source, and its settings as flags."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from docstring_parser import parse

from docs.extension.docstrings import Parts, parts

FRAGMENTS = Path(__file__).parents[1] / "fragments"


class Setting(NamedTuple):
    """A setting of a class.

    Attributes:
        name: Of the argument.
        default: As Python writes it; empty if it must be given.
        meaning: What the docstring says.
    """

    name: str
    default: str
    meaning: str


def found(dotted: str) -> Any:
    """Return the class or function of a dotted name."""
    module, _, name = dotted.rpartition(".")
    return getattr(import_module(module), name)


def about(dotted: str) -> Parts:
    """Return what an object says, with what a file of docs/fragments adds to it."""
    said = parts(inspect.getdoc(found(dotted)) or "")
    fragment = FRAGMENTS / f"{dotted}.rst"
    if not fragment.is_file():
        return said
    more = parts(fragment.read_text())
    return said._replace(formulas=[*said.formulas, *more.formulas], source=said.source or more.source)


def settings(dotted: str) -> list[Setting]:
    """Return the settings that a class adds to those of the classes it is made from."""
    kind = found(dotted)
    meanings = {
        entry.arg_name: " ".join((entry.description or "").split()) for entry in parse(kind.__doc__ or "").params
    }
    named = inspect.signature(kind.__init__).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        Setting(each.name, "" if each.default is each.empty else _written(each.default), meanings.get(each.name, ""))
        for each in named
        if each.kind in plain and each.name in meanings
    ]


def _written(default: Any) -> str:
    if inspect.isclass(default) or inspect.isfunction(default):
        return str(default.__name__)
    return "null" if default is None else str(default)
