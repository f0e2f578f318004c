"""What is written can be read by bed-reader."""

from pathlib import Path

import numpy as np
from bed_reader import open_bed

from disentangle_pl.genetics.plink import Row, write_plink

ROWS = [Row("rs1", 1, 100, "A", "G"), Row("rs2", 19, 44908684, "C", "T")]


def write(prefix: Path, calls: np.ndarray) -> None:
    people, male = [f"sub-{k}" for k in range(calls.shape[1])], [k % 2 == 0 for k in range(calls.shape[1])]
    write_plink(prefix, people, male, ROWS, iter(calls))


def test_round_trip(tmp_path: Path) -> None:
    calls = np.array([[0, 1, 2, -127, 1], [2, 2, 0, 0, 1]], dtype=np.int8)
    write(tmp_path / "new" / "cohort", calls)
    with open_bed(tmp_path / "new" / "cohort.bed") as bed:
        assert np.array_equal(bed.read(dtype="int8").T, calls)
        assert bed.iid.tolist() == ["sub-0", "sub-1", "sub-2", "sub-3", "sub-4"]
        assert bed.sex.tolist() == [1, 2, 1, 2, 1]
    bim = (tmp_path / "new" / "cohort.bim").read_text().splitlines()
    assert [line.split() for line in bim] == [
        ["1", "rs1", "0.0", "100", "A", "G"],
        ["19", "rs2", "0.0", "44908684", "C", "T"],
    ]
    assert (tmp_path / "new" / "cohort.bed").read_bytes()[:3] == b"\x6c\x1b\x01"


def test_older_files_are_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    for value in (0, 2):
        write(tmp_path / "cohort", np.full((2, 3), value, dtype=np.int8))
    with open_bed(tmp_path / "cohort.bed") as bed:
        assert (bed.read(dtype="int8") == 2).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cohort.bed", "cohort.bim", "cohort.fam"]
