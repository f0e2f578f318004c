"""`disentangle-pl evaluate`: the score sheet of any checkpoint, or of codes from any other program."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from disentangle_pl.brain.longitudinal import LongitudinalData
from disentangle_pl.callbacks import score_table
from disentangle_pl.console import print_table, wide_console
from disentangle_pl.data.module import ImageData
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval, mean_interval
from disentangle_pl.metrics.jackknife import blocks_left_out, jackknife_intervals
from disentangle_pl.metrics.mig import mig_per_factor
from disentangle_pl.metrics.references import full_sheet
from disentangle_pl.metrics.score import train_test
from disentangle_pl.metrics.sheet import ALL, QUICK, Entry, Line, cautions, chosen, score_codes, with_even_bins
from disentangle_pl.metrics.udr import udr_lasso
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.codes import CodeTable, encode, load_codes, save_codes
from disentangle_pl.studies.exposure import exposure_to, print_cautions
from disentangle_pl.studies.through_decoder import decoder_scores


class Choice(NamedTuple):
    """What to compute of a table of codes.

    Attributes:
        quick: Only the scores that take a second.
        scores: Entries of the sheet, such as mig and dci; all if empty.
        references: Add floor, rotations and ceiling of every score.
        standardise: Divide all codes by the standard deviation of the widest latent.
        even_bins: Cut latents into bins of equally many rows, not of equal width.
        intervals: Add an interval over rows, or over groups where they are known, which takes ten times as long.
    """

    quick: bool = False
    scores: Sequence[str] = ()
    references: bool = True
    standardise: bool = False
    even_bins: bool = False
    intervals: bool = False

    def entries(self) -> dict[str, Entry]:
        """Return the entries of the sheet.

        Raises:
            InputError: If it has no such entry.
        """
        entries = chosen(self.scores) if self.scores else QUICK if self.quick else ALL
        return with_even_bins(entries) if self.even_bins else entries


EVERYTHING = Choice()


def evaluate_codes(
    table: CodeTable, folder: Path, *, more: Mapping[str, float] | None = None, choice: Choice = EVERYTHING
) -> list[Line]:
    """Score a table of codes, print the sheet, and write `scores.json` and `scores.tsv`.

    Args:
        table: The codes.
        folder: Where to write.
        more: Scores that have no floor or ceiling, by name.
        choice: What to compute.

    Raises:
        InputError: If the codes or the factors cannot be scored at all.
    """
    table = _in_units(table) if choice.standardise else table
    entries = choice.entries()
    lines, scored = full_sheet(
        table.codes,
        table.factors,
        entries,
        test=table.test,
        ends=choice.references,
        folder=score_table.references_folder(),
        watch=score_table.bar,
    )
    lines += [Line(name, value) for name, value in (more or {}).items()]
    train, held_out = train_test(table.codes, table.factors, table.test)
    gaps = mig_per_factor(*train).tolist() if "mig" in entries and "mig" not in scored.refused else []
    per_factor = {name: gap for name, gap in zip(table.names, gaps, strict=False) if np.isfinite(gap)}
    kinds = dict(zip(table.names, table.factors.kinds(), strict=True))
    intervals = _intervals(table, entries, scored.values) if choice.intervals else {}
    remarks = [*cautions(table.codes), *identifiers(table)]
    groups = table.factors.groups
    score_table.write(
        folder,
        lines,
        mig_per_factor=per_factor,
        kinds=kinds,
        intervals={name: each[1:] for name, each in intervals.items()},
        cautions=remarks,
        seconds=scored.seconds,
        left_out=scored.refused,
        rows=len(train[0]),
        test_rows=len(held_out[0]),
        people=None if groups is None else len(np.unique(groups)),
    )
    score_table.show(lines, scored.refused, folder.name, intervals)
    console = wide_console()
    console.print("factors: " + "; ".join(f"{name}: {kind}" for name, kind in kinds.items()), soft_wrap=True)
    for remark in remarks:
        console.print(f"caution: {remark}", soft_wrap=True, markup=False)
    console.print(f"scores.json and scores.tsv are in {folder}", soft_wrap=True)
    return lines


def identifiers(table: CodeTable) -> list[str]:
    """Say which factors are classes of a row or hardly more each, as names and numbers of rows are."""
    remarks = []
    for name, column, classes in zip(table.names, table.factors.values.T, table.factors.discrete, strict=True):
        present = column[~np.isnan(column)]
        number = len(np.unique(present))
        if classes and number > 0.9 * len(present):
            remarks.append(
                f"factor {name} has {number} classes in {len(present)} rows, as a name or number of rows has: choose "
                "the factors by --factors"
            )
    return remarks


def _in_units(table: CodeTable) -> CodeTable:
    spread = float(table.codes.std(axis=0, dtype=np.float64).max()) or 1.0
    test = table.test and (table.test[0] / spread, table.test[1])
    return table._replace(codes=table.codes / spread, test=test)


def _intervals(table: CodeTable, entries: Mapping[str, Entry], values: Mapping[str, float]) -> dict[str, Interval]:
    def measure(rows: NDArray[np.bool_]) -> Mapping[str, float]:
        return score_codes(table.codes[rows], table.factors[rows], entries.items(), test=table.test).values

    stays = track(
        blocks_left_out(len(table.codes), table.factors.groups),
        "leaving out blocks of rows",
        console=Console(),
        transient=True,
    )
    return jackknife_intervals(values, measure, stays)


def evaluate_models(checkpoints: Sequence[Path], data: ImageData, out: Path, *, choice: Choice = EVERYTHING) -> None:
    """Score checkpoints on the same images; with several add means, intervals and the unsupervised ranking UDR.

    Args:
        checkpoints: Checkpoints of this package.
        data: Data with known factors.
        out: A folder for each model is made below it.
        choice: What to compute.

    Raises:
        InputError: If a checkpoint cannot be read, or does not fit the data.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sheets: dict[str, dict[str, float]] = {}
    tables: list[CodeTable] = []
    choice.entries()
    for checkpoint, name in zip(checkpoints, run_names(checkpoints), strict=True):
        model = load_model(checkpoint).to(device)
        table = encode(model, data, f"encoding {name}")
        if isinstance(data, LongitudinalData):
            print_cautions(exposure_to(model.provenance, data, name).cautions)
        save_codes(out / name / "codes.npz", table)
        more = {} if choice.quick or choice.scores else decoder_scores(model, table)
        lines = evaluate_codes(table, out / name, more=more, choice=choice)
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
    print_table(table)
    Console().print(f"the scores of every model are in {out / 'models.tsv'}", soft_wrap=True)


