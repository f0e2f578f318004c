"""A study together with other programs: their tests read back, and regenie's predictions taken off."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.loco import offset
from tests.command_line import refused
from tests.command_line import run as command
from tests.genetics.made import Made, make, names, write, write_study

PEOPLE, VARIANTS = 150, 80
OPEN = ["--maf=0", "--geno=1", "--hwe=0", "--permutations=2", "--plots=false", "--rint=false", "--block=30"]


@pytest.fixture(scope="module")
def made() -> Made:
    drawn = make(PEOPLE, VARIANTS)
    drawn.phenotypes[:, 0] += 2 * drawn.calls[0]
    drawn.calls[1] = np.where(drawn.calls[2] >= 0, drawn.calls[0], drawn.calls[1])
    drawn.phenotypes[:, 2] += 0.9 * np.maximum(drawn.calls[60], 0)
    return drawn


@pytest.fixture(scope="module")
def whole(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("genome")
    write_study(folder, made)
    command(
        "gwas", *flags(folder), *OPEN, "--export", "glm", "regenie", "--scripts=true", "--out", str(folder / "study")
    )
    return folder


def flags(folder: Path) -> list[str]:
    bed = ["--bed", str(folder / "chr{chr}.bed")]
    return [*bed, "--phenotypes", str(folder / "z.txt"), "--covariates", str(folder / "c.txt")]


def tsv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


@pytest.mark.parametrize("kind", ["glm.linear", "regenie", "regenie.gz"])
def test_our_own_exports_make_the_same_study(whole: Path, tmp_path: Path, kind: str) -> None:
    files = [whole / "study" / "export" / f"z{k}.{kind.removesuffix('.gz')}" for k in range(3)]
    if kind.endswith(".gz"):
        packed = [tmp_path / f"step2_{path.name}.gz" for path in files]
        for path, target in zip(files, packed, strict=True):
            target.write_bytes(gzip.compress(path.read_bytes()))
        files = packed
    out, other = tmp_path / "again", whole / "study"
    again = ["--bed", str(whole / "chr{chr}"), "--results", *map(str, files), "--out", str(out), "--export", "glm"]
    command("gwas", *again)
    mine, theirs = (tsv(path / "phenotypes.tsv") for path in (out, other))
    assert mine["phenotype"].tolist() == theirs["phenotype"].tolist()
    assert mine["n"].tolist() == [149, 150, 150] or mine["n"].max() == PEOPLE
    np.testing.assert_allclose(mine["lambda"], theirs["lambda"], rtol=1e-6)
    assert mine["hits_genome_wide"].tolist() == theirs["hits_genome_wide"].tolist()
    for name in ("hits", "leads"):
        rows = [tsv(path / f"{name}.tsv").query("neg_log10_p >= 5") for path in (out, other)]
        assert rows[0]["id"].tolist() == rows[1]["id"].tolist()
        assert len(rows[0]) >= 2
        np.testing.assert_allclose(rows[0]["t"], rows[1]["t"], rtol=1e-6)
    assert tsv(out / "leads.tsv")["variants"][0] == 2
    assert (out / "manhattan.png").exists()
    for k in range(3):
        tables = [tsv(path / "export" / f"z{k}.glm.linear") for path in (out, other)]
        np.testing.assert_allclose(tables[0]["P"], tables[1]["P"], rtol=1e-5)
    command("gwas", *again)


def test_the_scripts_of_a_study_and_output_of_plink2(whole: Path, tmp_path: Path) -> None:
    scripts = whole / "study" / "scripts"
    if shutil.which("plink2") is None:
        pytest.skip("needs plink2: apt-get install plink2")
    subprocess.run(["sh", str(scripts / "plink2.sh")], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    files = sorted(map(str, tmp_path.glob("plink2_*.glm.linear")))
    assert len(files) == 6
    command("gwas", f"--bed={whole / 'chr{chr}.bed'}", "--results", *files, f"--out={tmp_path / 'study'}")
    mine, theirs = (
        pq.read_table(path / "associations.parquet").to_pandas() for path in (tmp_path / "study", whole / "study")
    )
    for name in ("id", "a1", "other", "phenotype", "n"):
        assert mine[name].tolist() == theirs[name].tolist()
    np.testing.assert_allclose(mine["neg_log10_p"], theirs["neg_log10_p"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mine["a1_frequency"], theirs["a1_frequency"], rtol=1e-4)
    leads = [tsv(path / "leads.tsv")["id"].tolist()[:2] for path in (tmp_path / "study", whole / "study")]
    assert leads[0] == leads[1]


def test_tests_without_a_number_are_counted(whole: Path, tmp_path: Path) -> None:
    lines = (whole / "study" / "export" / "z1.glm.linear").read_text().splitlines()
    cells = lines[7].split("\t")
    cells[9:13] = ["NA"] * 4
    lines[7] = "\t".join(cells)
    (tmp_path / "p.z1.glm.linear").write_text("\n".join(lines) + "\n")
    first = str(whole / "study" / "export" / "z0.glm.linear")
    flags = [f"--bed={whole / 'chr{chr}.bed'}", f"--out={tmp_path / 'study'}", "--plots=false"]
    command("gwas", *flags, "--results", first, str(tmp_path / "p.z1.glm.linear"))
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    assert (summary["tests"], summary["untestable"], summary["variants_tested"]) == (159, 1, 80)
    assert (summary["permuted"], summary["covariates"], summary["f_lambda"]) == (None, None, None)
    said = (tmp_path / "study" / "findings.md").read_text()
    assert "1 tests have no number (NA)." in said
    assert "covariates: unknown" in said


def test_hits_without_genotypes_stay_unclumped(whole: Path, tmp_path: Path) -> None:
    files = [str(whole / "study" / "export" / f"z{k}.regenie") for k in range(3)]
    out = tmp_path / "study"
    command("gwas", f"--bed={whole / 'chr1.bed'}", "--results", *files, f"--out={out}", "--plots=false")
    mine, theirs = (tsv(path / "leads.tsv").set_index("id") for path in (out, whole / "study"))
    assert theirs["clumped"].all()
    assert [each["variants"].to_dict()["rs1"] for each in (mine, theirs)] == [2, 2]
    assert not mine["clumped"].to_dict()["rs61"]
    said = (out / "findings.md").read_text()
    assert "**40 of 80 tested variants are not among the genotypes**" in said
    assert "80 of 80 variants are tested" in said


def test_results_that_cannot_be(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(whole / "study" / "export" / "z0.regenie")
    bed, out = f"--bed={whole / 'chr{chr}.bed'}", f"--out={tmp_path / 'study'}"
    assert "not both" in refused(capsys, "gwas", bed, out, "--results", file, "--phenotypes", file)
    assert "--loco is of no use" in refused(capsys, "gwas", bed, out, "--results", file, f"--loco={file}")
    assert "cannot be read" in refused(capsys, "gwas", bed, out, "--results", str(tmp_path / "z.regenie"))
    kept = f"--out={whole / 'study'}"
    assert "another folder, or the same settings" in refused(capsys, "gwas", bed, kept, "--results", file)
    empty = tmp_path / "z1.regenie"
    empty.write_text(Path(file).read_text().partition("\n")[0] + "\n")
    assert "no additive test" in refused(capsys, "gwas", bed, f"--out={tmp_path / 'two'}", "--results", str(empty))


def loco(folder: Path, values: dict[str, np.ndarray], people: list[str]) -> Path:
    for name, rows in values.items():
        head = " ".join(["FID_IID", *(f"{one}_{one}" for one in people)])
        lines = [" ".join([str(i + 1), *(f"{x:.17g}" for x in row)]) for i, row in enumerate(rows)]
        (folder / f"{name}.loco").write_text("\n".join([head, *lines]) + "\n")
    listed = folder / "step1_pred.list"
    listed.write_text("".join(f"{name} {name}.loco\n" for name in values))
    return listed


def test_every_chromosome_has_its_own_offset(whole: Path, made: Made, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    there = 140
    predicted = {f"z{k}": rng.standard_normal((2, there)) for k in range(3)}
    listed = loco(tmp_path, predicted, names(there))
    one = tmp_path / "one"
    command("gwas", *flags(whole), *OPEN, f"--loco={listed}", f"--out={one}")
    dropped = tsv(one / "dropped.tsv")
    assert set(dropped["reason"]) == {"no prediction (loco)"}
    assert len(dropped) == PEOPLE - there
    rows = pq.read_table(one / "associations.parquet").to_pandas()
    values, covariates, calls = made.phenotypes[:there], made.covariates[:there], made.calls[:, :there]
    of = ["z0", "z1", "z2"], ["a", "b", "c"]
    scale = Scan(values, covariates, *of).scale
    for i, mine in enumerate((slice(0, 40), slice(40, 80))):
        left = offset(values, np.stack([predicted[name][i] for name in of[0]], axis=1), scale)
        expected = Scan(left, covariates, *of)(calls[mine]).t
        np.testing.assert_allclose(rows["t"].to_numpy().reshape(-1, 3)[mine], expected, rtol=1e-9)
    write(tmp_path / "both", made.calls)
    lines = (tmp_path / "both.bim").read_text().splitlines()
    (tmp_path / "both.bim").write_text("\n".join([*lines[:40], *(f"2{line[1:]}" for line in lines[40:])]) + "\n")
    tables = flags(whole)[2:]
    command("gwas", f"--bed={tmp_path / 'both.bed'}", *tables, *OPEN, f"--loco={listed}", f"--out={tmp_path / 'two'}")
    pd.testing.assert_frame_equal(pq.read_table(tmp_path / "two" / "associations.parquet").to_pandas(), rows)
    assert "what other chromosomes predict is taken off" in (one / "findings.md").read_text().lower()


def test_predictions_of_nothing_and_one_file_of_all_chromosomes(whole: Path, tmp_path: Path) -> None:
    listed = loco(tmp_path, {f"z{k}": np.zeros((2, PEOPLE)) for k in range(3)}, names(PEOPLE))
    command("gwas", *flags(whole), *OPEN, f"--loco={listed}", f"--out={tmp_path / 'study'}")
    mine, theirs = (pq.read_table(path / "study" / "associations.parquet").to_pandas() for path in (tmp_path, whole))
    pd.testing.assert_frame_equal(mine, theirs, rtol=1e-12)
    summaries = [json.loads((path / "study" / "summary.json").read_text()) for path in (tmp_path, whole)]
    assert summaries[0]["lambda"] == pytest.approx(summaries[1]["lambda"])


def test_predictions_that_cannot_be(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = loco(tmp_path, {"z0": np.zeros((2, PEOPLE)), "z1": np.zeros((1, PEOPLE))}, names(PEOPLE))
    out = f"--out={tmp_path / 'study'}"
    assert "no predictions of z2" in refused(capsys, "gwas", *flags(whole), *OPEN, f"--loco={listed}", out)
    loco(tmp_path, {"z0": np.zeros((2, 9)), "z1": np.zeros((1, 9)), "z2": np.zeros((2, 9))}, names(9))
    assert "no prediction for chromosome 2" in refused(capsys, "gwas", *flags(whole), *OPEN, f"--loco={listed}", out)
    loco(tmp_path, {f"z{k}": np.zeros((2, 3)) for k in range(3)}, ["Q1", "Q2", "Q3"])
    said = refused(capsys, "gwas", *flags(whole), *OPEN, f"--loco={listed}", out)
    assert "150 no prediction (loco)" in said
