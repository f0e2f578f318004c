"""Anatomies from the template and from files."""

from pathlib import Path

import numpy as np
import pytest

from disentangle_pl.brain import anatomy as a
from disentangle_pl.brain.anatomy import TISSUES, count_anatomies, read_anatomy
from disentangle_pl.errors import InputError
from tests.brain.heads import SIZE, changed, prepared, write_anatomies
from tests.brain.scans import REAL


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fractions = [prepared()[0].fractions, changed(0.4, 0, 0, 0).numpy()]
    return write_anatomies(tmp_path_factory.mktemp("heads") / "heads.npz", fractions)


def test_the_template_looks_like_a_head() -> None:
    head = prepared()[0]
    ml = dict(zip(TISSUES, head.fractions.sum((1, 2, 3)) * head.spacing**3 / 1000, strict=True))
    assert head.fractions.min() >= 0
    assert head.fractions.sum(0).max() <= 1 + 1e-5
    assert 1700 < sum(ml.values()) < 2100
    for name, low, high in (("ventricles", 15, 50), ("hippocampus", 3, 12), ("cortex", 500, 900), ("csf", 200, 500)):
        assert low < ml[name] < high, name
    x = head.affine[0, 0] * np.arange(SIZE) + head.affine[0, 3]
    assert np.allclose(x, -x[::-1])
    left, right = head.fractions[a.VENTRICLES][x < 0].sum(), head.fractions[a.VENTRICLES][x > 0].sum()
    assert left == pytest.approx(right, rel=0.1)


def test_each_anatomy_of_a_file_is_read_alone(heads: Path) -> None:
    assert count_anatomies(heads, SIZE) == 2
    first, second = (read_anatomy(heads, k, SIZE) for k in range(2))
    assert np.abs(first.fractions - prepared()[0].fractions).max() < 1 / 100
    assert np.abs(second.fractions - changed(0.4, 0, 0, 0).numpy()).max() < 1 / 100
    assert second.fractions[a.VENTRICLES].sum() > 1.2 * first.fractions[a.VENTRICLES].sum()
    assert first.spacing == 6


def test_coarser_voxels_are_averages(heads: Path) -> None:
    fine, coarse = (read_anatomy(heads, 1, size) for size in (SIZE, SIZE // 2))
    assert coarse.spacing == 12
    assert coarse.fractions.sum() * 8 == pytest.approx(fine.fractions.sum(), rel=1e-4)
    corner = fine.affine @ [0.5, 0.5, 0.5, 1]
    assert coarse.affine @ [0, 0, 0, 1] == pytest.approx(corner)


@pytest.mark.parametrize(
    ("more", "size", "said"),
    [
        ({"frac": np.zeros((1, 10, 4, 4, 4), np.uint8)}, 4, "must be uint8"),
        ({"frac": np.zeros((1, 11, 4, 4, 4), np.float32)}, 4, "must be uint8"),
        ({"frac": np.zeros((1, 11, 4, 4, 6), np.uint8)}, 4, "must be uint8"),
        ({"frac": np.zeros((0, 11, 4, 4, 4), np.uint8)}, 4, "must be uint8"),
        ({}, 33, "give --size 32 or a divisor"),
        ({"affine": np.diag([6.0, 3, 6, 1])}, SIZE, "must be cubes"),
        ({"affine": np.eye(3)}, SIZE, "must be cubes"),
        ({"affine": np.array([None])}, SIZE, "cannot be read as anatomies"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, more: dict[str, object], size: int, said: str) -> None:
    path = write_anatomies(tmp_path / "heads.npz", [prepared()[0].fractions], **more)
    with pytest.raises(InputError, match=said):
        count_anatomies(path, size)


def test_unreadable_files_are_refused(tmp_path: Path, heads: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as anatomies"):
        count_anatomies(tmp_path / "nowhere.npz", 8)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="cannot be read as anatomies"):
        count_anatomies(tmp_path / "text.npz", 8)
    np.savez(tmp_path / "other.npz", other=np.zeros(3))
    with pytest.raises(InputError, match=r"lacks affine\.npy, frac\.npy"):
        count_anatomies(tmp_path / "other.npz", 8)
    content = bytearray(heads.read_bytes())
    content[5000:5200] = bytes(200)
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_anatomy(tmp_path / "damaged.npz", 1, SIZE)


@pytest.mark.skipif(not (REAL / "anatomies20_64.npz").is_file(), reason="the anatomies of real people are not here")
def test_real_anatomies() -> None:
    path = REAL / "anatomies20_64.npz"
    assert count_anatomies(path, 64) == 20
    last = read_anatomy(path, 19, 32)
    assert last.fractions[a.CORTEX].sum() * 0.216 == pytest.approx(537.4, abs=2)
