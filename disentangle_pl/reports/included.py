"""What other verbs have left in a folder: their pictures, tables and findings as a section."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from disentangle_pl.errors import InputError
from disentangle_pl.reports.blocks import Cell, Fold, Picture, Section, Table
from disentangle_pl.reports.images import SUFFIXES, embed
from disentangle_pl.reports.run_details import DRAWN
from disentangle_pl.reports.run_sections import NO_IMAGES

KINDS = {  # a file that only this verb writes
    "variance.tsv": "Directions of variance",
    "correlations.tsv": "What latents mean",
    "traverse.png": "Traversals",
    "counterfactual.png": "Counterfactual",
    "soundness.json": "Soundness of counterfactuals",
    "phenotypes.tsv": "Genome-wide associations",
    "reliability.png": "Prediction of scores",
    "models.tsv": "Scores of several models",
    "udr.tsv": "Ranking of runs",
}
SKIPPED = {"checkpoints", "wandb", "lightning_logs", *DRAWN}
PICTURES, TABLES, ROWS, COLUMNS, TEXT, DEEPEST = 12, 10, 20, 14, 20_000, 3


def panels_of_run(folder: Path) -> list[Path]:
    """Return the folders in a run folder that verbs have written to."""
    return [
        place
        for place in sorted(folder.iterdir())
        if place.is_dir() and place.name[0] != "." and place.name not in SKIPPED and _found(place)
    ]


def included_section(folder: Path, number: int, images: bool) -> Section:
    """Show what lies in a folder: text, pictures, the beginnings of tables.

    Args:
        folder: What a verb has written to.
        number: Of the section; anchors must differ.
        images: Whether pictures may be shown.

    Raises:
        InputError: If there is no such folder, or nothing in it that can be shown.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder} to include: give one that a verb has written to")
    files = _found(folder)
    if not files:
        raise InputError(f"{folder} holds no picture, table or findings.md: give a folder that a verb has written to")
    names = {path.name for path in files}
    kind = next((title for mark, title in KINDS.items() if mark in names), "Further results")
    title = kind if kind.lower() == folder.name.lower() else f"{kind}: {folder.absolute().name}"
    words: list[str] = []
    drawn = [path for path in files if path.suffix.lower() in SUFFIXES]
    tables = [table for path in files if path.suffix in (".tsv", ".csv") for table in _table(path, folder)]
    if len(drawn) > PICTURES or len(tables) > TABLES:
        words.append(f"{len(drawn)} pictures and {len(tables)} tables lie in the folder; the first are shown.")
    if drawn and not images:
        words.append(NO_IMAGES)
    pictures = [_picture(path, folder) for path in drawn[:PICTURES]] if images else []
    folds = [fold for path in files if path.suffix == ".md" for fold in _findings(path, folder)]
    folds += [fold for path in files if path.suffix == ".json" for fold in _facts(path, folder)]
    folds += [Fold(table.caption, tables=[table._replace(caption="")]) for table in tables[:TABLES]]
    return Section(f"included-{number}", title, words, pictures, folds=folds)


def _found(folder: Path) -> list[Path]:
    wanted = (*SUFFIXES, ".tsv", ".csv", ".md", ".json")
    found = (path for depth in range(DEEPEST) for path in folder.glob("*/" * depth + "*"))
    return sorted(
        (path for path in found if path.is_file() and path.suffix.lower() in wanted),
        key=lambda path: (len(path.parts), path),
    )


def _picture(path: Path, folder: Path) -> Picture:
    name = str(path.relative_to(folder))
    return embed(path, name, f"the picture {name}", wide=True)


def _table(path: Path, folder: Path) -> Iterator[Table]:
    mark = "\t" if path.suffix == ".tsv" else ","
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            head, *rows = csv.reader((line.replace("\0", "") for line in file), delimiter=mark)
    except (OSError, ValueError, csv.Error):
        return
    name = path.relative_to(folder)
    beginning = f", the first {ROWS}" if len(rows) > ROWS else ""
    more = f" and {len(head) - COLUMNS} more columns" if len(head) > COLUMNS else ""
    shown = [[_cell(text) for text in row[:COLUMNS]] for row in rows[:ROWS] if row]
    yield Table(head[:COLUMNS], shown, f"{name}: {len(rows)} rows{beginning}{more}")


def _cell(text: str) -> Cell:
    try:
        number = float(text)
    except ValueError:
        return Cell(text)
    return Cell(f"{number:.4g}" if "." in text or "e" in text else text, number, "n")


def _findings(path: Path, folder: Path) -> Iterator[Fold]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:TEXT]
    except OSError:
        return
    lines = [line.strip().lstrip("#-* ").replace("**", "").replace("`", "") for line in text.splitlines()]
    plain = [line for line in lines if line and not line.startswith("|") and not line.startswith("![")]
    if plain:
        yield Fold(f"In words: {path.relative_to(folder)}", words=plain)


def _facts(path: Path, folder: Path) -> Iterator[Fold]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8", errors="replace")[:TEXT])
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(loaded, dict) and loaded:
        rows = [
            [Cell(str(key)), Cell(value if isinstance(value, str) else json.dumps(value))]
            for key, value in loaded.items()
        ]
        yield Fold(str(path.relative_to(folder)), tables=[Table(("what", "value"), rows)])
