"""A genome-wide study: the numbers of the scan, whatever kills it and however it is cut into blocks and shards."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from matplotlib.figure import Figure

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.genotypes import Genotypes, Limits
from disentangle_pl.genetics.people import read_people
from disentangle_pl.genetics.results import write_whole
from disentangle_pl.genetics.traits import inverse_normal
from disentangle_pl.studies import gwas_blocks
from disentangle_pl.studies.gwas import Plan, associate
from disentangle_pl.studies.gwas_findings import Found
from disentangle_pl.studies.gwas_plots import cut_axis
from disentangle_pl.studies.gwas_report import Told
from tests.command_line import ROOT, refused
from tests.command_line import run as command
from tests.genetics.made import Made, make, write, write_study

PEOPLE, VARIANTS = 150, 60
OPEN = Limits(maf=0, geno=1, hwe=0)
PLAIN = Told(plots=False)


@pytest.fixture(scope="module")
def made() -> Made:
    drawn = make(PEOPLE, VARIANTS)
    drawn.phenotypes[:, 0] += 2 * drawn.calls[0]
    return drawn


@pytest.fixture(scope="module")
def files(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genome")
    write_study(folder, made)
    return folder


def run(files: Path, out: Path, told: Told = PLAIN, merge: bool = False, **plan: Any) -> Found | None:
    how: dict[str, Any] = {"limits": OPEN, "block": 7, "ranks": False, "permutations": 3} | plan
    phenotypes, covariates = read_people(files / "z.txt"), read_people(files / "c.txt")
    return associate(Plan((str(files / "chr{chr}.bed"),), **how), phenotypes, covariates, out, told, merge)


def table(out: Path, name: str = "associations") -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(out / f"{name}.parquet").to_pandas()
    return frame


@pytest.fixture(scope="module")
def whole(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "study"
    run(files, out)
    return out


def test_the_table_holds_the_scan(made: Made, whole: Path) -> None:
    found = Scan(made.phenotypes, made.covariates, ["z0", "z1", "z2"], ["a", "b", "c"])(made.calls)
    rows = table(whole)
    assert rows["id"].tolist() == [f"rs{i}" for i in range(1, VARIANTS + 1) for _ in range(3)]
    assert rows["phenotype"].tolist() == ["z0", "z1", "z2"] * VARIANTS
    assert rows["chromosome"].tolist() == ["1"] * 120 + ["2"] * 60
    assert rows["position"].tolist() == [1000 * i for i in range(1, VARIANTS + 1) for _ in range(3)]
    pairs: dict[str, Any] = {
        "beta": found.beta,
        "se": found.error,
        "t": found.t,
        "p": found.p,
        "neg_log10_p": found.log10_p,
    }
    pairs |= {"n": found.people, "a1_frequency": found.frequency}
    for name, values in pairs.items():
        np.testing.assert_allclose(rows[name], values.ravel(), rtol=1e-12)
    assert set(rows["a1"]) == {"A"}
    assert set(rows["other"]) == {"G"}


def test_what_is_written_beside(whole: Path) -> None:
    there = sorted(path.name for path in whole.iterdir() if path.name[0] != ".")
    assert there == [
        "associations.parquet",
        "control.parquet",
        "dropped.tsv",
        "findings.md",
        "hits.tsv",
        "journal-1-of-1.jsonl",
        "leads.tsv",
        "leads_together.tsv",
        "phenotypes.tsv",
        "power.tsv",
        "summary.json",
        "together.parquet",
    ]
    summary = json.loads((whole / "summary.json").read_text())
    assert (summary["people"], summary["variants"], summary["variants_tested"]) == (150, 60, 60)
    assert summary["tests"] == 180
    assert summary["loci"] == {"genome_wide": 1, "phenotypes": 1, "effective": 1, "study": 1}
    assert summary["permuted"]["tests"] == 540
    assert summary["permuted"]["draws"] == 3 * 9
    leads = pd.read_csv(whole / "leads.tsv", sep="\t")
    assert leads["id"][0] == "rs1"
    assert leads["phenotype"][0] == "z0"
    assert "rs1" in (whole / "findings.md").read_text()


def test_a_study_is_the_same_after_a_kill(
    files: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"written": 0, "read": 0}
    read = Genotypes.read

    def killed(part: pa.Table, path: Path) -> None:
        calls["written"] += 1
        if calls["written"] == 8:
            raise KeyboardInterrupt
        write_whole(part, path)

    def counted(self: Genotypes, span: Any) -> Any:
        calls["read"] += 1
        return read(self, span)

    monkeypatch.setattr(gwas_blocks, "write_whole", killed)
    monkeypatch.setattr(Genotypes, "read", counted)
    with pytest.raises(KeyboardInterrupt):
        run(files, tmp_path / "study")
    journal = tmp_path / "study" / "journal-1-of-1.jsonl"
    with journal.open("a") as file:
        file.write('{"block": 2, "vari')
    assert calls["read"] == 3
    run(files, tmp_path / "study")
    assert calls["read"] == 3 + 9 - 2
    for name in ("associations", "together", "control"):
        pd.testing.assert_frame_equal(table(tmp_path / "study", name), table(whole, name))
    run(files, tmp_path / "study")
    assert calls["read"] == 10
    assert (tmp_path / "study" / "findings.md").read_text() == (whole / "findings.md").read_text()


KILLED = """
import os, signal, sys
from disentangle_pl.cli import main
from disentangle_pl.studies import gwas_blocks
write, written = gwas_blocks.write_whole, []
def until_killed(table, path):
    written.append(path)
    if len(written) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    write(table, path)
