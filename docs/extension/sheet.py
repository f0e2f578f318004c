"""Which module makes which score of the sheet, read off the source of the sheet."""

import ast
from pathlib import Path
from typing import NamedTuple

from disentangle_pl.metrics import sheet

INPUTS = ("disentangle_pl.metrics.score", "disentangle_pl.metrics.chance")


class Sheet(NamedTuple):
    """The scores of the sheet.

    Attributes:
        scores: The module of every score.
        entries: The module of every entry, the name by which a score is asked for.
        quick: The entries that take a second.
        more: The module of every entry that is computed only where it is named.
    """

    scores: dict[str, str]
    entries: dict[str, str]
    quick: set[str]
    more: dict[str, str]


def read() -> Sheet:
    """Read the source."""
    tree = ast.parse(Path(sheet.__file__).read_text())
    modules = _imports(tree)
    made = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] == "_"}
    scores, entries, more = {}, {}, {}
    for key, value in _entries(tree):
        if key in sheet.MORE:
            more[key] = sheet.MORE[key].score.__module__
            continue
        names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
        entries[key] = next(modules[name] for name in names if name in modules)
        for score in _scores(next((made[name] for name in names if name in made), value)):
            scores[score] = entries[key]
    return Sheet(scores, entries, set(sheet.QUICK), more)


def _imports(tree: ast.Module) -> dict[str, str]:
    return {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module not in INPUTS
        for alias in node.names
        if node.module.startswith("disentangle_pl.metrics.")
    }


def _entries(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    dicts = [
        inner
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Dict)
    ]
    pairs = [pair for each in dicts for pair in zip(each.keys, each.values, strict=True)]
    return [(str(key.value), value) for key, value in pairs if isinstance(key, ast.Constant)]


def _scores(body: ast.AST) -> list[str]:
    if isinstance(body, ast.Call):
        return [str(arg.value) for arg in body.args if isinstance(arg, ast.Constant)]
    dicts = [node for node in ast.walk(body) if isinstance(node, ast.Dict)]
    return [str(key.value) for each in dicts for key in each.keys if isinstance(key, ast.Constant)]
