"""The counting of hardship: bad verbs are seen as such, and a few real cases and a kill go well."""

import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hardship_boxes, hardship_kills
from benchmarks.hardship import HEADER, line, read, report, table, try_all
from benchmarks.hardship_boxes import Boxes, Case, cases
from benchmarks.hardship_damage import AS_BEFORE, REFUSE, Damage, content, cut, flipped
from benchmarks.hardship_forks import call
from benchmarks.hardship_ground import Ground
from benchmarks.hardship_grounds import GROUNDS
from benchmarks.hardship_judge import FINITE, HANG, REFUSED, SAME, TRACEBACK, WORDS, WRONG, changes, state, words
from benchmarks.hardship_kills import Killer, Verb, table_of_kills
from benchmarks.hardship_material import MAKERS
from benchmarks.hardship_watch import compare
from disentangle_pl.errors import leave

FAKE = Ground("fake", "codes", "in/codes.npz", ["fake"], ("result.tsv",), AS_BEFORE)


def result(text: str = "x\t1.5\n") -> None:
    Path("out/result.tsv").write_text(text)


def careful(_: object) -> None:
    if Path("in/codes.npz").read_bytes() == b"bad":
        leave("in/codes.npz is bad: give another")
    result()


def traceback(_: object) -> None:
    if Path("in/codes.npz").read_bytes() == b"bad":
        raise KeyError("codes")
    result()


def hang(_: object) -> None:
    result()
    if Path("in/codes.npz").read_bytes() == b"bad":
        sys.stdin = os.fdopen(os.pipe()[0])
        sys.stdin.read()


def damaging(_: object) -> None:
    bad = Path("in/codes.npz").read_bytes() == b"bad"
    result()
    if bad:
        Path("in/codes.npz").write_bytes(b"repaired")
        leave("in/codes.npz was bad: it is better now")


def outside(_: object) -> None:
    result()
    if Path("in/codes.npz").read_bytes() == b"bad":
        Path("aside/more").write_text("x")
        leave("in/codes.npz is bad: give another")


def believing(_: object) -> None:
    result("x\t2.5\n" if Path("in/codes.npz").read_bytes() == b"bad" else "x\t1.5\n")


def wordy(_: object) -> None:
    result()
    if Path("in/codes.npz").read_bytes() == b"bad":
        print("disentangle-pl: error: one\nand two", file=sys.stderr)
        sys.exit(2)


def unended(_: object) -> None:
    """Leaves half a result when it refuses, and takes it for whole the next time."""
    path = Path("out/result.tsv")
    if Path("in/codes.npz").read_bytes() == b"bad":
        path.write_text("x\t")
        leave("in/codes.npz is bad: give another")
    if not path.exists():
        result()


@pytest.mark.parametrize(
    ("verb", "outcome", "damaged", "outside"),
    [
        (careful, REFUSED, 0, 0),
        (traceback, TRACEBACK, 0, 0),
        (hang, HANG, 0, 0),
        (damaging, REFUSED, 1, 0),
        (outside, REFUSED, 0, 1),
        (believing, WRONG, 0, 0),
        (wordy, WORDS, 0, 0),
        (unended, WRONG, 0, 0),
        (lambda _: result(), SAME, 0, 0),
        (lambda _: result("x\tnan\n") if Path("in/codes.npz").read_bytes() == b"bad" else result(), WRONG, 0, 0),
    ],
)
def test_bad_verbs_are_seen(
    verb: Callable[[object], None],
    outcome: str,
    damaged: int,
    outside: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardship_boxes, "main", verb)
    monkeypatch.setattr(hardship_boxes, "LIMIT", 1.0)
    case = Case(7, FAKE, Damage("bad", content(b"bad"), AS_BEFORE))
    found, _ = Boxes(tmp_path).attempt(case)
    assert found.outcome == outcome, found
    assert (len(found.damaged), len(found.outside)) == (damaged, outside)
    assert found.good == (verb is careful or outcome == SAME)
    row = line(case, found, 0.5)
    assert list(row) == HEADER
    assert f"| {outcome}" in next(iter(table([row])))
    assert ("1 were not" in report([row], [], 0, 60)) == (not found.good)


def test_changes_of_a_folder_are_seen(tmp_path: Path) -> None:
    for name in ("a", "b", "out/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    before = state(tmp_path, ["out"])
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "out" / "d").touch()
    (tmp_path / "e").touch()
    assert changes(before, state(tmp_path, ["out"])) == (("a", "b"), ("e",))


