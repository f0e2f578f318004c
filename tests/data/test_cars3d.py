from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from disentangle_pl.data import cars3d
from disentangle_pl.data.cars3d import Cars3D
from disentangle_pl.errors import InputError

SIZES = {"elevation": 2, "azimuth": 3, "object": 4}
SHAPE = (128, 128, 3, 3, 2)  # of one file: height, width, colour, azimuth, elevation
CARS = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
CARS[:, 32:96, 32:96] //= 4


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cars3d, "SIZES", SIZES)


def published(folder: Path, cars: Any = CARS, key: str = "im") -> Path:
    """Write files in the form of the published ones."""
    cars_folder = folder / "cars"
    cars_folder.mkdir()
    (cars_folder / "list.txt").write_text("".join(f"car_{i:03}_mesh\n" for i in range(1, len(cars) + 1)))
    for number, car in enumerate(cars, 1):
        arrays = {key: car, "mask": np.ones((128, 128, 3, 2), np.uint8)}
        savemat(cars_folder / f"car_{number:03}_mesh.mat", arrays, do_compression=number % 2 == 0)
    return cars_folder


def reference(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink a picture as the study did."""
    image = Image.fromarray(picture)
    image.thumbnail((64, 64), Image.Resampling.LANCZOS)
    return np.asarray(image)


def test_the_grid_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert cars3d.SIZES == {"elevation": 4, "azimuth": 24, "object": 183}
    assert np.prod(list(cars3d.SIZES.values())) == 17_568


def test_images_and_factors_are_those_of_the_files(tmp_path: Path) -> None:
    data = Cars3D(str(published(tmp_path)))
    assert data.shape == (3, 64, 64)
    assert data.factors.names == ("elevation", "azimuth", "object")
    index = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    images = data.images(index)
    assert images.dtype == torch.float32
    for image, (elevation, azimuth, car) in zip(images, data.factors.to_factors(index).tolist(), strict=True):
        expected = reference(CARS[car, :, :, :, azimuth, elevation])
        np.testing.assert_array_equal((image * 255).round().permute(1, 2, 0), expected)
    assert data[7].image.shape == (3, 64, 64)
    assert data.images(index[:0]).shape == (0, 3, 64, 64)


def test_the_first_use_reads_the_images_and_keeps_bytes(tmp_path: Path) -> None:
    folder = published(tmp_path)
    data = Cars3D(str(folder))
    assert not any(isinstance(value, torch.Tensor) for value in vars(data).values())
    first = data.images(torch.arange(3))
    for file in folder.iterdir():
        file.unlink()
    assert torch.equal(data.images(torch.arange(3)), first)
    kept = [value for value in vars(data).values() if isinstance(value, torch.Tensor)]
    assert sum(value.numel() * value.element_size() for value in kept) == 24 * 3 * 64 * 64


@pytest.mark.parametrize(
    ("cars", "message"),
    [
        (CARS[:3], r"has 3 files car_\*_mesh\.mat, not 4"),
        (np.concatenate([CARS, CARS]), r"has 8 files car_\*_mesh\.mat, not 4"),
        (CARS[..., 0], r"im of \(\(128, 128, 3, 3\), 'uint8'\), not \(\(128, 128, 3, 3, 2\), 'uint8'\)"),
        (CARS.swapaxes(4, 5), r"im of \(\(128, 128, 3, 2, 3\), 'uint8'\)"),
        (CARS[:, :64], r"im of \(\(64, 128, 3, 3, 2\)"),
        (CARS.astype(np.float64), "'double'"),
    ],
)
def test_a_folder_with_other_files_is_refused_at_once(tmp_path: Path, cars: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Cars3D(str(published(tmp_path, cars)))
    for said in ("nips2015-analogy-data.tar.gz", "4e866a7919c1beedf53964e6f7a23686", "http://www.scottreed.info"):
        assert said in str(caught.value)


def test_a_file_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"car_001_mesh\.mat has an array im of None"):
        Cars3D(str(published(tmp_path, key="image")))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere has 0 files .*: give the path of the folder cars of nips2015"):
        Cars3D(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", [b"", b"no matrix", b"MATLAB 5.0 MAT-file" + bytes(300), b"\x89HDF\r\n\x1a\n" * 99])
def test_what_is_no_mat_file_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = published(tmp_path)
    (folder / "car_003_mesh.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"car_003_mesh\.mat (is damaged|has an array im of None)"):
        Cars3D(str(folder))


@pytest.mark.parametrize("name", ["car_001_mesh.mat", "car_002_mesh.mat"])
@pytest.mark.parametrize("length", [50, 128, 130, 140, 190, 250, 1000, 100_000, 200_000])
def test_a_truncated_file_is_refused_at_the_latest_when_it_is_read(tmp_path: Path, name: str, length: int) -> None:
    folder = published(tmp_path)
    (folder / name).write_bytes((folder / name).read_bytes()[:length])
    with pytest.raises(InputError, match=name):
        Cars3D(str(folder)).images(torch.tensor([0]))


@pytest.mark.parametrize("at", [0.2, 0.5, 0.999])
def test_damaged_bytes_are_noticed_at_the_latest_when_they_are_read(tmp_path: Path, at: float) -> None:
    folder = published(tmp_path)
    file = folder / "car_002_mesh.mat"  # a compressed one
    content = bytearray(file.read_bytes())
    images = 136 + int.from_bytes(content[132:136], "little")  # the mask behind them is never read
    content[int(at * images)] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"car_002_mesh\.mat is damaged or no \.mat file"):
        Cars3D(str(folder)).images(torch.tensor([0]))
