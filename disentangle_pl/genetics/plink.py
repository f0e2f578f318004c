"""Genotypes as PLINK writes them: a .bed file of two bits a call, a .bim of variants and a .fam of people.

Source: Chang et al. 2015, Second-generation PLINK: rising to the challenge of larger and richer datasets,
GigaScience 4.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from bed_reader import create_bed

Calls = npt.NDArray[np.int8 | np.float32]
"""0, 1 or 2 times an allele, or, as float32, expected numbers of it from 0 to 2; a missing one is `MISSING`."""
MISSING = np.int8(-127)
SUFFIXES = (".bed", ".bim", ".fam")


class Row(NamedTuple):
    """A line of the .bim file; the calls count allele_1."""

    name: str
    chromosome: int
    position: int
    allele_1: str
    allele_2: str


def write_plink(
    prefix: Path, people: Sequence[str], male: Sequence[bool], variants: Sequence[Row], calls: Iterable[Calls]
) -> None:
    """Write the three files, one variant in memory at a time; whole files take the place of older ones at the end.

    Args:
        prefix: Path without suffix.
        people: (N,) identifiers, within a family of the same name.
        male: (N,) sex.
        variants: (M,) lines of the .bim file.
        calls: M arrays (N,): 0, 1 or 2 times allele 1, or -127 for a missing call.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    partial = prefix.with_name(f".{prefix.name}.partial")
    properties = {
        "fid": list(people),
        "iid": list(people),
        "sex": [1 if man else 2 for man in male],
        "sid": [row.name for row in variants],
        "chromosome": [str(row.chromosome) for row in variants],
        "bp_position": [row.position for row in variants],
        "allele_1": [row.allele_1 for row in variants],
        "allele_2": [row.allele_2 for row in variants],
    }
    with create_bed(partial.with_suffix(".bed"), len(people), len(variants), properties, num_threads=1) as bed:
        for column in calls:
            bed.write(column)
    for suffix in SUFFIXES:
        partial.with_suffix(suffix).replace(prefix.with_suffix(suffix))
