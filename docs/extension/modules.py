"""A page for every public module of the package, with all that it says of itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import disentangle_pl
from docs.extension.docstrings import escaped
from docs.extension.rst import leaf, title

PACKAGE = Path(disentangle_pl.__file__).parent


def modules() -> dict[str, Path]:
    """Return all modules by their dotted names, packages left out."""
    files = sorted(path for path in PACKAGE.rglob("*.py") if path.stem not in ("__init__", "__main__"))
    return {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in files}


def summary(path: Path) -> str:
    """Return the first line of the docstring of a module."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of the page of every module, and of the page that lists them."""
    every = modules()
    for name in every:
        short = name.partition(".")[2]
        directive = f".. automodule:: {name}\n   :members:\n   :show-inheritance:\n"
        yield f"api/{short}", "\n".join([leaf(short, "Every module", "modules"), directive])
    lines = [title("Every module")]
    package = ""
    for name, path in sorted(every.items(), key=lambda item: (item[0].rpartition(".")[0], item[0])):
        if name.rpartition(".")[0] != package:
            package = name.rpartition(".")[0]
            lines.append("\n" + title(package, "-"))
        short = name.partition(".")[2]
        lines.append(f"- :doc:`{short} <api/{short}>`: {escaped(summary(path))}")
    yield "modules", "\n".join([*lines, ""])
