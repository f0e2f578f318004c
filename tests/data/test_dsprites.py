import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from disentangle_pl.data import dsprites
from disentangle_pl.data.dsprites import DSprites
from disentangle_pl.data.factors import FactorSpace
from disentangle_pl.errors import InputError

SIZES = {"shape": 3, "scale": 2, "orientation": 4, "x": 3, "y": 2}
N = 144
IMAGES = np.random.default_rng(0).integers(0, 2, (N, 64, 64)).astype(np.uint8)
CLASSES = np.stack([np.zeros(N, np.int64), *np.unravel_index(np.arange(N), tuple(SIZES.values()))], 1)


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsprites, "SIZES", SIZES)
    monkeypatch.setattr(dsprites, "CHUNK", 50)


def published(folder: Path, **arrays: NDArray[Any] | None) -> str:
    """Write a file in the form of the published one, with other arrays in place of its own; None leaves one out."""
    own = {
        "metadata": np.array({"title": "dSprites dataset", "version": 1}, dtype=object),
        "imgs": IMAGES,
        "latents_classes": CLASSES,
        "latents_values": CLASSES.astype(np.float64),
    }
    path = folder / "dsprites.npz"
    chosen: dict[str, Any] = {key: value for key, value in (own | arrays).items() if value is not None}
    np.savez_compressed(path, **chosen)
    return str(path)


def test_images_and_factors_are_those_of_the_file(tmp_path: Path) -> None:
    data = DSprites(published(tmp_path))
    assert data.shape == (1, 64, 64)
    assert data.factors.names == ("shape", "scale", "orientation", "x", "y")
    index = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    images = data.images(index)
    assert images.dtype == torch.float32
    np.testing.assert_array_equal(images[:, 0], IMAGES[index])
    np.testing.assert_array_equal(data.factors.to_factors(index), CLASSES[index][:, 1:])
    np.testing.assert_array_equal(data[7].image[0], IMAGES[7])
    assert data.images(index[:0]).shape == (0, 1, 64, 64)


def test_the_grid_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert FactorSpace(tuple(dsprites.SIZES), tuple(dsprites.SIZES.values())).sizes == (3, 6, 40, 32, 32)


def test_the_constructor_reads_no_image_and_the_first_use_reads_them_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = published(tmp_path)
    data = DSprites(path)
    assert "reading dSprites" not in capsys.readouterr().out
    first = data.images(torch.arange(3))
    Path(path).unlink()
    assert torch.equal(data.images(torch.arange(3)), first)


def test_a_pixel_takes_one_bit(tmp_path: Path) -> None:
    data = DSprites(published(tmp_path))
    data.images(torch.tensor([0]))
    kept = [value for value in vars(data).values() if isinstance(value, torch.Tensor)]
    assert sum(value.numel() * value.element_size() for value in kept) == N * 64 * 64 // 8


def test_an_uncompressed_file_is_read_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", imgs=IMAGES, latents_classes=CLASSES)
    data = DSprites(str(tmp_path / "plain.npz"))
    np.testing.assert_array_equal(data.images(torch.tensor([N - 1]))[0, 0], IMAGES[-1])


SWAPPED = CLASSES[np.r_[1, 0, 2:N]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"imgs": None}, "has no array imgs"),
        ({"latents_classes": None}, "has no array latents_classes"),
        ({"imgs": IMAGES[1:]}, r"imgs of shape \(143, 64, 64\)"),
        ({"imgs": IMAGES[:, :32]}, r"imgs of shape \(144, 32, 64\)"),
        ({"imgs": np.asfortranarray(IMAGES)}, "has imgs of"),
        ({"imgs": IMAGES.astype(np.float32)}, "type float32, not"),
        ({"imgs": IMAGES.astype(object)}, "type object, not"),
        ({"latents_classes": CLASSES[:, 1:]}, r"latents_classes of shape \(144, 5\)"),
        ({"latents_classes": CLASSES.astype(np.int32)}, "type int32, not"),
        ({"latents_classes": SWAPPED}, "in the order of their factors"),
        ({"latents_classes": CLASSES + 1}, "in the order of their factors"),
    ],
)
def test_a_file_with_other_arrays_is_refused_at_once(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        DSprites(published(tmp_path, **arrays))
    assert "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz" in str(caught.value)
    assert "https://github.com/google-deepmind/dsprites-dataset" in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.npz", ""])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="does not exist: give the path of dsprites_ndarray"):
        DSprites(str(tmp_path / name))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dsprites.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or not an \.npz archive"):
        DSprites(str(path))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_download_is_refused(tmp_path: Path, part: float) -> None:
    path = Path(published(tmp_path))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(InputError, match=r"is damaged or not an \.npz archive"):
        DSprites(str(path))


def rewrite(path: str, key: str, content: bytes) -> None:
    """Replace one member of an archive, and keep the archive whole."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, old in members.items():
            archive.writestr(name, content if name == f"{key}.npy" else old)


def member(path: str, key: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{key}.npy")


@pytest.mark.parametrize("key", ["imgs", "latents_classes"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array at all"])
def test_an_array_without_a_header_is_refused(tmp_path: Path, key: str, content: bytes) -> None:
    path = published(tmp_path)
    rewrite(path, key, content)
    with pytest.raises(InputError, match="is damaged"):
        DSprites(path)


def test_classes_that_end_early_are_refused_at_once(tmp_path: Path) -> None:
    path = published(tmp_path)
    rewrite(path, "latents_classes", member(path, "latents_classes")[:-8])
    with pytest.raises(InputError, match="an array ends 8 bytes early"):
        DSprites(path)


def test_images_that_end_early_are_refused_when_they_are_read(tmp_path: Path) -> None:
    path = published(tmp_path)
    rewrite(path, "imgs", member(path, "imgs")[:-1000])
    data = DSprites(path)
    with pytest.raises(InputError, match="an array ends 1000 bytes early"):
        data.images(torch.tensor([0]))


def test_damaged_bytes_are_noticed_when_they_are_read(tmp_path: Path) -> None:
    path = Path(published(tmp_path, metadata=None, latents_values=None))
    content = bytearray(path.read_bytes())
    for at in range(20_000, 20_100):
        content[at] ^= 0xFF
    path.write_bytes(content)
    data = DSprites(str(path))
    with pytest.raises(InputError, match="is damaged"):
        data.images(torch.tensor([0]))


@pytest.mark.parametrize("row", [0, N - 1])
def test_pixels_other_than_zero_and_one_are_refused_when_they_are_read(tmp_path: Path, row: int) -> None:
    grey = IMAGES.copy()
    grey[row, 5, 5] = 255
    data = DSprites(published(tmp_path, imgs=grey))
    with pytest.raises(InputError, match="has a pixel of value 255, not 0 or 1"):
        data.images(torch.tensor([0]))


def test_a_flipped_pixel_of_the_last_image_does_not_match_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    np.savez(path, latents_classes=CLASSES, imgs=IMAGES)
    content = bytearray(path.read_bytes())
    content[content.index(IMAGES[-1].tobytes()) + 4000] ^= 1
    path.write_bytes(content)
    data = DSprites(str(path))
    with pytest.raises(InputError, match="is damaged"):
        data.images(torch.tensor([0]))
