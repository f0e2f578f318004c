"""Dosages of PGEN, BGEN, VCF and BCF come back, and make the same study."""

import gzip
import shutil
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.genetics import bgen, genotypes, pgen, vcf
from disentangle_pl.genetics.association import Scan
from disentangle_pl.genetics.filesets import open_filesets
from disentangle_pl.genetics.frequencies import seen, seen_on_x
from disentangle_pl.genetics.genotypes import REASONS, Fileset, Genotypes, Limits, spans
from disentangle_pl.genetics.samples import read_samples
from disentangle_pl.genetics.scripts import write_scripts
from tests.genetics.imputed import SAMPLE, Dosages, dosages, pack_vcf, write_bgen, write_pgen, write_vcf
from tests.genetics.made import names

PEOPLE, VARIANTS = 90, 30


@pytest.fixture(scope="module")
def drawn() -> Dosages:
    return dosages(PEOPLE, VARIANTS)


def check(fileset: Fileset, drawn: Dosages, apart: float = 1e-6) -> None:
    """Check variants and dosages, of chosen people, forwards, backwards and from any place."""
    assert fileset.people["iid"].tolist() == names(drawn.shape[1])
    first = {"id": "rs2", "a1": "A", "other": "G", "position": 2000}
    assert {name: fileset.variants.iloc[1][name] for name in first} == first
    chosen = [70, 2, 5, 33]
    with Genotypes([fileset], fileset.people.iloc[chosen]) as genotypes:
        blocks = [genotypes.read(span).calls for span in spans([fileset], 7)]
        np.testing.assert_allclose(np.concatenate(blocks), drawn[:, chosen], atol=apart)
        for some in ([29], [3, 4, 20], [0]):
            np.testing.assert_allclose(genotypes.pick(0, np.array(some)).calls, drawn[some][:, chosen], atol=apart)


def test_pgen(drawn: Dosages, tmp_path: Path) -> None:
    path = write_pgen(tmp_path / "a.pgen", drawn)
    (fileset,) = open_filesets([str(path)])
    check(fileset, drawn)
    assert fileset.people["sex"].fillna("?").tolist()[:4] == ["?", "M", "F", "?"]
    path.with_suffix(".pvar").write_text(path.with_suffix(".pvar").read_text().rpartition("1\t")[0])
    with pytest.raises(InputError, match="of another file"):
        open_filesets([str(path)])
    path.with_suffix(".psam").unlink()
    with pytest.raises(InputError, match=r"needs its \.pvar"):
        open_filesets([str(path)])


def test_bgen(drawn: Dosages, tmp_path: Path) -> None:
    path = write_bgen(tmp_path / "chr1.bgen", drawn)
    (fileset,) = open_filesets([str(tmp_path / "chr{chr}.bgen")])
    check(fileset, drawn)
    assert fileset.people["sex"].fillna("?").tolist()[:4] == ["?", "M", "F", "?"]
    other = tmp_path / "other_1.sample"
    path.with_suffix(".sample").rename(other)
    assert open_filesets([str(path)])[0].people["fid"].unique().tolist() == ["0"]
    (fileset,) = open_filesets([str(tmp_path / "chr{chr}.bgen")], str(tmp_path / "other_{chr}.sample"))
    assert fileset.people["fid"].tolist() == names(PEOPLE)
    other.write_text("".join(f"{line}\n" for line in other.read_text().splitlines()[:-1]))
    with pytest.raises(InputError, match=r"its \.sample 89 people"):
        open_filesets([str(path)], str(other))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"chr1\.bgen cannot be read"):
        check(open_filesets([str(path)])[0], drawn)


@pytest.mark.parametrize("suffix", ["vcf", "vcf.gz"])
def test_vcf(drawn: Dosages, tmp_path: Path, suffix: str) -> None:
    plain = write_vcf(tmp_path / "a.vcf", drawn)
    path = tmp_path / f"a.{suffix}"
    if suffix != "vcf":
        pack_vcf(plain, path, "wz")
    check(open_filesets([str(path)])[0], drawn)
    with pytest.raises(InputError, match="has other people than"):
        open_filesets([str(path)], str(write_bgen(tmp_path / "b.bgen", drawn[:, ::-1][:, :9]).with_suffix(".sample")))
    path.write_bytes(b"no such thing\n")
    with pytest.raises(InputError, match="cannot be read"):
        open_filesets([str(path)])


