import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentangle_pl.brain.cache import content_hashes, prepare
from disentangle_pl.brain.visits import read_visits
from disentangle_pl.brain.volumes import Preparation, Prepared
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
    whole = Preparation.examine

    def counted(self: Preparation, path: Path) -> Prepared:
        names.append(path.name)
        return whole(self, path)

    monkeypatch.setattr(Preparation, "examine", counted)
    return names


def test_rows_are_the_prepared_scans_in_order(visits: pd.DataFrame, cache: Path) -> None:
    volumes = prepare(visits, PLAIN, cache).volumes
    assert volumes.shape == (3, 12, 12, 12)
    assert volumes.dtype == np.float16
    assert not volumes.flags.writeable
    for row, path in enumerate(visits["path"]):
        np.testing.assert_array_equal(volumes[row], PLAIN(Path(path)))


def test_a_second_call_prepares_and_reads_nothing(
    visits: pd.DataFrame, cache: Path, prepared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(visits, PLAIN, cache)
    assert len(prepared) == 3
    monkeypatch.setattr("disentangle_pl.brain.cache._sha256", None)
    monkeypatch.setattr("disentangle_pl.brain.cache.check_scan", None)
    np.testing.assert_array_equal(prepare(visits, PLAIN, cache).volumes, first.volumes)
    assert len(prepared) == 3


def test_a_touched_file_with_the_same_content_is_reused(visits: pd.DataFrame, cache: Path, prepared: list[str]) -> None:
    prepare(visits, PLAIN, cache)
    os.utime(visits["path"][0], (1, 1))
    prepare(visits, PLAIN, cache)
    assert len(prepared) == 3


def test_other_content_settings_or_scans_make_another_folder_of_what_is_known(
    visits: pd.DataFrame, cache: Path, prepared: list[str]
) -> None:
    before = np.array(prepare(visits, PLAIN, cache).volumes)
    write(Path(visits["path"][0]), anatomy(99))
    after = prepare(visits, PLAIN, cache).volumes
    assert not np.array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1:], after[1:])
    assert len(prepared) == 4, "only the changed scan is prepared again"
    assert prepare(visits, Preparation((8, 12, 12), 1.0), cache).volumes.shape == (3, 8, 12, 12)
    assert len(prepared) == 7
    np.testing.assert_array_equal(prepare(visits[1:], PLAIN, cache).volumes, before[1:])
    assert len(prepared) == 7
    assert len(list(cache.glob("*/volumes.npy"))) == 4


def test_one_file_may_be_listed_twice(tmp_path: Path, cache: Path, prepared: list[str]) -> None:
    path = write(tmp_path / "scan.nii", anatomy())
    volumes = prepare(table([("1", "1", path), ("1", "2", path)]), PLAIN, cache).volumes
    np.testing.assert_array_equal(volumes[0], volumes[1])
    assert len(prepared) == 1


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
    assert not list(cache.glob("*/*"))


def test_bad_voxels_are_all_named_and_the_good_ones_stay(
    tmp_path: Path, cache: Path, caplog: pytest.LogCaptureFixture, prepared: list[str]
) -> None:
    good = write(tmp_path / "good.nii.gz", anatomy())
    nan = write(tmp_path / "nan.nii.gz", anatomy() * np.float32(np.nan))
    flat = write(tmp_path / "flat.nii.gz", np.zeros((12, 12, 12), np.float32))
    visits = table([("1", "1", nan), ("1", "2", good), ("2", "1", flat)])
    for _ in range(2):
        with pytest.raises(InputError, match=r"2 of 3 scans .*nan.nii.gz.*flat.nii.gz"):
            prepare(visits, PLAIN, cache)
        assert "nan.nii.gz" in caplog.text
        assert not list(cache.glob("*/volumes.npy"))
    assert prepared.count("good.nii.gz") == 1
    write(nan, anatomy(1))
    write(flat, anatomy(2))
    assert len(prepare(visits, PLAIN, cache).volumes) == 3
    assert prepared.count("good.nii.gz") == 1, "repaired scans make a new folder, of what the old one holds"


def test_callers_at_the_same_time_prepare_once(visits: pd.DataFrame, cache: Path, prepared: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: prepare(visits, PLAIN, cache).volumes, range(4)))
    assert len(prepared) == 3
    for volumes in results:
        np.testing.assert_array_equal(volumes, results[0])


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(InputError, match=r"folder\.nii cannot be read"):
        content_hashes([tmp_path / "folder.nii"], tmp_path / "contents.json")
