"""The same numbers as plink2 --glm, to its printed digits, where plink2 is installed."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.filesets import open_filesets
from disentangle_pl.genetics.genotypes import Genotypes, Limits, poor_calls, spans
from disentangle_pl.genetics.hardy_weinberg import exact_mid_p
from disentangle_pl.genetics.scripts import write_scripts
from disentangle_pl.studies.gwas_blocks import ByChromosome
from disentangle_pl.studies.gwas_inputs import Inputs
from tests.genetics.made import SHARED, make, names, write

PLINK2 = shutil.which("plink2")
pytestmark = pytest.mark.skipif(PLINK2 is None, reason="needs plink2: apt-get install plink2")
GLM = ["--glm", "omit-ref", "hide-covar", "cols=chrom,pos,ref,alt,a1freq,nobs,beta,se,tz,p"]


def plink2(*args: object) -> None:
    subprocess.run([str(PLINK2), *map(str, args), "--threads", "1"], check=True, capture_output=True, timeout=60)


def table(path: Path, values: np.ndarray, columns: list[str], people: list[str]) -> Path:
    frame = pd.DataFrame(values, columns=columns)
    frame.insert(0, "IID", people)
    frame.insert(0, "#FID", people)
    frame.to_csv(path, sep="\t", index=False, na_rep="NA", float_format="%.17g")
    return path


def compare(bed: Path, phenotypes: np.ndarray, covariates: np.ndarray, people: list[str], folder: Path) -> None:
    columns = [f"z{k}" for k in range(phenotypes.shape[1])]
    filesets = open_filesets([str(bed)])
    with Genotypes(filesets, filesets[0].people) as genotypes:
        calls = np.concatenate([genotypes.read(span).calls for span in spans(filesets, 300)])
    found = Scan(phenotypes, covariates, columns, ["a", "b", "c"])(calls)
    pheno = table(folder / "pheno.txt", phenotypes, columns, people)
    covar = table(folder / "covar.txt", covariates, ["a", "b", "c"], people)
    plink2("--bfile", bed.with_suffix(""), "--pheno", pheno, "--covar", covar, *GLM, "--out", folder / "p")
    for k, name in enumerate(columns):
        theirs = pd.read_csv(folder / f"p.{name}.glm.linear", sep="\t")
        assert theirs["OBS_CT"].tolist() == found.people[:, k].tolist()
        for column, ours in (("BETA", found.beta), ("SE", found.error), ("T_STAT", found.t), ("P", found.p)):
            np.testing.assert_allclose(ours[:, k], theirs[column].to_numpy(float), rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(found.frequency[:, k], theirs["A1_FREQ"], rtol=2e-5)


def test_made_genotypes_with_missing_calls_and_phenotypes(tmp_path: Path) -> None:
    made = make(people=200, variants=60)
    made.phenotypes[:15, 1] = np.nan
    bed = write(tmp_path / "made", made.calls)
    scaled = (made.covariates - made.covariates.mean(0)) / made.covariates.std(0)
    compare(bed, made.phenotypes, scaled, names(200), tmp_path)


@pytest.mark.parametrize("name", ["example", "example_3chr"])
def test_the_example_of_regenie(tmp_path: Path, name: str) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no genotypes at {SHARED}")
    phenotypes, covariates = (pd.read_csv(SHARED / f"{each}.txt", sep=" ") for each in ("phenotype", "covariates"))
    people = [line.split()[1] for line in (SHARED / f"{name}.fam").read_text().splitlines()]
    assert phenotypes["IID"].astype(str).tolist() == people == covariates["IID"].astype(str).tolist()
    values, others = (each.iloc[:, 2:].to_numpy(float) for each in (phenotypes, covariates))
    compare(SHARED / f"{name}.bed", values, others, people, tmp_path)


def test_hardy_weinberg_and_filters(tmp_path: Path) -> None:
    made = make(people=200, variants=200, missing=0.2)
    bed = write(tmp_path / "made", made.calls)
    prefix = bed.with_suffix("")
    plink2("--bfile", prefix, "--hardy", "midp", "--out", prefix)
    theirs = pd.read_csv(tmp_path / "made.hardy", sep="\t")
    counts = [(made.calls == value).sum(axis=1) for value in (1, 2, 0)]
    np.testing.assert_allclose(exact_mid_p(*counts), theirs["MIDP"], rtol=2e-5)
    limits = Limits(0.2, 0.15, 0.05)
    flags = ["--maf", limits.maf, "--geno", limits.geno, "--hwe", limits.hwe, "midp"]
    plink2("--bfile", prefix, *flags, "--write-snplist", "--out", prefix)
    kept = (tmp_path / "made.snplist").read_text().split()
    poor = np.any(list(poor_calls(made.calls, limits)), axis=0)
    assert [f"rs{i + 1}" for i in np.flatnonzero(~poor)] == kept


def test_the_script_makes_the_same_numbers(tmp_path: Path) -> None:
    made = make(people=200, variants=60)
    bed = write(tmp_path / "with space", made.calls)
    people = pd.DataFrame({"fid": names(200), "iid": names(200)})
    tables = {"phenotypes": (["z 0", "z1", "z2"], made.phenotypes), "covariates": (["a", "b", "c"], made.covariates)}
    write_scripts(
        tmp_path / "scripts", people[:180], {k: (n, v[:180]) for k, (n, v) in tables.items()}, [bed], Limits()
    )
    subprocess.run(["sh", "scripts/plink2.sh"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    theirs = pd.read_csv(tmp_path / "plink2_with space.z_0.glm.linear", sep="\t").set_index("ID")
    found = Scan(made.phenotypes[:180], made.covariates[:180], ["z0", "z1", "z2"], ["a", "b", "c"])(made.calls[:, :180])
    mine = pd.Series(found.p[:, 0], [f"rs{i}" for i in range(1, 61)])[theirs.index]
    assert len(theirs) > 30
    np.testing.assert_allclose(mine, theirs["P"], rtol=2e-5)
    regenie = (tmp_path / "scripts" / "regenie.sh").read_text()
    assert "--step 1" in regenie
    assert "--covarFile" in regenie
    subprocess.run(["sh", "-n", "scripts/regenie.sh"], cwd=tmp_path, check=True, timeout=60)
    write_scripts(
        tmp_path / "bare",
        people,
        {"phenotypes": tables["phenotypes"], "covariates": ([], np.empty((200, 0)))},
        [bed],
        Limits(),
    )
    subprocess.run(["sh", "bare/plink2.sh"], cwd=tmp_path, check=True, capture_output=True, timeout=60)


def test_cases_and_chromosome_x_by_plink2s_default_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    people, variants = 300, 24
    sex = rng.integers(0, 3, people)
    calls = rng.binomial(2, rng.uniform(0.1, 0.5, (variants, 1)), (variants, people)).astype(np.int8)
    calls[:, sex == 1] = 2 * (calls[:, sex == 1] > 0)
    calls[3, np.flatnonzero(sex == 1)[:6]] = 1  # plink2 takes heterozygous men as they are
    calls[::4, :9] = -127
    bed = write(tmp_path / "x", calls, 23)
    lines = [f"{name} {name} 0 0 {code} 0" for name, code in zip(names(people), sex, strict=True)]
    bed.with_suffix(".fam").write_text("\n".join(lines) + "\n")
    covariates = rng.standard_normal((people, 2))
    cases = (rng.random(people) < 0.2 + 0.1 * (calls[1] > 0)).astype(float)
    values = np.column_stack((rng.standard_normal(people) + 0.3 * (sex == 1), cases))
    values[:4] = np.nan
    told = pd.DataFrame({"sex": pd.Series(sex).map({1: "M", 2: "F"})})
    nobody = pd.DataFrame({"iid": [], "reason": []})
    inputs = Inputs(told, ["z", "y"], values, ["a", "b"], covariates, np.array([False, True]), nobody, [])
    found, _ = ByChromosome(inputs, False, None).test(calls, "X")
    pheno = table(tmp_path / "pheno.txt", values + np.array([0, 1]), ["z", "y"], names(people))
    covar = table(tmp_path / "covar.txt", covariates, ["a", "b"], names(people))
    plink2("--bfile", bed.with_suffix(""), "--pheno", pheno, "--covar", covar, *GLM, "--out", tmp_path / "p")
    plain = pd.read_csv(tmp_path / "p.z.glm.linear", sep="\t")
    assert plain["#CHROM"].unique().tolist() == ["X"]
    assert plain["OBS_CT"].tolist() == found.people[:, 0].tolist()
    for column, ours in (("BETA", found.beta), ("SE", found.error), ("P", found.p), ("A1_FREQ", found.frequency)):
        np.testing.assert_allclose(ours[:, 0], plain[column], rtol=2e-5, atol=1e-6)
    odds = pd.read_csv(tmp_path / "p.y.glm.logistic.hybrid", sep="\t")
    assert odds["OBS_CT"].tolist() == found.people[:, 1].tolist()
    # with missing calls plink2 stops before its standard errors have converged, by up to 3 %: test_logistic has those
    whole = np.flatnonzero((calls[:, sex > 0] >= 0).all(axis=1))
    assert len(whole) == 18
    np.testing.assert_allclose(found.beta[:, 1], odds["BETA"], rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(found.error[whole, 1], odds["SE"].to_numpy(np.float64)[whole], rtol=1e-4)
    np.testing.assert_allclose(found.p[whole, 1], odds["P"].to_numpy(np.float64)[whole], rtol=1e-3, atol=1e-5)
