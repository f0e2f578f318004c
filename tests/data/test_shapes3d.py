import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from disentangle_pl.data import shapes3d
from disentangle_pl.data.shapes3d import Shapes3D
from disentangle_pl.errors import InputError

SIZES = {"floor_hue": 2, "wall_hue": 3, "object_hue": 2, "scale": 2, "shape": 2, "orientation": 3}
N = 144
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 64, 64, 3)).astype(np.uint8)
GRID = np.stack(np.unravel_index(np.arange(N), tuple(SIZES.values())), 1)
LABELS = GRID * [0.1, 0.1, 0.1, 0.0714, 1, 4.2857] + [0, 0, 0, 0.75, 0, -30]
PUBLISHED = {"chunks": (25, 4, 8, 1), "compression": "gzip"}


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes3d, "SIZES", SIZES)
    monkeypatch.setattr(shapes3d, "CHUNK", 50)


def published(folder: Path, storage: dict[str, Any] | None = None, **arrays: NDArray[Any] | None) -> str:
    """Write a file in the form of the published one, with other arrays in place of its own; None leaves one out."""
    path = folder / "3dshapes.h5"
    with h5py.File(path, "w") as file:
        own: dict[str, NDArray[Any] | None] = {"images": IMAGES, "labels": LABELS}
        for key, value in (own | arrays).items():
            if value is not None:
                kept = PUBLISHED if storage is None else storage
                fits = key == "images" and value.ndim == 4 and value.shape[0] >= 25
                file.create_dataset(key, data=value, **(kept if fits else {}))
    return str(path)


def test_the_grid_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert tuple(shapes3d.SIZES.values()) == (10, 10, 10, 8, 4, 15)


@pytest.mark.parametrize("storage", [None, {}, {"chunks": (1, 64, 64, 3)}, {"chunks": (N, 64, 64, 3)}])
def test_images_and_factors_are_those_of_the_file(tmp_path: Path, storage: dict[str, Any] | None) -> None:
    data = Shapes3D(published(tmp_path, storage), str(tmp_path / "cache"))
    assert data.shape == (3, 64, 64)
    assert data.factors.names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    index = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    images = data.images(index)
    assert images.dtype == torch.float32
    np.testing.assert_array_equal((images * 255).round().permute(0, 2, 3, 1), IMAGES[index])
    np.testing.assert_array_equal(data.factors.to_factors(index), GRID[index])
    np.testing.assert_array_equal((data[7].image * 255).round().permute(1, 2, 0), IMAGES[7])
    assert isinstance(data._pixels, np.memmap)


def test_the_constructor_reads_no_image_and_the_first_use_unpacks_them_once_for_all_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, cache = published(tmp_path), tmp_path / "cache"
    data = Shapes3D(path, str(cache))
    assert not cache.exists()
    data.images(torch.tensor([0]))
    (made,) = cache.glob("*.npy")
    written = made.stat().st_mtime_ns
    copy = tmp_path / "elsewhere.h5"
    Path(path).rename(copy)
    Shapes3D(str(copy), str(cache)).images(torch.tensor([0]))
    assert list(cache.glob("*.npy")) == [made]
    assert made.stat().st_mtime_ns == written


def test_another_file_is_unpacked_anew(tmp_path: Path) -> None:
    Shapes3D(published(tmp_path), str(tmp_path / "cache")).images(torch.tensor([0]))
    other = Shapes3D(published(tmp_path, images=255 - IMAGES), str(tmp_path / "cache"))
    np.testing.assert_array_equal((other[3].image * 255).round().permute(1, 2, 0), 255 - IMAGES[3])


def test_an_uncompressed_file_is_read_where_it_lies(tmp_path: Path) -> None:
    data = Shapes3D(published(tmp_path, {}), str(tmp_path / "cache"))
    data.images(torch.tensor([0]))
    assert not (tmp_path / "cache").exists()


def test_an_interrupted_unpacking_is_done_again(tmp_path: Path) -> None:
    path, cache = published(tmp_path), tmp_path / "cache"
    Shapes3D(path, str(cache)).images(torch.tensor([0]))
    (made,) = cache.glob("*.npy")
    made.rename(made.with_suffix(".partial"))
    with made.with_suffix(".partial").open("r+b") as file:
        file.truncate(20_000)
    data = Shapes3D(path, str(cache))
    np.testing.assert_array_equal((data[N - 1].image * 255).round().permute(1, 2, 0), IMAGES[-1])
    assert not list(cache.glob("*.partial"))


