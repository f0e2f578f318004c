import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.cache import content_hashes, prepare
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError
from tests.brain.scans import anatomy, bids, table, write

PLAIN = Preparation((12, 12, 12), 1.0)


@pytest.fixture
def visits(tmp_path: Path) -> pd.DataFrame:
    return read_visits(bids(tmp_path / "bids", {"01": 2, "02": 1}))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scans that were prepared, by name."""
    names: list[str] = []
    whole = Preparation.__call__

    def counted(self: Preparation, path: Path) -> object:
        names.append(path.name)
        return whole(self, path)

    monkeypatch.setattr(Preparation, "__call__", counted)
    return names


def files(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.iterdir() if path.suffix != ".lock")


def test_rows_are_the_prepared_scans_in_order(visits: pd.DataFrame, cache: Path) -> None:
    volumes = prepare(visits, PLAIN, cache)
    assert volumes.shape == (3, 12, 12, 12)
    assert volumes.dtype == np.float16
    assert not volumes.flags.writeable
    for row, path in enumerate(visits["path"]):
        np.testing.assert_array_equal(volumes[row], PLAIN(Path(path)))
    index = pd.read_csv(next(cache.glob("*.tsv")), sep="\t")
    assert list(index.columns) == ["row", "participant_id", "session_id", "path", "sha256"]
    assert index["path"].tolist() == visits["path"].tolist()
    assert files(cache) == [".json", ".npy", ".tsv"]


def test_a_second_call_prepares_and_reads_nothing(
    visits: pd.DataFrame, cache: Path, prepared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(visits, PLAIN, cache)
    assert len(prepared) == 3
    monkeypatch.setattr("disentangle_pl.brain.cache._sha256", None)
    np.testing.assert_array_equal(prepare(visits, PLAIN, cache), first)
    assert len(prepared) == 3


def test_a_touched_file_with_the_same_content_is_reused(visits: pd.DataFrame, cache: Path, prepared: list[str]) -> None:
    prepare(visits, PLAIN, cache)
    os.utime(visits["path"][0], (1, 1))
    prepare(visits, PLAIN, cache)
    assert len(prepared) == 3


def test_other_content_settings_or_scans_make_another_file(visits: pd.DataFrame, cache: Path) -> None:
    before = np.array(prepare(visits, PLAIN, cache))
    write(Path(visits["path"][0]), anatomy(99))
    after = prepare(visits, PLAIN, cache)
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1:], after[1:])
    assert prepare(visits, Preparation((8, 12, 12), 1.0), cache).shape == (3, 8, 12, 12)
    assert len(prepare(visits[:2], PLAIN, cache)) == 2
    assert len(list(cache.glob("*.npy"))) == 4


def test_one_file_may_be_listed_twice(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "scan.nii", anatomy())
    volumes = prepare(table([("1", "1", path), ("1", "2", path)]), PLAIN, cache)
    np.testing.assert_array_equal(volumes[0], volumes[1])


def test_bad_headers_are_all_named_before_anything_is_prepared(
    tmp_path: Path, cache: Path, prepared: list[str]
) -> None:
    good = write(tmp_path / "good.nii.gz", anatomy())
    four = write(tmp_path / "four.nii.gz", np.stack([anatomy()] * 2, -1))
    text = tmp_path / "text.nii.gz"
    text.write_text("no scan")
    visits = table([("1", "1", good), ("1", "2", four), ("2", "1", text)])
    with pytest.raises(InputError, match=r"2 of 3 scans .*four.nii.gz .*text.nii.gz"):
        prepare(visits, PLAIN, cache)
    assert not prepared
    assert files(cache) == [".json"]


def test_bad_voxels_are_all_named_and_leave_nothing(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = write(tmp_path / "good.nii.gz", anatomy())
    nan = write(tmp_path / "nan.nii.gz", anatomy() * np.float32(np.nan))
    flat = write(tmp_path / "flat.nii.gz", np.zeros((12, 12, 12), np.float32))
    visits = table([("1", "1", nan), ("1", "2", good), ("2", "1", flat)])
    with pytest.raises(InputError, match=r"2 of 3 scans .*nan.nii.gz .*flat.nii.gz"):
        prepare(visits, PLAIN, cache)
    assert "nan.nii.gz" in caplog.text
    assert files(cache) == [".json"]


KILLED = """
import sys
from pathlib import Path
import pandas as pd
from disentangle_pl.brain.cache import prepare
from disentangle_pl.brain.volumes import Preparation

whole = Preparation.__call__

def hang(self, path):
    if "sub-02" in str(path):
        print("hanging", flush=True)
        sys.stdin.read()
    return whole(self, path)

Preparation.__call__ = hang
prepare(pd.read_csv(sys.argv[1], keep_default_na=False), Preparation((12, 12, 12), 1.0), Path(sys.argv[2]))
"""


def test_a_killed_preparation_is_not_taken_for_whole(visits: pd.DataFrame, tmp_path: Path, cache: Path) -> None:
    visits.to_csv(tmp_path / "visits.csv", index=False)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "visits.csv"), str(cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("hanging" in line for line in process.stdout)
        process.kill()
    assert files(cache) == [".json", ".partial"]
    volumes = prepare(visits, PLAIN, cache)
    np.testing.assert_array_equal(volumes[2], PLAIN(Path(visits["path"][2])))
    assert files(cache) == [".json", ".npy", ".tsv"]


def test_callers_at_the_same_time_prepare_once(visits: pd.DataFrame, cache: Path, prepared: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: prepare(visits, PLAIN, cache), range(4)))
    assert len(prepared) == 3
    for volumes in results:
        np.testing.assert_array_equal(volumes, results[0])


def test_several_processes_give_the_same(visits: pd.DataFrame, tmp_path: Path, cache: Path) -> None:
    alone = prepare(visits, PLAIN, cache)
    np.testing.assert_array_equal(prepare(visits, PLAIN, tmp_path / "other", jobs=2), alone)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(InputError, match=r"folder\.nii cannot be read"):
        content_hashes([tmp_path / "folder.nii"], tmp_path / "contents.json")
