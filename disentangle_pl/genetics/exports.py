"""Results as text that other programs read: plink2's .glm.linear, regenie's, LDSC's, and GWAS-SSF with its metadata.

Source: formats of plink2 --glm, https://www.cog-genomics.org/plink/2.0/formats, regenie --step 2,
https://rgcgithub.github.io/regenie/options, LDSC,
https://github.com/bulik/ldsc/wiki/Summary-Statistics-File-Format, and Hayhurst et al. 2022, bioRxiv 2022.07.15.500230,
for GWAS-SSF (v1.1).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.results import write_text

Kind = Literal["glm", "regenie", "ssf", "ldsc"]
SMALLEST = 300
LONGEST = 100  # letters of a file name, without its suffix

UNAMBIGUOUS = ("AC", "CA", "AG", "GA", "TC", "CT", "TG", "GT")
LDSC_SCRIPT = """#!/bin/sh
# heritability of every phenotype, and genetic correlations of all pairs, by LDSC (https://github.com/bulik/ldsc);
# the argument is a folder of LD scores by chromosome, of people of the same ancestry, such as eur_w_ld_chr
set -e
scores=$(cd "${1:?give the folder of LD scores, such as eur_w_ld_chr}" && pwd)/
cd "$(dirname "$0")"
for file in *.sumstats; do
  ldsc.py --h2 "$file" --ref-ld-chr "$scores" --w-ld-chr "$scores" --out "h2_${file%.sumstats}"
