"""Cells of tables as numbers, times and words: what cannot be read is missing, counted and named.

Sources: ages as DICOM writes them (PS3.5, value representation AS: 071Y, 018M); BIDS 1.9 on ages of 89+; codes of
missing numbers of ADNI (-4 not applicable, -1 missing at data entry), of the Uniform Data Set and of SPSS.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.scales import scale_of
from disentangle_pl.errors import InputError

CODES = (-1, -4, -9, -99, -999, -9999)
"""Numbers that often mean missing."""

DAYS_A_YEAR = 365.25

BOUND = "with a bound or a range"
UNKNOWN = frozenset({"unknown", "unk", "missing", "not available", "not known", "?", "-", "--", "."})

_PLAIN = r"\d+(?:\.\d*)?|\.\d+"
_COMMA = re.compile(r"[-+]?(?:\d+,(?:\d{1,2}|\d{4,})|0+,\d+|\d{4,},\d+)")
_BOUND = re.compile(rf"(?:[<>≤≥]=?\s*(?P<signed>[-+]?(?:{_PLAIN}))|(?P<plus>{_PLAIN})\s*\+)")
_RANGE = re.compile(rf"(?P<low>{_PLAIN})\s*(?:-|\u2013|to)\s*(?P<high>{_PLAIN})")
_AGED = re.compile(
    rf"(?P<count>{_PLAIN})\s*(?P<unit>d|w|m|y|days?|weeks?|mos?|months?|yrs?|years?)(\s*old)?", re.IGNORECASE
)
_UNITS = {"d": DAYS_A_YEAR, "w": DAYS_A_YEAR / 7, "m": 12.0, "y": 1.0}
_FOR_AGES = re.compile("age|(.*_)?age(_.*)?")
_SIGNED_QUANTITY = re.compile(
    "(.*_)?(z|zscore|z_score|change|delta|diff|difference|slope|rate|pc_?\\d+|gap_years|years)(_.*)?"
)
_FIRST, _LAST = 1700, 2200
_MOST = 5


@dataclass(frozen=True)
class CellRules:
    """What becomes of cells that are no plain numbers.

    Args:
        bounds: Take `89+` and `>90` at their bound, and `65-70` at its middle; otherwise they are missing.
        strict: Stop at the first cell that cannot be read; otherwise it is missing.
    """

    bounds: bool = False
    strict: bool = False


class Fault(NamedTuple):
    """Cells of a column that do not count as they are written.

    Attributes:
        what: What they are, after "2 cells".
        cells: The cells, by row.
        outcome: What becomes of them.
    """

    what: str
    cells: pd.Series
    outcome: str = "missing"


def read_numbers(cells: pd.Series, name: str, rules: CellRules) -> tuple[pd.Series, list[Fault]]:
    """Read a column of numbers: also `39,5`, ages such as `071Y`, and bounds.

    A comma is a decimal one unless three digits follow one to three others, as they do behind that of thousands.

    Args:
        cells: (N,) text or numbers.
        name: Tidy name of the column: a known scale has a range (see `SCALES`), outside of which cells are missing.
            In other columns, repeated `CODES` are missing where no other number speaks for them.
        rules: What becomes of bounds.

    Returns:
        (N,) float64, NaN missing, and what was found.
    """
    values = numeric(cells)
    odd = cells[values.isna() & cells.notna()].astype("str").str.strip()
    parsed = odd.map(lambda cell: _number(cell, name))
    bounds = odd.map(_bound)
    read = parsed.fillna(bounds if rules.bounds else np.nan).astype("float64")
    values = values.fillna(read)
    faults = [
        Fault(
            BOUND, odd[bounds.notna()], "taken at it, or at its middle" if rules.bounds else "missing without --bounds"
        ),
        Fault("without a number", odd[(parsed.isna() & bounds.isna()).astype(bool)]),
    ]
    values, more = _in_range(values, cells, name)
    return values, [fault for fault in (*faults, *more) if len(fault.cells)]


def read_times(cells: pd.Series, written: str = "ISO8601") -> tuple[pd.Series, list[Fault]]:
    """Read times as years since 1970.

    Args:
        cells: (N,) text.
        written: How, as in `datetime.strptime`.

    Returns:
        (N,) float64, NaN missing, and what was found: times that cannot be read, or of years no scan is of. (Shifted
        dates, as BIDS wants them before 1925, are of use, since all of a person are shifted alike.)
    """
    times = pd.to_datetime(cells.astype("str").where(cells.notna()), format=written, utc=True, errors="coerce")
    strange = times.notna() & ~times.dt.year.between(_FIRST, _LAST)
    example = "an ISO 8601 time such as 2012-05-31" if written == "ISO8601" else f"a time of the format {written}"
    faults = [
        Fault(f"without {example}", cells[times.isna() & cells.notna()]),
        Fault(f"of years outside {_FIRST}..{_LAST}", cells[strange]),
    ]
    years = (times.where(~strange) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=DAYS_A_YEAR)
    return years.astype("float64"), [fault for fault in faults if len(fault.cells)]


def read_words(cells: pd.Series) -> tuple[pd.Series, list[Fault]]:
    """Read a column of names, such as diagnoses: codes and words of missing are missing.

    Returns:
        (N,) text, missing unknown, and what was found.
    """
    texts = cells.map(lambda cell: str(cell).strip(), na_action="ignore").astype(object)
    values = numeric(texts)
    numbered = values.dropna()
    coded = values.isin(CODES) & bool(len(numbered) < texts.notna().sum() or numbered.abs().max() > 1)
    unknown = texts.map(lambda cell: isinstance(cell, str) and cell.lower() in UNKNOWN).astype(bool)
    faults = [Fault("with a code of missing", texts[coded]), Fault("with a word for unknown", texts[unknown])]
    return texts.where(~coded & ~unknown), [fault for fault in faults if len(fault.cells)]


def is_numbers(cells: pd.Series, name: str) -> bool:
    """Tell whether a column is one of numbers: of a known scale, or more than half of its cells can be read as such."""
    plain = numeric(cells).notna()
    if not plain.any():
        return False
    odd = cells[~plain & cells.notna()].astype("str").str.strip()
    read = int(plain.sum()) + sum(not np.isnan(_number(cell, name)) or not np.isnan(_bound(cell)) for cell in odd)
    return bool(2 * read > cells.notna().sum()) or scale_of(name) is not None


def numeric(cells: pd.Series) -> pd.Series:
    """Return cells as float64, NaN where they are no finite number."""
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    return values.where(values.abs() < float("inf"))


def sentence(name: str, faults: list[Fault]) -> str:
    """Say what is with the cells of a column, such as `mmse: 2 cells outside 0..30 (-4, 999): missing`."""
    return f"{name}: " + "; ".join(
        f"{len(fault.cells)} {'cell' if len(fault.cells) == 1 else 'cells'} {fault.what} ({_examples(fault.cells)}): "
        f"{fault.outcome}"
        for fault in faults
    )


def refuse(name: str, faults: list[Fault], path: Path, rules: CellRules) -> None:
    """Refuse cells that become missing, where the rules are strict.

    Raises:
        InputError: With the first of them, and its line.
    """
    fatal = [fault for fault in faults if fault.outcome.startswith("missing")]
    if rules.strict and fatal:
        row = fatal[0].cells.index[0]
        raise InputError(
            f"{path} has {str(fatal[0].cells.loc[row])!r} as {name} in line {int(row) + 2}: cells {fatal[0].what} are "
            f"not read; correct it, write n/a, or let it be {fatal[0].outcome} by leaving out --strict"
        )


def log_faults(name: str, faults: list[Fault], path: Path, rules: CellRules) -> None:
    """Log what is with the cells of a column, or refuse them (see `refuse`)."""
    refuse(name, faults, path, rules)
    if faults:
        rank_zero_info(f"{path.name}: {sentence(name, faults)}")


def _in_range(values: pd.Series, cells: pd.Series, name: str) -> tuple[pd.Series, list[Fault]]:
    scale = scale_of(name)
    if scale is None:
        return _without_codes(values, name)
    outside = (values < scale.low) | (values > scale.high)
    months = ", or give its unit (Units in the .json beside the table)" if scale.high == 120 else ""
    fault = Fault(f"outside {scale.low:g}..{scale.high:g}", cells[outside], f"missing{months}")
    return values.where(~outside), [fault]


def _without_codes(values: pd.Series, name: str) -> tuple[pd.Series, list[Fault]]:
    coded = values.isin(CODES)
    if not coded.any() or _SIGNED_QUANTITY.fullmatch(name):
        return values, []
    uncoded = values[~coded].dropna()
    doubtful = bool((uncoded < 0).any()) or bool(len(uncoded) and uncoded.max() <= 1)
    counts = values[coded].value_counts()
    repeated = coded & ((values.map(counts) > 1) | (values <= -99))
    if doubtful or not repeated.any():
        often = values[repeated]
        return values, [Fault("with what often means missing", often, "taken as numbers")]
    return values.where(~repeated), [Fault("with a code of missing", values[repeated])]


def _number(cell: str, name: str) -> float:
    """Read a number with a decimal comma, or an age with its unit; NaN if it is neither."""
    if _COMMA.fullmatch(cell):
        return float(cell.replace(",", "."))
    aged = _AGED.fullmatch(cell) if _FOR_AGES.fullmatch(name) else None
    return float(aged["count"]) / _UNITS[aged["unit"][0].lower()] if aged else float("nan")


def _bound(cell: str) -> float:
    """Read a bound, or the middle of a range; NaN if it is neither."""
    if bound := _BOUND.fullmatch(cell):
        return float(bound["signed"] or bound["plus"])
    between = _RANGE.fullmatch(cell)
    low, high = (float(between["low"]), float(between["high"])) if between else (1.0, 0.0)
    return (low + high) / 2 if low < high else float("nan")


def _examples(cells: pd.Series) -> str:
    distinct = list(dict.fromkeys(_shown(cell) for cell in cells))
    return ", ".join([*distinct[:_MOST], *(["…"] if len(distinct) > _MOST else [])])


def _shown(cell: object) -> str:
    text = f"{cell:g}" if isinstance(cell, float) else str(cell)
    return text if re.fullmatch(rf"-?(?:{_PLAIN})", text) else repr(text)
