"""Files of genotypes by their names, whatever their format, and the genome build they tell."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.bed import open_bed_fileset
from disentangle_pl.genetics.bgen import open_bgen
from disentangle_pl.genetics.genotypes import Fileset
from disentangle_pl.genetics.pgen import open_pgen
from disentangle_pl.genetics.vcf import open_vcf

CHROMOSOMES = (*map(str, range(1, 27)), "X", "Y", "XY", "MT", "M")
PLACE = "{chr}"
BUILDS = {
    ("rs429358", 44908684): "GRCh38",
    ("rs7412", 44908822): "GRCh38",
    ("rs429358", 45411941): "GRCh37",
    ("rs7412", 45412079): "GRCh37",
}
FORMATS = {
    ".bed": open_bed_fileset,
    ".pgen": open_pgen,
    ".bgen": open_bgen,
    ".vcf": open_vcf,
    ".vcf.gz": open_vcf,
    ".bcf": open_vcf,
}
"""Who opens a file of this suffix, with the file of its people, None for the one beside it."""


def open_filesets(names: Sequence[str], sample: str | None = None) -> list[Fileset]:
    """Read people and variants of filesets, and check that the genotypes fit them.

    Args:
        names: Paths of .bed, .pgen, .bgen, .vcf, .vcf.gz or .bcf files, a .bed with or without the suffix; `{chr}` in a
            path stands for all chromosomes that are there.
        sample: File of the people of a .bgen, .vcf or .bcf, see `read_samples`; `{chr}` is as in the path. Without it,
            the people are those of the .sample beside the file, or of the file.

    Raises:
        InputError: If a file is missing, of no such format, truncated or not of the size that the files beside it ask
            for, a person or a fileset is there twice, or the library that reads it is not installed.
    """
    places = [place for name in names for place in _expanded(name)]
    paths = [path for path, _ in places]
    twice = [str(path) for path in dict.fromkeys(paths) if paths.count(path) > 1]
    if twice or not paths:
        raise InputError(
            f"the genotypes {listing(twice) or 'of no file'} are given more than once: name each file once"
        )
    return [FORMATS[suffix_of(path.name)](path, _sample_of(sample, chromosome)) for path, chromosome in places]


def suffix_of(name: str) -> str:
    """Return the suffix that tells the format of a file of genotypes, nothing if it has none of them."""
    return next((suffix for suffix in FORMATS if name.endswith(suffix)), "")


def _sample_of(sample: str | None, chromosome: str) -> Path | None:
    return None if sample is None else Path(sample.replace(PLACE, chromosome))


def genome_build(variants: pd.DataFrame) -> str | None:
    """Tell the genome build from where the two variants of APOE lie; None if neither is at a known place."""
    mine = variants[variants["id"].isin({name for name, _ in BUILDS})]
    places = zip(mine["id"].tolist(), mine["position"].tolist(), strict=True)
    found = {BUILDS.get(place) for place in places} - {None}
    return found.pop() if len(found) == 1 else None


def build_of(filesets: Sequence[Fileset], given: str | None) -> str | None:
    """Return the genome build that is given, or else the first that `genome_build` tells."""
    return given or next(filter(None, (genome_build(each.variants) for each in filesets)), None)


def _expanded(name: str) -> list[tuple[Path, str]]:
    """Return paths with their chromosome, which is nothing without a place for it."""
    text = name if suffix_of(name) else f"{name}.bed"
    if PLACE not in text:
        if not Path(text).is_file():
            raise InputError(f"there is no file {text}: give a .bed, .pgen, .bgen, .vcf, .vcf.gz or .bcf file")
        return [(Path(text), "")]
    places = [(Path(text.replace(PLACE, chromosome)), chromosome) for chromosome in CHROMOSOMES]
    there = [place for place in places if place[0].is_file()]
    if not there:
        raise InputError(f"there is no file {text} for any chromosome from 1 to 26, X, Y, XY or MT: give another --bed")
    return there
