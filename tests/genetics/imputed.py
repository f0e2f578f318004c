"""Dosages out of nothing, and files of them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.genetics.made import names

Dosages = NDArray[np.float32]
SAMPLE = "ID_1 ID_2 missing sex\n0 0 0 D\n"


def dosages(people: int = 90, variants: int = 30, seed: int = 0) -> Dosages:
    """Draw dosages (M, N) in eighths, which PGEN and VCF hold exactly, -127 in a few places of every third variant."""
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, rng.uniform(0.2, 0.8, (variants, 1)), (variants, people))
    drawn = np.clip(calls + rng.integers(-3, 4, calls.shape) / 8 * (rng.random(calls.shape) < 0.6), 0, 2)
    drawn[::3][rng.random(drawn[::3].shape) < 0.04] = -127
    return drawn.astype(np.float32)


def write_vcf(path: Path, drawn: Dosages, chromosome: str = "1", haploid: frozenset[int] = frozenset()) -> Path:
    """Write dosages (M, N) as DS beside the nearest calls, those of haploid people as numbers of one allele."""
    head = [
        "##fileformat=VCFv4.3",
        f"##contig=<ID={chromosome}>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="call">',
        '##FORMAT=<ID=DS,Number=A,Type=Float,Description="dosage">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names(drawn.shape[1])]),
    ]
    rows = [
        "\t".join([f"{chromosome}\t{1000 * (k + 1)}\trs{k + 1}\tG\tA\t.\t.\t.\tGT:DS", *_cells(row, haploid)])
        for k, row in enumerate(drawn.tolist())
    ]
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path


def _cells(row: list[float], haploid: frozenset[int]) -> list[str]:
    whole = {0: "0/0", 1: "0/1", 2: "1/1"}
    return [
        (".:." if i in haploid else "./.:.")
        if x < 0
        else f"{round(x / 2)}:{x / 2:g}"
        if i in haploid
        else f"{whole[round(x)]}:{x:g}"
        for i, x in enumerate(row)
    ]


def pack_vcf(plain: Path, path: Path, mode: str) -> Path:
    """Write a VCF anew, packed (wz) or as BCF (wb)."""
    library = pytest.importorskip("cyvcf2", reason="needs cyvcf2")
    source = library.VCF(str(plain))
    writer = library.Writer(str(path), source, mode=mode)
    for record in source:
        writer.write_record(record)
    writer.close()
    return path


def write_pgen(path: Path, drawn: Dosages) -> Path:
    writer = pytest.importorskip("pgenlib", reason="needs Pgenlib").PgenWriter
    with writer(str(path).encode(), drawn.shape[1], variant_ct=len(drawn), dosage_present=True) as file:
        for row in drawn:
            file.append_dosages(np.where(row < 0, -9, row).astype(np.float32))
    rows = [f"1\t{1000 * (k + 1)}\trs{k + 1}\tG\tA" for k in range(len(drawn))]
    path.with_suffix(".pvar").write_text("\n".join(["##x", "#CHROM\tPOS\tID\tREF\tALT", *rows]) + "\n")
    people = [f"{name}\t{i % 3}" for i, name in enumerate(names(drawn.shape[1]))]
    path.with_suffix(".psam").write_text("\n".join(["#IID\tSEX", *people]) + "\n")
    return path


def write_bgen(path: Path, drawn: Dosages, chromosome: str = "1", haploid: frozenset[int] = frozenset()) -> Path:
    writer = pytest.importorskip("bgen", reason="needs bgen").BgenWriter
    ploidy = np.array([1 if i in haploid else 2 for i in range(drawn.shape[1])], np.uint8)
    with writer(path, drawn.shape[1], samples=names(drawn.shape[1])) as file:
        for k, row in enumerate(drawn):
            two = np.maximum(row - 1, 0)
            chances = np.stack((1 - row + two, row - 2 * two, two), axis=1).astype(np.float64)
            single = np.stack((1 - row / 2, row / 2, row * np.nan), axis=1)
            chances = np.where((ploidy == 1)[:, None], single, chances)
            chances[row < 0] = np.nan
            name, place = f"rs{k + 1}", 1000 * (k + 1)
            file.add_variant(name, name, chromosome, place, ["G", "A"], chances, ploidy=ploidy, bit_depth=32)
    people = [f"{name} {name} 0 {i % 3}" for i, name in enumerate(names(drawn.shape[1]))]
    path.with_suffix(".sample").write_text(SAMPLE + "\n".join(people) + "\n")
    return path
