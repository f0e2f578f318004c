"""What the .json beside a BIDS table says of its columns: what numbers stand for, and units of ages.

Source: Brain Imaging Data Structure 1.9, tabular files: Levels and Units.
"""

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.cells import DAYS_A_YEAR
from disentangle_pl.brain.fields import tidy
from disentangle_pl.brain.tables import decoded

_NAMES = re.compile("sex|gender|diagnosis|dx|group|site|site_id|site_name")
_LACKING = re.compile(
    r"(missing|unknown|not (available|known|applicable|collected|reported)|no data|n/?a)\b.*", re.IGNORECASE
)
_SEX = re.compile(r"\b(fe)?male\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_PER_YEAR = {"day": DAYS_A_YEAR, "week": DAYS_A_YEAR / 7, "mo": 12.0}


def described(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Write cells as the .json beside a table says they are meant.

    Levels of sexes, diagnoses and sites whose names are numbers (1, 2) are written out; of every column, those that
    are said to be missing are missing; ages in months, weeks or days become years.

    Args:
        table: Cells as text under tidy names.
        path: Of the table; its description is the .json of the same name, and for sub-*_sessions.tsv also sessions.json
            above the participants.
    """
    for name, about in _description(path).items():
        column = tidy(name)
        if column in table.columns and isinstance(about, dict):
            cells = _by_levels(table[column], column, about.get("Levels"))
            table = table.assign(**{column: _in_years(cells, column, about.get("Units"), path)})
    return table


def _description(path: Path) -> dict[str, Any]:
    sources = [path.with_suffix(".json"), *([path.parent.parent / "sessions.json"] if "_sessions" in path.name else [])]
    columns: dict[str, Any] = {}
    for source in filter(Path.is_file, sources):
        try:
            columns = {**dict(json.loads(decoded(source))), **columns}
        except (OSError, ValueError, TypeError) as error:
            rank_zero_info(f"{source} is left out, as it cannot be read ({error})")
    return columns


def _by_levels(cells: pd.Series, column: str, levels: object) -> pd.Series:
    if not isinstance(levels, dict):
        return cells
    texts = {str(level).strip(): _text(about) for level, about in levels.items()}
    lacking = [level for level, text in texts.items() if _LACKING.fullmatch(text)]
    cells = cells.where(~cells.isin(lacking))
    if not _NAMES.fullmatch(column) or not all(_NUMBER.fullmatch(level.lstrip("-")) for level in texts):
        return cells
    if column in ("sex", "gender"):
        texts = {level: _sex(text) for level, text in texts.items()}
    return cells.map(lambda cell: texts.get(cell) or cell, na_action="ignore")


def _sex(text: str) -> str:
    """Shorten a description such as "female participant"."""
    word = _SEX.search(text)
    return word[0] if word else text


def _text(about: object) -> str:
    return str(about.get("Description") or "").strip() if isinstance(about, dict) else str(about).strip()


def _in_years(cells: pd.Series, column: str, units: object, path: Path) -> pd.Series:
    unit = str(units or "").strip().lower()
    divisor = next((count for name, count in _PER_YEAR.items() if unit.startswith(name)), None)
    if column != "age" or divisor is None:
        return cells
    rank_zero_info(f"{path.name}: age is in {unit} by its .json: taken as years after division by {divisor:g}")

    def divided(cell: str) -> str:
        if any(letter.isalpha() for letter in cell):
            return cell  # 071Y has its own unit
        return _NUMBER.sub(lambda number: repr(float(number[0].replace(",", ".")) / divisor), cell)

    return cells.map(divided, na_action="ignore")
