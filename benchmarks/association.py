"""Tests per second of the association scan against plink2 --glm, reading genotypes and writing results on both sides.

    python -m benchmarks.association [--people 2000] [--variants 20000] [--phenotypes 10 64] [--rounds 5]

Genotypes are drawn, with 1 % of all calls missing; both sides have one thread and take turns. Ours fits the same models
with the same people and writes every number as parquet, plink2 as text. CPU seconds are those of whole processes; ours
are given with and without the start of Python. Quiet machines only: a busy one slows what has more to read.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.association_child import RESULT
from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.genetics.plink import Calls, Row, write_plink

COVARIATES, MISSING = 6, 0.01
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
GLM = ["--glm", "omit-ref", "hide-covar", "cols=chrom,pos,ref,alt,a1freq,nobs,beta,se,tz,p", "--threads", "1"]


class Taken(NamedTuple):
    """Seconds of a process: on the clock, of the processor, and the latter without the start of Python."""

    wall: float
    cpu: float
    scan: float


def make(folder: Path, people: int, variants: int, most: int) -> None:
    """Write genotypes, phenotypes and covariates."""
    rng = np.random.default_rng(0)
    names = [f"I{i}" for i in range(people)]

    def calls(frequency: float) -> Calls:
        drawn = rng.binomial(2, frequency, people).astype(np.int8)
        drawn[rng.random(people) < MISSING] = -127
        return drawn

    places = [Row(f"rs{j}", 1 + 22 * j // variants, 1000 * (j + 1), "A", "G") for j in range(variants)]
    frequencies = rng.uniform(0.02, 0.5, variants)
    male = (rng.random(people) < 0.5).tolist()
    write_plink(folder / "g", names, male, places, (calls(frequency) for frequency in frequencies))
    for name, width in (("covariates", COVARIATES), ("phenotypes", most)):
        table = pd.DataFrame(rng.standard_normal((people, width)), columns=[f"{name[0]}{k}" for k in range(width)])
        table.insert(0, "IID", names)
        table.insert(0, "#FID", names)
        table.to_csv(folder / f"{name}.txt", sep="\t", index=False, float_format="%.17g")


def run(command: list[str]) -> tuple[Taken, str]:
    """Run a process alone and take its time."""
    begin, before = time.perf_counter(), os.times()
    done = subprocess.run(command, env=ALONE, capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - begin, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(wall, cpu, cpu), done.stdout


def run_ours(folder: Path, phenotypes: int) -> Taken:
    """Run ours in a process of its own."""
    taken, said = run([sys.executable, "-m", "benchmarks.association_child", str(folder), str(phenotypes)])
    (line,) = [line for line in said.splitlines() if line.startswith(RESULT)]
    return taken._replace(scan=float(json.loads(line.removeprefix(RESULT))))


def run_plink2(folder: Path, phenotypes: int) -> Taken:
    """Run plink2 on the first phenotypes."""
    columns = ",".join(f"p{k}" for k in range(phenotypes))
    files = ["--bfile", str(folder / "g"), "--pheno", str(folder / "phenotypes.txt"), "--pheno-name", columns]
    covariates = ["--covar", str(folder / "covariates.txt"), "--out", str(folder / "plink2")]
    return run(["plink2", *files, *covariates, *GLM])[0]


def agreement(folder: Path, phenotypes: int) -> float:
    """Return the largest difference of t statistics over all tests of the last phenotype."""
    last = f"p{phenotypes - 1}"
    theirs = pd.read_csv(folder / f"plink2.{last}.glm.linear", sep="\t")["T_STAT"].to_numpy(np.float64)
    mine = pq.read_table(folder / "ours.parquet", filters=[("phenotype", "=", last)])["t"].to_numpy()
    return float(np.abs(mine - theirs).max())


def report(tests: int, phenotypes: int, mine: list[Taken], theirs: list[Taken], apart: float) -> str:
    """Write the rows of a table."""
    rows = []
    for name, taken in (("disentangle_pl", mine), ("plink2 --glm", theirs)):
        if taken:
            wall, cpu, scan = (float(np.median([each[i] for each in taken])) for i in range(3))
            rows.append(f"| {phenotypes} | {name} | {wall:.2f} | {cpu:.2f} | {scan:.2f} | {tests / scan / 1e3:.0f} |")
    if theirs:
        ratios = [b.scan / a.scan for a, b in zip(mine, theirs, strict=True)]
        low, high = min(ratios), max(ratios)
        rows.append(
            f"\n{phenotypes} phenotypes: {np.median(ratios):.1f} [{low:.1f}, {high:.1f}] times as fast as plink2 by "
            f"CPU seconds without the start of Python; largest difference of t {apart:.2g}.\n"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure both sides in turns and print the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--variants", type=int, default=20000)
    parser.add_argument("--phenotypes", type=int, nargs="+", default=[10, 64])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rival = shutil.which("plink2")
    print(f"# Association\n\n{describe_machine()}; commit {describe_commit()}\n")
    said = subprocess.run([rival, "--version"], capture_output=True, text=True, check=True).stdout if rival else ""
    print(said.strip() or "plink2 is not installed: only ours is measured (apt install plink2)")
    print(
        f"\n{given.people} people, {given.variants} variants, {COVARIATES} covariates, {MISSING:.0%} missing calls, "
        f"medians of {given.rounds} rounds\n"
    )
    print("| phenotypes | program | wall s | CPU s | at work | 1,000 tests a CPU second |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, given.people, given.variants, max(given.phenotypes))
        for phenotypes in given.phenotypes:
            mine, theirs = [], []
            for _ in range(given.rounds):
                mine.append(run_ours(folder, phenotypes))
                theirs += [run_plink2(folder, phenotypes)] if rival else []
            apart = agreement(folder, phenotypes) if rival else float("nan")
            print(report(given.variants * phenotypes, phenotypes, mine, theirs, apart), flush=True)


if __name__ == "__main__":
    main()