def test_the_default_cache_is_the_user_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    Shapes3D(published(tmp_path)).images(torch.tensor([0]))
    assert len(list((tmp_path / "xdg" / "disentangle_pl").glob("3dshapes-*.npy"))) == 1


def test_memory_holds_one_row_of_pieces_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes3d, "SIZES", SIZES | {"floor_hue": 20})
    many, labels = (
        np.zeros((10 * N, 64, 64, 3), np.uint8),
        np.stack(np.unravel_index(np.arange(10 * N), (20, 3, 2, 2, 2, 3)), 1),
    )
    data = Shapes3D(published(tmp_path, images=many, labels=labels.astype(np.float64)), str(tmp_path / "cache"))
    tracemalloc.start()
    data.images(torch.tensor([0]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.2 * many.nbytes


def test_a_pickle_does_not_hold_the_images(tmp_path: Path) -> None:
    data = Shapes3D(published(tmp_path), str(tmp_path / "cache"))
    data.images(torch.tensor([0]))
    pickled = pickle.dumps(data)
    assert len(pickled) < 5000
    assert torch.equal(pickle.loads(pickled).images(torch.tensor([5])), data.images(torch.tensor([5])))


SWAPPED = LABELS[np.r_[1, 0, 2:N]]
FALLING = LABELS * [1, 1, 1, 1, 1, -1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": None}, "has no array images"),
        ({"labels": None}, "has no array labels"),
        ({"images": IMAGES[1:]}, r"images of shape \(143, 64, 64, 3\)"),
        ({"images": IMAGES[:, :32]}, r"images of shape \(144, 32, 64, 3\)"),
        ({"images": IMAGES.astype(np.float32)}, "type float32, not"),
        ({"labels": LABELS[:, 1:]}, r"labels of shape \(144, 5\)"),
        ({"labels": LABELS.astype(np.float32)}, "type float32, not"),
        ({"labels": SWAPPED}, "in the order of their factors"),
        ({"labels": LABELS[::-1]}, "in the order of their factors"),
        ({"labels": LABELS[:, ::-1]}, "in the order of their factors"),
        ({"labels": FALLING}, "in the order of their factors"),
        ({"labels": LABELS * 0}, "in the order of their factors"),
        ({"labels": LABELS * np.nan}, "in the order of their factors"),
        ({"labels": np.random.default_rng(0).permutation(LABELS)}, "in the order of their factors"),
    ],
)
def test_a_file_with_other_arrays_is_refused_at_once(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Shapes3D(published(tmp_path, **arrays))
    for said in ("3dshapes.h5", "0a0f6ed98baff276", "https://storage.googleapis.com/3d-shapes/3dshapes.h5"):
        assert said in str(caught.value)


def test_a_group_in_place_of_an_array_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path, images=None)
    with h5py.File(path, "a") as file:
        file.create_group("images")
    with pytest.raises(InputError, match="has no array images"):
        Shapes3D(path)


@pytest.mark.parametrize("name", ["nowhere.h5", ""])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"does not exist: give the path of 3dshapes\.h5"):
        Shapes3D(str(tmp_path / name))


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_hdf5_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "3dshapes.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged or no HDF5 file"):
        Shapes3D(str(path))


@pytest.mark.parametrize("storage", [None, {}])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_download_is_refused(tmp_path: Path, storage: dict[str, Any] | None, part: float) -> None:
    path = Path(published(tmp_path, storage))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match="is damaged or no HDF5 file"):
        Shapes3D(str(path))


def test_damaged_images_are_noticed_when_they_are_read_and_never_kept(tmp_path: Path) -> None:
    path, cache = Path(published(tmp_path)), tmp_path / "cache"
    with h5py.File(path) as file:
        at = file["images"].id.get_chunk_info(40).byte_offset
    content = bytearray(path.read_bytes())
    for byte in range(at, at + 50):
        content[byte] ^= 0xFF
    path.write_bytes(content)
    data = Shapes3D(str(path), str(cache))
    with pytest.raises(InputError, match="is damaged or no HDF5 file"):
        data.images(torch.tensor([0]))
    assert not list(cache.glob("*.npy"))
