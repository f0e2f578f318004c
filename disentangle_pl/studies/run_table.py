"""Many runs as one tidy table: state, configuration and scores, one row a run."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from disentangle_pl.errors import InputError
from disentangle_pl.run_state import FINISHED
from disentangle_pl.studies.run_exports import read_export
from disentangle_pl.studies.run_files import is_score
from disentangle_pl.studies.run_folder import Row, read_run

Goal = Literal["maximize", "minimize"]
FIXED = ("run", "state", "message", "seconds", "steps", "folder")
REFERENCES = ("_floor", "_rotated", "_ceiling")
MARKS = {"config.yaml", "metrics.csv", "state.json", "checkpoints", ".lock"}  # any of them makes a run folder


def tidy(paths: Iterable[Path | str], *, best: Sequence[str] = (), goal: str = "maximize") -> pd.DataFrame:
    """Gather runs into one table.

    Args:
        paths: Run folders, folders that hold run folders at any depth, and exports of W&B (.csv, .tsv, .json, .jsonl).
        best: Metrics whose best value over the run is wanted too, as `best/<metric>`; from run folders only.
        goal: `maximize` or `minimize`: what best means.

    Returns:
        One row a run: `run`, `state`, `message`, `seconds`, `steps`, `folder`, the settings under their flat dotted
        names (None: null, or not there), and the last values of the scores as floats. A score that is not finite is
        NaN, the empty cell. Broken folders, and given ones without any
        run, are rows with the state `corrupt`.

    Raises:
        InputError: If a path does not exist, an export cannot be read, or there is no run at all.
    """
    wanted = {metric: more_is_better(goal) for metric in best}
    rows: list[Row] = []
    bare: list[Row] = []
    seen: set[Path] = set()
    given = [Path(path) for path in paths]
    for path in given:
        if not path.exists():
            raise InputError(f"there is no run folder or export at {path}: check the path")
        if path.is_file():
            rows += read_export(path)
            continue
        found = find_runs(path)
        folders = [folder for folder in found or [path] if folder.resolve() not in seen]
        seen |= {folder.resolve() for folder in folders}
        (rows if found else bare).extend(read_run(folder, wanted) for folder in folders)
    if not rows:
        where = ", ".join(map(str, given)) or "nothing"
        raise InputError(f"no run found in {where}: give folders that `fit` has made, or a table of runs")
    return _frame(_told_apart([*rows, *bare]))


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders in a folder, at any depth and in the order of their names; it may be one itself."""
    found, seen = [], set()
    for place, inside, files in os.walk(folder, followlinks=True):
        here = Path(place)
        new = here.resolve() not in seen
        seen.add(here.resolve())
        run = not MARKS.isdisjoint(inside) or not MARKS.isdisjoint(files)
        if new and run:
            found.append(here)
        inside[:] = sorted(name for name in inside if new and not run and name[0] != "." and name != "wandb")
    return found


def scores(table: pd.DataFrame) -> list[str]:
    """Return the columns that hold scores, without their floors, rotations and ceilings."""
    return [name for name in table.columns if is_score(name) and not name.endswith(REFERENCES)]


def settings(table: pd.DataFrame) -> list[str]:
    """Return the columns that hold the configuration."""
    return [name for name in table.columns if name not in FIXED and not is_score(name)]


def finished(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the runs that can be ranked: they came to their end, and have a finite value of the metric."""
    ranked: pd.DataFrame = table[(table["state"] == FINISHED) & np.isfinite(table[metric].to_numpy(float))]
    return ranked


def best_first(table: pd.DataFrame, metric: str, goal: str) -> pd.DataFrame:
    """Order runs by a metric; those that cannot be ranked come last, in the order they had."""
    ranked = finished(table, metric).sort_values(metric, ascending=not more_is_better(goal), kind="stable")
    return pd.concat([ranked, table.drop(index=ranked.index)])


def more_is_better(goal: str) -> bool:
    """Tell which way a goal points.

    Raises:
        InputError: If it is neither `maximize` nor `minimize`.
    """
    if goal not in ("maximize", "minimize"):
        raise InputError(f"the goal is {goal!r}: give maximize or minimize")
    return goal == "maximize"


def check_column(name: str, known: Sequence[str], what: str) -> None:
    """Refuse a name that no column has.

    Args:
        name: The name given.
        known: The names there are.
        what: What the name stands for.

    Raises:
        InputError: It names those that are near.
    """
    if name in known:
        return
    tail = [other for other in known if other.rsplit("/", 1)[-1] == name or other.rsplit(".", 1)[-1] == name]
    near = list(dict.fromkeys([*tail, *get_close_matches(name, known, 4, 0.5)]))
    advice = f"did you mean {', '.join(near[:4])}?" if near else f"there are {', '.join(known[:8]) or 'none'}"
    raise InputError(f"no run has the {what} {name}: {advice}")


def _told_apart(rows: Sequence[Row]) -> Iterator[Row]:
    """Name runs whose folders have the same name after as many folders above as it takes."""
    times = Counter(row.run for row in rows)
    depths: dict[str, int] = {}
    for name in (name for name, n in times.items() if n > 1):
        parts = [Path(row.folder).absolute().parts for row in rows if row.run == name and row.folder]
        depths[name] = next((n for n in range(1, 9) if len({part[-n:] for part in parts}) == len(parts)), 1)
    for row in rows:
        above = Path(row.folder).absolute().parts[-depths.get(row.run, 1) :]
        yield row._replace(run="/".join(above)) if row.folder and times[row.run] > 1 else row


def _frame(rows: Iterable[Row]) -> pd.DataFrame:
    kept = list(rows)
    keys = dict.fromkeys(key for row in kept for key in row.config if key not in FIXED)
    metrics = dict.fromkeys(metric for row in kept for metric in row.scores)
    columns: dict[str, pd.Series] = {}
    for name in FIXED:
        values = [getattr(row, name) for row in kept]
        columns[name] = pd.Series(values, dtype=float if name in ("seconds", "steps") else object)
    columns |= {key: pd.Series([row.config.get(key) for row in kept], dtype=object) for key in keys}
    for metric in metrics:
        columns[metric] = pd.Series([row.scores.get(metric, np.nan) for row in kept], dtype=float)
    return pd.DataFrame(columns)
