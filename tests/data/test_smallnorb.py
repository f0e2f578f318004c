import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from disentangle_pl.data import smallnorb
from disentangle_pl.data.smallnorb import PARTS, SmallNORB
from disentangle_pl.errors import InputError

SIZES = {"category": 2, "elevation": 2, "azimuth": 3, "lighting": 2, "instance": 4}
INSTANCES = ([1, 3], [0, 2])  # of the training and of the testing part
PAIRS = 48  # a part
MAGIC = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54, "float32": 0x1E3D4C51}


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smallnorb, "SIZES", SIZES)
    monkeypatch.setattr(smallnorb, "CHUNK", 20)


def labels(part: int) -> NDArray[np.int32]:
    """Shuffled rows of category, elevation, azimuth, lighting and instance."""
    sizes = tuple(SIZES.values())[:4]
    grid = np.stack(np.unravel_index(np.arange(24), sizes), 1)
    rows = np.concatenate([np.c_[grid, np.full(24, instance)] for instance in INSTANCES[part]])
    return np.random.default_rng(part).permutation(rows).astype(np.int32)


LABELS = [labels(0), labels(1)]
IMAGES = [np.random.default_rng(part).integers(0, 256, (PAIRS, 2, 96, 96)).astype(np.uint8) for part in (0, 1)]
FILES: dict[str, NDArray[Any]] = {}
for part in (0, 1):
    category, elevation, azimuth, lighting, instance = LABELS[part].T
    FILES[f"{PARTS[part]}-dat"] = IMAGES[part]
    FILES[f"{PARTS[part]}-cat"] = category
    FILES[f"{PARTS[part]}-info"] = np.stack([instance, elevation, 2 * azimuth, lighting], 1)
INFO = FILES[f"{PARTS[0]}-info"]


def matrix(array: NDArray[Any]) -> bytes:
    """Write an array as the published matrices are: at least three sizes, little-endian."""
    sizes = (*array.shape, 1, 1)[: max(3, array.ndim)]
    return struct.pack(f"<{2 + len(sizes)}i", MAGIC[str(array.dtype)], array.ndim, *sizes) + array.tobytes()


def published(folder: Path, packed: bool = False, **changed: NDArray[Any]) -> str:
    """Write the six files, with other arrays in place of those of the training part."""
    for name, array in (FILES | {f"{PARTS[0]}-{kind}": array for kind, array in changed.items()}).items():
        content = matrix(array)
        (folder / f"{name}.mat{'.gz' * packed}").write_bytes(gzip.compress(content, 1) if packed else content)
    return str(folder)


def test_the_grid_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert smallnorb.SIZES == {"category": 5, "elevation": 9, "azimuth": 18, "lighting": 6, "instance": 10}
    assert np.prod(list(smallnorb.SIZES.values())) == 2 * 24_300


@pytest.mark.parametrize("packed", [False, True])
def test_images_and_factors_are_those_of_the_first_camera(tmp_path: Path, packed: bool) -> None:
    data = SmallNORB(published(tmp_path, packed))
    assert data.shape == (1, 64, 64)
    assert data.factors.names == ("category", "elevation", "azimuth", "lighting", "instance")
    assert data.factors.nuisance == SmallNORB.nuisance == ("instance",)
    assert len(data) == 96
    images = data.images(torch.arange(96))
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1
    for part in (0, 1):
        for row, pair in zip(LABELS[part], IMAGES[part], strict=True):
            small = Image.fromarray(pair[0]).resize((64, 64), Image.Resampling.LANCZOS)
            found = images[data.factors.to_index(torch.from_numpy(row))]
            np.testing.assert_array_equal((found[0] * 255).round(), np.asarray(small))
    assert data[7].image.shape == (1, 64, 64)
    assert data.images(torch.arange(0)).shape == (0, 1, 64, 64)


def test_the_first_use_reads_the_images_and_keeps_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = SmallNORB(published(tmp_path))
    assert not any(isinstance(value, torch.Tensor) for value in vars(data).values())
    first = data.images(torch.arange(3))
    for file in tmp_path.iterdir():
        file.unlink()
    assert torch.equal(data.images(torch.arange(3)), first)
    kept = [value for value in vars(data).values() if isinstance(value, torch.Tensor)]
    assert sum(value.numel() * value.element_size() for value in kept) == 96 * 64 * 64