gwas_blocks.write_whole = until_killed
main(sys.argv[1:])
"""


def test_a_killed_process_loses_nothing(files: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    flags = ["gwas", f"--bed={files / 'chr{chr}.bed'}", f"--phenotypes={files / 'z.txt'}", "--plots=false", "--block=7"]
    flags += [f"--covariates={files / 'c.txt'}", "--maf=0", "--geno=1", "--hwe=0", "--permutations=3", "--rint=false"]
    flags.append(f"--out={out}")
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}
    child = subprocess.run(
        [sys.executable, "-c", KILLED, *flags], cwd=ROOT, env=alone, capture_output=True, timeout=200
    )
    assert child.returncode == -signal.SIGKILL
    assert (out / "journal-1-of-1.jsonl").read_bytes().count(b"\n") == 3
    assert not (out / "associations.parquet").exists()
    command(*flags)
    for name in ("associations", "together", "control"):
        pd.testing.assert_frame_equal(table(out, name), table(whole, name))
    for name in ("findings.md", "leads.tsv", "phenotypes.tsv"):
        assert (out / name).read_text() == (whole / name).read_text()
    assert json.loads((out / "summary.json").read_text()) == json.loads((whole / "summary.json").read_text())


def test_shards_make_the_same_study(files: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert run(files, out, shard=(2, 2)) is None
    with pytest.raises(InputError, match="4 of 9 blocks are not in"):
        run(files, out, merge=True)
    run(files, out, shard=(1, 2))
    run(files, out, merge=True)
    for name in ("associations", "together", "control"):
        pd.testing.assert_frame_equal(table(out, name), table(whole, name))
    assert json.loads((out / "summary.json").read_text()) == json.loads((whole / "summary.json").read_text())


def test_blocks_of_another_size_make_the_same_numbers(files: Path, whole: Path, tmp_path: Path) -> None:
    run(files, tmp_path / "study", block=1000)
    pd.testing.assert_frame_equal(table(tmp_path / "study"), table(whole), rtol=1e-9)


def test_ranks_and_people_who_lack_something(files: Path, made: Made, tmp_path: Path) -> None:
    for name in ("chr1", "chr2"):
        for suffix in (".bed", ".bim", ".fam"):
            (tmp_path / f"{name}{suffix}").write_bytes((files / f"{name}{suffix}").read_bytes())
    phenotypes = pd.read_csv(files / "z.txt", sep=" ")
    covariates = pd.read_csv(files / "c.txt", sep=" ")
    of = phenotypes["IID"]
    phenotypes.loc[of.isin(["P3", "P4"]), ["z0", "z1", "z2"]] = np.nan
    phenotypes.loc[of.isin(["P5", "P6", "P7"]), "z1"] = np.nan
    covariates.loc[covariates["IID"] == "P8", "c1"] = np.nan
    phenotypes[of != "P9"].to_csv(tmp_path / "z.txt", sep=" ", index=False, na_rep="NA", float_format="%.17g")
    covariates[covariates["IID"] != "P10"].to_csv(tmp_path / "c.txt", sep=" ", index=False, na_rep="NA")
    run(tmp_path, tmp_path / "study", ranks=True)
    dropped = pd.read_csv(tmp_path / "study" / "dropped.tsv", sep="\t")
    assert dict(zip(dropped["iid"], dropped["reason"], strict=True)) == {
        "P3": "all phenotypes missing",
        "P4": "all phenotypes missing",
        "P8": "a covariate missing",
        "P9": "no row of phenotypes",
        "P10": "no row of covariates",
    }
    kept = np.setdiff1d(np.arange(PEOPLE), [3, 4, 8, 9, 10])
    values = made.phenotypes.copy()
    values[[5, 6, 7], 1] = np.nan
    scan = Scan(inverse_normal(values[kept]), made.covariates[kept], ["z0", "z1", "z2"], ["a", "b", "c"])
    np.testing.assert_allclose(table(tmp_path / "study")["t"], scan(made.calls[:, kept]).t.ravel(), rtol=1e-6)
    together = table(tmp_path / "study", "together")
    assert together["n"].max() == len(kept) - 3


def test_permuted_genotypes_give_nulls_and_pictures_are_drawn(files: Path, tmp_path: Path) -> None:
    bed = make(PEOPLE, 140, missing=0, seed=3).calls
    for suffix in (".txt",):
        for name in ("z", "c"):
            (tmp_path / f"{name}{suffix}").write_bytes((files / f"{name}{suffix}").read_bytes())
    write(tmp_path / "chr3", bed, 3)
    found = run(tmp_path, tmp_path / "one", Told(), permute=True, block=50)
    assert found is not None
    assert found.nulls is not None
    assert found.nulls.variants == 140
    rows = table(tmp_path / "one", "together")
    assert {"mostest_neg_log10_p", "min_p_permuted_neg_log10_p"} < set(rows)
    assert rows["permuted_mostest"].notna().all()
    value, low, high = found.summary["permuted"]["lambda_f"]
    assert low < value < high
    assert low < 1.1
    assert high > 0.9
    run(tmp_path, tmp_path / "two", Told(against=tmp_path / "one"), block=50)
    for name in ("one/qq", "one/manhattan", "two/miami"):
        assert (tmp_path / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_exports_hold_the_numbers(files: Path, whole: Path, tmp_path: Path) -> None:
    run(files, tmp_path / "study", Told(plots=False, exports=("glm", "regenie", "ssf")), build="GRCh37")
    rows = table(whole)
    mine = rows[rows["phenotype"] == "z1"].reset_index(drop=True)
    folder = tmp_path / "study" / "export"
    glm = pd.read_csv(folder / "z1.glm.linear", sep="\t")
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "A1", "A1_FREQ", "TEST", "OBS_CT", "BETA", "SE", "T_STAT", "P"]
    assert list(glm) == [*columns, "ERRCODE"]
    np.testing.assert_allclose(glm["P"], mine["p"], rtol=1e-6)
    regenie = pd.read_csv(folder / "z1.regenie", sep=" ")
    assert regenie["ALLELE1"].tolist() == mine["a1"].tolist()
    np.testing.assert_allclose(regenie["CHISQ"], mine["t"] ** 2, rtol=1e-6)
    np.testing.assert_allclose(regenie["LOG10P"], mine["neg_log10_p"], rtol=1e-6)
    ssf = pd.read_csv(folder / "z1.tsv", sep="\t")
    assert list(ssf)[:4] == ["chromosome", "base_pair_location", "effect_allele", "other_allele"]
    np.testing.assert_allclose(ssf["standard_error"], mine["se"], rtol=1e-6)
    meta = (folder / "z1.tsv-meta.yaml").read_text()
    assert "genome_assembly: GRCh37" in meta
    assert "is_sorted: true" in meta
    told = yaml.safe_load(meta)
    samples = {"sample_size": 150, "sample_ancestry": ["not given"], "ancestry_method": ["not given"]}
    assert told["samples"] == [samples | {"case_control_study": False}]
    assert (told["sex"], told["adjusted_covariates"]) == ("combined", ["c0", "c1", "c2"])
    assert told["minor_allele_freq_lower_limit"] == 0
    assert {"genotyping_technology", "analysis_software", "author_notes", "data_file_md5sum"} < set(told)
    with pytest.raises(InputError, match="needs the genome build"):
        run(files, tmp_path / "other", Told(plots=False, exports=("ssf",)))
    assert not (tmp_path / "other").exists(), "that is said before the scan"


def test_planted_variants_are_looked_for(files: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.tsv"
    truth.write_text("snp\tfactor\tfrequency\teffect_sd\nrs1\tz\t0.4\t0.9\nrs7\tz\t0.4\t0.01\nrs9\tn/a\t0.1\t0\n")
    found = run(files, tmp_path / "study", Told(plots=False, planted=truth))
    assert found is not None
    assert found.planted is not None
    assert found.planted["id"].tolist() == ["rs1", "rs7"]
    assert found.planted["neg_log10_p"].gt(7).tolist() == [True, False]
    assert found.planted["power_effective"].gt(0.5).tolist() == [True, False]


def test_a_simulated_cohort_knows_its_planted_variants(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "genotypes").mkdir()
    for suffix in (".bed", ".bim", ".fam"):
        (tmp_path / "genotypes" / f"cohort{suffix}").write_bytes((files / f"chr1{suffix}").read_bytes())
    rows = "rs1\tcortex\t0.4\t0.9\nrs7\tcortex\t0.4\t0.01\nrs8\tseverity\t0.4\t0.2\nrs99\tseverity\t0.4\t0.9\n"
    (tmp_path / "truth_snps.tsv").write_text("snp\tfactor\tfrequency\teffect_sd\n" + rows)
    flags = ["--plots=false", "--hwe=0", "--geno=1", "--permutations=4", "--multivariate=false"]
    tables = [f"--phenotypes={files / 'z.txt'}", f"--covariates={files / 'c.txt'}", f"--out={tmp_path / 'study'}"]
    command("gwas", "--bed", str(tmp_path / "genotypes" / "cohort.bed"), *tables, *flags)
    said = capsys.readouterr().out
    assert f"Planted effects are those of {tmp_path / 'truth_snps.tsv'}" in said
    factors = pd.read_csv(tmp_path / "study" / "planted_by_factor.tsv", sep="\t").set_index("factor")
    assert factors["planted"].to_dict() == {"cortex": 2, "severity": 2}
    assert factors["tested"].to_dict() == {"cortex": 2, "severity": 1}
    assert factors["found_study"].to_dict() == {"cortex": 1, "severity": 0}
    assert "| all | 4 | 3 |" in said
    control = json.loads((tmp_path / "study" / "summary.json").read_text())["permuted"]
    table = pd.read_csv(tmp_path / "study" / "phenotypes.tsv", sep="\t")
    assert control["lambda"]["z1"][0] == pytest.approx(table["permuted_lambda"][1])
    assert control["lambda_all"][1] <= control["lambda_all"][0] <= control["lambda_all"][2]
    assert "With genotypes permuted over people lambda is" in said


def test_what_cannot_be(files: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another folder, or the same settings"):
        run(files, whole, ranks=True)
    with pytest.raises(InputError, match=r"no variant passes the filters: .*rare \(maf\).: 60"):
        run(files, tmp_path / "study", limits=Limits(maf=0.4999, geno=1, hwe=0))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="holds other files"):
        run(files, tmp_path / "other")
    with pytest.raises(InputError, match="shard 3/2 is none"):
        run(files, tmp_path / "third", shard=(3, 2))
    with pytest.raises(InputError, match="no finished study"):
        run(files, tmp_path / "fourth", Told(against=tmp_path))
    phenotypes, beds = read_people(files / "z.txt"), Plan((str(files / "chr{chr}.bed"),))
    with pytest.raises(InputError, match=r"is a phenotype in .*z.txt and a covariate in .*z.txt"):
        associate(beds, phenotypes, phenotypes, tmp_path / "fifth", PLAIN)


def test_the_command_line(files: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["gwas", "--bed", str(files / "chr1.bed"), str(files / "chr2"), "--out", str(tmp_path / "study")]
    flags += ["--covariates", str(files / "c.txt"), "--plots=false", "--rint=false"]
    tables = ["--phenotypes", str(files / "z.txt")]
    command(*flags, *tables, "--maf=0", "--geno=1", "--hwe=0", "--block=7", "--permutations=3")
    pd.testing.assert_frame_equal(table(tmp_path / "study"), table(whole))
    assert "Loci at 5e-8: 1;" in capsys.readouterr().out
    assert "not both" in refused(capsys, *flags)
    assert "not both" in refused(capsys, *flags, *tables, "--checkpoint=last.ckpt")
    assert "there is no checkpoint at last.ckpt" in refused(capsys, *flags, "--checkpoint", "last.ckpt")
    assert "--shard takes i/n" in refused(capsys, *flags, *tables, "--shard=one")
    assert "shard 0/3 is none" in refused(capsys, *flags, *tables, "--shard=0/3")
    assert "clumps need an r2" in refused(capsys, *flags, *tables, "--clump-r2=2")
    assert "maf 0.7 must lie" in refused(capsys, *flags, *tables, "--maf=0.7")
    assert "cannot be read" in refused(capsys, *flags, "--phenotypes", str(tmp_path / "none.txt"))


@pytest.mark.parametrize(("damage", "said"), [("lost", "has lost associations.parquet"), ("cut", "is damaged")])
def test_a_table_that_is_lost_or_damaged_is_named(
    files: Path, whole: Path, tmp_path: Path, damage: str, said: str
) -> None:
    out = tmp_path / "study"
    shutil.copytree(whole, out)
    path = out / "associations.parquet"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:500])
    with pytest.raises(InputError, match=said):
        run(files, out)


def study_of(files: Path, out: Path, **columns: Any) -> tuple[str, pd.DataFrame]:
    """Associate other phenotypes of the same people, and return the findings and the fits."""
    people = pd.read_csv(files / "z.txt", sep=" ")[["FID", "IID"]]
    order = people["IID"].str[1:].astype(int)
    values = {name: np.asarray(column)[order] for name, column in columns.items() if name[0] != "c"}
    others = {name: np.asarray(column)[order] for name, column in columns.items() if name[0] == "c"}
    out.mkdir()
    tables = []
    for name, more in (("z", values), ("c", others)):
        people.assign(**more).to_csv(out / f"{name}.txt", sep="\t", index=False, na_rep="NA")
        tables.append(read_people(out / f"{name}.txt"))
    plan = Plan((str(files / "chr1.bed"),), limits=OPEN, permutations=2)
    associate(plan, tables[0], tables[1], out / "study", PLAIN)
    return (out / "study" / "findings.md").read_text(), table(out / "study")


def test_nobody_of_a_level_and_nobody_of_a_sex_refuse_no_study(files: Path, made: Made, tmp_path: Path) -> None:
    women = made.covariates[:, 1] == 0
    site = np.where(np.arange(PEOPLE) % 3, "a", "b").astype(object)
    site[~women] = "c"
    values = {"w": np.where(women, made.phenotypes[:, 1], np.nan), "all": made.phenotypes[:, 1]}
    said, rows = study_of(files, tmp_path / "one", **values, cage=made.covariates[:, 0], csite=site, csex=~women)
    assert "Covariate csite=c is constant, or a combination of others, among the people with w: it is left out" in said
    assert "Covariate csex=True is constant, or a combination of others, among the people with each phenotype" in said
    assert rows["p"].notna().all()
    design = np.column_stack((made.covariates[women, 0], site[women] == "b")).astype(float)
    alone = Scan(inverse_normal(made.phenotypes[women, 1:2]), design, ["w"], ["age", "b"])(made.calls[:40, women])
    np.testing.assert_allclose(rows.loc[rows["phenotype"] == "w", "t"], alone.t[:, 0], rtol=1e-7)


def test_phenotypes_never_seen_together_keep_their_own_tests(files: Path, made: Made, tmp_path: Path) -> None:
    first = np.arange(PEOPLE) < PEOPLE // 2
    values = {"a": np.where(first, made.phenotypes[:, 1], np.nan), "b": np.where(first, np.nan, made.phenotypes[:, 2])}
    said, rows = study_of(files, tmp_path / "one", **values, cage=made.covariates[:, 0])
    assert "there is no test of all phenotypes together" in said
    assert rows["p"].notna().all()
    assert not (tmp_path / "one" / "study" / "together.parquet").exists()
    drawn = np.random.default_rng(1)
    holes = {f"z{k}": np.where(drawn.random(PEOPLE) < 0.3, np.nan, drawn.standard_normal(PEOPLE)) for k in range(20)}
    said, rows = study_of(files, tmp_path / "many", **holes, cage=made.covariates[:, 0])
    assert "there is no test of all phenotypes together" in said
    assert rows["p"].notna().all()


def test_cases_are_fitted_as_cases(files: Path, made: Made, tmp_path: Path) -> None:
    cases = (np.arange(PEOPLE) % 10 == 0).astype(float)
    coded = np.where(np.arange(PEOPLE) == 7, -9, 1 + cases)
    said, rows = study_of(files, tmp_path / "one", case=0 * coded, y=coded, z=made.phenotypes[:, 1], w=np.ones(PEOPLE))
    assert (
        "Y is a case/control phenotype, fitted by logistic regression, by Firth's where that fails: 15 cases (2)"
        in said
    )
    assert "W has no numbers" in said
    there = np.arange(PEOPLE) != 7
    alone = Scan(cases[there, None], np.empty((149, 0)), ["y"], (), np.array([True]))(made.calls[:40, there])
    np.testing.assert_allclose(rows.loc[rows["phenotype"] == "y", "beta"], alone.beta[:, 0], rtol=1e-6)
    assert rows.loc[rows["phenotype"] == "w", "p"].isna().all()
    assert json.loads((tmp_path / "one" / "study" / "summary.json").read_text())["case_control"] == {"y": [15, 134]}
    with pytest.raises(InputError, match="no phenotype can be tested: phenotype w is constant"):
        study_of(files, tmp_path / "two", w=np.ones(PEOPLE), cage=made.covariates[:, 0])


def test_an_axis_is_cut_for_a_giant() -> None:
    plain, cut = Figure().subplots(1, 2)
    shares = []
    for axis, top in ((plain, 25.0), (cut, 400.0)):
        cut_axis(axis, top)
        axis.set_ylim(0, top)
        low, middle, high = axis.transData.transform([(0, height) for height in (0, 20, top)])[:, 1]
        shares.append((middle - low) / (high - low))
    assert shares == pytest.approx([0.8, 0.8])
    assert plain.get_yscale() == "linear"
    assert cut.get_yticks().tolist() == [0, 5, 10, 15, 20, 210, 400]


def test_torch_is_not_loaded_for_tables(files: Path, whole: Path, tmp_path: Path) -> None:
    flags = ["gwas", f"--bed={files / 'chr{chr}.bed'}", f"--phenotypes={files / 'z.txt'}", "--block=7", "--jobs=1"]
    flags += [f"--covariates={files / 'c.txt'}", "--maf=0", "--geno=1", "--hwe=0", "--permutations=3", "--rint=false"]
    program = "import sys; from disentangle_pl.__main__ import main; main()\n"
    program += "print('LOADED', sorted({'torch', 'lightning', 'scipy.stats', 'sklearn', 'numba'} & set(sys.modules)))"
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole_line = [sys.executable, "-c", program, *flags, f"--out={tmp_path / 'study'}"]
    child = subprocess.run(whole_line, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=200)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines()[-1] == "LOADED []"
    pd.testing.assert_frame_equal(table(tmp_path / "study"), table(whole))
    wrong = [sys.executable, "-m", "disentangle_pl", *flags, f"--out={whole}", "--maf=0.3"]
    refusal = subprocess.run(wrong, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=200)
    assert refusal.returncode == 2
    assert refusal.stderr.startswith("disentangle-pl: error: ")
    assert "other limits" in refusal.stderr


def test_a_block_is_as_large_as_the_memory_allows(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def size(memory: int, out: Path) -> int:
        monkeypatch.setattr("disentangle_pl.studies.gwas.available_memory", lambda: memory)
        run(files, out, block=None)
        settings: int = json.loads((out / "journal-1-of-1.jsonl").read_text().splitlines()[0])["block"]
        return settings

    assert size(2**40, tmp_path / "large") == 8000
    assert size(1, tmp_path / "small") == 100
    assert size(2**40, tmp_path / "small") == 100, "an earlier call has chosen"