done
set -- *.sumstats
while [ $# -gt 1 ]; do
  pairs=$(IFS=,; echo "$*")
  ldsc.py --rg "$pairs" --ref-ld-chr "$scores" --w-ld-chr "$scores" --out "rg_${1%.sumstats}"
  shift
done
"""


class Format(NamedTuple):
    """A way to write the fits of one phenotype.

    Attributes:
        suffix: Of the file name.
        separator: Between cells.
        missing: What stands for an unknown number.
        columns: Makes the columns from rows of the table of fits.
    """

    suffix: str
    separator: str
    missing: str
    columns: Callable[[pd.DataFrame], pd.DataFrame]


class About(NamedTuple):
    """What readers of a file need to know of a study, None where it is unknown.

    Attributes:
        trait: What the phenotypes are.
        sex: Of the people: M, F or combined.
        covariates: Names.
        cases: Cases and controls of every case/control phenotype.
        rarest: The least frequency of a tested allele.
    """

    trait: str
    sex: str | None = None
    covariates: Sequence[str] | None = None
    cases: Mapping[str, tuple[int, int]] = MappingProxyType({})
    rarest: float | None = None


def check_exports(kinds: Sequence[str], build: str | None) -> None:
    """Refuse formats that cannot be written.

    Args:
        kinds: glm, regenie, ssf or ldsc.
        build: Genome build, None if unknown.

    Raises:
        InputError: If a kind is unknown, or the genome build is, which GWAS-SSF needs.
    """
    unknown = [kind for kind in kinds if kind not in FORMATS]
    if unknown:
        raise InputError(f"{unknown[0]} is no format to export: give {', '.join(FORMATS)}")
    if "ssf" in kinds and build is None:
        raise InputError(
            "GWAS-SSF needs the genome build, which the variants do not tell: give --build, such as GRCh38"
        )


def export(path: Path, folder: Path, kind: str, phenotypes: Sequence[str], build: str | None, about: About) -> None:
    """Write one file a phenotype; for GWAS-SSF a YAML file of metadata beside each, for LDSC a script beside all.

    Args:
        path: The table of all fits, phenotypes running fastest.
        folder: Where to.
        kind: glm, regenie, ssf or ldsc.
        phenotypes: Their names.
        build: Genome build.
        about: What is said of the study.

    Raises:
        InputError: If the kind is unknown, or the genome build is, which GWAS-SSF needs.
    """
    check_exports([kind], build)
    folder.mkdir(parents=True, exist_ok=True)
    form = FORMATS[kind]
    targets = [folder / f"{name}{form.suffix}" for name in file_names(phenotypes)]
    partials = [each.with_name(f".{each.name}.partial") for each in targets]
    samples = np.zeros(len(targets), dtype=np.int64)
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group).to_pandas()
            for k, partial in enumerate(partials):
                mine = rows.iloc[k :: len(partials)]
                samples[k] = max(samples[k], int(mine["n"].max()))
                text = form.columns(mine).to_csv(
                    sep=form.separator, index=False, header=group == 0, na_rep=form.missing, lineterminator="\n"
                )
                with partial.open("a" if group else "w", encoding="utf-8") as out:
                    out.write(text)
    for partial, target, name, people in zip(partials, targets, phenotypes, samples.tolist(), strict=True):
        partial.replace(target)
        if kind == "ssf" and build is not None:
            write_text(target.with_name(f"{target.name}-meta.yaml"), _metadata(target, name, people, build, about))

    if kind == "ldsc":
        write_text(folder / "ldsc.sh", LDSC_SCRIPT)


def file_names(names: Sequence[str]) -> list[str]:
    """Return a name for the file of every phenotype: short, of harmless letters, and none twice."""
    found: list[str] = []
    for name in names:
        short = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)[:LONGEST]
        while short in found:
            short += "_"
        found.append(short)
    return found


def _number(values: pd.Series) -> pd.Series:
    return values.map("{:.8g}".format, na_action="ignore")


def p_text(log10_p: pd.Series) -> pd.Series:
    """Write p in full also where no floating-point number is so small, such as 3.2e-412."""

    def text(value: float) -> str:
        if value < SMALLEST:
            return f"{10**-value:.8g}"
        power = int(np.ceil(value))
        return f"{10 ** (power - value):.8g}e-{power}"

    return log10_p.map(text, na_action="ignore")


def _glm(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "#CHROM": rows["chromosome"],
            "POS": rows["position"],
            "ID": rows["id"],
            "REF": rows["other"],
            "ALT": rows["a1"],
            "A1": rows["a1"],
            "A1_FREQ": _number(rows["a1_frequency"]),
            "TEST": "ADD",
            "OBS_CT": rows["n"],
            "BETA": _number(rows["beta"]),
            "SE": _number(rows["se"]),
            "T_STAT": _number(rows["t"]),
            "P": p_text(rows["neg_log10_p"]),
            "ERRCODE": np.where(rows["t"].isna(), "CONST_ALLELE", "."),
        }
    )


def _regenie(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "CHROM": rows["chromosome"],
            "GENPOS": rows["position"],
            "ID": rows["id"],
            "ALLELE0": rows["other"],
            "ALLELE1": rows["a1"],
            "A1FREQ": _number(rows["a1_frequency"]),
            "INFO": "NA",
            "N": rows["n"],
            "TEST": "ADD",
            "BETA": _number(rows["beta"]),
            "SE": _number(rows["se"]),
            "CHISQ": _number(rows["t"] ** 2),
            "LOG10P": _number(rows["neg_log10_p"]),
            "EXTRA": "NA",
        }
    )


def _ssf(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "chromosome": rows["chromosome"],
            "base_pair_location": rows["position"],
            "effect_allele": rows["a1"],
            "other_allele": rows["other"],
            "beta": _number(rows["beta"]),
            "standard_error": _number(rows["se"]),
            "effect_allele_frequency": _number(rows["a1_frequency"]),
            "neg_log_10_p_value": _number(rows["neg_log10_p"]),
            "variant_id": rows["id"],
            "n": rows["n"],
        }
    )


def _ldsc(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep variants of single letters that tell the strand, as LDSC's munge_sumstats.py does."""
    pairs = rows["a1"].astype(str) + rows["other"].astype(str)
    rows = rows[pairs.isin(UNAMBIGUOUS) & rows["t"].notna()]
    names = {"id": "SNP", "a1": "A1", "other": "A2", "n": "N"}
    return rows[list(names)].rename(columns=names).assign(Z=_number(rows["t"]))


def _metadata(path: Path, phenotype: str, people: int, build: str, about: About) -> str:
    """Write the fields that the format knows, those that nobody can tell but the maker as "not given"."""
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    positions = pd.read_csv(path, sep="\t", usecols=["chromosome", "base_pair_location"], dtype={"chromosome": str})
    order = positions.assign(chromosome=pd.to_numeric(positions["chromosome"], errors="coerce"))
    ordered = order.sort_values(["chromosome", "base_pair_location"], kind="stable").index
    told = {
        "data_file_name": path.name,
        "file_type": "GWAS-SSF v1.1",
        "data_file_md5sum": digest,
        "is_harmonised": False,
        "is_sorted": bool((ordered == order.index).all()),
        "genome_assembly": build,
        "coordinate_system": "1-based",
        "trait_description": [f"{about.trait} {phenotype}"],
        "genotyping_technology": ["not given"],
        "samples": [_samples(people, about.cases.get(phenotype))],
        "sex": about.sex,
        "adjusted_covariates": None if about.covariates is None else list(about.covariates),
        "minor_allele_freq_lower_limit": about.rarest,
        "analysis_software": f"disentangle_pl {version('disentangle_pl')}",
        "author_notes": _notes(phenotype in about.cases),
        "date_metadata_last_modified": datetime.now(UTC).date().isoformat(),
    }
    return yaml.safe_dump({name: value for name, value in told.items() if value is not None}, sort_keys=False)


def _samples(people: int, cases: tuple[int, int] | None) -> dict[str, object]:
    counts = {} if cases is None else {"case_count": cases[0], "control_count": cases[1]}
    size = {"sample_size": people, "sample_ancestry": ["not given"], "ancestry_method": ["not given"]}
    return size | {"case_control_study": cases is not None} | counts


def _notes(case_control: bool) -> str:
    how = (
        "beta is the change of the log odds an effect allele, by logistic regression, by Firth's where that fails"
        if case_control
        else "beta is the change of the phenotype an effect allele, by least squares"
    )
    return f"{how}; people without a call are left out, nothing is imputed"


FORMATS: dict[str, Format] = {
    "glm": Format(".glm.linear", "\t", "NA", _glm),
    "regenie": Format(".regenie", " ", "NA", _regenie),
    "ssf": Format(".tsv", "\t", "#NA", _ssf),
    "ldsc": Format(".sumstats", "\t", "NA", _ldsc),
}