def test_damage_is_the_same_again_and_never_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for change in (flipped(3), flipped(4, 0, 0.1), cut(0.5)):
        made = set()
        for _ in range(2):
            path.write_bytes(bytes(range(256)))
            change(path)
            made.add(path.read_bytes())
        assert len(made) == 1
        assert made != {bytes(range(256))}


def test_there_are_enough_cases_of_every_file_and_numbers_are_theirs() -> None:
    every = list(cases(0, 4))
    assert len(every) >= 500
    assert len({case.number for case in every}) == len(every)
    assert {case.ground.kind for case in every} == {ground.kind for ground in GROUNDS}
    names = {case.number: case.damage.name for case in cases(0, 10**6)}
    assert all(names[case.number] == case.damage.name for case in every)


def test_real_cases(tmp_path: Path) -> None:
    wanted = {
        "codes (npz)": ("codes: an object with code", "codes: infinite", "a member that climbs out"),
        "sweep (YAML)": ("code in a tag", "a billion laughs", "nested 5,000 deep"),
        "runs: metrics.csv": ("0.1 -> 'nan'",),
        "people (.fam)": ("P3 -> 'P4'",),
        "genotypes (.bed)": ("other magic", "a byte more"),
        "table of scans (tsv)": ("sub-02 -> '<script>alert(7)</sc'", "a path of /dev/zero"),
    }
    chosen = {
        (case.ground.kind, case.damage.name): case
        for case in reversed(list(cases(0, 10**6)))
        if case.damage.name in wanted.get(case.ground.kind, ())
    }
    assert len(chosen) == 12
    rows = try_all(Boxes(tmp_path / "boxes"), list(chosen.values()), tmp_path / "cases.tsv")
    assert [row for row in rows if row["good"] != "yes"] == []
    assert read(tmp_path / "cases.tsv") == rows
    assert {REFUSED, FINITE} <= {row["outcome"] for row in rows}
    again = try_all(Boxes(tmp_path / "none"), list(chosen.values()), tmp_path / "cases.tsv", go_on=True)
    assert again == rows
    assert not (tmp_path / "none").exists()


def test_a_killed_study_goes_on(tmp_path: Path) -> None:
    verb = next(verb for verb in hardship_kills.VERBS if verb.name == "gwas")
    found = Killer(verb, tmp_path / "gwas", random.Random(0)).count(2)
    assert (found["kills"], found["equal"]) == (2, found["rounds"])
    assert not any(found[name] for name in ("did not go on", "lost", "doubled", "corrupt", "other files"))
    assert "| gwas | 2 |" in "\n".join(table_of_kills({"gwas": found}))


def appending(_: object) -> None:
    """Writes rows one by one, and begins anew after a kill without looking at what is there."""
    for number in range(20):
        with Path("out/rows.tsv").open("a") as file:
            file.write(f"{number}\n")


def test_a_verb_that_doubles_its_rows_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardship_kills, "main", appending)
    found = Killer(Verb("fake", "codes", [], ("rows.tsv",)), tmp_path / "fake", random.Random(1)).count(4)
    assert found["doubled"] > 0
    assert not found["lost"]


def test_lost_and_other_results_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\n1\n")
    (tmp_path / "b.tsv").write_text("1\n2\n")
    whole = {"a.tsv": "x", "b.tsv": "y", "c.tsv": "z"}
    found = compare({"a.tsv": "other", "b.tsv": "other"}, whole, tmp_path)
    assert found == Counter({"doubled": 1, "corrupt": 1, "lost": 1})


def test_material_is_the_same_again(tmp_path: Path) -> None:
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        MAKERS["codes"](tmp_path / part)
    one, two = (np.load(tmp_path / part / "codes.npz") for part in ("one", "two"))
    assert all(np.array_equal(one[name], two[name]) for name in one.files)


def test_a_child_has_no_more_memory_than_it_may(tmp_path: Path) -> None:
    for part in ("home", "cache", "tmp"):
        (tmp_path / part).mkdir()
    ended = call(lambda: print(len(bytearray(7 * 2**30))), tmp_path, tmp_path / "log", 20)
    assert words(ended)[0] == TRACEBACK
    assert "MemoryError" in ended.said
    assert REFUSE
