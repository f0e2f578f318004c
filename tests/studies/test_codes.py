import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disentangle_pl.data.pairs import UniformDistinctPairs
from disentangle_pl.errors import InputError
from disentangle_pl.studies.codes import CodeTable, encode, load_codes, save_codes
from tests.metrics.golden import FOLDER, draw
from tests.models.tiny import sprites, tiny

CODES = np.random.default_rng(0).normal(size=(8, 3))
FACTORS = draw((2, 3), 8)


def write(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "codes.npz", **arrays)
    return folder / "codes.npz"


def test_a_saved_table_is_read_back(tmp_path: Path) -> None:
    table = encode(tiny(), sprites(8, UniformDistinctPairs(1)))
    assert table.codes.shape == (32, 3)
    assert table.names == ("shape", "scale", "orientation", "x", "y")
    assert table.kl is not None
    assert table.kl.shape == (3,)
    save_codes(tmp_path / "new" / "codes.npz", table)
    again = load_codes(tmp_path / "new" / "codes.npz")
    np.testing.assert_array_equal(again.codes, table.codes)
    np.testing.assert_array_equal(again.factors.values, table.factors.values)
    np.testing.assert_array_equal(again.factors.discrete, table.factors.discrete)
    np.testing.assert_array_equal(again.kl, table.kl)
    assert (again.names, again.test) == (table.names, None)


def test_encoding_gives_the_means_in_the_order_of_the_factors() -> None:
    model, data = tiny().eval(), sprites(8)
    table = encode(model, data)
    index = data.dataset.factors.to_index(table_factors := _int(table))
    assert table_factors.shape == (32, 5)
    expected = model.encode(data.dataset.images(index)).mean
    np.testing.assert_allclose(table.codes, expected.detach().numpy(), atol=1e-5)


def _int(table: CodeTable) -> Any:
    import torch  # noqa: PLC0415

    return torch.from_numpy(table.factors.values.astype(np.int64))


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 32, 32\), but the data have \(1, 16, 16\)"):
        encode(tiny((1, 32, 32)), sprites(8))


def test_kinds_names_and_test_rows_are_read(tmp_path: Path) -> None:
    mixed = FACTORS + np.array([0, 0.5])
    path = write(
        tmp_path,
        codes=CODES,
        factors=mixed,
        discrete=np.array([True, False]),
        names=np.array(["a", "b"]),
        codes_test=CODES[:4],
        factors_test=mixed[:4],
    )
    table = load_codes(path)
    assert table.names == ("a", "b")
    assert table.factors.discrete.tolist() == [True, False]
    assert table.test is not None
    assert len(table.test[0]) == len(table.test[1]) == 4


def test_plain_arrays_are_enough(tmp_path: Path) -> None:
    table = load_codes(write(tmp_path, codes=CODES, factors=FACTORS))
    assert table.names == ("factor_0", "factor_1")
    assert table.factors.discrete.all()
    assert not load_codes(write(tmp_path, codes=CODES, factors=FACTORS.astype(float))).factors.discrete.any()


def test_the_layout_of_disentanglement_lib_is_read() -> None:
    path = FOLDER / "edge_constant_duplicate.npz"
    if not path.is_file():
        pytest.skip(f"no reference values at {path}")
    table = load_codes(path)
    assert table.codes.shape == (2000, 6)
    assert table.test is not None
    assert table.test[0].shape == (1000, 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"codes": CODES}, "no array factors"),
        ({"factors": FACTORS}, "no array codes"),
        ({"codes": CODES, "factors": FACTORS, "codes_test": CODES}, "no array factors_test"),
        ({"mus_train": CODES.T, "ys_train": FACTORS.T}, "no array mus_test"),
        ({"codes": CODES, "factors": FACTORS, "names": np.array(["a"])}, "names of shape"),
        ({"codes": CODES, "factors": FACTORS, "discrete": np.array([1, 0])}, "discrete of int64"),
        ({"codes": CODES, "factors": FACTORS + 0.5, "discrete": np.array([True, True])}, "whole numbers"),
        ({"codes": CODES.astype(str), "factors": FACTORS}, "numeric"),
        ({"codes": CODES, "factors": FACTORS, "people": np.arange(3)}, "groups must be one"),
        ({"codes": CODES, "factors": np.array([[None, 1]] * 8, dtype=object)}, "cannot be read"),
    ],
)
def test_files_that_lack_something_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_codes(write(tmp_path, **arrays))


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_codes(tmp_path / "none.npz")
    path = write(tmp_path, codes=CODES, factors=FACTORS)
    whole = path.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"text"):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="cannot be read"):
            load_codes(path)
    with zipfile.ZipFile(path, "w") as archive, archive.open("codes.npy", "w") as file:
        promise = {"descr": "<f8", "fortran_order": False, "shape": (10**13, 3)}
        np.lib.format.write_array_header_1_0(file, promise)
    with pytest.raises(InputError, match="cannot be read as arrays"):
        load_codes(path)
    np.save(tmp_path / "one.npy", CODES)
    with pytest.raises(InputError, match=r"one\.npy is none of \.npz, \.pt"):
        load_codes(tmp_path / "one.npy")
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(InputError, match="no array codes"):
        load_codes(tmp_path / "one.npz")
