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
    """Write phenotypes.txt and covariates.txt of the people of a study, plink2.sh, regenie.sh and ancestry.sh.

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
    write_text(folder / "ancestry.sh", HEAD + _ancestry(prefixes, paths["phenotypes"], limits))


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


def _filtered(prefixes: Sequence[str], keep: Path, limits: Limits) -> str:
    """Write every fileset anew with the people and variants of the study, no id twice, and all of them as one."""
    return (
        "# plink2 and regenie take a variant by its id: nameless ones get a name, and of one id the first stays.\n"
        "# The copies filtered_* and whole take as much room again as the genotypes; delete them afterwards.\n"
        "rm -f filtered.list\n"
        f"for genotypes in {' '.join(prefixes)}; do\n"
        '  part="filtered_$(basename "$genotypes")"\n'
        f'  plink2 --bfile "$genotypes" --keep {shlex.quote(str(keep))} \\\n'
        "    --set-missing-var-ids '@:#:$1:$2' --new-id-max-allele-len 99 truncate --rm-dup force-first \\\n"
        f"    --maf {limits.maf:g} --geno {limits.geno:g} --hwe {limits.hwe:g} midp --autosome \\\n"
        '    --make-bed --out "$part"\n'
        '  echo "$part" >> filtered.list\n'
        "done\n"
        'if [ "$(wc -l < filtered.list)" -gt 1 ]; then\n'
        "  plink2 --pmerge-list filtered.list bfile --make-bed --out whole\n"
        "else\n"
        '  plink2 --bfile "$(cat filtered.list)" --make-bed --out whole\n'
        "fi\n"
    )


def _ancestry(prefixes: Sequence[str], keep: Path, limits: Limits) -> str:
    return (
        _filtered(prefixes, keep, limits)
        + "# variants that hardly correlate, people no closer than third degree, and their principal components:\n"
        "# disentangle-pl gwas ... --covariates ancestry.eigenvec leaves the relatives out, who have none there\n"
        "plink2 --bfile whole --maf 0.05 --indep-pairwise 500 50 0.2 --out pruned\n"
        "plink2 --bfile whole --extract pruned.prune.in --king-cutoff 0.0884 --out unrelated\n"
        "plink2 --bfile whole --extract pruned.prune.in --keep unrelated.king.cutoff.in.id \\\n"
        "  --pca 10 --out ancestry  # of more than 5,000 people: --pca 10 approx\n"
    )


def _regenie(prefixes: Sequence[str], paths: dict[str, Path], limits: Limits) -> str:
    covariates = f" --covarFile {shlex.quote(str(paths['covariates']))}" if "covariates" in paths else ""
    keep = shlex.quote(str(paths["phenotypes"]))
    tables = f"--keep {keep} --phenoFile {keep}{covariates} --qt"
    return (
        _filtered(prefixes, paths["phenotypes"], limits)
        + "# step 1 takes the genotyped variants of all chromosomes; of imputed ones thin them out (--indep-pairwise)\n"
        f"regenie --step 1 --bed whole {tables} --bsize 1000 --lowmem --out step1\n"
        "while read -r part; do\n"
        f'  regenie --step 2 --bed "$part" {tables} --bsize 400 --pred step1_pred.list '
        '--out "regenie_${part#filtered_}"\n'
        "done < filtered.list\n"
    )
