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
CALLS = {".pgen": '  plink2 --pfile "$part" --make-bed --out "$part"\n'}
"""How calls are made of dosages, which step 1 and components do not take."""


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
    """Write phenotypes.txt and covariates.txt of the people of a study, plink2.sh, regenie.sh and ancestry.sh.

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
    write_text(folder / "ancestry.sh", HEAD + _ancestry(prefixes, paths["phenotypes"], limits))


def _word(name: str) -> str:
    return "_".join(name.split())


def _plink2(suffix: str, prefixes: Sequence[str], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f"--covar {shlex.quote(str(paths['covariates']))} " if "covariates" in paths else ""
    several, scaled = ("", " --covar-variance-standardize") if covariates else (" allow-no-covars", "")
    keep = shlex.quote(str(paths["phenotypes"]))
    return (
        f"for genotypes in {' '.join(prefixes)}; do\n"
        f"  plink2 {_source(suffix)} --keep {keep} --pheno {keep} {covariates}\\\n"
        f"    {_limits(suffix, limits)} \\\n"
        f"    --glm omit-ref hide-covar{several} cols=+a1freq{scaled} \\\n"
        '    --out "plink2_$(basename "$genotypes")"\n'
        "done\n"
    )


def _filtered(prefixes: Mapping[str, Sequence[str]], keep: Path, limits: Limits) -> str:
    """Write every fileset anew with the people and variants of the study, no id twice, and the calls of all as one."""
    return (
        "# plink2 and regenie take a variant by its id: nameless ones get a name, and of one id the first stays.\n"
        "# The copies filtered_* and whole take as much room again as the genotypes; delete them afterwards.\n"
        "rm -f filtered.list\n"
        + "".join(
            f"for genotypes in {' '.join(each)}; do\n"
            '  part="filtered_$(basename "$genotypes")"\n'
            f"  plink2 {_source(suffix)} --keep {shlex.quote(str(keep))} \\\n"
            "    --set-missing-var-ids '@:#:$1:$2' --new-id-max-allele-len 99 truncate --rm-dup force-first \\\n"
            f"    {_limits(suffix, limits)} \\\n"
            f'    --make-{suffix[1:]} --out "$part"\n'
            f"{CALLS.get(suffix, '')}"
            '  echo "$part" >> filtered.list\n'
            "done\n"
            for suffix, each in prefixes.items()
        )
        + 'if [ "$(wc -l < filtered.list)" -gt 1 ]; then\n'
        "  plink2 --pmerge-list filtered.list bfile --make-bed --out whole\n"
        "else\n"
        '  plink2 --bfile "$(cat filtered.list)" --make-bed --out whole\n'
        "fi\n"
    )


def _source(suffix: str) -> str:
    packed = "" if suffix == ".bed" else ' $([ -f "$genotypes.pvar.zst" ] && echo vzs)'
    return f'{OPTIONS[suffix][0]} "$genotypes"{packed}'


def _limits(suffix: str, limits: Limits) -> str:
    imputed = "" if suffix == ".bed" else f" --mach-r2-filter {limits.info:g} 9"
    return f"--maf {limits.maf:g} --geno {limits.geno:g} --hwe {limits.hwe:g} midp{imputed} --autosome"


def _ancestry(prefixes: Mapping[str, Sequence[str]], keep: Path, limits: Limits) -> str:
    return (
        _filtered(prefixes, keep, limits)
        + "# variants that hardly correlate, people no closer than third degree, and their principal components:\n"
        "# disentangle-pl gwas ... --covariates ancestry.eigenvec leaves the relatives out, who have none there\n"
        "plink2 --bfile whole --maf 0.05 --indep-pairwise 500 50 0.2 --out pruned\n"
        "plink2 --bfile whole --extract pruned.prune.in --king-cutoff 0.0884 --out unrelated\n"
        "plink2 --bfile whole --extract pruned.prune.in --keep unrelated.king.cutoff.in.id \\\n"
        "  --pca 10 --out ancestry  # of more than 5,000 people: --pca 10 approx\n"
    )


def _regenie(prefixes: Mapping[str, Sequence[str]], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f" --covarFile {shlex.quote(str(paths['covariates']))}" if "covariates" in paths else ""
    keep = shlex.quote(str(paths["phenotypes"]))
    tables = f"--keep {keep} --phenoFile {keep}{covariates} --qt"
    steps = (
        f"for genotypes in {' '.join(each)}; do\n"
        '  name="$(basename "$genotypes")"\n'
        f'  regenie --step 2 {OPTIONS[suffix][1]} "filtered_$name" {tables} --bsize 400 --pred step1_pred.list '
        '--out "regenie_$name"\n'
        "done\n"
        for suffix, each in prefixes.items()
    )
    return (
        _filtered(prefixes, paths["phenotypes"], limits)
        + "# step 1 takes the genotyped variants of all chromosomes; of imputed ones thin them out (--indep-pairwise)\n"
        f"regenie --step 1 --bed whole {tables} --bsize 1000 --lowmem --out step1\n" + "".join(steps)
    )
