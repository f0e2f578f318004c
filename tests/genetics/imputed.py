"""Dosages out of nothing, and a VCF of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.genetics.made import names

Dosages = NDArray[np.float32]


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
