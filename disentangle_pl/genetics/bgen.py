"""BGEN files of layout 1 and 2, with .sample beside and an index .bgi where there is one.

Source: https://www.chg.ox.ac.uk/~gav/bgen_format/spec/latest.html, and
https://enkre.net/cgi-bin/code/bgen/doc/trunk/doc/wiki/bgenix.md for the index.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Rows
from disentangle_pl.genetics.genotypes import Fileset, X, library, variants_table
from disentangle_pl.genetics.plink import MISSING, Calls
from disentangle_pl.genetics.samples import NOBODY, read_samples

UNNAMED = ("", ".")
INDEXED = (
    "SELECT chromosome, position, rsid, number_of_alleles, allele1, allele2 FROM Variant ORDER BY file_start_position"
)


class Bgen:
    """Dosages of the second allele in a .bgen file; a `Source`.

    Args:
        path: Of the file.
        on_x: (M,) which variants are on chromosome X, where a haploid person counts twice.
        two: (M,) which variants have two alleles; others have no dosage.

    Raises:
        InputError: If the library that reads it lacks, or the file is damaged.
    """

    def __init__(self, path: Path, on_x: NDArray[np.bool_], two: NDArray[np.bool_]) -> None:
        self._path, self._on_x, self._two = path, on_x, two
        with _readable(path):
            self._file = _open(path)

    def read(self, people: Rows, variants: NDArray[np.int64]) -> Calls:
        """Return dosages (m, N) float32; see `Source`."""
        dosages = np.full((len(variants), len(people)), MISSING, dtype=np.float32)
        with _readable(self._path):
            for k, row in enumerate(variants.tolist()):
                if self._two[row]:
                    variant = self._file[row]
                    dosages[k] = variant.alt_dosage[people]
                    if self._on_x[row]:
                        dosages[k, variant.ploidy[people] == 1] *= 2
        np.nan_to_num(dosages, copy=False, nan=float(MISSING))
        return dosages

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_bgen(bgen: Path, sample: Path | None) -> Fileset:
    """Read people and variants of a .bgen: from its index where one is beside it, or else by a pass over the file.

    Args:
        bgen: Its path.
        sample: A .sample elsewhere than beside it. Without any, the people are those that the file names, of unknown
            sex.

    Raises:
        InputError: As `open_filesets`.
    """
    index = bgen.with_name(f"{bgen.name}.bgi")
    with _readable(bgen), closing(_open(bgen)) as file:
        number, header = file.header.nvariants, file.header
        named = file.samples if header.has_sample_ids else None
        cells = _indexed(index) if index.is_file() else _passed(file)
    people = _people(bgen, sample, named)
    if (len(people), len(cells)) != (header.nsamples, number):
        raise InputError(
            f"{bgen} has {header.nsamples} people and {number} variants, but its .sample {len(people)} people and its "
            f"index {len(cells)} variants: one of them is of another file"
        )
    variants = variants_table(cells, bgen)
    two = ~variants["a1"].str.contains(",", regex=False).to_numpy(bool)
    return Fileset(bgen, people, variants, partial(Bgen, bgen, (variants["chromosome"] == X).to_numpy(bool), two))


def _people(bgen: Path, sample: Path | None, named: list[str] | None) -> pd.DataFrame:
    beside = sample or bgen.with_suffix(".sample")
    if named is None or beside.is_file() or sample is not None:
        return read_samples(beside, "the people of a .bgen are in a .sample beside it, or give --sample")
    return pd.DataFrame({"fid": NOBODY, "iid": named, "sex": None})


def _indexed(index: Path) -> pd.DataFrame:
    try:
        with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as base:
            table = pd.read_sql_query(INDEXED, base, dtype={"chromosome": str, "position": str})
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise InputError(f"{index} cannot be read ({error}): write it anew by bgenix -index, or delete it") from error
    more = table["number_of_alleles"] > 2
    return table.assign(id=table["rsid"], other=table["allele1"], a1=table["allele2"] + np.where(more, ",...", ""))


def _passed(file: Any) -> pd.DataFrame:
    rows = [(each.chrom, str(each.pos), each.varid, each.rsid, each.alleles) for each in file]
    table = pd.DataFrame(rows, columns=["chromosome", "position", "varid", "rsid", "alleles"], dtype=object)
    names = table["rsid"].mask(table["rsid"].isin(UNNAMED), table["varid"])
    return table.assign(id=names, other=table["alleles"].str[0], a1=table["alleles"].str[1:].str.join(","))


def _open(path: Path) -> Any:
    return library("bgen", ".bgen files").BgenReader(str(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError, OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read ({str(error).strip()}): it is damaged, or no BGEN file") from error
