"""Runs out of an export of W&B: the CSV of its site, or the records of its Python interface as JSON."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from disentangle_pl.errors import InputError
from disentangle_pl.flat import ROOTS, flat_name, flatten, short_name
from disentangle_pl.run_state import FINISHED, UNKNOWN
from disentangle_pl.studies.run_files import cell, is_score
from disentangle_pl.studies.run_folder import DIVERGED, Row, diverged

NAMES = ("run", "Name", "name", "display_name", "ID", "id")
STATES = ("state", "State")
SECONDS = ("seconds", "Runtime", "_runtime")
STEPS = ("steps", "trainer/global_step", "_step")
ASIDE = {
    *(*NAMES, *STATES, *SECONDS, *STEPS, "folder", "message", "epoch", "Notes", "User", "Tags", "Created", "Updated"),
    *("Sweep", "Hostname", "GPU Type", "GPU Count", "CPU Count", "Commit", "Github", "GitHub", "Git", "Description"),
    *("Group", "Job Type", "End Time", "Host", "Relative Time (Process)", "Relative Time (Wall)", "System Hardware"),
}
WORDS = {"True": True, "False": False, "None": None, "null": None, "NaN": None, "": None}
Sides = tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
LAYOUT = "give the CSV that W&B's site exports, or a JSON list of runs with name, state, config and summary"


def read_export(path: Path) -> list[Row]:
    """Read the runs of an export.

    In a CSV the settings and the metrics stand side by side: a name with a slash is a metric, and those that are not
    scores are left out. Settings are kept under their short dotted names, and as numbers, booleans or text.

    Args:
        path: A .csv, .tsv, .json or .jsonl file.

    Raises:
        InputError: If the file has another ending, or cannot be read as what its ending says.
    """
    if path.suffix not in (".csv", ".tsv", ".json", ".jsonl"):
        raise InputError(f"{path} is neither a run folder nor an export of runs: {LAYOUT}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        return [_row(*sides) for sides in (_json if path.suffix.startswith(".json") else _table)(text, path.suffix)]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be read as runs ({reason}): {LAYOUT}") from error


def _json(text: str, suffix: str) -> Iterator[Sides]:
    """Yield what is known of every run, its settings and its metrics."""
    lined = suffix == ".jsonl"
    records = [json.loads(line) for line in text.splitlines() if line.strip()] if lined else json.loads(text)
    if not isinstance(records, list):
        raise ValueError("it is no list of runs")
    for record in records:
        known = {key: value for key, value in record.items() if key not in ("config", "summary")}
        yield known, record.get("config") or {}, record.get("summary") or {}


def _table(text: str, suffix: str) -> Iterator[Sides]:
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ",", strict=True)
    for i, cells in enumerate(reader):
        if None in cells or None in cells.values():
            raise ValueError(f"row {i + 1} has not as many cells as there are columns")
        metrics = {name: value for name, value in cells.items() if "/" in name or is_score(name)}
        settings = {name: _parsed(value) for name, value in cells.items() if not (name in metrics or _aside(name))}
        yield cells, settings, metrics


def _row(known: Mapping[str, Any], settings: Mapping[str, Any], metrics: Mapping[str, Any]) -> Row:
    everything = {**metrics, **known}
    name = _first(everything, NAMES)
    if name is None:
        raise ValueError("a run has no name")
    # W&B sums a metric up as its least or largest and its last value where it was asked to
    last = {metric.removesuffix(".last"): value for metric, value in flatten(dict(metrics))}
    numbers = {
        metric: _number(value)
        for metric, value in last.items()
        if value not in (None, "") and not metric.endswith((".min", ".max"))
    }
    config = _without_short_names(
        {key: cell(value) for top, inner in settings.items() for key, value in flatten({flat_name(top): inner})}
    )
    state, message = str(_first(known, STATES) or UNKNOWN).lower(), str(known.get("message") or "")
    lost = diverged(numbers)
    if state == FINISHED and lost:
        state, message = DIVERGED, lost
    return Row(
        str(name),
        str(known.get("folder") or ""),
        state,
        message,
        _number(_first(everything, SECONDS)),
        _number(_first(everything, STEPS)),
        config,
        {metric: value for metric, value in numbers.items() if is_score(metric) and math.isfinite(value)},
    )


def _without_short_names(config: dict[str, Any]) -> dict[str, Any]:
    """Drop the second names that settings have for W&B's filters, which know no dots."""
    second = {short_name(key) for key in config if key.startswith(tuple(f"{root}." for root in ROOTS))}
    second |= {short_name("seed_everything")} if "seed_everything" in config else set()
    if "disentangle_pl" in config:  # what a run of this package does not have, and what it chose by itself
        second |= {"precision", *(key for key, value in config.items() if value == "none")}
    return {key: value for key, value in config.items() if key not in second}


def _first(known: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((known[name] for name in names if known.get(name) not in (None, "")), None)


def _aside(column: str) -> bool:
    return column in ASIDE or column.startswith("_")


def _parsed(text: str) -> Any:
    if text in WORDS:
        return WORDS[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(value: Any) -> float:
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