def index_vcf(path: Path, contigs: list[str]) -> None:
    """Write a .tbi of a short file, whose header is a block of its own, that tells the first line of every contig."""
    packed = path.read_bytes()
    size = struct.unpack_from("<H", packed, 16)[0] + 1
    text = b"\n" + gzip.decompress(packed[size:])
    head = struct.pack("<8i", len(contigs), 2, 1, 2, 0, ord("#"), 0, sum(len(each) + 1 for each in contigs))
    head += "".join(f"{each}\0" for each in contigs).encode()
    for first in ((size << 16) + text.index(f"\n{each}\t".encode()) for each in contigs):
        head += struct.pack("<iIiQQiQ", 1, 0, 1, first, 1 << 40, 1, first)
    path.with_name(f"{path.name}.tbi").write_bytes(gzip.compress(b"TBI\1" + head))


def test_an_index_takes_a_reader_to_any_variant(drawn: Dosages, tmp_path: Path) -> None:
    plain, path = write_vcf(tmp_path / "a.vcf", drawn), tmp_path / "a.vcf.gz"
    lines = plain.read_text().splitlines()
    second = [f"2{line[1:]}" for line in lines[-5:]]
    lines = [line.replace("\t4000\t", "\t3000\t").replace("\t5000\t", "\t3000\t") for line in lines[:-5]]
    plain.write_text("\n".join([lines[0], "##contig=<ID=2>", *lines[1:], *second]) + "\n")
    pack_vcf(plain, path, "wz")
    index_vcf(path, ["1", "2"])
    (fileset,) = open_filesets([str(path)])
    reader = fileset.source()
    everybody = np.arange(PEOPLE)
    for rows in ([27, 28], [4, 5, 6], [2, 3], [24, 25], [29], [0], [*range(30)]):
        np.testing.assert_allclose(reader.read(everybody, np.array(rows)), drawn[rows], atol=1e-6)
    reader.close()


def test_a_bgen_without_index_has_the_same_variants(drawn: Dosages, tmp_path: Path) -> None:
    path, index = write_bgen(tmp_path / "a.bgen", drawn), tmp_path / "a.bgen.bgi"
    indexed = open_filesets([str(path)])[0].variants
    index.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bgi cannot be read"):
        open_filesets([str(path)])
    index.unlink()
    (fileset,) = open_filesets([str(path)])
    pd.testing.assert_frame_equal(fileset.variants[indexed.columns], indexed, check_dtype=False)
    check(fileset, drawn)


def test_variants_of_more_alleles_are_left_out(tmp_path: Path, drawn: Dosages) -> None:
    path = write_vcf(tmp_path / "a.vcf", drawn[:3])
    path.write_text(path.read_text().replace("rs2\tG\tA", "rs2\tG\tA,T"))
    (fileset,) = open_filesets([str(path)])
    with Genotypes([fileset], fileset.people) as genotypes:
        (span,) = spans([fileset], 9)
        told = genotypes.faults(span, genotypes.read(span), Limits(info=0, hwe=0))
    assert told.tolist() == [-1, REASONS.index("of more than two alleles"), -1]


def test_haploid_men_count_twice_on_x(tmp_path: Path, drawn: Dosages) -> None:
    men = frozenset({1, 4})
    vcf_path = write_vcf(tmp_path / "x.vcf", drawn, "X", men)
    bgen_path = write_bgen(tmp_path / "x.bgen", drawn, "X", men)
    for path in (vcf_path, bgen_path):
        check(open_filesets([str(path)])[0], drawn)


