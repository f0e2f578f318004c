"""What `disentangle-pl variance` measured, matched to the runs it belongs to."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.errors import InputError
from disentangle_pl.studies.run_files import Broken, read_config
from disentangle_pl.studies.run_groups import same

FILE = "variance.tsv"
COLUMNS = {"signal", "factor", "measure", "value"}
OF_DATA = {
    "log_gap": ("images", "log gap"),
    "amount_consistency": ("images", "amount consistency"),
    "direction_consistency": ("images", "direction consistency"),
    "local_alignment": ("images", "local alignment"),
    "local_global_discrepancy": ("images", "local/global discrepancy"),
}
OF_RUNS = {
    "axis_spread": ("codes", "axis spread"),
    "encoding_inconsistency": ("codes", "encoding inconsistency"),
    "switching": ("codes", "switching"),
}
LAYOUT = (
    f"give a folder that `disentangle-pl variance` wrote, with {FILE} in it, named as a data set or a run is or with a "
    "config.yaml of its data, or a table with a column run or data_set and columns of measures"
)


class Measured(NamedTuple):
    """The measures of one data set or run.

    Attributes:
        name: Of its folder, or what a table calls it.
        settings: Those of its data, under flat dotted names; empty if they are not known.
        values: By measure: of all factors together, their mean.
        factors: By measure and factor.
    """

    name: str
    settings: dict[str, Any]
    values: dict[str, float]
    factors: dict[tuple[str, str], float]


def read_measures(paths: Sequence[Path]) -> list[Measured]:
    """Read measures.

    Args:
        paths: Folders with `variance.tsv` at any depth, and tables (.tsv, .csv) with a row for each `run` or `data_set`
            and a column for each measure of `OF_DATA` and `OF_RUNS`.

    Raises:
        InputError: If there is nothing, or a file has another layout.
    """
    found: list[Measured] = []
    for path in paths:
        files = sorted(path.rglob(FILE)) if path.is_dir() else []
        if not files and not path.is_file():
            raise InputError(f"there are no measures at {path}: {LAYOUT}")
        found += [_read_folder(file) for file in files] or _read_table(path)
    return found


def matched(runs: pd.DataFrame, measured: Sequence[Measured]) -> list[list[Measured]]:
    """Return for every run what was measured of its data set or of itself.

    Args:
        runs: With `run`, `data_set` and the settings of the data.
        measured: Measures; those whose folder is named as a run belong to it alone, others to a data set by its name or
            by all the settings they know.

    Raises:
        InputError: If some belong to no run.
    """
    names = {_plain(str(run)) for run in runs["run"]}
    mine = [[part for part in measured if _belongs(row, part, names)] for row in runs.to_dict("records")]
    used = {id(part) for parts in mine for part in parts}
    lost = [part.name for part in measured if id(part) not in used]
    if lost:
        known = ", ".join(sorted(set(map(str, runs["data_set"]))))
        raise InputError(f"the measures {lost[0]} belong to no run: name the folder as a run or as one of {known}")
    return mine


def _belongs(row: dict[Any, Any], part: Measured, runs: set[str]) -> bool:
    name = _plain(part.name)
    if name in runs:
        return name == _plain(str(row["run"]))
    if part.settings:
        return all(same(row.get(key)) == same(value) for key, value in part.settings.items())
    return name == _plain(str(row["data_set"]))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "", name.lower())


def _read_folder(file: Path) -> Measured:
    table = _frame(file)
    if not set(table.columns) >= COLUMNS:
        raise InputError(f"{file} has no columns {', '.join(sorted(COLUMNS - set(table.columns)))}: {LAYOUT}")
    values: dict[str, float] = {}
    factors: dict[tuple[str, str], float] = {}
    for name, (signal, measure) in (OF_DATA | OF_RUNS).items():
        mine = table[(table["signal"] == signal) & (table["measure"] == measure)]
        numbers = pd.to_numeric(mine["value"], errors="coerce").to_numpy(float)
        pairs = [
            (str(factor), value) for factor, value in zip(mine["factor"], numbers, strict=True) if np.isfinite(value)
        ]
        factors |= {(name, factor): value for factor, value in pairs if factor not in ("", "nan")}
        if pairs:
            values[name] = float(np.mean([value for _, value in pairs]))
    return Measured(file.parent.absolute().name, _data_settings(file.parent), values, factors)


def _data_settings(folder: Path) -> dict[str, Any]:
    try:
        config = read_config(folder / "config.yaml", needed=False)
    except Broken as broken:
        raise InputError(f"{folder}: {broken}: {LAYOUT}") from broken
    return {key: value for key, value in config.items() if key.startswith("data.dataset")}


def _read_table(path: Path) -> list[Measured]:
    table = _frame(path)
    key = next((name for name in ("run", "data_set") if name in table), None)
    columns = [name for name in (*OF_DATA, *OF_RUNS) if name in table]
    if key is None or not columns:
        raise InputError(f"{path} has no column run or data_set, or no measure: {LAYOUT}")
    rows = table[[key, *columns]].to_dict("records")
    return [
        Measured(str(row[key]), {}, {name: float(row[name]) for name in columns if np.isfinite(row[name])}, {})
        for row in rows
    ]


def _frame(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="," if path.suffix == ".csv" else "\t", keep_default_na=True)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} cannot be read as a table ({reason}): {LAYOUT}") from error
