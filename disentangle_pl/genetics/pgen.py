"""PLINK 2 filesets: .pgen with calls or dosages, .pvar (or .pvar.zst) and .psam.

Source: https://www.cog-genomics.org/plink/2.0/formats.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.bed import read_bim
from disentangle_pl.genetics.designs import Rows
from disentangle_pl.genetics.genotypes import Fileset, library, variants_table
from disentangle_pl.genetics.plink import MISSING, Calls
from disentangle_pl.genetics.samples import read_samples

PVAR = {"#CHROM": "chromosome", "POS": "position", "ID": "id", "REF": "other", "ALT": "a1"}
BESIDE = "a .pgen needs its .pvar (or .pvar.zst) and .psam beside it"


class Pgen:
    """Calls and dosages of the alternative allele in a .pgen file; a `Source`.

    Args:
        path: Of the file.
        people: That it has.
        alleles: (M,) of the variants.

    Raises:
        InputError: If the library that reads it lacks, or the file has other numbers of people and variants.
    """

    def __init__(self, path: Path, people: int, alleles: NDArray[np.int64]) -> None:
        self._path = path
        offsets = np.concatenate(([0], np.cumsum(alleles))).astype(np.uintp) if (alleles > 2).any() else None
        with _readable(path):
            self._file: Any = library("pgenlib", ".pgen files").PgenReader(
                str(path).encode(), raw_sample_ct=people, variant_ct=len(alleles), allele_idx_offsets=offsets
            )
        self._row = np.empty(people, dtype=np.float32)

    def read(self, people: Rows, variants: NDArray[np.int64]) -> Calls:
        """Return dosages (m, N) float32; see `Source`."""
        dosages = np.empty((len(variants), len(people)), dtype=np.float32)
        with _readable(self._path):
            for k, variant in enumerate(variants.tolist()):
                self._file.read_dosages(variant, self._row)
                dosages[k] = self._row[people]
        dosages[dosages < 0] = MISSING
        return dosages

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_pgen(pgen: Path, sample: Path | None) -> Fileset:
    """Read people and variants of a .pgen, and check that it has as many.

    Args:
        pgen: Its path.
        sample: A .psam elsewhere than beside it.

    Raises:
        InputError: As `open_filesets`.
    """
    people = read_samples(sample or pgen.with_suffix(".psam"), BESIDE)
    variants = _variants(pgen.with_suffix(".pvar"))
    alleles = 2 + variants["a1"].str.count(",").to_numpy().astype(np.int64)
    source = partial(Pgen, pgen, len(people), alleles)
    source().close()
    return Fileset(pgen, people, variants, source)


def _variants(pvar: Path) -> pd.DataFrame:
    packed = pvar.with_name(f"{pvar.name}.zst")
    try:
        text = pvar.read_bytes() if pvar.exists() else pa.input_stream(packed, compression="zstd").read()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{pvar} cannot be read ({error}): {BESIDE}") from error
    if not text.startswith(b"#"):
        return read_bim(pvar, BESIDE)
    start = text.index(b"#CHROM") if b"#CHROM" in text else 0
    try:
        table = pd.read_csv(
            BytesIO(text[start:]), sep="\t", usecols=list(PVAR), dtype=str, keep_default_na=False, na_filter=False
        )
    except ValueError as error:
        raise InputError(f"{pvar} cannot be read ({error}): write it anew by plink2 --make-pgen") from error
    return variants_table(table.rename(columns=PVAR), pvar)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise InputError(
            f"{path} cannot be read ({str(error).strip()}): it is damaged, or the .pvar or .psam is of another file"
        ) from error
