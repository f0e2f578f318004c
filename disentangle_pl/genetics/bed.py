"""PLINK 1 filesets: what their .bim and .fam say, and whether the .bed fits them.

Source: the format as PLINK 1.9 documents it, https://www.cog-genomics.org/plink/1.9/formats.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from bed_reader import open_bed
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Rows
from disentangle_pl.genetics.genotypes import Fileset, variants_table
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.samples import headless_table, read_samples

MAGIC = b"\x6c\x1b\x01"
BESIDE = "a .bed needs its .bim and .fam beside it"


class Bed:
    """Calls of a .bed file; a `Source`.

    Args:
        path: Of the file.
        people: That it has.
        variants: Likewise.
    """

    def __init__(self, path: Path, people: int, variants: int) -> None:
        self._bed = open_bed(path, iid_count=people, sid_count=variants, count_A1=True, num_threads=1)

    def read(self, people: Rows, variants: NDArray[np.int64]) -> Calls:
        """Return calls (m, N) int8; see `Source`."""
        calls: Calls = self._bed.read((people, variants), dtype="int8", order="F", num_threads=1).T
        return calls

    def close(self) -> None:
        """Close the file."""
        self._bed.__exit__(None, None, None)


def open_bed_fileset(bed: Path, sample: Path | None) -> Fileset:
    """Read people and variants of a .bed, and check its size.

    Args:
        bed: Its path.
        sample: A .fam elsewhere than beside it.

    Raises:
        InputError: As `open_filesets`.
    """
    people = read_samples(sample or bed.with_suffix(".fam"), BESIDE)
    variants = read_bim(bed.with_suffix(".bim"), BESIDE)
    _check_size(bed, len(people), len(variants))
    return Fileset(bed, people, variants, partial(Bed, bed, len(people), len(variants)), dosages=False)


def read_bim(path: Path, need: str) -> pd.DataFrame:
    """Read variants, see `Fileset.variants`, from a table without header; centimorgans may be absent.

    Args:
        path: Of the table.
        need: Why it is read, for messages.

    Raises:
        InputError: If it cannot be read, or a position is no number.
    """
    columns = ["chromosome", "id", "morgans", "position", "a1", "other"]
    variants = headless_table(path, columns, need, "morgans")
    return variants_table(variants, path)


def _check_size(bed: Path, people: int, variants: int) -> None:
    try:
        with bed.open("rb") as file:
            head = file.read(3)
        size = bed.stat().st_size
    except OSError as error:
        raise InputError(f"{bed} cannot be read ({error.strerror}): give the path of a PLINK 1 .bed file") from error
    if head[:2] == MAGIC[:2] and head[2:] == b"\x00":
        raise InputError(f"{bed} is sorted by people, as very old PLINK wrote it: write it again by plink2 --make-bed")
    if head != MAGIC:
        raise InputError(f"{bed} is no PLINK 1 .bed file, by its first bytes: write one by plink2 --make-bed")
    expected = len(MAGIC) + variants * -(-people // 4)
    if size != expected:
        raise InputError(
            f"{bed} has {size} bytes, but {people} people and {variants} variants make {expected}: it is cut short, or "
            "the .bim or .fam beside it is of another file"
        )