def test_a_vcf_tells_dosages_by_what_it_has(tmp_path: Path) -> None:
    head = "##fileformat=VCFv4.3\n##contig=<ID=X>\n"
    kinds = {"GT": ("1", "String"), "DS": ("A", "Float"), "GP": ("G", "Float"), "XX": ("1", "Integer")}
    head += "".join(f'##FORMAT=<ID={k},Number={n},Type={t},Description="">\n' for k, (n, t) in kinds.items())
    head += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tP0\tP1\tP2\tP3\n"
    cells = {
        "GT:DS": "0/1:0.75 1/1 ./. 1",
        "GT:GP": "0/1:0.5,0.25,0.25 0/0:1,0,0 ./.:. 1:0.25,0.75",
        "GT": "0|1 1/1 ./. 1",
        "DS": "0.75 2 . 1.5",
    }
    rows = ["\t".join(["X", "7", "r", "G", "A", ".", ".", ".", *[k, *v.split()]]) for k, v in cells.items()]
    path = tmp_path / "a.vcf"
    path.write_text(head + "\n".join(rows) + "\n")
    (fileset,) = open_filesets([str(path)])
    found = fileset.source().read(np.arange(4), np.arange(4))
    expected = np.array([[0.75, 2, -127, 2], [0.75, 0, -127, 1.5], [1, 2, -127, 2], [0.75, 2, -127, 1.5]], np.float32)
    np.testing.assert_allclose(found, expected)
    path.write_text(head + "\t".join([*rows[0].split("\t")[:8], "XX", "1", "1", "1", "1"]) + "\n")
    with pytest.raises(InputError, match="r has no DS, GP or GT"):
        open_filesets([str(path)])[0].source().read(np.arange(4), np.arange(1))


