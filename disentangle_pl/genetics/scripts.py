"""The same study for other programs: tables as PLINK reads them, and shell scripts for plink2 and regenie.

regenie's mixed model takes relatives and ancestry into account, which least squares does not.

Source: Mbatchou et al. 2021, Nature Genetics 53:1097, for the two steps.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from disentangle_pl.errors import InputError, listing
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import PERSON, Limits
from disentangle_pl.genetics.results import write_text

HEAD = "#!/bin/sh\nset -e\n"


OPTIONS = {".bed": ("--bfile", "--bed"), ".pgen": ("--pfile", "--pgen")}
"""What plink2 and regenie call files of this suffix."""


def check_scripts(paths: Sequence[Path]) -> None:
    """Refuse genotypes that the scripts do not read.

    Raises:
        InputError: If there are some.
    """
    others = [str(path) for path in paths if path.suffix not in OPTIONS]
    if others:
        raise InputError(
            f"--scripts are for .bed and .pgen files, {listing(others, 2)} is none: write one by plink2 --make-pgen"
        )


def write_scripts(
    folder: Path,
    people: pd.DataFrame,
    tables: Mapping[str, tuple[Sequence[str], Values]],
    genotypes: Sequence[Path],
    limits: Limits,
) -> None:
    """Write phenotypes.txt and covariates.txt of the people of a study, plink2.sh and regenie.sh.

    Args:
        folder: Where to; the scripts use absolute paths.
        people: Columns fid and iid, N rows.
        tables: Names and values (N, K) of the columns of `phenotypes` and `covariates`.
        genotypes: Files, .bed or .pgen.
        limits: Of variants.

    Raises:
        InputError: If the genotypes are of another format.
    """
    check_scripts(genotypes)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, (columns, values) in tables.items():
        if len(columns):
            table = pd.DataFrame(values, columns=[_word(column) for column in columns])
            table = pd.concat([people[PERSON].set_axis(["FID", "IID"], axis=1), table], axis=1)
            paths[name] = (folder / f"{name}.txt").absolute()
            write_text(paths[name], table.to_csv(sep="\t", index=False, na_rep="NA", float_format="%.12g"))
    prefixes: dict[str, list[str]] = {}
    for path in genotypes:
        prefixes.setdefault(path.suffix, []).append(shlex.quote(str(path.absolute().with_suffix(""))))
    write_text(folder / "plink2.sh", HEAD + "".join(_plink2(*each, paths, limits) for each in prefixes.items()))
    write_text(folder / "regenie.sh", HEAD + _regenie(prefixes, paths, limits))


def _word(name: str) -> str:
    return "_".join(name.split())


def _plink2(suffix: str, prefixes: Sequence[str], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f"--covar {shlex.quote(str(paths['covariates']))} " if "covariates" in paths else ""
    several, scaled = ("", " --covar-variance-standardize") if covariates else (" allow-no-covars", "")
    keep = shlex.quote(str(paths["phenotypes"]))
    packed = "" if suffix == ".bed" else ' $([ -f "$genotypes.pvar.zst" ] && echo vzs)'
    imputed = "" if suffix == ".bed" else f" --mach-r2-filter {limits.info:g} 9"
    return (
        f"for genotypes in {' '.join(prefixes)}; do\n"
        f'  plink2 {OPTIONS[suffix][0]} "$genotypes"{packed} --keep {keep} --pheno {keep} {covariates}\\\n'
        f"    --maf {limits.maf:g} --geno {limits.geno:g} --hwe {limits.hwe:g} midp{imputed} --autosome \\\n"
        f"    --glm omit-ref hide-covar{several} cols=+a1freq{scaled} \\\n"
        '    --out "plink2_$(basename "$genotypes")"\n'
        "done\n"
    )


def _regenie(prefixes: dict[str, list[str]], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f" --covarFile {shlex.quote(str(paths['covariates']))}" if "covariates" in paths else ""
    tables = f"--phenoFile {shlex.quote(str(paths['phenotypes']))}{covariates} --qt"
    suffix, (first, *_) = next(iter(prefixes.items()))
    of_plink2, of_regenie = OPTIONS[suffix]
    steps = [
        f"for genotypes in {' '.join(each)}; do\n"
        f'  regenie --step 2 {OPTIONS[kind][1]} "$genotypes" {tables} --bsize 400 --pred step1_pred.list '
        '--out "regenie_$(basename "$genotypes")"\n'
        "done\n"
        for kind, each in prefixes.items()
    ]
    return (
        "# step 1 takes one fileset with the genotyped variants of all chromosomes, of good quality\n"
        f"whole=${{1:-{first}}}\n"
        f'plink2 {of_plink2} "$whole" --maf {limits.maf:g} --geno {limits.geno:g} --hwe {limits.hwe:g} midp --autosome '
        "--write-snplist --out step1\n"
        f'regenie --step 1 {of_regenie} "$whole" --extract step1.snplist {tables} --bsize 1000 --lowmem --out step1\n'
        + "".join(steps)
    )
