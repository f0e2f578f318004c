"""The files of a run folder, read with care: each may be missing, cut or not what its name says."""

import csv
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from disentangle_pl.flat import flatten
from disentangle_pl.yaml_text import load_yaml

SCORES = ("disentanglement/", "layers/", "sharing/", "sparsity/", "val/")
BEST, UDR = "best/", "udr"
LOSSES = ("train/loss", "val/loss")
SHEET = "disentanglement/"
COLUMNS = ("value", "floor", "rotated", "ceiling")


class Broken(Exception):
    """A file of a run folder that cannot be used; the message says which and why."""


def is_score(column: str) -> bool:
    """Tell the scores of a table from its settings, by their names."""
    return column.startswith((*SCORES, BEST)) or column == UDR


def cell(value: Any) -> Any:
    """Return a setting as one cell: numbers, text, booleans and None as they are, anything else as JSON."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return json.dumps(value, default=str)


def read_config(path: Path, needed: bool) -> dict[str, Any]:
    """Return the settings under their flat dotted names.

    Args:
        path: The config.yaml.
        needed: Whether a run without one is broken; a run that has not ended well may never have written it.

    Raises:
        Broken: If it cannot be read, or holds nothing.
    """
    if not path.exists():
        if needed:
            raise Broken("there is no config.yaml")
        return {}
    try:
        loaded = load_yaml(path.read_bytes())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise Broken(f"config.yaml cannot be read ({_first_line(error)})") from error
    if not isinstance(loaded, dict) or not loaded:
        raise Broken("config.yaml holds no settings")
    return {key: cell(value) for key, value in flatten(loaded)}


def read_numbers(path: Path, ended: bool, best: Mapping[str, bool]) -> tuple[dict[str, float], float]:
    """Return the last value of every metric, the best ones asked for, and the last step.

    Args:
        path: The metrics.csv; without one there are no numbers, and the step is NaN.
        ended: Whether a line that is cut short is a fault: a run at work or killed may leave half a line behind.
        best: Metrics whose best value is wanted, as `best/<metric>`: is more better?

    Raises:
        Broken: If the end of the table that is needed cannot be read.
    """
    if not path.exists():
        return {}, math.nan
    try:
        text = path.read_bytes().decode()
        header, lines = _lines(text, ended)
        if "step" not in header and header:
            raise Broken("metrics.csv has no column step")
        wanted = [name for name in header if name.startswith(SCORES) or name in LOSSES]
        numbers = _last(header, lines, [*wanted, "step"])
        steps = numbers.pop("step", math.nan)
        return numbers | _best(header, lines, best), steps
    except (OSError, ValueError, csv.Error) as error:
        raise Broken(f"metrics.csv cannot be read ({_first_line(error)})") from error


def _lines(text: str, ended: bool) -> tuple[list[str], list[str]]:
    lines = text.splitlines()
    if not text.endswith("\n"):
        if ended:
            raise Broken("metrics.csv is cut short" if text else "metrics.csv is empty")
        lines = lines[:-1]
    return (next(csv.reader(lines[:1])) if lines else []), lines[1:]


def _last(header: list[str], lines: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Look the last values up from the end, as far as need be: tables of long runs are long."""
    missing = {header.index(name): name for name in wanted if name in header}
    found: dict[str, float] = {}
    for line in reversed(lines):
        if not missing:
            break
        fields = _fields(header, line)
        filled = [i for i in missing if fields[i]]
        found |= {missing.pop(i): float(fields[i]) for i in filled}
    return {name: found[name] for name in wanted if name in found}


def _best(header: list[str], lines: Sequence[str], best: Mapping[str, bool]) -> dict[str, float]:
    found = {}
    for name in [name for name in best if name in header]:
        i = header.index(name)
        values = [float(text) for text in (_fields(header, line)[i] for line in lines) if text]
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            found[f"{BEST}{name}"] = max(finite) if best[name] else min(finite)
    return found


def _fields(header: list[str], line: str) -> list[str]:
    fields = line.split(",")
    if len(fields) != len(header):
        raise Broken(f"metrics.csv has a row of {len(fields)} cells under {len(header)} columns")
    return fields


def read_sheet(folder: Path) -> dict[str, float]:
    """Return the final scores and their mean floors, rotations and ceilings: scores.json, or scores.tsv of older runs.

    Raises:
        Broken: If the file is there and cannot be read.
    """
    path = next((folder / name for name in ("scores.json", "scores.tsv") if (folder / name).exists()), None)
    if path is None:
        return {}
    try:
        lines = _json_sheet(path) if path.suffix == ".json" else _tsv_sheet(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Broken(f"{path.name} cannot be read ({_first_line(error)})") from error
    return {
        f"{SHEET}{name}{_end(end)}": value
        for name, ends in lines.items()
        for end, value in ends.items()
        if end in COLUMNS and math.isfinite(value)
    }


def _json_sheet(path: Path) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float | None]] = json.loads(path.read_text())["scores"]
    return {
        name: {end: float(value) for end, value in ends.items() if value is not None} for name, ends in scores.items()
    }


def _tsv_sheet(path: Path) -> dict[str, dict[str, float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row.pop("name"): {end: float(value) for end, value in row.items()} for row in rows}


def _end(column: str) -> str:
    return "" if column == "value" else f"_{column}"


def check_weights(path: Path) -> None:
    """Look for the end of a checkpoint, without reading it all; none at all is fine.

    Raises:
        Broken: If it has no end.
    """
    if path.exists() and not zipfile.is_zipfile(path):
        raise Broken("checkpoints/last.ckpt is cut short, or is no checkpoint")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
