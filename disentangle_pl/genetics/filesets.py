"""PLINK 1 filesets: what their .bim and .fam say, and whether the .bed fits them.

Source: the format as PLINK 1.9 documents it, https://www.cog-genomics.org/plink/1.9/formats.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from disentangle_pl.errors import InputError, listing

CHROMOSOMES = (*map(str, range(1, 27)), "X", "Y", "XY", "MT", "M")
PLACE = "{chr}"
MAGIC = b"\x6c\x1b\x01"
BUILDS = {
    ("rs429358", 44908684): "GRCh38",
    ("rs7412", 44908822): "GRCh38",
    ("rs429358", 45411941): "GRCh37",
    ("rs7412", 45412079): "GRCh37",
}
_SEXES = {"1": "M", "2": "F"}
_BY_NUMBER = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT"}


class Fileset(NamedTuple):
    """A .bed with its people and variants.

    Attributes:
        bed: The file of calls.
        people: Columns fid, iid (text) and sex (M, F, or missing), a row a person in the order of the .fam.
        variants: Columns chromosome, id (text), position (base pairs), a1 (the counted allele) and other, a row a
            variant in the order of the .bim.
    """

    bed: Path
    people: pd.DataFrame
    variants: pd.DataFrame


def open_filesets(names: Sequence[str]) -> list[Fileset]:
    """Read people and variants of filesets, and check that the calls fit them.

    Args:
        names: Paths of .bed files, with or without the suffix; `{chr}` in a path stands for all chromosomes that are
            there.

    Raises:
        InputError: If a file is missing, no PLINK 1 file, truncated or not of the size that its .bim and .fam ask
            for, or a person or a fileset is there twice.
    """
    beds = [bed for name in names for bed in _expanded(name)]
    twice = [str(bed) for bed in dict.fromkeys(beds) if beds.count(bed) > 1]
    if twice or not beds:
        raise InputError(
            f"the genotypes {listing(twice) or 'of no file'} are given more than once: name each .bed once"
        )
    return [_opened(bed) for bed in beds]


def genome_build(variants: pd.DataFrame) -> str | None:
    """Tell the genome build from where the two variants of APOE lie; None if neither is at a known place."""
    mine = variants[variants["id"].isin({name for name, _ in BUILDS})]
    places = zip(mine["id"].tolist(), mine["position"].tolist(), strict=True)
    found = {BUILDS.get(place) for place in places} - {None}
    return found.pop() if len(found) == 1 else None


def chromosome_names(cells: pd.Series) -> pd.Series:
    """Write chromosomes alike: chr1, 01 and 1 are 1, and 23 is X, as plink2 prints them."""
    names = {cell: _chromosome_name(cell) for cell in cells.unique()}
    return cells.map(names)


def _chromosome_name(cell: str) -> str:
    name = cell.upper().removeprefix("CHR")
    plain = name.lstrip("0") or name if name.isdigit() else name
    return _BY_NUMBER.get(plain, plain)


def build_of(filesets: Sequence[Fileset], given: str | None) -> str | None:
    """Return the genome build that is given, or else the first that `genome_build` tells."""
    return given or next(filter(None, (genome_build(each.variants) for each in filesets)), None)


def _expanded(name: str) -> list[Path]:
    text = name if name.endswith(".bed") else f"{name}.bed"
    if PLACE not in text:
        return [Path(text)]
    found = [path for chromosome in CHROMOSOMES if (path := Path(text.replace(PLACE, chromosome))).is_file()]
    if not found:
        raise InputError(f"there is no file {text} for any chromosome from 1 to 26, X, Y, XY or MT: give another --bed")
    return found


def _opened(bed: Path) -> Fileset:
    people = _table(bed.with_suffix(".fam"), ["fid", "iid", "father", "mother", "sex", "trait"])
    variants = _table(bed.with_suffix(".bim"), ["chromosome", "id", "morgans", "position", "a1", "other"], "morgans")
    _check_size(bed, len(people), len(variants))
    twice = people.loc[people.duplicated(["fid", "iid"]), "iid"].tolist()
    if twice:
        raise InputError(f"{bed.with_suffix('.fam')} has {listing(twice, 3)} more than once: keep one line a person")
    position = pd.to_numeric(variants["position"], errors="coerce")
    wrong = variants.index[position.isna()]
    if len(wrong):
        raise InputError(
            f"{bed.with_suffix('.bim')} has {variants['position'][wrong[0]]!r} as position in line {wrong[0] + 1}: "
            "write base pairs"
        )
    places = {"chromosome": chromosome_names(variants["chromosome"]), "position": position.astype("int64")}
    kept = variants[["id", "a1", "other"]].assign(**places)
    return Fileset(bed, people[["fid", "iid"]].assign(sex=people["sex"].map(_SEXES)), kept)


def _table(path: Path, columns: list[str], optional: str | None = None) -> pd.DataFrame:
    """Read a table without header; one column may be absent, as plink2 allows that of centimorgans."""
    try:
        table = pd.read_csv(path, sep=r"\s+", header=None, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): a .bed needs its .bim and .fam beside it") from error
    if optional and table.shape[1] == len(columns) - 1:
        columns = [name for name in columns if name != optional]
    if table.shape[1] != len(columns):
        raise InputError(f"{path} has {table.shape[1]} columns and ought to have {len(columns)}: {', '.join(columns)}")
    return table.set_axis(columns, axis=1)


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
