"""A study of dosages, of chosen columns, and clumped by other people."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.genotypes import Limits
from disentangle_pl.genetics.people import read_people
from disentangle_pl.studies.gwas import Plan, associate
from disentangle_pl.studies.gwas_report import Told
from tests.command_line import refused
from tests.command_line import run as command
from tests.genetics.imputed import Dosages, dosages, pack_vcf, write_bgen, write_pgen, write_vcf
from tests.genetics.made import names, write

PEOPLE, VARIANTS = 120, 40
PLAIN = ["--permutations=2", "--plots=false", "--rint=false", "--block=30", "--hwe=0", "--geno=1"]


@pytest.fixture(scope="module")
def drawn() -> Dosages:
    made = dosages(PEOPLE, VARIANTS)
    made[1] = np.where(made[1] < 0, made[1], 1 + (made[1] - 1) / 8)  # imputed by chance
    made[3] = made[2] = np.abs(made[2])
    return made


@pytest.fixture(scope="module")
def study(drawn: Dosages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imputed")
    write_vcf(folder / "chr1.vcf", drawn[:30])
    write_vcf(folder / "chr2.vcf", drawn[30:], "2")
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"IID": names(PEOPLE), "age": rng.normal(60, 5, PEOPLE), "centre": np.arange(PEOPLE) % 3 + 11})
    table = table.assign(**{f"z{k}": rng.standard_normal(PEOPLE) for k in range(3)})
    table["z1"] += 1.5 * drawn[2]
    table.to_csv(folder / "all.txt", sep="\t", index=False)
    tables = ["--phenotypes", str(folder / "all.txt"), "--covariates", str(folder / "all.txt")]
    chosen = ["--pheno_name", "z1,z0", "--covar_name", "age", "centre", "--categorical", "centre"]
    flags = [*tables, *chosen, *PLAIN, "--export", "ssf", "--build=GRCh38", f"--out={folder / 'study'}"]
    command("gwas", f"--genotypes={folder / 'chr{chr}.vcf'}", *flags)
    return folder


def test_dosages_and_chosen_columns_make_the_numbers_of_the_scan(study: Path, drawn: Dosages) -> None:
    rows = pq.read_table(study / "study" / "associations.parquet").to_pandas()
    assert rows["phenotype"].tolist()[:2] == ["z1", "z0"]
    tested = np.delete(np.arange(VARIANTS), 1)
    table = pd.read_csv(study / "all.txt", sep="\t")
    groups = [(table["centre"] == centre).astype(float) for centre in (12, 13)]
    covariates = np.column_stack((table["age"], *groups))
    found = Scan(table[["z1", "z0"]].to_numpy(), covariates, ["z1", "z0"], ["a", "b", "c"])(drawn[tested])
    for name, values in (("beta", found.beta), ("se", found.error), ("p", found.p), ("a1_frequency", found.frequency)):
        np.testing.assert_allclose(rows[name].to_numpy().reshape(-1, 2), values, rtol=1e-9)
    summary = json.loads((study / "study" / "summary.json").read_text())
    assert summary["covariates"] == ["age", "centre=12", "centre=13"]
    assert {why: n for why, n in summary["variants_left_out"].items() if n} == {"imputed too uncertainly (info)": 1}


def test_four_formats_make_one_study(study: Path, drawn: Dosages, tmp_path: Path) -> None:
    plain = write_vcf(tmp_path / "a.vcf", drawn)
    files = [write_pgen(tmp_path / "a.pgen", drawn), write_bgen(tmp_path / "a.bgen", drawn), plain]
    files.append(pack_vcf(plain, tmp_path / "a.bcf", "wb"))
    table = read_people(study / "all.txt")
    plans = [Plan((str(path),), Limits(hwe=0, geno=1), 30, ranks=False, permutations=2) for path in files]
    tables = []
    for k, plan in enumerate(plans):
        associate(plan, table, None, tmp_path / str(k), Told(plots=False))
        rows = pq.read_table(tmp_path / str(k) / "associations.parquet").to_pandas()
        tables.append((rows, pd.read_csv(tmp_path / str(k) / "leads.tsv", sep="\t")))
    for rows, leads in tables[1:]:
        pd.testing.assert_frame_equal(rows, tables[0][0], rtol=1e-6, atol=1e-6)
        pd.testing.assert_frame_equal(leads, tables[0][1], rtol=1e-6)


def test_columns_that_are_not_there(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [f"--bed={study / 'chr1.vcf'}", f"--phenotypes={study / 'all.txt'}", f"--out={tmp_path / 'study'}"]
    assert "no column z7; z8 for --pheno_name" in refused(capsys, "gwas", *flags, "--pheno_name", "z7,z8")
    assert "are of --covariates" in refused(capsys, "gwas", *flags, "--covar_name", "age")
    covariates = [f"--covariates={study / 'all.txt'}", "--covar_name=[age]", "--pheno_name=[z0]"]
    assert "for --categorical" in refused(capsys, "gwas", *flags, *covariates, "--categorical", "centre")
    assert "give gwas --bed FILES" in refused(capsys, "gwas", *flags[1:])


def test_other_people_clump_the_results(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    calls = rng.binomial(2, 0.5, (30, 200)).astype(np.int8)
    calls[3] = calls[2]
    bed = write(tmp_path / "reference", calls[2:])  # alleles A and G, places from 1,000 on
    lines = [f"1 other{i} 0 {1000 * i} G A\n" for i in range(3, 31)]
    bed.with_suffix(".bim").write_text("".join(lines))
    tests = str(study / "study" / "export" / "z1.tsv")
    flags = ["--results", tests, "--plots=false", "--clump-kb=50"]
    command("gwas", *flags, f"--ld_reference={bed}", f"--out={tmp_path / 'out'}")
    leads = pd.read_csv(tmp_path / "out" / "leads.tsv", sep="\t")
    assert leads["variants"][0] == 2
    assert leads["clumped"][0]
    assert "200 people of" in (tmp_path / "out" / "findings.md").read_text()
    assert leads["id"][0] in ("rs3", "rs4")
    bed.with_suffix(".bim").write_text("".join(lines).replace("1 other", "7 other"))
    said = refused(capsys, "gwas", *flags, f"--ld_reference={bed}", f"--out={tmp_path / 'none'}")
    assert "has none of the" in said
