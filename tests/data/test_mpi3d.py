import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from disentangle_pl.data import mpi3d
from disentangle_pl.data.mpi3d import MPI3D
from disentangle_pl.errors import InputError

GRIDS = ((3, 3, 2, 1, 1, 2, 4), (2, 2, 2, 1, 1, 2, 4))
N = 144
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 64, 64, 3)).astype(np.uint8)
every_storage = pytest.mark.parametrize("save", [np.savez, np.savez_compressed])


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi3d, "GRIDS", GRIDS)
    monkeypatch.setattr(mpi3d, "CHUNK", 50)


def published(folder: Path, images: NDArray[Any] = IMAGES, save: Any = np.savez, name: str = "mpi3d_real.npz") -> str:
    """Write a file in the form of the published one."""
    save(folder / name, images=images)
    return str(folder / name)


def test_the_grids_are_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [int(np.prod(grid)) for grid in mpi3d.GRIDS] == [1_036_800, 460_800]
    assert mpi3d.GRIDS == ((6, 6, 2, 3, 3, 40, 40), (4, 4, 2, 3, 3, 40, 40))


@every_storage
@pytest.mark.parametrize(("n", "grid"), [(144, GRIDS[0]), (64, GRIDS[1])])
def test_the_number_of_images_tells_the_grid(tmp_path: Path, save: Any, n: int, grid: tuple[int, ...]) -> None:
    data = MPI3D(published(tmp_path, IMAGES[:n], save), str(tmp_path / "cache"))
    assert data.shape == (3, 64, 64)
    assert data.factors.sizes == grid
    assert data.factors.names == mpi3d.NAMES
    index = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    images = data.images(index)
    assert images.dtype == torch.float32
    np.testing.assert_array_equal((images * 255).round().permute(0, 2, 3, 1), IMAGES[index])
    at = data.factors.to_factors(index).numpy()
    np.testing.assert_array_equal(IMAGES[:n].reshape(*grid, 64, 64, 3)[tuple(at.T)], IMAGES[index])
    np.testing.assert_array_equal((data[7].image * 255).round().permute(1, 2, 0), IMAGES[7])
    assert isinstance(data._pixels, np.memmap)


def test_an_uncompressed_file_is_read_where_it_lies(tmp_path: Path) -> None:
    data = MPI3D(published(tmp_path), str(tmp_path / "cache"))
    data.images(torch.tensor([0]))
    assert not (tmp_path / "cache").exists()


def test_the_images_may_lie_anywhere_in_the_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", first=np.arange(1000), images=IMAGES, last=np.zeros(7))
    data = MPI3D(str(tmp_path / "other.npz"))
    np.testing.assert_array_equal((data[N - 1].image * 255).round().permute(1, 2, 0), IMAGES[-1])


def test_a_compressed_file_is_unpacked_at_the_first_use_and_once(tmp_path: Path) -> None:
    path, cache = published(tmp_path, save=np.savez_compressed), tmp_path / "cache"
    data = MPI3D(path, str(cache))
    assert not cache.exists()
    data.images(torch.tensor([0]))
    (made,) = cache.glob("*.npy")
    written = made.stat().st_mtime_ns
    MPI3D(path, str(cache)).images(torch.tensor([0]))
    assert made.stat().st_mtime_ns == written
    other = MPI3D(published(tmp_path, 255 - IMAGES, np.savez_compressed, "mpi3d_toy.npz"), str(cache))
    np.testing.assert_array_equal((other[3].image * 255).round().permute(1, 2, 0), 255 - IMAGES[3])


def test_an_interrupted_unpacking_is_done_again(tmp_path: Path) -> None:
    path, cache = published(tmp_path, save=np.savez_compressed), tmp_path / "cache"
    MPI3D(path, str(cache)).images(torch.tensor([0]))
    (made,) = cache.glob("*.npy")
    made.rename(made.with_suffix(".partial"))
    with made.with_suffix(".partial").open("r+b") as file:
        file.truncate(20_000)
    np.testing.assert_array_equal((MPI3D(path, str(cache))[9].image * 255).round().permute(1, 2, 0), IMAGES[9])
    assert not list(cache.glob("*.partial"))


@every_storage
def test_memory_never_holds_the_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Any) -> None:
    monkeypatch.setattr(mpi3d, "GRIDS", ((30, *GRIDS[0][1:]),))
    images = np.tile(IMAGES, (10, 1, 1, 1))
    path = published(tmp_path, images, save)
    tracemalloc.start()
    MPI3D(path, str(tmp_path / "cache")).images(torch.tensor([0, 1000]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * images.nbytes


def test_a_pickle_does_not_hold_the_images(tmp_path: Path) -> None:
    data = MPI3D(published(tmp_path))
    data.images(torch.tensor([0]))
    pickled = pickle.dumps(data)
    assert len(pickled) < 5000
    assert torch.equal(pickle.loads(pickled).images(torch.tensor([5])), data.images(torch.tensor([5])))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[1:], "has 143 images, not 144 or 64"),
        (IMAGES[:, :32], r"images of shape \(144, 32, 64, 3\)"),
        (IMAGES.reshape(3, 48, 64, 64, 3), r"images of shape \(3, 48, 64, 64, 3\)"),
        (np.asfortranarray(IMAGES), "images of shape"),
        (IMAGES.astype(np.float32), "type float32, not"),
        (IMAGES.astype(np.int8), "type int8, not"),
        (np.array(3), r"images of shape \(\)"),
    ],
)
def test_a_file_with_other_images_is_refused_at_once(tmp_path: Path, images: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        MPI3D(published(tmp_path, images))
    said = str(caught.value)
    assert "https://github.com/rr-learning/disentanglement_dataset" in said
    assert "mpi3d_toy.npz, mpi3d_realistic.npz, mpi3d_real.npz" in said
    assert "(md5 of mpi3d_real.npz: 0f33f609918fb5c97996692f91129802)" in said


def test_a_file_without_images_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "labels.npz", labels=np.zeros(3))
    with pytest.raises(InputError, match="has no array images") as caught:
        MPI3D(str(tmp_path / "labels.npz"))
    assert "md5" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.npz", ""])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"does not exist: give the path of mpi3d_toy\.npz"):
        MPI3D(str(tmp_path / name))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mpi3d_real.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or not an \.npz archive"):
        MPI3D(str(tmp_path / "mpi3d_real.npz"))


@every_storage
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_download_is_refused(tmp_path: Path, save: Any, part: float) -> None:
    path = Path(published(tmp_path, save=save))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match=r"is damaged or not an \.npz archive"):
        MPI3D(str(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("cut", "message"), [(1000, "the images end 1000 bytes early"), (-1000, "is damaged"), (0, "is damaged")]
)
def test_an_array_of_another_length_is_refused_at_once(tmp_path: Path, method: int, cut: int, message: str) -> None:
    path = published(tmp_path)
    with zipfile.ZipFile(path) as archive:
        member = archive.read("images.npy")
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", member[:-cut] if cut > 0 else (member + bytes(-cut) if cut else b"\x93NUMPY"))
    with pytest.raises(InputError, match=message):
        MPI3D(path)


@pytest.mark.parametrize("at", [0.3, 0.999])
def test_damaged_bytes_are_noticed_when_they_are_unpacked_and_never_kept(tmp_path: Path, at: float) -> None:
    path, cache = Path(published(tmp_path, save=np.savez_compressed)), tmp_path / "cache"
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 0xFF
    path.write_bytes(content)
    data = MPI3D(str(path), str(cache))
    with pytest.raises(InputError, match="is damaged"):
        data.images(torch.tensor([0]))
    assert not list(cache.glob("*.npy"))
