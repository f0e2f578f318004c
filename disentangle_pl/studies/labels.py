"""Settings in few letters: for tables and pictures."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

_FILES = "tsv|csv|txt|json|jsonl|ya?ml|npz|npy|pt|ckpt|parquet|nii|gz|zip|h5|bed"
CLASS_PATH = re.compile(rf"(?:[A-Za-z_]\w*\.)+(?!(?:{_FILES})\b)([A-Za-z_]\w*)(?!\.?\w)")
"""A class or function with its modules, and no name of a file."""
LONGEST = 24


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Return for every dotted key its last parts, as many as tell it from the other keys."""
    wanted = list(dict.fromkeys(keys))
    names = {key: _last(key, 1) for key in wanted}
    for depth in range(2, 2 + max((key.count(".") for key in wanted), default=0)):
        times = Counter(names.values())
        names = {key: _last(key, depth) if times[name] > 1 else name for key, name in names.items()}
    return names


def short_score(metric: str) -> str:
    """Return a score without the folder it is logged in, unless that is `val` or `best`, which say something."""
    return metric.removeprefix("disentanglement/")


def short_value(value: Any, longest: int = LONGEST) -> str:
    """Return a setting as a label: the class alone of a class path, four digits of a number, the start of a list."""
    if value is None or value != value:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.4g}" if abs(value) < 1e6 else f"{value:.3g}"
    text = str(value)
    found = CLASS_PATH.fullmatch(text)
    text = found.group(1) if found else _items(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def short_factor(name: str) -> str:
    """Return the name of a factor as pictures write it: millilitres of tissue by the tissue alone."""
    return name.removeprefix("ml_").replace("_", " ")


def wrapped(name: str, longest: int = 16) -> str:
    """Break a long name at its dots, slashes and underscores."""
    lines = [""]
    for part in re.findall(r"[^._/]+[._/]?|[._/]", name):
        if lines[-1] and len(lines[-1] + part) > longest:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _last(key: str, depth: int) -> str:
    return ".".join(key.split(".")[-depth:])


def _items(text: str) -> str:
    """Show the classes alone in a JSON list or object."""
    try:
        loaded = json.loads(text)
    except ValueError:
        return text
    return CLASS_PATH.sub(r"\1", text) if isinstance(loaded, list | dict) else text
