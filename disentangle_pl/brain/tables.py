"""Tables of participants, sessions and scans, as BIDS and spreadsheets write them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from disentangle_pl.brain.placeholders import placeholder
from disentangle_pl.errors import InputError


def read_table(
    path: Path,
    required: Sequence[str] = (),
    text: TextIO | None = None,
    head: bool = False,
    only: list[str] | None = None,
) -> pd.DataFrame:
    """Read a .csv file by commas, any other by tabs, every cell as text; `n/a` and the like are missing.

    Args:
        path: The file.
        required: Columns that must be there.
        text: Its contents, if they are read already.
        head: Read the names of the columns alone.
        only: Read these columns alone.

    Returns:
        One row a line; row i is line i + 2 of the file.

    Raises:
        InputError: If the file cannot be read as a table or lacks a required column.
    """
    separator = "," if path.suffix.lower() == ".csv" else "\t"
    instead = placeholder(path)
    if instead:
        raise InputError(f"{path} {instead}")
    try:
        table = pd.read_csv(
            text or path,
            sep=separator,
            dtype=str,
            encoding="utf-8-sig",
            index_col=False,
            skip_blank_lines=False,
            nrows=0 if head else None,
            usecols=only,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}): give a .csv or .tsv file") from error
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}: it has {', '.join(map(str, table.columns))}, "
            f"split at {'commas' if separator == ',' else 'tabs'}"
        )
    return table


def numbers(table: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """Return a column as float64, NaN where missing, all NaN if there is no such column.

    Raises:
        InputError: If a cell is neither a number nor missing.
    """
    if column not in table.columns:
        return pd.Series(float("nan"), index=table.index)
    values = pd.to_numeric(table[column], errors="coerce").replace([np.inf, -np.inf], np.nan)
    wrong = table.index[values.isna() & table[column].notna()]
    if len(wrong):
        cell = table[column][wrong[0]]
        raise InputError(f"{path} has {cell!r} as {column} in line {wrong[0] + 2}: write a number, or n/a")
    return values.astype("float64")


def years_of_dates(table: pd.DataFrame, column: str, path: Path) -> pd.Series:
    """Return a column of ISO 8601 times as years since 1970, NaN where missing, all NaN if it is absent.

    Raises:
        InputError: If a cell is neither a time nor missing.
    """
    if column not in table.columns:
        return pd.Series(float("nan"), index=table.index)
    try:
        times = pd.to_datetime(table[column], format="ISO8601", utc=True)
    except ValueError as error:
        said = str(error).split(". ")[0]
        raise InputError(f"{path} has a {column} that is no ISO 8601 time ({said}): write one, or n/a") from error
    return (times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=365.25)


def natural(names: pd.Series) -> pd.Series:
    """Return sort keys that put ses-2 before ses-10."""
    return names.map(lambda name: re.sub(r"\d+", lambda digits: digits[0].zfill(12), name))


def listing(items: Sequence[str], most: int = 10) -> str:
    """Join the first items of a long list, and say how many more there are."""
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more
