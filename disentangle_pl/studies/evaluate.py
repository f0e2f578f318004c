"""`disentangle-pl evaluate`: the score sheet of any checkpoint, or of codes from any other program."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from disentangle_pl.callbacks import score_table
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.metrics.mig import mig_per_factor
from disentangle_pl.metrics.references import full_sheet
from disentangle_pl.metrics.score import train_test
from disentangle_pl.metrics.sheet import ALL, QUICK, Line
from disentangle_pl.metrics.udr import udr_lasso
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.codes import CodeTable, encode, load_codes, save_codes
from disentangle_pl.studies.through_decoder import decoder_scores


def evaluate_codes(
    table: CodeTable,
    folder: Path,
    *,
    more: Mapping[str, float] | None = None,
    quick: bool = False,
    references: bool = True,
) -> list[Line]:
    """Score a table of codes, print the sheet, and write `scores.json` and `scores.tsv`.

    Args:
        table: The codes.
        folder: Where to write.
        more: Scores that have no floor or ceiling, by name.
        quick: Only the scores that take a second.
        references: Add the floor, a rotation and the ceiling of every score.

    Raises:
        InputError: If the codes or the factors cannot be scored at all.
    """
    lines, scored = full_sheet(
        table.codes,
        table.factors,
        QUICK if quick else ALL,
        test=table.test,
        ends=references,
        folder=score_table.references_folder(),
        watch=score_table.bar,
    )
    nothing = float("nan")
    lines += [Line(name, value, nothing, nothing, nothing) for name, value in (more or {}).items()]
    train = train_test(table.codes, table.factors, table.test)[0]
    gaps = [] if "mig" in scored.refused else mig_per_factor(*train).tolist()
    per_factor = {name: gap for name, gap in zip(table.names, gaps, strict=False) if np.isfinite(gap)}
    held_out = len(table.test[0]) if table.test else len(table.codes) - len(train[0])
    score_table.write(
        folder,
        lines,
        mig_per_factor=per_factor,
        seconds=scored.seconds,
        left_out=scored.refused,
        rows=len(train[0]),
        test_rows=held_out,
    )
    score_table.show(lines, scored.refused, folder.name)
    Console().print(f"scores.json and scores.tsv are in {folder}", soft_wrap=True)
    return lines


def evaluate_models(
    checkpoints: Sequence[Path], data: ImageData, out: Path, *, quick: bool = False, references: bool = True
) -> None:
    """Score checkpoints on the same images; with several add means, intervals and the unsupervised ranking UDR.

    Args:
        checkpoints: Checkpoints of this package.
        data: Data with known factors.
        out: A folder for each model is made below it.
        quick: Only the scores that take a second.
        references: Add the floor, a rotation and the ceiling of every score.

    Raises:
        InputError: If a checkpoint cannot be read, or does not fit the data.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sheets: dict[str, dict[str, float]] = {}
    tables: list[CodeTable] = []
    for checkpoint, name in zip(checkpoints, run_names(checkpoints), strict=True):
        model = load_model(checkpoint).to(device)
        table = encode(model, data, f"encoding {name}")
        save_codes(out / name / "codes.npz", table)
        more = {} if quick else decoder_scores(model, table)
        lines = evaluate_codes(table, out / name, more=more, quick=quick, references=references)
        sheets[name] = {line.name: line.value for line in lines}
        tables.append(table)
    if len(tables) > 1:
        ranks = udr_lasso([table.codes for table in tables], [table.kl for table in tables if table.kl is not None])
        for values, rank in zip(sheets.values(), ranks.scores, strict=True):
            values["udr"] = float(rank)
        _summarise(sheets, out)


def run_names(checkpoints: Sequence[Path]) -> list[str]:
    """Name checkpoints after their run folders, or after their files where that does not tell them apart.

    Raises:
        InputError: If no checkpoint is given, or one is given twice.
    """
    if not checkpoints or len(set(checkpoints)) < len(checkpoints):
        raise InputError("give evaluate a checkpoint, none twice, such as runs/NAME/checkpoints/last.ckpt, or --codes")
    folders = [path.absolute().parent for path in checkpoints]
    names = [(path.parent if path.name == "checkpoints" else path).name for path in folders]
    if len(set(names)) == len(names):
        return names
    named = [f"{name}-{path.stem}" for name, path in zip(names, checkpoints, strict=True)]
    return named if len(set(named)) == len(named) else [f"{i}-{name}" for i, name in enumerate(named)]


def _summarise(sheets: dict[str, dict[str, float]], out: Path) -> None:
    """Print and write means and intervals over the models, and the scores of each."""
    names = [name for name in next(iter(sheets.values())) if all(name in values for values in sheets.values())]
    table = Table("score", title=f"{len(sheets)} models, mean and 95 % interval")
    for header in ("mean", "low", "high"):
        table.add_column(header, justify="right")
    rows = []
    for name in names:
        values = [scores[name] for scores in sheets.values()]
        interval = mean_interval(values)
        table.add_row(name, *(f"{number:.3f}" for number in interval))
        rows.append([name, *interval, *values])
    with (out / "models.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["score", "mean", "low", "high", *sheets], *rows])
    Console().print(table)
    Console().print(f"the scores of every model are in {out / 'models.tsv'}", soft_wrap=True)


def evaluate_file(path: Path, out: Path, *, quick: bool = False, references: bool = True) -> None:
    """Score the codes of a file; see `codes.load_codes`."""
    evaluate_codes(load_codes(path), out / path.stem, quick=quick, references=references)
