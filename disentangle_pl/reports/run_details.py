"""Everything a report says of one run, read from its folder in whatever condition that is found."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from disentangle_pl.callbacks.disentanglement import INFORMATION
from disentangle_pl.callbacks.traversals import LATENTS
from disentangle_pl.metrics.sheet import Line
from disentangle_pl.reports.curves import History, read_history
from disentangle_pl.studies.run_files import SHEET, Broken, read_sheet
from disentangle_pl.studies.run_folder import Row, read_run
from disentangle_pl.yaml_text import load_yaml

ENDS = ("floor", "rotated", "ceiling")
RANGES = ("floor_low", "floor_high", "rotated_low", "rotated_high")
DRAWN = ("traversals", "reconstructions", "sparsity", "layers")


class LatentTable(NamedTuple):
    """Numbers of latents.

    Attributes:
        columns: Their names.
        rows: One a latent, by the name of the latent.
    """

    columns: Sequence[str]
    rows: Mapping[str, Sequence[float]]


class Details(NamedTuple):
    """One run.

    Attributes:
        row: Name, folder, state and last scores.
        config: The configuration as it was loaded; empty if it could not be.
        history: What was logged.
        sheet: The final scores.
        left_out: Why an entry of the score sheet is missing, by its name.
        kinds: What every factor is, such as "3 classes", by its name.
        versions: Of the software, by name.
        latents: KL in nats and spread of every latent, or None.
        information: Shares of factors that latents know, or None.
        pictures: Files by kind, oldest first.
    """

    row: Row
    config: dict[str, Any]
    history: History
    sheet: list[Line]
    left_out: dict[str, str]
    kinds: dict[str, str]
    versions: dict[str, str]
    latents: LatentTable | None
    information: LatentTable | None
    pictures: dict[str, list[Path]]


def read_details(folder: Path) -> Details:
    """Read a run; what is broken in it is said in its row and stops nothing."""
    more = _json(folder / "scores.json")
    return Details(
        row=read_run(folder, {}),
        config=_config(folder / "config.yaml"),
        history=read_history(folder / "metrics.csv"),
        sheet=_sheet(folder, more.get("scores")),
        left_out=_texts(more.get("left_out")),
        kinds=_texts(more.get("kinds")),
        versions=_versions(folder, _texts(more.get("versions"))),
        latents=read_latents(folder / LATENTS),
        information=read_latents(folder / INFORMATION),
        pictures={kind: sorted((folder / kind).glob("*.png")) for kind in DRAWN},
    )


def read_latents(path: Path) -> LatentTable | None:
    """Read a table with a row a latent; None if there is none that can be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = csv.reader(file, delimiter="\t")
        found = {row[0]: [float(text) for text in row[1:]] for row in rows if len(row) == len(head)}
    except (OSError, ValueError, csv.Error):
        return None
    finite = all(math.isfinite(value) for row in found.values() for value in row)
    return LatentTable(head[1:], found) if found and finite else None


def _sheet(folder: Path, scores: Any) -> list[Line]:
    try:
        flat = read_sheet(folder)
    except Broken:
        return []
    names = [name for name in flat if not name.endswith(tuple(f"_{end}" for end in ENDS))]
    ends = [[flat.get(f"{name}_{end}", math.nan) for end in ENDS] for name in names]
    lines = [Line(name.removeprefix(SHEET), flat[name], *numbers) for name, numbers in zip(names, ends, strict=True)]
    return [Line(*line[:5], *_ranges(scores, line.name)) for line in lines]


def _ranges(scores: Any, name: str) -> list[float]:
    """Return the ranges of the draws of a score; NaN where a run has not stored them."""
    stored = scores.get(name) if isinstance(scores, dict) else None
    ends = [stored.get(end) for end in RANGES] if isinstance(stored, dict) else [None] * len(RANGES)
    return [float(end) if isinstance(end, int | float) else math.nan for end in ends]


def _config(path: Path) -> dict[str, Any]:
    try:
        loaded = load_yaml(path.read_bytes())
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return {str(key): value for key, value in loaded.items()} if isinstance(loaded, dict) else {}


def _versions(folder: Path, known: dict[str, str]) -> dict[str, str]:
    """Add the version of Lightning that the first line of a config.yaml holds, and the host of the state."""
    found = dict(known)
    try:
        with (folder / "config.yaml").open(encoding="utf-8", errors="replace") as file:
            first = file.readline()
    except OSError:
        first = ""
    name, equal, version = first.removeprefix("# ").strip().partition("==")
    if first.startswith("# ") and equal:
        found[name] = version
    host = _json(folder / "state.json").get("host")
    return found | ({"machine": str(host)} if host else {})


def _json(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _texts(found: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