def _compare(sheets: dict[str, dict[str, float]], out: Path) -> None:
    """Print and write the scores of files side by side."""
    names = dict.fromkeys(name for values in sheets.values() for name in values)
    scores = {name: [values.get(name, float("nan")) for values in sheets.values()] for name in names}
    table = Table("score", title=f"{len(sheets)} files")
    for header in sheets:
        table.add_column(header, justify="right")
    for name, values in scores.items():
        table.add_row(name, *("-" if np.isnan(value) else f"{value:.3f}" for value in values))
    rows = [[name, *values] for name, values in scores.items()]
    with (out / "files.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["score", *sheets], *rows])
    print_table(table)
    Console().print(f"the scores of every file are in {out / 'files.tsv'}", soft_wrap=True)


def evaluate_files(
    paths: Sequence[Path],
    out: Path,
    *,
    factors: Sequence[str] = (),
    kinds: Sequence[str] = (),
    test: Path | None = None,
    choice: Choice = EVERYTHING,
) -> None:
    """Score the codes of files, see `codes.load_codes`; several are compared.

    Args:
        paths: The files.
        out: A folder for each is made below it.
        factors: Names of the factors to score; all if empty.
        kinds: NAME=classes or NAME=quantity.
        test: A file whose rows the probes are tested on.
        choice: What to compute.

    Raises:
        InputError: If a file cannot be read or scored, or two have one name.
    """
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [f"{i}-{name}" for i, name in enumerate(names)]
    choice.entries()
    tables = [load_codes(path, factors=factors, kinds=kinds, test=test) for path in paths]
    sheets = {}
    for name, table in zip(names, tables, strict=True):
        sheets[name] = {line.name: line.value for line in evaluate_codes(table, out / name, choice=choice)}
    if len(sheets) > 1:
        _compare(sheets, out)