def changed_info(column: int, value: int) -> NDArray[Any]:
    info = INFO.copy()
    info[5, column] = value
    return info


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"dat": IMAGES[0][1:]}, r"shape \(47, 2, 96, 96\), not 0x1e3d4c55 \(48, 2, 96, 96\)"),
        ({"dat": IMAGES[0][:, 0]}, r"shape \(48, 96, 96\)"),
        ({"dat": IMAGES[0].astype(np.int32)}, "a matrix 0x1e3d4c54 of shape"),
        ({"cat": FILES[f"{PARTS[0]}-cat"].astype(np.float32)}, "a matrix 0x1e3d4c51 of shape"),
        ({"cat": FILES[f"{PARTS[0]}-cat"][:, None]}, r"shape \(48, 1\), not 0x1e3d4c54 \(48,\)"),
        ({"info": INFO[:, :3]}, r"shape \(48, 3\)"),
        ({"info": np.roll(INFO, 1, 0)}, "every combination of the factors once"),
        ({"info": changed_info(0, 2)}, "every combination of the factors once"),
        ({"info": changed_info(0, 4)}, "has a label out of range"),
        ({"info": changed_info(0, -1)}, "has a label out of range"),
        ({"info": changed_info(2, 3)}, "has a label out of range"),
        ({"cat": FILES[f"{PARTS[0]}-cat"] + 1}, "has a label out of range"),
    ],
)
def test_a_folder_with_other_matrices_is_refused_at_once(
    tmp_path: Path, packed: bool, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SmallNORB(published(tmp_path, packed, **arrays))
    for said in ("smallnorb-5x46789x9x18x6x2x96x96-training-", "sha256", "https://cs.nyu.edu/~ylclab/data/norb-v1.0"):
        assert said in str(caught.value)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named_with_its_checksum(tmp_path: Path, name: str) -> None:
    folder = published(tmp_path)
    (tmp_path / f"{name}.mat").unlink()
    with pytest.raises(InputError, match=rf"{name}\.mat does not exist: .* {name}\.mat\.gz \(sha256 [0-9a-f]{{64}}\)"):
        SmallNORB(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/smallnorb-.*-dat\.mat does not exist"):
        SmallNORB(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("kind", ["dat", "cat", "info"])
@pytest.mark.parametrize("suffix", ["mat", "mat.gz"])
@pytest.mark.parametrize("content", [b"", b"abc", b"no matrix at all", struct.pack("<2i", MAGIC["uint8"], 1 << 30)])
def test_what_is_no_matrix_is_refused(tmp_path: Path, kind: str, suffix: str, content: bytes) -> None:
    folder = published(tmp_path, suffix == "mat.gz")
    (tmp_path / f"{PARTS[1]}-{kind}.{suffix}").write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged or no SmallNORB matrix|is a matrix"):
        SmallNORB(folder)


def test_a_negative_number_of_dimensions_is_refused(tmp_path: Path) -> None:
    folder = published(tmp_path)
    (tmp_path / f"{PARTS[0]}-cat.mat").write_bytes(struct.pack("<5i", MAGIC["int32"], -3, 48, 1, 1) + bytes(192))
    with pytest.raises(InputError, match="is a matrix"):
        SmallNORB(folder)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["dat", "cat", "info"])
@pytest.mark.parametrize("cut", [1, 50, -1])
def test_a_truncated_or_longer_download_is_refused_at_once(tmp_path: Path, packed: bool, kind: str, cut: int) -> None:
    folder = published(tmp_path, packed)
    path = tmp_path / f"{PARTS[1]}-{kind}.mat{'.gz' * packed}"
    content = path.read_bytes()
    path.write_bytes(content[:-cut] if cut > 0 else content + b"\0")
    with pytest.raises(InputError, match="is damaged or no SmallNORB matrix"):
        SmallNORB(folder)


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("at", [0.5, 0.9999])
def test_damaged_bytes_are_noticed_when_they_are_read(tmp_path: Path, part: int, at: float) -> None:
    folder = published(tmp_path, packed=True)
    path = tmp_path / f"{PARTS[part]}-dat.mat.gz"
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 0x10
    path.write_bytes(content)
    data = SmallNORB(folder)
    with pytest.raises(InputError, match="is damaged or no SmallNORB matrix"):
        data.images(torch.tensor([0]))
