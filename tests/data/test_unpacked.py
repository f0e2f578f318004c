import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from disentangle_pl.data.unpacked import gather, map_bytes, unpack
from disentangle_pl.errors import InputError

ARRAY = np.random.default_rng(0).integers(0, 256, (20, 4, 6, 3)).astype(np.uint8)


def pieces(started: list[int] | None = None) -> Iterator[NDArray[np.uint8]]:
    if started is not None:
        started.append(1)
    for start in range(0, 20, 7):
        yield ARRAY[start : start + 7]


def test_an_array_is_written_once_and_mapped(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "array.npy"
    first = unpack(target, ARRAY.shape, pieces())
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    np.testing.assert_array_equal(first, ARRAY)
    np.testing.assert_array_equal(np.load(target), ARRAY)
    started: list[int] = []
    np.testing.assert_array_equal(unpack(target, ARRAY.shape, pieces(started)), ARRAY)
    assert not started


def test_what_a_killed_process_left_is_not_taken_for_the_array(tmp_path: Path) -> None:
    target = tmp_path / "array.npy"
    np.save(tmp_path / "half.npy", ARRAY + 1)
    (tmp_path / "half.npy").rename(tmp_path / "array.partial")
    np.testing.assert_array_equal(unpack(target, ARRAY.shape, pieces()), ARRAY)
    assert not (tmp_path / "array.partial").exists()


def test_a_failure_leaves_nothing_and_the_next_attempt_succeeds(tmp_path: Path) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield ARRAY[:7]
        raise InputError("broken")

    target = tmp_path / "array.npy"
    with pytest.raises(InputError, match="broken"):
        unpack(target, ARRAY.shape, broken())
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])
    np.testing.assert_array_equal(unpack(target, ARRAY.shape, pieces()), ARRAY)


def test_two_at_a_time_unpack_once(tmp_path: Path) -> None:
    started: list[int] = []
    waiting = threading.Barrier(2)

    def slow() -> Iterator[NDArray[np.uint8]]:
        for piece in pieces(started):
            threading.Event().wait(0.05)
            yield piece

    def job() -> None:
        waiting.wait()
        np.testing.assert_array_equal(unpack(tmp_path / "array.npy", ARRAY.shape, slow()), ARRAY)

    threads = [threading.Thread(target=job) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started == [1]


def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "array.npy"
    unpack(target, ARRAY.shape, pieces())
    with pytest.raises(InputError, match=r"holds uint8 \(20, 4, 6, 3\), not bytes \(9, 4, 6, 3\): delete it"):
        unpack(target, (9, *ARRAY.shape[1:]), pieces())
    target.write_bytes(target.read_bytes()[:-1])
    with pytest.raises(InputError, match="is damaged"):
        unpack(target, ARRAY.shape, pieces())
    target.write_bytes(b"")
    with pytest.raises(InputError, match=r"array\.npy is damaged .*: delete it"):
        unpack(target, ARRAY.shape, pieces())
    np.save(target, ARRAY.astype(np.int8))
    with pytest.raises(InputError, match="holds int8"):
        unpack(target, ARRAY.shape, pieces())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file cannot hold 0\.0 GB of images \(.*: give another cache"):
        unpack(tmp_path / "file" / "array.npy", ARRAY.shape, pieces())


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(InputError, match="No space left on device"):
        unpack(tmp_path / "array.npy", ARRAY.shape, pieces())
    assert not list(tmp_path.glob("array.[np]*"))


def test_only_one_piece_is_in_memory_at_a_time(tmp_path: Path) -> None:
    tracemalloc.start()
    unpack(tmp_path / "array.npy", (4_000_000,), (np.full(1_000_000, i, np.uint8) for i in range(4)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_500_000


def test_rows_are_gathered_in_the_order_asked_for(tmp_path: Path) -> None:
    pixels = unpack(tmp_path / "array.npy", ARRAY.shape, pieces())
    index = torch.tensor([19, 0, 7, 7, 3])
    images = gather(pixels, index)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    np.testing.assert_array_equal(images, (ARRAY[index].transpose(0, 3, 1, 2) / 255).astype(np.float32))
    assert gather(pixels, index[:0]).shape == (0, 3, 4, 6)


def test_gathering_copies_no_more_than_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    shape = (100_000, 16, 16, 3)
    with path.open("wb") as file:
        file.truncate(8 + int(np.prod(shape)))
    pixels = map_bytes(path, 8, shape)
    tracemalloc.start()
    gather(pixels, torch.arange(0, 100_000, 10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_bytes_are_mapped_where_they_lie(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(b"front" + ARRAY.tobytes() + b"back")
    mapped = map_bytes(path, 5, ARRAY.shape)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, ARRAY)
