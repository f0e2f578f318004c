"""Output of plink2 and regenie: columns, missing numbers, tiny p, and files that do not belong together."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.exports import file_names
from disentangle_pl.genetics.outputs import by_phenotype, log10_p_of_text, read_outputs

HEAD = "#CHROM POS ID REF ALT A1 TEST OBS_CT BETA SE T_STAT P ERRCODE\n"
ROWS = [
    "chr1 10 rs1 G A A ADD 90 0.5 0.1 5 1e-6 .",
    "chr1 10 rs1 G A A AGE 90 9 1 9 1e-9 .",
    "2 30 rs2 G A G ADD 80 NA NA NA NA CONST_ALLELE",
    "2 40 rs3 C T T ADD 90 -2 0.01 -200 3.2e-412 .",
]
STEP2 = "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ INFO N TEST BETA SE CHISQ LOG10P EXTRA\n"


def glm(path: Path, rows: list[str] = ROWS, head: str = HEAD) -> Path:
    path.write_text((head + "\n".join(rows) + "\n").replace(" ", "\t"))
    return path


def test_plink2(tmp_path: Path) -> None:
    files = [glm(tmp_path / "p.z0.glm.linear"), glm(tmp_path / "p.z1.glm.linear")]
    parts = list(read_outputs(by_phenotype(files), chunk=2))
    assert [len(part.variants) for part in parts] == [2, 1]
    first, last = parts
    assert first.variants["chromosome"].tolist() == ["1", "2"]
    assert first.variants["position"].tolist() == [10, 30]
    assert first.variants["a1"].tolist() == ["A", "G"]
    assert first.variants["other"].tolist() == ["G", "A"]
    assert first.fits.people.tolist() == [[90, 90], [80, 80]]
    np.testing.assert_array_equal(first.fits.beta, [[0.5, 0.5], [np.nan, np.nan]])
    np.testing.assert_allclose(first.fits.log10_p, [[6.0, 6.0], [np.nan, np.nan]])
    np.testing.assert_allclose(last.fits.log10_p, [[412 - float(np.log10(3.2))] * 2])
    assert last.fits.p.tolist() == [[0, 0]]
    assert np.isnan(first.fits.frequency).all()


def test_plink2_with_logarithms_and_frequencies(tmp_path: Path) -> None:
    head = HEAD.replace(" P ", " LOG10_P ").replace(" TEST", " A1_FREQ TEST")
    (part,) = read_outputs(
        {"z": [glm(tmp_path / "p.z.glm.linear", ["1 5 rs1 G A A 0.25 ADD 90 1 0.1 10 321.5 ."], head)]}
    )
    assert (part.fits.log10_p[0, 0], part.fits.frequency[0, 0]) == (321.5, 0.25)


def test_regenie_compressed(tmp_path: Path) -> None:
    path = tmp_path / "out_z0.regenie.gz"
    rows = "1 7 rs1 G A 0.3 1 88 ADD -0.5 0.1 25 6.2 NA\n1 7 rs1 G A 0.3 1 88 DOM 1 1 1 1 NA\n"
    path.write_bytes(gzip.compress((STEP2 + rows + "1 8 rs2 G A 0 1 88 ADD NA NA NA NA TEST_FAIL\n").encode()))
    (part,) = read_outputs({"z": [path]})
    assert part.variants["id"].tolist() == ["rs1", "rs2"]
    np.testing.assert_array_equal(part.fits.t[:, 0], [-5, np.nan])
    assert part.fits.log10_p[0, 0] == 6.2
    assert part.fits.frequency[0, 0] == 0.3
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="cannot be read"):
        list(read_outputs({"z": [path]}))


TABLES = {
    "plink2": "#CHROM POS ID REF ALT A1 FIRTH? TEST OBS_CT OR LOG(OR)_SE Z_STAT P ERRCODE\n"
    "2 7 rs1 G A A N ADD 90 {odds} 0.1 5 5.7e-7 .\n",
    "saige": "CHR POS MarkerID Allele1 Allele2 AC_Allele2 AF_Allele2 MissingRate BETA SE Tstat var p.value N\n"
    "2 7 rs1 G A 54 0.3 0 0.5 0.1 9 9 5.7e-7 90\n",
    "saige of cases": "CHR POS MarkerID Allele1 Allele2 AF_Allele2 BETA SE Tstat p.value p.value.NA N_case N_ctrl\n"
    "2 7 rs1 G A 0.3 0.5 0.1 9 5.7e-7 1e-7 40 50\n",
    "bolt": "SNP CHR BP GENPOS ALLELE1 ALLELE0 A1FREQ INFO CHISQ_LINREG P_LINREG BETA SE CHISQ_BOLT_LMM_INF "
    "P_BOLT_LMM_INF CHISQ_BOLT_LMM P_BOLT_LMM\nrs1 2 7 0.01 A G 0.3 1 1 1 0.5 0.1 24 1e-6 25 5.7e-7\n",
    "fastgwa": "CHR SNP POS A1 A2 N AF1 BETA SE P\n2 rs1 7 A G 90 0.3 0.5 0.1 5.7e-7\n",
    "ssf": "chromosome base_pair_location effect_allele other_allele beta standard_error effect_allele_frequency "
    "p_value variant_id rsid n\n2 7 A G 0.5 0.1 0.3 5.7e-7 2_7_G_A rs1 90\n",
}


@pytest.mark.parametrize("program", TABLES)
def test_tables_of_other_programs(program: str, tmp_path: Path) -> None:
    path = tmp_path / "z.txt.gz"
    path.write_bytes(gzip.compress(TABLES[program].format(odds=np.exp(0.5)).replace(" ", "\t").encode()))
    (part,) = read_outputs({"z": [path]}, people=90 if program == "bolt" else None)
    assert part.variants.iloc[0].to_dict() == {"chromosome": "2", "position": 7, "id": "rs1", "a1": "A", "other": "G"}
    fits = part.fits
    numbers = [float(each[0, 0]) for each in (fits.people, fits.beta, fits.error, fits.t, fits.p)]
    np.testing.assert_allclose(numbers, [90, 0.5, 0.1, 5, 5.7e-7])
    assert fits.frequency[0, 0] == 0.3 or program == "plink2"


def names(*paths: str, genotypes: tuple[str, ...] = ()) -> list[str]:
    return list(by_phenotype([Path(path) for path in paths], genotypes))


def test_names_of_phenotypes() -> None:
    assert names("a/plink2.z0.glm.linear", "z1.glm.linear") == ["z0", "z1"]
    assert names("step2_chr_z0.regenie", "step2_chr_z1.regenie.gz") == ["z0", "z1"]
    assert names("z_0.regenie") == ["z_0"]
    assert names("z.regenie", "z_2.regenie") == ["z", "z_2"]
    assert names("p.z0.glm.linear.gz", "p.z1.glm.logistic.hybrid", "p.z2.glm.firth.gz") == ["z0", "z1", "z2"]
    assert names("run_z0.fastGWA", "run_z1.bgen.stats.gz", "run_z2.tsv", "run_z3.txt") == ["z0", "z1", "z2", "z3"]
    with pytest.raises(InputError, match="there are no results"):
        names()


def test_files_by_chromosome_are_of_one_phenotype() -> None:
    files = [Path(f"step2_chr{i}_z_{k}.regenie.gz") for i in (1, 10, 2, "X") for k in (0, 1)]
    found = by_phenotype(files)
    assert list(found) == ["z_0", "z_1"]
    assert [path.name.split("_")[1] for path in found["z_0"]] == ["chr1", "chr2", "chr10", "chrX"]
    assert names("saige.z0.chr1.txt", "saige.z0.chr2.txt") == ["saige.z0"]
    assert names("chr1.regenie") == ["chr1"]


def test_files_of_several_filesets() -> None:
    files = [f"plink2_chr{i}.z{k}.glm.linear" for i in (1, 2) for k in (0, 1)]
    assert [path.name for path in by_phenotype([Path(file) for file in files])["z1"]] == files[1::2]
    files = [f"regenie_chr{i}_z_{k}.regenie" for i in (1, 11) for k in (0, 1)]
    assert names(*files, genotypes=("chr1", "chr11")) == ["z_0", "z_1"]
    with pytest.raises(InputError, match="different numbers of files"):
        names(*files[:3], genotypes=("chr1", "chr11"))


def test_files_of_a_phenotype_follow_each_other(tmp_path: Path) -> None:
    for i, rows in enumerate((ROWS[:3], ROWS[3:])):
        for k in range(2):
            glm(tmp_path / f"{i}.z{k}.glm.linear", rows)
    parts = list(read_outputs(by_phenotype(sorted(tmp_path.iterdir()))))
    assert [part.variants["id"].tolist() for part in parts] == [["rs1", "rs2"], ["rs3"]]


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    first = glm(tmp_path / "p.z0.glm.linear")
    shorter, other = tmp_path / "p.z1.glm.linear", tmp_path / "p.z2.glm.linear"
    glm(shorter, ROWS[:-1])
    glm(other, [*ROWS[:-1], ROWS[-1].replace("rs3", "rs4")])
    with pytest.raises(InputError, match="different numbers of variants"):
        list(read_outputs({"z0": [first], "z1": [shorter]}))
    with pytest.raises(InputError, match="different numbers of variants"):
        list(read_outputs({"z0": [first], "z1": [shorter]}, chunk=1))
    with pytest.raises(InputError, match="z1 have variant rs4 where those of z0 have rs3"):
        list(read_outputs({"z0": [first], "z1": [other]}))


@pytest.mark.parametrize(
    ("head", "row", "said"),
    [
        (HEAD.replace("BETA", "B"), ROWS[0], "has no column BETA"),
        ("SNP CHR\n", "rs1 1", "has the columns SNP; CHR"),
        (HEAD.replace("OBS_CT", "OBS"), ROWS[0], "give --results_n"),
        (HEAD, ROWS[0].replace("0.5", "much"), "has 'much' in column beta"),
        (HEAD, ROWS[0].replace(" 10 ", " NA "), "without position"),
        (HEAD, ROWS[0].replace("1e-6", "p"), "has 'p' in column P"),
    ],
)
def test_wrong_columns_and_cells(tmp_path: Path, head: str, row: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(read_outputs({"z": [glm(tmp_path / "z.glm.linear", [row], head)]}))


def test_p_as_text() -> None:
    cells = pd.Series(["1e-6", "NA", "0", "2E-400", "1"])
    found = log10_p_of_text(cells, Path("x"))
    np.testing.assert_allclose(found, [6, np.nan, np.inf, 400 - np.log10(2), 0])


def test_a_p_of_nothing_is_told_by_t(tmp_path: Path) -> None:
    (part,) = read_outputs({"z": [glm(tmp_path / "z.glm.linear", ["1 5 rs1 G A A ADD 900 1 0.01 100 0 ."])]})
    assert 250 < part.fits.log10_p[0, 0] < 1000


def test_files_of_phenotypes_have_short_and_different_names() -> None:
    names = ["a b", "a_b", "../x", "y" * 300, "y" * 301, "a/b"]
    found = file_names(names)
    assert found[:3] == ["a_b", "a_b_", ".._x"]
    assert len(set(found)) == len(names)
    assert max(map(len, found)) < 120
    assert not any("/" in name for name in found)
