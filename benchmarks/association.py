"""`disentangle-pl gwas` against `plink2 --glm`, both as typed: from the first byte read to the last one written.

    python -m benchmarks.association [--plink2 plink2 ./newer/plink2] [--people 2000] [--variants 20000 100000]

Genotypes are drawn, the same 20,000 variants as often as it takes. Both have one thread. Seconds are those of the
processor, user and system, of whole processes, with the start of Python, the control by permuted genotypes, pictures
and report on our side, so that they hold on a busy machine too; seconds on the clock stand beside. A row a setting:

- imputed: no call is missing; typed: 1 % of the calls are missing;
- own pattern: 5 % of the values of every phenotype are missing too, of other people each.
"""

import argparse
import os
import resource
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

from benchmarks.machine import describe_commit, describe_machine
from disentangle_pl.genetics.plink import Calls, Row, write_plink

COVARIATES, MISSING, ABSENT, DRAWN = 6, 0.01, 0.05, 20_000
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
GLM = ["--glm", "omit-ref", "hide-covar", "cols=chrom,pos,ref,alt,a1freq,nobs,beta,se,tz,p", "--threads", "1"]
IMPUTED, TYPED = "imputed", "typed"
ALL, OWN = "phenotypes", "own"


class Taken(NamedTuple):
    """Seconds of a process: on the clock, and of the processor."""

    wall: float
    cpu: float


class Setting(NamedTuple):
    """A row of the table: genotypes, phenotypes, their number, and that of the variants."""

    genotypes: str
    table: str
    phenotypes: int
    variants: int


def make_tables(folder: Path, people: int, most: int) -> None:
    """Write phenotypes without missing values and with a pattern of their own each, and covariates."""
    rng = np.random.default_rng(0)
    names = [f"I{i}" for i in range(people)]
    values = {"covariates": rng.standard_normal((people, COVARIATES)), ALL: rng.standard_normal((people, most))}
    values[OWN] = np.where(rng.random((people, most)) < ABSENT, np.nan, values[ALL])
    for name, numbers in values.items():
        table = pd.DataFrame(numbers, columns=[f"{name[0]}{k}" for k in range(numbers.shape[1])])
        table.insert(0, "IID", names)
        table.insert(0, "#FID", names)
        table.to_csv(folder / f"{name}.txt", sep="\t", index=False, float_format="%.17g", na_rep="NA")


