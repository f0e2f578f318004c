"""The same study for other programs: tables as PLINK reads them, and shell scripts for plink2 and regenie.

regenie's mixed model takes relatives and ancestry into account, which least squares does not.

Source: Mbatchou et al. 2021, Nature Genetics 53:1097, for the two steps.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.genotypes import PERSON, Limits
from disentangle_pl.genetics.results import write_text

HEAD = "#!/bin/sh\nset -e\n"


def write_scripts(
    folder: Path,
    people: pd.DataFrame,
    tables: Mapping[str, tuple[Sequence[str], Values]],
    beds: Sequence[Path],
    limits: Limits,
) -> None:
    """Write phenotypes.txt and covariates.txt of the people of a study, plink2.sh and regenie.sh.

    Args:
        folder: Where to; the scripts use absolute paths.
        people: Columns fid and iid, N rows.
        tables: Names and values (N, K) of the columns of `phenotypes` and `covariates`.
        beds: Genotypes.
        limits: Of variants.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, (columns, values) in tables.items():
        if len(columns):
            table = pd.DataFrame(values, columns=[_word(column) for column in columns])
            table = pd.concat([people[PERSON].set_axis(["FID", "IID"], axis=1), table], axis=1)
            paths[name] = (folder / f"{name}.txt").absolute()
            write_text(paths[name], table.to_csv(sep="\t", index=False, na_rep="NA", float_format="%.12g"))
    prefixes = [shlex.quote(str(bed.absolute().with_suffix(""))) for bed in beds]
    write_text(folder / "plink2.sh", HEAD + _plink2(prefixes, paths, limits))
    write_text(folder / "regenie.sh", HEAD + _regenie(prefixes, paths, limits))


def _word(name: str) -> str:
    return "_".join(name.split())


def _plink2(prefixes: Sequence[str], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f"--covar {shlex.quote(str(paths['covariates']))} " if "covariates" in paths else ""
    several, scaled = ("", " --covar-variance-standardize") if covariates else (" allow-no-covars", "")
    keep = shlex.quote(str(paths["phenotypes"]))
    return (
        f"for genotypes in {' '.join(prefixes)}; do\n"
        f'  plink2 --bfile "$genotypes" --keep {keep} --pheno {keep} {covariates}\\\n'
        f"    --maf {limits.maf:g} --geno {limits.geno:g} --hwe {limits.hwe:g} midp --autosome \\\n"
        f"    --glm omit-ref hide-covar{several} cols=+a1freq{scaled} \\\n"
        '    --out "plink2_$(basename "$genotypes")"\n'
        "done\n"
    )


def _regenie(prefixes: Sequence[str], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f" --covarFile {shlex.quote(str(paths['covariates']))}" if "covariates" in paths else ""
    tables = f"--phenoFile {shlex.quote(str(paths['phenotypes']))}{covariates} --qt"
    return (
        "# step 1 takes one fileset with the genotyped variants of all chromosomes, of good quality\n"
        f"whole=${{1:-{prefixes[0]}}}\n"
        f'plink2 --bfile "$whole" --maf {limits.maf:g} --geno {limits.geno:g} --hwe {limits.hwe:g} midp --autosome '
        "--write-snplist --out step1\n"
        f'regenie --step 1 --bed "$whole" --extract step1.snplist {tables} --bsize 1000 --lowmem --out step1\n'
        f"for genotypes in {' '.join(prefixes)}; do\n"
        f'  regenie --step 2 --bed "$genotypes" {tables} --bsize 400 --pred step1_pred.list '
        '--out "regenie_$(basename "$genotypes")"\n'
        "done\n"
    )