@pytest.mark.parametrize("module", [pgen, bgen, vcf])
def test_a_library_that_lacks_is_named(
    module: ModuleType, drawn: Dosages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_pgen(tmp_path / "a.pgen", drawn), write_bgen(tmp_path / "a.bgen", drawn)]
    path = [*paths, write_vcf(tmp_path / "a.vcf", drawn)][[pgen, bgen, vcf].index(module)]

    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(genotypes, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'disentangle_pl\[genomes\]'"):
        open_filesets([str(path)])


@pytest.mark.parametrize("name", ["none.bed", "none.pgen", "none.bgen", "none.vcf.gz", "none.bcf", "none"])
def test_a_missing_file_is_said_to_be_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*none"):
        open_filesets([str(tmp_path / name)])


def test_moments_of_dosages_and_of_calls_agree() -> None:
    rng = np.random.default_rng(3)
    calls = rng.binomial(2, rng.uniform(0.05, 0.95, (25, 1)), (25, 200)).astype(np.int8)
    calls[::4, :20] = -127
    sex = np.array(["M", "F", None] * 67, object)[:200]
    calls[:, sex == "M"] = 2 * (calls[:, sex == "M"] > 0)
    for one, two in (
        (seen(calls), seen(calls.astype(np.float32))),
        (seen_on_x(calls, sex), seen_on_x(calls.astype(np.float32), sex)),
    ):
        for mine, theirs in zip(one, two, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_quality_is_the_share_of_variance_that_dosages_keep() -> None:
    rng = np.random.default_rng(4)
    calls = rng.binomial(2, 0.3, (1, 200_000)).astype(np.float32)
    blurred = 0.6 + 0.5 * (calls - 0.6)
    blind = np.full_like(calls, 0.6)
    found = seen(np.concatenate((calls, blurred, blind))).quality
    np.testing.assert_allclose(found, [1, 0.25, 0], atol=0.01)
    men = np.where(rng.random(200_000) < 0.5, "M", "F").astype(object)
    haploid = np.where(men == "M", 2 * rng.binomial(1, 0.3, 200_000), calls[0])
    on_x = 0.6 + 0.5 * (haploid - 0.6)
    np.testing.assert_allclose(seen_on_x(on_x[None].astype(np.float32), men).quality, 0.25, atol=0.01)


def test_people_of_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "a"
    texts = {
        "#FID\tIID\tSEX\tz\nF a 2 9\n": [["F", "a", "F"]],
        "##c\n#IID SEX\na NA\n": [["0", "a", "?"]],
        "#IID\na\n": [["0", "a", "?"]],
        SAMPLE + "F a 0 male\n": [["F", "a", "M"]],
        "ID sex\n0 D\na F\n": [["0", "a", "F"]],
        "F a 0 0 1 -9\n": [["F", "a", "M"]],
    }
    for text, people in texts.items():
        path.write_text(text)
        assert read_samples(path, "").fillna("?").to_numpy().tolist() == people
    path.write_text("#IID\na\na\n")
    with pytest.raises(InputError, match="more than once"):
        read_samples(path, "")


PLINK2 = shutil.which("plink2")


@pytest.fixture(scope="module")
def exported(drawn: Dosages, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the same dosages in all formats by plink2."""
    if PLINK2 is None:
        pytest.skip("needs plink2: apt-get install plink2")
    folder = tmp_path_factory.mktemp("exported")
    write_vcf(folder / "made.vcf", drawn)
    plink2(folder, "--vcf", "made.vcf", "dosage=DS", "--make-pgen", "vzs", "--out", "a")
    plink2(folder, "--pfile", "a", "vzs", "--export", "bgen-1.2", "bits=16", "ref-first", "--out", "coarse")
    check(open_filesets([str(folder / "coarse.bgen")])[0], drawn, 2 / 2**16)  # two probabilities, rounded
    write_bgen(folder / "a.bgen", drawn)
    plink2(folder, "--pfile", "a", "vzs", "--export", "vcf", "bgz", "vcf-dosage=DS", "--out", "a")
    plink2(folder, "--pfile", "a", "vzs", "--export", "bcf", "vcf-dosage=DS", "--out", "a")
    return {suffix: folder / f"a.{suffix}" for suffix in ("pgen", "bgen", "vcf.gz", "bcf")}


def plink2(folder: Path, *args: object) -> None:
    command = [str(PLINK2), *map(str, args), "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=folder)


def test_plink2s_files_make_plink2s_numbers(exported: dict[str, Path], drawn: Dosages) -> None:
    rng = np.random.default_rng(1)
    phenotypes, covariates = rng.standard_normal((PEOPLE, 2)), rng.standard_normal((PEOPLE, 1))
    phenotypes[:, 0] += 0.4 * np.maximum(drawn[0], 0)
    phenotypes[:5, 1] = np.nan
    scan, found = Scan(phenotypes, covariates, ["z0", "z1"], ["c"]), {}
    for suffix, path in exported.items():
        (fileset,) = open_filesets([str(path)])
        check(fileset, drawn)
        with Genotypes([fileset], fileset.people) as genotypes:
            found[suffix] = scan(np.concatenate([genotypes.read(span).calls for span in spans([fileset], 8)]))
    for each in found.values():
        for one, two in zip(each, found["pgen"], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)
    folder = exported["pgen"].parent
    table = pd.DataFrame(np.column_stack((phenotypes, covariates)), columns=["z0", "z1", "c"])
    table.insert(0, "#IID", names(PEOPLE))
    for name, columns in (("pheno", ["z0", "z1"]), ("covar", ["c"])):
        table[["#IID", *columns]].to_csv(folder / f"{name}.txt", sep="\t", index=False, na_rep="NA")
    glm = ["--glm", "omit-ref", "hide-covar", "cols=chrom,pos,ref,alt,a1freq,nobs,beta,se,tz,p"]
    tables = ["--pheno", "pheno.txt", "--covar", "covar.txt"]
    plink2(folder, "--pfile", "a", "vzs", *tables, *glm, "--freq", "cols=+machr2", "--out", "p")
    for k in range(2):
        theirs = pd.read_csv(folder / f"p.z{k}.glm.linear", sep="\t")
        mine = found["bgen"]
        assert theirs["OBS_CT"].tolist() == mine.people[:, k].tolist()
        for name, ours in (("BETA", mine.beta), ("SE", mine.error), ("T_STAT", mine.t), ("A1_FREQ", mine.frequency)):
            np.testing.assert_allclose(ours[:, k], theirs[name], rtol=2e-5, atol=1e-6)
    people = pd.DataFrame({"fid": "0", "iid": names(PEOPLE)})
    written = {"phenotypes": (["z0", "z1"], phenotypes), "covariates": (["c"], covariates)}
    write_scripts(folder / "scripts", people, written, [exported["pgen"]], Limits(hwe=0, geno=1, maf=0))
    subprocess.run(["sh", "scripts/plink2.sh"], cwd=folder, check=True, capture_output=True, timeout=60)
    theirs = pd.read_csv(folder / "plink2_a.z1.glm.linear", sep="\t")
    kept = theirs["ID"].str[2:].to_numpy(np.int64) - 1
    np.testing.assert_allclose(found["pgen"].t[kept, 1], theirs["T_STAT"], rtol=2e-5)
    assert '--step 2 --pgen "filtered_$name"' in (folder / "scripts" / "regenie.sh").read_text()
    with pytest.raises(InputError, match=r"for \.bed and \.pgen"):
        write_scripts(folder / "scripts", people, written, [exported["bgen"]], Limits())
    quality = pd.read_csv(folder / "p.afreq", sep="\t")["MACH_R2"]
    np.testing.assert_allclose(seen(drawn).quality, quality, rtol=1e-4)
