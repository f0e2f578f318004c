"""VCF and BCF files, with dosages (DS), genotype probabilities (GP) or calls (GT).

Source: https://samtools.github.io/hts-specs/VCFv4.3.pdf.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Rows
from disentangle_pl.genetics.genotypes import Fileset, X, library, variants_table
from disentangle_pl.genetics.plink import MISSING, Calls
from disentangle_pl.genetics.samples import NOBODY, read_samples

ABSENT = -1
"""What stands for an allele that is not known; below it, for one that a haploid person has not."""


class Places(NamedTuple):
    """Where the variants of a file lie, each (M,).

    Attributes:
        contig: As the file writes it.
        position: In base pairs.
        rank: Number of variants right before that have the same place.
        on_x: Whether that is chromosome X, where a haploid person counts twice.
    """

    contig: NDArray[np.object_]
    position: NDArray[np.int64]
    rank: NDArray[np.int64]
    on_x: NDArray[np.bool_]


class Vcf:
    """Dosages of the alternative allele in a .vcf, .vcf.gz or .bcf file; a `Source`.

    Variants are read one after the other; a jump takes an index (.tbi or .csi) beside the file, or a pass from its
    beginning.

    Args:
        path: Of the file.
        places: Of its variants.

    Raises:
        InputError: If the library that reads it lacks, or the file is damaged.
    """

    def __init__(self, path: Path, places: Places) -> None:
        self._path, self._places = path, places
        self._indexed = any(path.with_name(f"{path.name}.{suffix}").is_file() for suffix in ("tbi", "csi"))
        with _readable(path):
            self._file = _open(path)
        self._records: Iterator[Any] = iter(self._file)
        self._next, self._contig = 0, ""

    def read(self, people: Rows, variants: NDArray[np.int64]) -> Calls:
        """Return dosages (m, N) float32; see `Source`."""
        dosages = np.full((len(variants), len(people)), MISSING, dtype=np.float32)
        with _readable(self._path):
            for k, row in enumerate(variants.tolist()):
                record = self._record(row)
                if len(record.ALT) == 1:
                    dosages[k] = _dosage(record, bool(self._places.on_x[row]))[people]
        np.nan_to_num(dosages, copy=False, nan=float(MISSING))
        return dosages

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _record(self, row: int) -> Any:
        elsewhere = self._contig not in ("", self._places.contig[row])
        if row < self._next or elsewhere or (row > self._next and self._indexed):
            self._jump(row)
        record = next(islice(self._records, row - self._next, None), None)
        self._next = row + 1
        if record is None:
            raise OSError("it ends before its last variant")
        return record

    def _jump(self, row: int) -> None:
        places = self._places
        if self._indexed:
            self._contig, position = str(places.contig[row]), int(places.position[row])
            self._next = row - int(places.rank[row])
            self._records = self._from(self._contig, position)
            return
        self._file.close()
        self._file = _open(self._path)
        self._records, self._next = iter(self._file), 0

    def _from(self, contig: str, position: int) -> Iterator[Any]:
        """Yield the records of a contig from a position on; an index also tells longer ones that began before."""
        for first, last in ((position, str(position)), (position + 1, "")):
            yield from (each for each in self._file(f"{contig}:{first}-{last}") if first <= each.POS)


def open_vcf(vcf: Path, sample: Path | None) -> Fileset:
    """Read people and variants of a .vcf, .vcf.gz or .bcf, in a pass over the file.

    Args:
        vcf: Its path.
        sample: A .psam, .fam or .sample with the sexes of the same people in the same order; without it, they are
            unknown.

    Raises:
        InputError: As `open_filesets`.
    """
    with _readable(vcf), closing(_open(vcf)) as file:
        names = list(file.samples)
        rows = [(each.CHROM, str(each.POS), each.ID or ".", each.REF, ",".join(each.ALT) or ".") for each in file]
    people = pd.DataFrame({"fid": NOBODY, "iid": names, "sex": None})
    if sample is not None:
        theirs = read_samples(sample, "it has the sexes of the people of the genotypes")
        if theirs["iid"].tolist() != names and (theirs["fid"] + "_" + theirs["iid"]).tolist() != names:
            raise InputError(f"{sample} has other people than {vcf}, or in another order: give the one of this file")
        people = theirs
    table = pd.DataFrame(rows, columns=["chromosome", "position", "id", "other", "a1"], dtype=object)
    variants = variants_table(table, vcf)
    keys = table["chromosome"] + ":" + table["position"]
    rank = keys.groupby((keys != keys.shift()).cumsum()).cumcount().to_numpy().astype(np.int64)
    contig, position = table["chromosome"].to_numpy(object), variants["position"].to_numpy(np.int64)
    places = Places(contig, position, rank, (variants["chromosome"] == X).to_numpy(bool))
    return Fileset(vcf, people, variants, partial(Vcf, vcf, places))


def _dosage(record: Any, on_x: bool) -> NDArray[np.float32]:
    """Return the dosages (N,) of a record, NaN where missing.

    Raises:
        ValueError: If it has no field that tells them.
    """
    fields = record.FORMAT
    if "DS" in fields:
        dosage: NDArray[np.float32] = record.format("DS")[:, 0].astype(np.float32)
    elif "GP" in fields:
        chances = record.format("GP").astype(np.float32)
        dosage = chances[:, 1] + 2 * np.nan_to_num(chances[:, 2:]).sum(axis=1)  # haploid people have two chances
    elif "GT" in fields:
        dosage = np.full(len(record.genotype.array()), np.nan, dtype=np.float32)
    else:
        raise ValueError(f"{record.ID or record.POS} has no DS, GP or GT")
    lacking = np.isnan(dosage)
    if "GT" not in fields or not (on_x or lacking.any()):
        return dosage
    alleles = record.genotype.array()[:, :-1]
    called = np.where((alleles == ABSENT).any(axis=1), np.nan, (alleles > 0).sum(axis=1))
    dosage = np.where(lacking, called, dosage)  # plink2 writes no DS where it is the call
    haploid = (alleles < ABSENT).any(axis=1) | (alleles.shape[1] == 1)
    return np.where(haploid & on_x, 2 * dosage, dosage).astype(np.float32)


def _open(path: Path) -> Any:
    return library("cyvcf2", "VCF and BCF files").VCF(str(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read ({str(error).strip()}): it is damaged, or no VCF or BCF file"
        ) from error
