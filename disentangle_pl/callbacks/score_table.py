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

from disentangle_pl.console import print_table, wide_console
from disentangle_pl.folders import user_cache
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.references import DRAWS
from disentangle_pl.metrics.sheet import ABOUT, APPROXIMATE, Entry, Line

HIGH = "*"
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
    scores = {name: dict(zip(keys, map(_finite, numbers), strict=True)) for name, *numbers in lines}
    more = {"high_chance": [line.name for line in lines if line.high_chance]} | more
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


def show(
    lines: Sequence[Line],
    refused: Mapping[str, str],
    title: str = "Disentanglement",
    intervals: Mapping[str, Interval] | None = None,
) -> None:
    """Print the sheet, and under it what could not be scored and why.

    Args:
        lines: The sheet.
        refused: Why entries were left out, by name.
        title: Above the table.
        intervals: Of values over rows, by name.
    """
    remarks = []
    if any(np.isfinite([line.floor, line.rotated, line.ceiling]).any() for line in lines):
        remarks.append(
            f"floor: noise codes; rotated, ceiling: perfect codes, with and without rotation; range of {DRAWS} draws"
        )
        if any(line.name in APPROXIMATE for line in lines):
            remarks.append(ABOUT)
    if intervals:
        remarks.append("value: 95 % interval over rows, or over groups, by the jackknife of ten blocks")
    if any(line.high_chance for line in lines):
        remarks.append(f"{HIGH} chance is high: read the value against its floor")
    table = Table(title=title, caption="\n".join(remarks) or None)
    table.add_column("score")
    for header in ("value", "floor", "rotated", "ceiling"):
        table.add_column(header, justify="right")
    for line in lines:
        floor = _with_range(line.floor, line.floor_low, line.floor_high)
        rotated = _with_range(line.rotated, line.rotated_low, line.rotated_high)
        name = f"{line.name} {HIGH}" if line.high_chance else line.name
        interval = (intervals or {}).get(line.name, Interval(line.value, line.value, line.value))
        table.add_row(name, _with_range(*interval), floor, rotated, _number(line.ceiling))
    console = wide_console()
    print_table(table)
    for name, reason in refused.items():
        console.print(f"{name} was left out: {reason}", soft_wrap=True, markup=False)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _with_range(mean: float, low: float, high: float) -> str:
    """Write a mean, and the range of the draws where they differ in what is shown."""
    ends = _number(low), _number(high)
    return _number(mean) if ends[0] == ends[1] else f"{_number(mean)} [{ends[0]}, {ends[1]}]"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