def make_genotypes(folder: Path, name: str, people: int, variants: int, missing: float) -> None:
    """Write genotypes; beyond 20,000 variants the calls of the first are repeated at other places."""
    rng = np.random.default_rng(1)
    drawn = min(variants, DRAWN)

    def calls(frequency: float) -> Calls:
        some = rng.binomial(2, frequency, people).astype(np.int8)
        some[rng.random(people) < missing] = -127
        return some

    rows = [Row(f"rs{j}", 1 + 22 * j // variants, 1000 * (j + 1), "A", "G") for j in range(variants)]
    frequencies = rng.uniform(0.02, 0.5, drawn)
    male = (rng.random(people) < 0.5).tolist()
    prefix = folder / f"{name}{variants}"
    write_plink(prefix, [f"I{i}" for i in range(people)], male, rows[:drawn], (calls(each) for each in frequencies))
    content = prefix.with_suffix(".bed").read_bytes()
    repeats = -(-variants // drawn)
    size = 3 + variants * -(-people // 4)
    prefix.with_suffix(".bed").write_bytes((content[:3] + content[3:] * repeats)[:size])
    lines = (f"{row.chromosome}\t{row.name}\t0\t{row.position}\tA\tG\n" for row in rows)
    prefix.with_suffix(".bim").write_text("".join(lines))


def run(command: list[str]) -> Taken:
    """Run a process alone and take its time."""
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=ALONE, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(time.perf_counter() - begin, cpu)


def phenotype_table(folder: Path, setting: Setting) -> Path:
    """Write the first phenotypes of a table alone, as both programs take them."""
    path = folder / f"{setting.table}{setting.phenotypes}.txt"
    if not path.exists():
        table = pd.read_csv(folder / f"{setting.table}.txt", sep="\t", dtype=str, keep_default_na=False)
        table.iloc[:, : 2 + setting.phenotypes].to_csv(path, sep="\t", index=False)
    return path


def run_ours(folder: Path, setting: Setting) -> Taken:
    """Run ours through the command line."""
    shutil.rmtree(folder / "ours", ignore_errors=True)
    bed = folder / f"{setting.genotypes}{setting.variants}.bed"
    files = ["--bed", str(bed), "--phenotypes", str(phenotype_table(folder, setting))]
    files += ["--covariates", str(folder / "covariates.txt"), "--out", str(folder / "ours"), "--jobs", "1"]
    return run([sys.executable, "-m", "disentangle_pl", "gwas", *files, "--rint=false"])


def run_plink2(folder: Path, setting: Setting, program: str) -> Taken:
    """Run plink2."""
    shutil.rmtree(folder / "theirs", ignore_errors=True)
    (folder / "theirs").mkdir()
    files = ["--bfile", str(folder / f"{setting.genotypes}{setting.variants}")]
    files += ["--pheno", str(phenotype_table(folder, setting)), "--covar", str(folder / "covariates.txt")]
    return run([program, *files, "--out", str(folder / "theirs" / "p"), *GLM])


def agreement(folder: Path, setting: Setting) -> float:
    """Return the largest difference of t statistics over all tests of the last phenotype."""
    last = f"{setting.table[0]}{setting.phenotypes - 1}"
    theirs = pd.read_csv(folder / "theirs" / f"p.{last}.glm.linear", sep="\t").set_index("ID")["T_STAT"]
    mine = pq.read_table(folder / "ours" / "associations.parquet", filters=[("phenotype", "=", last)]).to_pandas()
    return float(np.abs(theirs.loc[mine["id"].astype(str)].to_numpy(np.float64) - mine["t"].to_numpy()).max())


def row(setting: Setting, program: str, taken: list[Taken], mine: list[Taken], apart: float | None) -> str:
    """Write a row: medians, and the ratio of processor seconds with the smallest and largest of the rounds."""
    wall, cpu = (float(np.median([each[i] for each in taken])) for i in range(2))
    ratios = sorted(theirs.cpu / ours.cpu for ours, theirs in zip(mine, taken, strict=True))
    times = "" if apart is None else f"{np.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
    what = f"{setting.genotypes}{', own pattern' if setting.table == OWN else ''}"
    cells = [what, setting.phenotypes, setting.variants, program, f"{wall:.2f}", f"{cpu:.2f}", times]
    cells.append("" if apart is None else f"{apart:.1g}")
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Measure all sides in turns and print the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--plink2", nargs="+", default=["plink2"])
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--variants", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--phenotypes", type=int, nargs="+", default=[10, 64])
    parser.add_argument("--genotypes", nargs="+", choices=[IMPUTED, TYPED], default=[IMPUTED, TYPED])
    parser.add_argument("--tables", nargs="+", choices=[ALL, OWN], default=[ALL, OWN])
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    rivals = [found for each in given.plink2 if (found := shutil.which(each))]
    print(f"# Association\n\n{describe_machine()}; commit {describe_commit()}\n")
    for rival in rivals:
        said = subprocess.run([rival, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        print(f"{said}\n")
    print(
        f"{given.people} people, {COVARIATES} covariates; medians of {given.rounds} rounds of whole processes as "
        "typed, one thread; `times` is how many times the processor seconds of ours plink2 takes\n"
    )
    print("| genotypes | phenotypes | variants | program | wall s | CPU s | times | largest difference of t |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tables(folder, given.people, max(given.phenotypes))
        for variants in given.variants:
            for genotypes in given.genotypes:
                make_genotypes(folder, genotypes, given.people, variants, MISSING if genotypes == TYPED else 0.0)
                for table in given.tables:
                    for phenotypes in given.phenotypes if table == ALL else [max(given.phenotypes)]:
                        measure(folder, Setting(genotypes, table, phenotypes, variants), rivals, given.rounds)


def measure(folder: Path, setting: Setting, rivals: list[str], rounds: int) -> None:
    """Measure a setting and print its rows; a version of plink2 that needs over a minute is run once."""
    mine = [run_ours(folder, setting) for _ in range(rounds)]
    print(row(setting, "disentangle-pl gwas", mine, mine, None), flush=True)
    for rival in rivals:
        theirs = [run_plink2(folder, setting, rival)]
        theirs += [run_plink2(folder, setting, rival) for _ in range(rounds - 1 if theirs[0].cpu < 60 else 0)]
        said = subprocess.run([rival, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        apart = agreement(folder, setting)
        print(row(setting, f"plink2 {said}", theirs, mine[: len(theirs)], apart), flush=True)


if __name__ == "__main__":
    main()
