"""Scores take what users have: tensors, frames, lists, words; whatever else comes in is refused in one sentence."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from disentangle_pl.errors import InputError
from disentangle_pl.metrics import mig, sap
from disentangle_pl.metrics.dci import dci_scores
from disentangle_pl.metrics.references import full_sheet
from disentangle_pl.metrics.score import GroundTruth, as_array, check_codes, ground_truth, numbered_alike, train_test
from disentangle_pl.metrics.sheet import ALL, QUICK
from tests.command_line import SHARED
from tests.metrics.golden import draw

ROWS = 48
FACTORS = draw((2, 3), ROWS)
TENSOR = torch.from_numpy(FACTORS + np.random.default_rng(1).normal(0, 0.4, FACTORS.shape)).bfloat16()
CODES = TENSOR.float().numpy()
WORDS = np.array(["ape", "bee", "cat"])[FACTORS]
FORMS: dict[str, tuple[Any, Any]] = {
    "tensors": (TENSOR.float(), torch.from_numpy(FACTORS)),
    "half tensors with a gradient": (TENSOR.clone().requires_grad_(), torch.from_numpy(FACTORS).to(torch.uint8)),
    "frames": (pd.DataFrame(CODES, columns=["a", "b"]), pd.DataFrame(FACTORS, columns=["size", "shape"])),
    "nullable frames": (pd.DataFrame(CODES).astype("Float32"), pd.DataFrame(FACTORS).astype("Int64")),
    "lists": (CODES.tolist(), FACTORS.tolist()),
    "lists of tensors": (list(TENSOR.float()), list(torch.from_numpy(FACTORS))),
    "words": (CODES, WORDS),
    "words of objects": (CODES, WORDS.astype(object)),
    "categories": (CODES, pd.DataFrame(WORDS).astype("category")),
}
SCORES = [name for name in ALL if name != "active"]


def numbers(name: str, codes: Any, factors: Any) -> Any:
    """Score with the function behind an entry of the sheet, or give the sentence that refuses."""
    try:
        return np.hstack([ALL[name].score(codes) if name == "dependence" else ALL[name].score(codes, factors)])
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", SCORES)
def test_every_form_of_a_table_gives_the_number_of_its_array(name: str) -> None:
    expected = numbers(name, CODES, FACTORS)
    assert isinstance(expected, np.ndarray), expected
    quick = name not in ("dci", "dci_es", "beta_vae", "factor_vae")
    for form in FORMS if quick else ("half tensors with a gradient", "words"):
        np.testing.assert_allclose(numbers(name, *FORMS[form]), expected, atol=1e-5, err_msg=form)


@pytest.mark.parametrize("name", SCORES)
def test_one_factor_in_a_row_and_bools_are_classes(name: str) -> None:
    flags = FACTORS[:, :1] > 0
    expected = numbers(name, CODES, flags.astype(int))
    for factors in (flags, flags[:, 0], pd.Series(flags[:, 0]), torch.from_numpy(flags[:, 0]), flags[:, 0].tolist()):
        np.testing.assert_equal(numbers(name, CODES, factors), expected)


def test_the_kinds_of_a_frame_are_those_of_its_columns() -> None:
    columns = {
        "age": [61.0, np.nan, 80.0],
        "class": pd.array([3, None, 1], dtype="Int64"),
        "word": ["b", None, "a"],
        "flag": [True, False, True],
        "objects": np.array([2.0, None, 1.0], dtype=object),
        "counts": np.array([2, None, 1], dtype=object),
    }
    truth = ground_truth(pd.DataFrame(columns), ["x", "y", "x"])
    assert truth.discrete.tolist() == [False, True, True, True, False, True]
    expected = [[61, 3, 1, 1, 2, 2], [np.nan, np.nan, np.nan, 0, np.nan, np.nan], [80, 1, 0, 1, 1, 1]]
    np.testing.assert_array_equal(truth.values, expected)
    assert truth.groups is not None
    assert truth.groups.tolist() == [0, 1, 0]
    assert truth.kinds()[:3] == ["quantity, 1 missing", "2 classes, 1 missing", "2 classes, 1 missing"]


def test_masked_values_are_missing_and_keep_their_kind() -> None:
    mask = np.arange(6).reshape(3, 2) == 2
    for table, discrete in ((draw((3, 3), 3), True), (np.arange(6.0).reshape(3, 2) + 0.5, False)):
        truth = ground_truth(np.ma.masked_array(table, mask))
        assert truth.discrete.tolist() == [discrete] * 2
        np.testing.assert_array_equal(truth.values, np.where(mask, np.nan, table))


def test_large_labels_are_as_good_as_small_ones() -> None:
    small = draw((50,), 2000)
    codes = small + np.random.default_rng(0).normal(0, 0.3, (2000, 3))
    large = small + 2**53
    assert len(np.unique(large.astype(np.float64))) < 50
    assert ground_truth(large).kinds() == ["50 classes"]
    assert mig(codes, large) == mig(codes, small)
    assert mig(codes, torch.from_numpy(large[:, 0])) == mig(codes, small)
    np.testing.assert_array_equal(ground_truth(large.astype(np.uint64) + 2**62).values, ground_truth(small).values)


def test_large_labels_of_a_file_are_told_apart() -> None:
    path = SHARED / "cases" / "scores" / "large_labels.npz"
    if not path.is_file():
        pytest.skip(f"no small inputs at {path}")
    with np.load(path) as file:
        codes, factors = file["codes"], file["factors"]
    assert ground_truth(factors).kinds() == ["50 classes"]
    assert mig(codes, factors) == mig(codes, np.unique(factors, return_inverse=True)[1].reshape(factors.shape))


def test_words_have_one_number_in_train_and_test() -> None:
    """The test rows lack the first word, so that numbers of their own would be those of other words."""
    later = FACTORS[:, 1] > 0
    test = CODES[later], WORDS[later]
    expected = CODES[later], FACTORS[later]
    assert sap(CODES, WORDS, test=test) == sap(CODES, FACTORS, test=expected)
    assert dci_scores(CODES, WORDS, test=test) == dci_scores(CODES, FACTORS, test=expected)
    entries = {"sap": QUICK["sap"]}
    lines, _ = full_sheet(CODES, WORDS, entries, test=test)
    assert lines == full_sheet(CODES, FACTORS, entries, test=expected)[0]
    flags = FACTORS > 0
    (_, truth), (_, other) = train_test(CODES, flags, (CODES[later], flags[later]))
    assert truth.values.max() == other.values[:, 1].min() == 1


def test_frames_of_factors_are_paired_by_name() -> None:
    first = pd.DataFrame({"a": ["x", "y"], "b": [1.5, 2]})
    truth = [ground_truth(table) for table in numbered_alike(first, first[["b", "a"]].iloc[1:])]
    np.testing.assert_array_equal(truth[0].values, [[0, 1.5], [1, 2]])
    np.testing.assert_array_equal(truth[1].values, [[1, 2]])
    with pytest.raises(InputError, match=r"test has the factors \['a', 'c'\], but train has \['a', 'b'\]"):
        numbered_alike(first, first.rename(columns={"b": "c"}))


def test_arrays_keep_their_width() -> None:
    wide = np.arange(4.0).reshape(2, 2)
    for dtype in (np.float32, np.float64, np.int16):
        assert as_array(torch.from_numpy(wide.astype(dtype))).dtype == dtype
        assert as_array(pd.DataFrame(wide.astype(dtype))).dtype == dtype
    assert as_array(torch.from_numpy(wide).half()).dtype == as_array(wide.astype(np.float16)).dtype == np.float32
    assert check_codes(wide > 1).dtype == np.int8


class Odd:
    """Something that is no table."""


LOOP: list[Any] = []
LOOP.append(LOOP)
NO_TABLES: dict[str, Any] = {
    "nothing": None,
    "a word": "codes",
    "a dictionary": {"a": [1, 2]},
    "a set": {1, 2},
    "an empty list": [],
    "an empty row": [[]],
    "rows of several lengths": [[1, 2], [3]] * (ROWS // 2),
    "a list within itself": LOOP,
    "a generator": (row for row in CODES),
    "a number": 1.0,
    "a type": float,
    "an object": Odd(),
    "a cube": CODES[..., None],
    "complex numbers": CODES + 1j,
    "a complex tensor": torch.from_numpy(CODES + 1j),
    "a complex column": pd.DataFrame({"a": np.arange(ROWS) * 1j, "b": ["x", "y"] * (ROWS // 2)}),
    "a sparse matrix": sparse.csr_matrix(CODES),
    "records": np.zeros(ROWS, dtype=[("a", float), ("b", float)]),
    "time spans": np.ones((ROWS, 2), dtype="timedelta64[D]"),
    "a tensor without data": torch.empty(ROWS, 2, device="meta"),
    "lists in a column": pd.DataFrame({"a": [[1, 2]] * ROWS}),
    "dictionaries in a column": pd.DataFrame({"a": [{"x": 1}] * ROWS}),
    "a frame without columns": pd.DataFrame(index=range(ROWS)),
    "another number of rows": CODES[1:],
    "infinite numbers": np.where(CODES > 0, np.inf, CODES),
}
NO_CODES: dict[str, Any] = {
    "words": WORDS,
    "bytes": WORDS.astype(bytes),
    "numbers as words": CODES.astype(str),
    "numbers as objects": CODES.astype(object),
    "words in a frame": pd.DataFrame(WORDS),
    "dates": pd.DataFrame({"a": pd.date_range("2020", periods=ROWS)}),
    "decimal numbers": [[Decimal(1), Decimal(2)]] * ROWS,
    "numbers too large": [[10**400, 1]] * ROWS,
    "a gap": [[1, None]] * ROWS,
    "a gap in a frame": pd.DataFrame(np.where(CODES > 1, np.nan, CODES)).astype("Float64"),
    "a masked value": np.ma.masked_array(CODES, CODES > 1),
    "a row": CODES[:, 0],
    "a column alone": pd.Series(CODES[:, 0]),
}
NO_FACTORS: dict[str, Any] = {
    "one value": np.zeros((ROWS, 2), dtype=int),
    "one word": pd.DataFrame({"a": ["x"] * ROWS, "b": ["y"] * ROWS}),
    "a name twice": pd.DataFrame(FACTORS, columns=["a", "a"]),
    "mixed numbers and words": [[1, {}]] * ROWS,
    "classes that are not whole": GroundTruth(CODES.astype(np.float64), np.array([True, True])),
}


@pytest.mark.parametrize("name", ["mig", "modularity", "mcc"])
def test_what_is_no_table_is_refused(name: str) -> None:
    for words, codes in (NO_TABLES | NO_CODES).items():
        assert isinstance(numbers(name, codes, FACTORS), str), words
    for words, factors in (NO_TABLES | NO_FACTORS).items():
        assert isinstance(numbers(name, CODES, factors), str), words


@pytest.mark.parametrize("name", [name for name in SCORES if name != "dependence"])
def test_every_score_refuses_what_is_no_table(name: str) -> None:
    for wrong in (None, Odd(), NO_TABLES["rows of several lengths"], NO_TABLES["a tensor without data"]):
        assert isinstance(numbers(name, wrong, FACTORS), str)
        assert isinstance(numbers(name, CODES, wrong), str)


@pytest.mark.parametrize("groups", [[1, 2], np.zeros((ROWS, 2)), [None] * ROWS, [1.0, np.nan] * (ROWS // 2), Odd()])
def test_groups_are_one_number_or_name_a_row(groups: Any) -> None:
    with pytest.raises(InputError, match=r"group"):
        ground_truth(FACTORS, groups)
