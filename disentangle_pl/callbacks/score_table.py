"""The score sheet for people and for programs: a table in the terminal, TSV and JSON in a folder."""

import csv
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from disentangle_pl.folders import user_cache
from disentangle_pl.metrics.sheet import Entry, Line

VERSIONS = ("disentangle_pl", "numpy", "scikit-learn", "torch")


def references_folder() -> Path:
    """Return where the scores of noise, rotated and perfect codes are remembered."""
    return user_cache() / "references"


def bar(entries: Sequence[tuple[str, Entry]], words: str) -> Iterable[tuple[str, Entry]]:
    """Show how far a sheet is, and leave the screen as it was."""
    # A console of its own: the progress bar of the training may already be on the screen.
    return track(entries, words, console=Console(), transient=True)


def write(folder: Path, lines: Sequence[Line], **more: Any) -> None:
    """Write `scores.tsv` and `scores.json`.

    Args:
        folder: Where to; made if it is not there.
        lines: The sheet.
        **more: What else `scores.json` shall hold, such as seconds and reasons; versions of the software are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([Line._fields, *lines])
    keys = Line._fields[1:]
    scores = {name: dict(zip(keys, map(_known, numbers), strict=True)) for name, *numbers in lines}
    software = {name: version(name) for name in VERSIONS} | {"python": platform.python_version()}
    text = json.dumps({"scores": scores, **more, "versions": software}, indent=1)
    (folder / "scores.json").write_text(text + "\n")


def write_latents(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write a table with a row a latent, `z0` first.

    Args:
        path: The TSV; its folder is made if it is not there.
        columns: (d,) numbers by their names.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = zip(*columns.values(), strict=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["latent", *columns])
        writer.writerows([f"z{i}", *(f"{value:.6g}" for value in row)] for i, row in enumerate(rows))


def show(lines: Sequence[Line], refused: Mapping[str, str], title: str = "Disentanglement") -> None:
    """Print the sheet, and under it what could not be scored and why."""
    table = Table(title=title, caption="floor: noise codes; rotated, ceiling: perfect codes, with and without rotation")
    table.add_column("score", no_wrap=True)
    for header in ("value", "floor", "rotated", "ceiling"):
        table.add_column(header, justify="right")
    for name, *values in lines:
        table.add_row(name, *("-" if np.isnan(value) else f"{value:.3f}" for value in values))
    console = Console()
    console.print(table)
    for name, reason in refused.items():
        console.print(f"{name} was left out: {reason}", soft_wrap=True, markup=False)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
