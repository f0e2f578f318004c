"""Filesets are read, and what is wrong with them is said in one sentence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.filesets import genome_build, open_filesets
from disentangle_pl.genetics.genotypes import PERSON, Genotypes, common_people, spans
from tests.genetics.made import SHARED, make, names, write


def test_people_variants_and_calls_come_back(tmp_path: Path) -> None:
    calls = make(people=11).calls
    (fileset,) = open_filesets([str(write(tmp_path / "a.b", calls))])
    assert fileset.people["iid"].tolist() == names(11)
    assert fileset.people["sex"].tolist() == ["M", "F"] * 5 + ["M"]
    assert fileset.variants.iloc[1].to_dict() == {
        "id": "rs2",
        "a1": "A",
        "other": "G",
        "chromosome": "1",
        "position": 2000,
    }
    chosen = fileset.people.iloc[[7, 2, 5]]
    with Genotypes([fileset], chosen) as genotypes:
        read = [genotypes.read(span).calls for span in spans([fileset], 7)]
        assert [len(block) for block in read] == [7, 7, 7, 7, 7, 5]
        assert np.array_equal(np.concatenate(read), calls[:, [7, 2, 5]])
        assert np.array_equal(genotypes.pick(0, np.array([30, 4])).calls, calls[[30, 4]][:, [7, 2, 5]])


def test_blocks_end_where_the_chromosome_changes(tmp_path: Path) -> None:
    bed = write(tmp_path / "a", make().calls)
    lines = (tmp_path / "a.bim").read_text().splitlines()
    (tmp_path / "a.bim").write_text("\n".join([*lines[:9], *(f"2{line[1:]}" for line in lines[9:])]) + "\n")
    filesets = open_filesets([str(bed)])
    assert [(each.start, each.stop) for each in spans(filesets, 15)] == [(0, 15), (15, 30), (30, 40)]
    apart = [(each.start, each.stop) for each in spans(filesets, 15, by_chromosome=True)]
    assert apart == [(0, 9), (9, 24), (24, 39), (39, 40)]
    with Genotypes(filesets, filesets[0].people) as genotypes:
        for span in spans(filesets, 15, by_chromosome=True):
            assert genotypes.read(span).variants["chromosome"].nunique() == 1


def test_suffix_and_chromosomes_may_be_left_to_us(tmp_path: Path) -> None:
    for chromosome in (2, 10):
        write(tmp_path / f"chr{chromosome}", make(seed=chromosome).calls, chromosome)
    found = open_filesets([str(tmp_path / "chr{chr}")])
    assert [each.path.name for each in found] == ["chr2.bed", "chr10.bed"]
    with pytest.raises(InputError, match="for any chromosome"):
        open_filesets([str(tmp_path / "other{chr}.bed")])


def test_shards_may_have_other_people_in_another_order(tmp_path: Path) -> None:
    calls = make(people=6).calls
    first = write(tmp_path / "one", calls)
    second = write(tmp_path / "two", calls[:, ::-1][:, :5], 2)
    lines = (tmp_path / "one.fam").read_text().splitlines()[::-1][:5]
    (tmp_path / "two.fam").write_text("\n".join(lines) + "\n")
    filesets = open_filesets([str(first), str(second)])
    people = common_people(filesets)
    assert people["iid"].tolist() == names(6)[1:]
    with Genotypes(filesets, people) as genotypes:
        one, two = (genotypes.read(span).calls for span in spans(filesets, 100))
    assert np.array_equal(one, calls[:, 1:])
    assert np.array_equal(two, one)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda bed: bed.write_bytes(bed.read_bytes()[:-1]), "it is cut short"),
        (lambda bed: bed.write_bytes(b"PK" + bed.read_bytes()[2:]), "no PLINK 1 .bed"),
        (lambda bed: bed.write_bytes(b"\x6c\x1b\x00" + bed.read_bytes()[3:]), "sorted by people"),
        (lambda bed: bed.write_bytes(b""), "no PLINK 1 .bed"),
        (lambda bed: bed.unlink(), "there is no file"),
        (lambda bed: bed.with_suffix(".fam").unlink(), "fam cannot be read"),
        (lambda bed: bed.with_suffix(".bim").write_text("1 rs1 0 A\n"), "4 columns"),
        (lambda bed: bed.with_suffix(".bim").write_text("1 rs1 0 here A G\n" * 40), "'here' as position of variant 1"),
        (lambda bed: bed.with_suffix(".fam").write_text("a b 0 0 1 0\n" * 40), "b; b"),
        (lambda bed: bed.with_suffix(".bim").write_text("1 rs1 0 100 A G\n" * 39), "40 people and 39 variants"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, damage: object, said: str) -> None:
    bed = write(tmp_path / "cohort", make(people=40).calls)
    damage(bed)  # type: ignore[operator]
    with pytest.raises(InputError, match=said):
        open_filesets([str(bed)])


def test_chromosomes_have_one_name_and_centimorgans_may_be_absent(tmp_path: Path) -> None:
    bed = write(tmp_path / "cohort", make(people=40, variants=8).calls)
    chromosomes = ["01", "chr1", "CHR01", "23", "chrX", "x", "26", "0"]
    lines = [f"{name} rs{i} {100 * i} A G" for i, name in enumerate(chromosomes)]
    bed.with_suffix(".bim").write_text("\n".join(lines) + "\n")
    (found,) = open_filesets([str(bed)])
    assert found.variants["chromosome"].tolist() == ["1", "1", "1", "X", "X", "X", "MT", "0"]
    assert found.variants["position"].tolist() == [100 * i for i in range(8)]


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    bed = str(write(tmp_path / "cohort", make().calls))
    with pytest.raises(InputError, match="more than once"):
        open_filesets([bed, bed])


@pytest.mark.parametrize(("position", "build"), [(44908684, "GRCh38"), (45411941, "GRCh37"), (7, None)])
def test_apoe_tells_the_build(position: int, build: str | None) -> None:
    assert genome_build(pd.DataFrame({"id": ["rs1", "rs429358"], "position": [5, position]})) == build


def test_real_filesets_open() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no genotypes at {SHARED}")
    filesets = open_filesets([str(SHARED / "example"), str(SHARED / "example_3chr.bed")])
    assert [(len(each.people), len(each.variants)) for each in filesets] == [(500, 1000), (500, 500)]
    assert len(common_people(filesets)[PERSON]) == 500
