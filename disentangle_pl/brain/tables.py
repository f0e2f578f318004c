"""Tables of participants, sessions and scans, as BIDS and spreadsheets write them."""

import codecs
import re
from collections.abc import Sequence
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from disentangle_pl.brain.placeholders import placeholder
from disentangle_pl.errors import InputError
from disentangle_pl.errors import listing as listing  # for those who look for it beside tables

_MISSING = frozenset({"", "n/a", "na", "nan", "none", "null", "#n/a", "<na>", "N/a", "NONE", "Na", "Null"})
_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons"}
_BLANK = re.compile('(^|[\\t,;"])[ \u00a0]|[ \u00a0]($|[\\t,;"\\r])', re.MULTILINE)


def read_table(
    path: Path,
    required: Sequence[str] = (),
    text: TextIO | None = None,
    head: bool = False,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read a .csv file by commas, or semicolons if its head has no comma, any other by tabs, every cell as text.

    Blanks around cells do not count; `n/a` and the like are missing. What is not UTF-8 is read as UTF-16 if it looks
    so, and else as Windows-1252, which is said.

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
    try:
        content, codec, first = _opened(path, text, part=head or only is not None)
        separator = _separator(path, first)
        table = pd.read_csv(
            path if content is None else StringIO(content),
            sep=separator,
            dtype=str,
            encoding=codec,
            encoding_errors="replace",
            index_col=False,
            skip_blank_lines=False,
            na_values=sorted(_MISSING),
            nrows=0 if head else None,
            usecols=None if only is None else lambda name: str(name).strip() in only,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}): give a .csv or .tsv file") from error
    if content is None or _BLANK.search(content):
        table = table.rename(columns=lambda name: str(name).strip()).apply(_stripped)
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the columns {', '.join(missing)}: it has {', '.join(map(str, table.columns))}, "
            f"split at {_SEPARATORS[separator]}"
        )
    return table


def inform(text: str) -> None:
    """Log a sentence, once among all processes; this loads torch, which no reader without one need wait for."""
    import_module("lightning.pytorch.utilities").rank_zero_info(text)


def decoded(path: Path) -> str:
    """Read a text in UTF-8, in UTF-16 if it has its mark or a zero in every second byte, or in Windows-1252.

    Raises:
        InputError: If it is a placeholder, or DICOM.
        OSError: If it cannot be read.
        ValueError: If it is no text.
    """
    _refuse_placeholder(path)
    content = path.read_bytes()
    codec = _codec(content)
    if codec != "utf-8-sig":
        return content.decode(codec).removeprefix("\ufeff")
    try:
        return content.decode(codec)
    except UnicodeDecodeError:
        inform(f"{path} is no UTF-8: it is read as Windows-1252")
        return content.decode("cp1252", errors="replace")


def _opened(path: Path, text: TextIO | None, part: bool) -> tuple[str | None, str | None, str]:
    """Return the contents, unless a part is enough, and of a file that is not read yet the codec; and the first line.

    Tables of UK Biobank are too large to be read whole for a few columns.
    """
    if text or not part:
        content = text.read() if text else decoded(path)
        return content, None, content.partition("\n")[0]
    _refuse_placeholder(path)
    with path.open("rb") as file:
        line = file.readline()
    codec = _codec(line)
    return None, codec, line.decode(codec, errors="replace")


def _refuse_placeholder(path: Path) -> None:
    instead = placeholder(path)
    if instead:
        raise InputError(f"{path} {instead}")


def _codec(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for codec, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if len(content) > 1 and zeros.count(0) > 0.8 * len(zeros):
            return codec
    if 0 in content:
        raise ValueError("it has bytes of zero, as no text has")
    return "utf-8-sig"


def _separator(path: Path, head: str) -> str:
    if path.suffix.lower() != ".csv":
        return "\t"
    return ";" if ";" in head and "," not in head else ","


def _stripped(cells: pd.Series) -> pd.Series:
    bare = cells.str.strip()
    return bare.where(~bare.str.lower().isin(_MISSING))


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


def natural(names: pd.Series) -> pd.Series:
    """Return sort keys that put ses-2 before ses-10."""
    return names.map(lambda name: re.sub(r"\d+", lambda digits: digits[0].zfill(12), name))
