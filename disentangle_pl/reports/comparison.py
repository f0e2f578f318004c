"""The sections of a report that compares several runs."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from disentangle_pl.reports.blocks import (
    DASH,
    Cell,
    Fold,
    Picture,
    Section,
    Table,
    number_cell,
    score_cell,
    score_of,
    time_of,
)
from disentangle_pl.reports.charts import Dots, dot_chart
from disentangle_pl.reports.compared_runs import Runs
from disentangle_pl.reports.curve_pictures import BEYOND, Source, score_pictures, term_pictures
from disentangle_pl.reports.images import embed
from disentangle_pl.reports.run_sections import EXPLAINED, NO_IMAGES
from disentangle_pl.run_state import FINISHED
from disentangle_pl.studies.labels import short_names, short_score, short_value
from disentangle_pl.studies.run_groups import SEED, group_scores, meaningful
from disentangle_pl.studies.run_report import MAIN
from disentangle_pl.studies.run_table import scores

SHOWN = tuple(f"disentanglement/{name}" for name in MAIN)
LOSSES = ("val/nll", "val/kl", "val/mse")
DRAWN = 6  # scores drawn as dots
SIDE_BY_SIDE = 8  # traversals shown before the rest is folded
SAME = 0.03  # floors and ceilings of the same data differ by the number of rows alone
MOST = 24  # runs whose pictures are shown
FURTHER, RECONSTRUCTED = "Traversals of further runs", "Reconstructions, side by side"


def overview_section(runs: Runs) -> Section:
    """Show a row a run: how it stands, where it belongs, what it scored; broken ones too."""
    shown = _shown(runs.table)
    head = ["run", "group", "seed", "state", "steps", "time", *map(short_score, shown)]
    rows = []
    for number, row in enumerate(runs.table.to_dict("records")):
        said = f"{row['state']}: {row['message']}" if row["message"] and row["state"] != FINISHED else str(row["state"])
        group = runs.group[number]
        seconds = float(row["seconds"])
        rows.append(
            [
                Cell(str(row["run"]), css="name"),
                Cell(runs.groups[group].name),
                Cell(short_value(row.get(SEED))),
                Cell(said, css="" if row["state"] == FINISHED else "bad"),
                number_cell(float(row["steps"])),
                Cell(time_of(seconds), seconds if math.isfinite(seconds) else None, "n"),
                *(score_cell(float(row[score])) for score in shown),
            ]
        )
    return Section("runs", "Runs", tables=[Table(head, rows, "A click on a title sorts the rows.", sortable=True)])


def _shown(table: pd.DataFrame) -> list[str]:
    known = scores(table)
    return [name for name in (*SHOWN, *LOSSES) if name in known]


def differences_section(runs: Runs) -> Section:
    """Show the settings in which groups differ."""
    if not runs.keys:
        return Section("settings", "Configuration", ["The runs have the same settings, but for their seeds."])
    names = short_names(runs.keys)
    head = ["group", "runs", *(names[key] for key in runs.keys)]
    rows = [
        [
            Cell(group.name, css="name"),
            number_cell(len(group.runs)),
            *(Cell(short_value(group.settings[key], 200)) for key in runs.keys),
        ]
        for group in runs.groups
    ]
    words = ["Only what differs; runs that differ in their seed alone are one group."]
    return Section("settings", "Configuration", words, tables=[Table(head, rows, sortable=True)])


def scores_section(runs: Runs) -> Section:
    """Show mean and interval of every score over the seeds of every group, beside floor and ceiling."""
    known = [name for name in scores(runs.table) if name.startswith("disentanglement/") and "mig_" not in name]
    known += [name for name in scores(runs.table) if name == "disentanglement/mig_corrected" and name not in known]
    known += [name for name in LOSSES if name in scores(runs.table)]
    if not known:
        return Section("scores", "Scores", ["No run has final scores."])
    lines = group_scores(runs.table, meaningful(runs.table), known)
    single = [group.name for group in runs.groups if len(group.runs) == 1]
    words = [
        "Means over seeds, [95 % intervals of the mean: Student's t, bootstraps from 20 seeds on], and "
        "(the number of seeds); only runs that came to their end count. Dots are runs, rings means, bars intervals."
    ]
    if single:
        words.append(f"Of one seed only, so without an interval: {'; '.join(single)}.")
    main = [name for name in (*SHOWN, *LOSSES) if name in known]
    rest = [name for name in known if name not in main]
    pictures = [_dots(runs, lines, name) for name in [name for name in main if name in SHOWN][:DRAWN]]
    tables = [_score_table(runs, lines, main or rest)]
    folds = [Fold(f"The other {len(rest)} scores", tables=[_score_table(runs, lines, rest)])] if main and rest else []
    return Section("scores", "Scores", words, [picture for picture in pictures if picture], tables, folds)


def _score_table(runs: Runs, lines: pd.DataFrame, names: Sequence[str]) -> Table:
    found = [_lines_of(lines, name) for name in names]
    titles = [short_score(name).replace("_", " ") for name in names]
    rows = [
        [Cell(group.name, css="name"), number_cell(len(group.runs)), *(_interval(mine[number]) for mine in found)]
        for number, group in enumerate(runs.groups)
    ]
    ends = [f"{title} {said}" for title, mine in zip(titles, found, strict=True) if (said := _ends(mine))]
    caption = f"From floor to ceiling: {'; '.join(ends)}." if ends else ""
    return Table(["group", "runs", *titles], rows, caption, sortable=True)


def _ends(mine: dict[int, dict[Hashable, Any]]) -> str:
    floor, ceiling = (_shared(mine, end) for end in ("floor", "ceiling"))
    return f"{score_of(floor)} to {score_of(ceiling)}" if math.isfinite(floor + ceiling) else ""


def _lines_of(lines: pd.DataFrame, name: str) -> dict[int, dict[Hashable, Any]]:
    return {row["group"]: row for row in lines[lines["score"] == name].to_dict("records")}


def _interval(line: dict[Hashable, Any]) -> Cell:
    mean, low, high, n = (float(line[name]) for name in ("mean", "low", "high", "n"))
    if not n:
        return Cell(DASH, css="n")
    seeds = "(one seed)" if n == 1 else f"[{score_of(low)}, {score_of(high)}] ({n:.0f})"
    return Cell(f"{score_of(mean)} {seeds}", mean)


def _shared(lines: dict[int, dict[Hashable, Any]], end: str) -> float:
    """Return the floor or the ceiling of a score if it is the same for all groups, which have the same data then."""
    known = [float(line[end]) for line in lines.values() if math.isfinite(line[end])]
    return sum(known) / len(known) if known and max(known) - min(known) < SAME else math.nan


def _dots(runs: Runs, lines: pd.DataFrame, name: str) -> Picture | None:
    mine = _lines_of(lines, name)
    rows = []
    for number, group in enumerate(runs.groups):
        line = mine[number]
        there = runs.table.iloc[list(group.runs)]
        values = there.loc[there["state"] == FINISHED, name].to_numpy(float)
        values = values[np.isfinite(values)]
        if len(values):
            rows.append(Dots(group.name, values.tolist(), line["mean"], line["low"], line["high"], number))
    if not rows:
        return None
    title = short_score(name).replace("_", " ")
    ends = [_shared(mine, end) for end in ("floor", "ceiling")]
    said = f", floor {score_of(ends[0])}" if math.isfinite(ends[0]) else ""
    said += f", ceiling {score_of(ends[1])}" if math.isfinite(ends[1]) else ""
    return Picture(f"{title}{said}", chart=dot_chart(title, rows, *ends))


def curves_section(runs: Runs) -> Section:
    """Overlay the curves of all runs, in the colours of their groups."""
    sources = [
        Source(runs.groups[group].name, group, details.history)
        for group, details in zip(runs.group, runs.details, strict=True)
    ]
    pictures = [*term_pictures(sources), *score_pictures(sources)]
    return Section("curves", "Training curves", [BEYOND] if pictures else ["Nothing was logged."], pictures)


def traversals_section(runs: Runs, images: bool) -> Section:
    """Show the last traversal of every run side by side, the first seed of every group first."""
    if not images:
        return Section("traversals", "Traversals", [NO_IMAGES])
    order = sorted(range(len(runs.details)), key=lambda run: (_rank(runs, run), runs.group[run]))[:MOST]
    pictures = [picture for run in order for picture in _last(runs, run, "traversals")]
    words = [EXPLAINED] if pictures else ["No run has any."]
    if len(runs.details) > MOST:
        words.append(f"The pictures of {len(runs.details) - MOST} further runs lie in their folders.")
    folds = []
    if len(pictures) > SIDE_BY_SIDE:
        folds.append(Fold(FURTHER, pictures=pictures[SIDE_BY_SIDE:]))
    if made := [picture for run in order for picture in _last(runs, run, "reconstructions")]:
        folds.append(Fold(RECONSTRUCTED, pictures=made))
    return Section("traversals", "Traversals", words, pictures[:SIDE_BY_SIDE], folds=folds)


def _rank(runs: Runs, run: int) -> int:
    return list(runs.groups[runs.group[run]].runs).index(run)


def _last(runs: Runs, run: int, kind: str) -> list[Picture]:
    paths = runs.details[run].pictures[kind]
    name = f"{runs.table['run'].iloc[run]}: {runs.groups[runs.group[run]].name}"
    return [embed(path, name, f"{kind} of {name}") for path in paths[-1:]]
