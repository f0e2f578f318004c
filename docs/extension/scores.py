"""A page for every score: formula, source, and what noise, a rotation and a perfect code were measured to give."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from docs.extension.docstrings import escaped, parts
from docs.extension.modules import PACKAGE, summary
from docs.extension.objects import about
from docs.extension.rst import code, described, leaf, table, title
from docs.extension.sheet import Sheet, read

CALIBRATION = Path(__file__).parents[1] / "calibration.md"
CONDITIONS = (
    "Measured on codes of 10 latents, 10,000 rows to fit and 5,000 to test, for the factors of three data sets; "
    ":doc:`all scores and how they were measured </calibration>`. *Lost* is the share of the scale that a rotation "
    "costs: a score that loses little does not see rotations and must not be quoted alone."
)


def with_formula(module: str) -> list[str]:
    """Return the public classes and functions of a module of scores that state a formula."""
    tree = ast.parse(_path(module).read_text())
    public = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"]
    return [f"{module}.{node.name}" for node in public if parts(ast.get_docstring(node) or "").formulas]


def modules(sheet: Sheet) -> list[str]:
    """Return the modules that have a page: those of the sheet, and those that state a formula."""
    every = [f"disentangle_pl.metrics.{path.stem}" for path in sorted((PACKAGE / "metrics").glob("*.py"))]
    named = {*sheet.scores.values(), *sheet.more.values()}
    return [name for name in every if name in named or with_formula(name)]


def measured() -> dict[str, list[tuple[str, ...]]]:
    """Return the rows of the calibration by score: data set, noise, rotated, perfect, lost."""
    found: dict[str, list[tuple[str, ...]]] = {}
    data = ""
    for line in CALIBRATION.read_text().splitlines():
        if line.startswith("## "):
            data = line[3:].partition(":")[0]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if data and re.fullmatch(r"\w+", cells[0]) and cells[0] != "score" and len(cells) == 5:
            found.setdefault(cells[0], []).append((data, *cells[1:]))
    return found


def page(module: str, sheet: Sheet) -> str:
    """Return the page of a module of scores."""
    path, short = _path(module), module.partition(".")[2]
    name, _, asks = summary(path).rstrip(".").partition(":")
    pieces = [leaf(name, "Scores", "metrics"), f"{escaped(asks[1:2].upper() + asks[2:])}\n"]
    for dotted in with_formula(module):
        pieces += [title(dotted.rpartition(".")[2], "-"), *described(about(dotted))]
    pieces += _scale([score for score, made in sheet.scores.items() if made == module])
    pieces += _use([entry for entry, made in sheet.entries.items() if made == module], sheet)
    pieces += _ask([entry for entry, made in sheet.more.items() if made == module])
    return "\n".join(
        [
            *pieces,
            f"Arguments, what is refused, and what it does with missing values: "
            f":doc:`{short} </generated/api/{short}>`.\n",
        ]
    )


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of the pages of all scores, and of the page that lists them."""
    sheet = read()
    names = {module: module.rpartition(".")[2] for module in modules(sheet)}
    for module, name in names.items():
        yield f"metrics/{name}", page(module, sheet)
    rows = []
    for module, name in names.items():
        scores = [f"``{score}``" for score, made in sheet.scores.items() if made == module]
        scores += [f"``--scores={entry}``" for entry, made in sheet.more.items() if made == module]
        rows.append((f":doc:`{name} <metrics/{name}>`", escaped(summary(_path(module))), ", ".join(scores)))
    words = (
        "``disentangle-pl evaluate`` prints those with a name in the last column, some of them only where ``--scores`` "
        "names them; other verbs use the others.\n"
    )
    listed = table(("page", "what it asks", "in the sheet as"), rows)
    yield "metrics", "\n".join([title("Scores"), words, listed])


def _path(module: str) -> Path:
    return PACKAGE.parent / Path(*module.split(".")).with_suffix(".py")


def _scale(scores: list[str]) -> list[str]:
    known = measured()
    rows = [(f"``{score}``", *row) for score in scores for row in known.get(score, [])]
    if not rows:
        return []
    header = ("score", "factors of", "noise: the floor", "rotated: mean [range]", "perfect: the ceiling", "lost")
    return [title("Floor and ceiling", "-"), f"{CONDITIONS}\n", table(header, rows)]


def _use(entries: list[str], sheet: Sheet) -> list[str]:
    if not entries:
        return []
    lines = ["disentangle-pl evaluate --codes codes.npz"]
    lines += ["disentangle-pl evaluate --codes codes.npz --quick=true"] if set(entries) & sheet.quick else []
    lines += [f"disentangle-pl fit --config configs/sprites_ada_gvae.yaml --disentanglement.only=[{','.join(entries)}]"]
    yaml = f"disentanglement:\n  only: [{', '.join(entries)}]"
    return [title("Use it", "-"), code("\n".join(lines), "bash"), code(yaml, "yaml")]


def _ask(entries: list[str]) -> list[str]:
    if not entries:
        return []
    line = f"disentangle-pl evaluate --codes codes.npz --scores {' '.join(entries)}"
    return [title("Use it", "-"), code(line, "bash")]
