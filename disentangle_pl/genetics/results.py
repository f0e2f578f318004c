"""Results of a scan as files: tables of blocks that appear whole or not at all, and a journal of what is done."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Associations
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.multivariate import Together
from disentangle_pl.json_lines import JsonLines

PLACE = ("chromosome", "position", "id", "a1", "other")
ARROW = ".arrow"
FITS = ("beta", "se", "t", "p", "neg_log10_p")
WORDS = pa.dictionary(pa.int32(), pa.string())


def associations_table(variants: pd.DataFrame, found: Associations, phenotypes: Sequence[str]) -> pa.Table:
    """Lay fits out tidily: a row a variant and phenotype, phenotypes running faster; what is unknown is null.

    Columns chromosome, position, id, a1 (the allele of beta), other, a1_frequency, n, phenotype, beta, se, t, p and
    neg_log10_p.
    """
    m, k = found.t.shape
    row = np.repeat(np.arange(m, dtype=np.int32), k)
    columns: dict[str, Any] = {name: _words(variants[name], row) for name in PLACE if name != "position"}
    columns["position"] = np.repeat(variants["position"].to_numpy(np.int64), k)
    columns = {name: columns[name] for name in PLACE}
    numbers = {"beta": found.beta, "se": found.error, "t": found.t, "p": found.p, "neg_log10_p": found.log10_p}
    which = np.tile(np.arange(k, dtype=np.int32), m)
    columns["a1_frequency"] = found.frequency.ravel()
    columns["n"] = found.people.ravel().astype(np.int32)
    columns["phenotype"] = pa.DictionaryArray.from_arrays(pa.array(which), pa.array(list(phenotypes), pa.string()))
    columns |= {name: pa.array(values.ravel(), from_pandas=True) for name, values in numbers.items()}
    return pa.table(columns)


def together_table(variants: pd.DataFrame, found: Together, permuted: Together | None) -> pa.Table:
    """Lay the tests of all phenotypes together out: a row a variant, and beside it what its permuted calls make.

    Args:
        variants: m rows.
        found: Of the variants.
        permuted: Of the first of them, with calls permuted over people.
    """
    row = np.arange(len(variants), dtype=np.int32)
    columns: dict[str, Any] = {name: _words(variants[name], row) for name in PLACE if name != "position"}
    columns["position"] = variants["position"].to_numpy(np.int64)
    columns = {name: columns[name] for name in PLACE}
    columns |= {
        "n": pa.array(found.people.astype(np.int32)),
        "f": pa.array(found.f, from_pandas=True),
        "f_p": pa.array(found.f_p, from_pandas=True),
        "f_neg_log10_p": pa.array(found.f_log10_p, from_pandas=True),
        "mostest": pa.array(found.mostest, from_pandas=True),
        "mostest_chi2_neg_log10_p": pa.array(found.chi2_log10_p, from_pandas=True),
        "min_p_neg_log10_p": pa.array(found.min_log10_p, from_pandas=True),
    }
    for name in ("f_log10_p", "mostest", "min_log10_p"):
        filled = np.full(len(variants), np.nan)
        if permuted is not None:
            values: Values = getattr(permuted, name)
            filled[: len(values)] = values
        columns[f"permuted_{name}"] = pa.array(filled, from_pandas=True)
    return pa.table(columns)


def _words(cells: pd.Series, row: NDArray[np.int32]) -> pa.DictionaryArray:
    words = pa.array(cells, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(pa.array(words.indices.to_numpy()[row]), words.dictionary)


def write_whole(table: pa.Table, path: Path) -> None:
    """Write a table as parquet, or as .arrow, which is larger but as fast as a copy of memory.

    The file is there, safe on the disk, or as it was before.
    """
    if path.suffix == ARROW:
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
            file.flush()
        _settle(partial, path)
        return
    with TableFile(path, table.schema) as parts:
        parts.add(table)


def _settle(partial: Path, path: Path) -> None:
    """Make sure that a file is on the disk, and let it take its place."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)


class TableFile:
    """A parquet file written part by part, which takes its place when it is whole; a context.

    Args:
        path: Of the file.
        schema: Of all parts.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._schema = schema

    def __enter__(self) -> "TableFile":
        words = [field.name for field in self._schema if pa.types.is_dictionary(field.type)]
        # numbers of fits hardly shrink, but what repeats with every phenotype does
        how = {field.name: "NONE" if field.name in FITS else "LZ4" for field in self._schema}
        self._writer = pq.ParquetWriter(
            self._partial, self._schema, use_dictionary=words, compression=how, write_statistics=["neg_log10_p"]
        )
        return self

    def add(self, table: pa.Table) -> None:
        """Append a part, as a row group of its own."""
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        self._writer.close()
        if kind is not None:
            self._partial.unlink(missing_ok=True)
            return
        _settle(self._partial, self.path)


def read_part(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the table of a block, or of all.

    Raises:
        InputError: If it is damaged.
    """
    with readable(path):
        if path.suffix != ARROW:
            return pq.read_table(path, columns=columns)
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        return table if columns is None else table.select(columns)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one sentence which table is damaged.

    Raises:
        InputError: If it is.
    """
    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} is damaged ({reason}): delete the folder of the study, and begin anew") from error


def write_text(path: Path, text: str) -> None:
    """Write a text; the file is there whole or as it was before."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


class Journal:
    """What a process has done, line by line; see `JsonLines`.

    Args:
        path: The file.

    Attributes:
        lines: All whole lines.
    """

    def __init__(self, path: Path) -> None:
        self.lines: list[dict[str, Any]] = []
        self._file = JsonLines(path, self.lines.append)

    def write(self, line: dict[str, Any]) -> None:
        """Append a line, safe on the disk when this returns."""
        self._file.write(line)
