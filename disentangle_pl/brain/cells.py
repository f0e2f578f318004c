"""Cells of clinical tables: what they mean, and numbers behind a comparison sign."""

import re
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.fields import numeric
from disentangle_pl.brain.mapping import Column, Mapping
from disentangle_pl.errors import InputError

_SIGNED = r"\s*[<>≤≥]=?\s*(.*)"


def meanings(table: pd.DataFrame, column: Column, mapping: Mapping) -> pd.Series:
    """Replace cells by what the mapping says they mean.

    Returns:
        (N,) text or numbers, missing where the cell means that.
    """
    cells = table[column.column].str.strip()
    cells = cells.where(~cells.isin([str(cell) for cell in mapping.missing]))
    return cells.map(lambda cell: _meaning(cell, column), na_action="ignore")


def measured(table: pd.DataFrame, column: Column, mapping: Mapping, path: Path, bounds: bool) -> tuple[pd.Series, int]:
    """Read a column of numbers.

    Args:
        table: Cells as text.
        column: Which, and what its cells mean.
        mapping: What means missing.
        path: Of the table, for messages.
        bounds: Take `>1700` as 1700 instead of missing.

    Returns:
        (N,) float64, NaN missing, and how many cells have a comparison sign.

    Raises:
        InputError: If a cell is neither a number, nor one behind a comparison sign, nor missing.
    """
    cells = meanings(table, column, mapping)
    texts = cells.astype("str")
    signed = texts.str.fullmatch(_SIGNED).astype(bool) & cells.notna()
    bare = texts.where(~signed, texts.str.replace(_SIGNED, r"\1", regex=True))
    values = numeric(bare)
    wrong = cells[values.isna() & cells.notna()]
    if len(wrong):
        raise InputError(
            f"{path} has {wrong.iloc[0]!r} as {column.column} in line {wrong.index[0] + 2}, which is no number: "
            "say in the mapping what it means, under values or missing"
        )
    return (values if bounds else values.where(~signed)), int(signed.sum())


def _meaning(cell: str, column: Column) -> str | float | None:
    for pattern, meaning in column.values.items():
        if re.fullmatch(str(pattern), cell, re.IGNORECASE):
            return meaning
    return cell
