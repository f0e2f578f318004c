"""What every score takes: tables of codes and factors of any program, their kinds and groups, and rows held out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from disentangle_pl.errors import InputError

Codes: TypeAlias = NDArray[np.floating[Any]]
Labels: TypeAlias = NDArray[np.integer[Any]]
Values: TypeAlias = NDArray[np.float64]
MISSING = -1
LARGEST = 1e30  # beyond it squares leave single precision
FEWEST = 6  # rows of which a third can be held out
EXACT = 2**53  # whole numbers beyond it are no longer told apart as float64


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Factors of both kinds, classes and quantities, with values that may be missing.

    Scores accept plain tables too: see `ground_truth`.

    Attributes:
        values: (N, k) float64, NaN where missing. A class is a whole number.
        discrete: (k,) bool, True for classes and False for quantities such as age.
        groups: (N,) whose row it is, such as the number of a person with several scans, or None if every row stands for
            itself. Groups, not rows, are then held out, and permuted for the level of chance.

    Raises:
        InputError: If values are not a float array (N, k), discrete is not a bool array (k,), or groups are not whole
            numbers (N,).
    """

    values: Values
    discrete: NDArray[np.bool_]
    groups: NDArray[np.integer[Any]] | None = None

    def __post_init__(self) -> None:
        floats, bools = self.values.dtype.kind == "f", self.discrete.dtype.kind == "b"
        if not (floats and bools) or self.values.ndim != 2 or self.discrete.shape != self.values.shape[1:]:
            got = f"{self.values.dtype} {self.values.shape} and {self.discrete.dtype} {self.discrete.shape}"
            raise InputError(f"ground truth needs float values (N, k) and bool kinds (k,), got {got}")
        if self.groups is not None and (self.groups.dtype.kind not in "iu" or self.groups.shape != (len(self.values),)):
            got = f"{self.groups.dtype} {self.groups.shape}"
            raise InputError(f"groups must be one whole number for each of the {len(self.values)} rows, got {got}")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]] | NDArray[np.bool_]) -> "GroundTruth":
        """Take some rows."""
        return GroundTruth(self.values[rows], self.discrete, None if self.groups is None else self.groups[rows])

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, k)."""
        return self.values.shape

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N, k), False where a value is missing."""
        return ~np.isnan(self.values)

    @property
    def varying(self) -> NDArray[np.bool_]:
        """(k,), True for the factors that take more than one value."""
        lowest = np.where(self.present, self.values, np.inf).min(axis=0, initial=np.inf)
        highest = np.where(self.present, self.values, -np.inf).max(axis=0, initial=-np.inf)
        different: NDArray[np.bool_] = lowest < highest
        return different

    def columns(self, chosen: NDArray[np.bool_]) -> "GroundTruth":
        """Keep the factors chosen by a mask (k,)."""
        return GroundTruth(self.values[:, chosen], self.discrete[chosen], self.groups)

    def kinds(self) -> list[str]:
        """Say what every factor is: "3 classes", "quantity", with the rows that lack it if there are any."""
        kinds = []
        for column, classes in zip(self.values.T, self.discrete, strict=True):
            present = column[~np.isnan(column)]
            missing = f", {len(column) - len(present)} missing" if len(present) < len(column) else ""
            kinds.append((f"{len(np.unique(present))} classes" if classes else "quantity") + missing)
        return kinds

    def with_groups(self, groups: NDArray[np.integer[Any]] | None) -> "GroundTruth":
        """Say whose row every row is."""
        return GroundTruth(self.values, self.discrete, groups)

    def labels(self, bins: int = 20) -> NDArray[np.int64]:
        """Number the classes of every factor 0, 1, ... in order, and cut quantities into bins of equal width.

        Returns:
            (N, k), `MISSING` where a value is missing.
        """
        pairs = zip(self.values.T, self.discrete, strict=True)
        return np.stack([_labels(column, None if classes else bins) for column, classes in pairs], axis=1)


Factors: TypeAlias = ArrayLike | torch.Tensor | pd.DataFrame | pd.Series | GroundTruth
CodesLike: TypeAlias = ArrayLike | torch.Tensor | pd.DataFrame
Score: TypeAlias = Callable[[Any, Any], float]  # of codes and factors
Split: TypeAlias = tuple[CodesLike, Factors]
Checked: TypeAlias = tuple[Codes, GroundTruth]


def as_array(table: Any) -> NDArray[Any]:
    """Turn a tensor of any device and type, a frame, a list or an array into an array; numbers keep their width.

    Half and brain floats become single precision. Masked values of a `numpy.ma` array become NaN.

    Raises:
        InputError: If the rows differ in length, or there is nothing that an array could be made of.
    """
    try:
        if isinstance(table, torch.Tensor):
            return _of_tensor(table)
        if isinstance(table, np.ma.MaskedArray):
            plain = np.asarray(table.data)
            return np.where(np.ma.getmaskarray(table), np.nan, plain) if np.ma.is_masked(table) else plain
        array = _of_frame(table) if isinstance(table, pd.DataFrame | pd.Series) else np.asarray(table)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"codes and factors must be tables of numbers, but {type(table).__name__}: {reason}"
        ) from error
    return array.astype(np.float32) if array.dtype == np.float16 else array


def ground_truth(factors: Factors, groups: ArrayLike | torch.Tensor | None = None) -> GroundTruth:
    """Give factors their kinds: whole numbers, bools and words are classes, floats are quantities with NaN for missing.

    Args:
        factors: (N, k), or (N,) for one factor: an array, a tensor of any device and type, a list, or a frame, in which
            every column has the kind of its own type and categories are classes. Words are numbered in the order of
            the alphabet, and whole numbers that float64 cannot tell apart in their own order.
        groups: (N,) whose row it is, numbers or words; see `GroundTruth`.

    Raises:
        InputError: If it is no such table, or a value is infinite (beyond 1e30) or, among classes, not whole.
    """
    truth = factors if isinstance(factors, GroundTruth) else _of_table(factors)
    if groups is not None:
        truth = truth.with_groups(_numbered_groups(groups))
    infinite = np.flatnonzero((np.abs(truth.values) > LARGEST).any(axis=0))
    if infinite.size:
        raise InputError(f"factors {infinite.tolist()} are infinite or beyond {LARGEST:g}: mark missing values by NaN")
    classes = truth.values[:, truth.discrete]
    if (classes != np.round(classes))[~np.isnan(classes)].any():
        raise InputError("a discrete factor has values that are not whole numbers: class indices are needed")
    return truth


def check_codes(codes: CodesLike) -> Codes:
    """Return codes as an array, and refuse those that no score can be computed on.

    Args:
        codes: (N, d) posterior means: an array, a tensor of any device and type, a frame or a list.

    Raises:
        InputError: If codes are not a numeric table (N, d), N is below 2, d is 0, or a code is NaN or infinite
            (beyond 1e30).
    """
    array = as_array(codes)
    array = array.astype(np.int8) if array.dtype.kind == "b" else array
    if array.dtype.kind not in "iuf" or array.ndim != 2 or not array.shape[1]:
        raise InputError(f"codes must be a numeric array (N, d) of a latent or more, got {array.dtype} {array.shape}")
    if len(array) < 2:
        raise InputError(f"a score needs at least 2 rows, got codes {array.shape}")
    broken = np.flatnonzero(~(np.abs(array.astype(np.float64)) <= LARGEST).all(axis=0))
    if broken.size:
        raise InputError(f"codes of latents {broken.tolist()} are NaN or infinite: check that the model converged")
    return array


def check(codes: CodesLike, factors: Factors, *, latents: int = 1, values: int = 1) -> Checked:
    """Return codes as an array and factors with their kinds, and refuse what no score can be computed on.

    Args:
        codes: (N, d) posterior means, see `check_codes`.
        factors: (N, k), see `ground_truth`.
        latents: The smallest d that the score compares.
        values: The smallest k that the score compares.

    Raises:
        InputError: If the codes fail `check_codes` or the factors `ground_truth`, d or k is too small, or the numbers
            of rows differ.
    """
    array, truth = check_codes(codes), ground_truth(factors)
    if len(array) != len(truth):
        raise InputError(f"a score needs pairs of codes and factors, got {len(array)} codes and {len(truth)} factors")
    if array.shape[1] < latents or truth.shape[1] < values:
        need = f"at least {latents} latents and {values} factors"
        raise InputError(f"this score needs {need}, got codes {array.shape}, factors {truth.shape}")
    return array, truth


def numbered_alike(first: Factors, second: Factors) -> tuple[Factors, Factors]:
    """Number the words of two tables of factors together, so that a class has one number in both.

    Numbers stay as they are, and so do tables of which one is a `GroundTruth`, whose classes are numbers already.

    Args:
        first: (N, k), see `ground_truth`.
        second: (M, k).

    Raises:
        InputError: If one is no such table, or the columns of frames have other names.
    """
    if isinstance(first, GroundTruth) or isinstance(second, GroundTruth):
        return first, second
    frames = _table(first), _table(second)
    if isinstance(first, pd.DataFrame) and isinstance(second, pd.DataFrame) and {*first} != {*second}:
        raise InputError(f"test has the factors {list(second)}, but train has {list(first)}")
    if frames[0].shape[1] != frames[1].shape[1]:
        return first, second
    if not isinstance(second, pd.DataFrame):
        frames = frames[0], frames[1].set_axis(frames[0].columns, axis=1)
    alike: list[dict[Any, Any]] = [{}, {}]
    for name in frames[0]:
        pair = [_typed(frame[name]) for frame in frames]
        if any(map(_named, pair)):
            numbers = pd.Series(_numbered(pd.concat(pair, ignore_index=True)), name=name).astype("Int64")
            pair = [numbers[: len(pair[0])], numbers[len(pair[0]) :]]
        for columns, column in zip(alike, pair, strict=True):
            columns[name] = column.reset_index(drop=True)
    return pd.DataFrame(alike[0]), pd.DataFrame(alike[1])


def train_test(codes: CodesLike, factors: Factors, test: Split | None, *, seed: int = 0) -> tuple[Checked, Checked]:
    """Pair the rows a probe is fitted on with the rows it is scored on.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), see `ground_truth`.
        test: Codes (M, d) and factors (M, k) to score on, or None to hold out a random third of the rows, of whole
            groups where groups are known.
        seed: Of the rows held out.

    Returns:
        The (codes, factors) to fit on and those to score on.

    Raises:
        InputError: If a pair fails `check`, test has other columns or kinds, or fewer than 6 rows or 2 groups are to be
            split.
    """
    if test is not None:
        factors, other_factors = numbered_alike(factors, test[1])
    array, truth = check(codes, factors)
    if test is None:
        chosen = held_out_rows(len(array), truth.groups, seed)
        return (array[~chosen], truth[~chosen]), (array[chosen], truth[chosen])
    other, other_truth = check(test[0], other_factors)
    shapes = array.shape[1], truth.shape[1], other.shape[1], other_truth.shape[1]
    if shapes[:2] != shapes[2:]:
        raise InputError(f"test has {shapes[2]} latents and {shapes[3]} factors, train has {shapes[0]} and {shapes[1]}")
    if (truth.discrete != other_truth.discrete).any():
        raise InputError("a factor is a class in train and a quantity in test, or the reverse: give both as one kind")
    return (array, truth), (other, other_truth)


def train_test_of_two(
    codes: CodesLike, factors: Factors, test: Split | None, *, latents: int = 1
) -> tuple[Checked, Checked]:
    """Pair the rows as `train_test`, for a score that compares factors.

    Raises:
        InputError: As `train_test`, or if there are fewer latents, or fewer than 2 factors vary in the rows fitted on.
    """
    check(codes, factors, latents=latents, values=2)
    train, held_out = train_test(codes, factors, test)
    varying(train[1], least=2)
    return train, held_out


def held_out_rows(rows: int, groups: NDArray[np.integer[Any]] | None = None, seed: int = 0) -> NDArray[np.bool_]:
    """Choose a random third of the rows, or whole groups that come to about a third of them.

    The choice does not depend on what the rows hold.

    Args:
        rows: N.
        groups: (N,) whose row it is; None if each stands for itself.
        seed: Of the choice.

    Returns:
        (N,) True for the rows held out.

    Raises:
        InputError: If there are fewer than 6 rows or 2 groups.
    """
    if rows < FEWEST:
        raise InputError(f"holding out a third needs at least {FEWEST} rows, got {rows}: give more, or a test set")
    random = np.random.default_rng(seed)
    chosen = np.zeros(rows, dtype=np.bool_)
    if groups is None:
        chosen[random.permutation(rows)[: rows // 3]] = True
        return chosen
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise InputError("all rows belong to one group, such as one person: holding out needs two, or a test set")
    order = random.permutation(len(counts))
    filled = np.cumsum(counts[order])
    taken = max(1, min(int(np.searchsorted(filled, rows / 3, side="right")), len(counts) - 1))
    chosen[np.isin(group, order[:taken])] = True
    return chosen


def joint_labels(first: GroundTruth, second: GroundTruth, bins: int) -> tuple[Labels, Labels]:
    """Number the classes of two tables (N, k) and (M, k) of the same kinds together, and cut quantities into bins.

    Raises:
        InputError: If bins is below 2.
    """
    labels = GroundTruth(np.concatenate([first.values, second.values]), first.discrete).labels(bins)
    return labels[: len(first)], labels[len(first) :]


def sampled_rows(
    rows: int, most: int, seed: int = 0, groups: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.intp]:
    """Draw at most so many of the rows 0, 1, ... at random: in ascending order, all of them if there are no more.

    Where rows come in groups (N,), whole groups are drawn, of which only the last may be cut.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    if groups is not None:
        number, group = np.unique(groups, return_inverse=True)
        order = np.argsort(random.permutation(len(number))[group], kind="stable")
    return np.sort(order[:most])


def varying(truth: GroundTruth, *, least: int = 1) -> NDArray[np.bool_]:
    """Tell which factors take more than one value: (k,) bool.

    Raises:
        InputError: If fewer than `least` do.
    """
    mask = truth.varying
    if not mask.any():
        raise InputError("every factor has one value in this sample: a score needs a factor that varies")
    if mask.sum() < least:
        raise InputError(f"factors {np.flatnonzero(~mask).tolist()} have one value: this score needs {least} that vary")
    return mask


def moving(codes: Codes) -> NDArray[np.bool_]:
    """Tell which latents take more than one value: (d,) bool. The spread of a dead one may round to above 0."""
    different: NDArray[np.bool_] = codes.min(axis=0) < codes.max(axis=0)
    return different


def _of_tensor(tensor: torch.Tensor) -> NDArray[Any]:
    dense = tensor.detach().cpu().resolve_conj().to_dense()
    narrow = dense.is_floating_point() and dense.dtype not in (torch.float32, torch.float64)
    return np.asarray((dense.float() if narrow else dense).numpy())


def _of_frame(frame: "pd.DataFrame | pd.Series[Any]") -> NDArray[Any]:
    """Return the values of a frame, those of columns of several numeric types as float64."""
    array = np.asarray(frame.to_numpy())
    kinds = frame.dtypes if isinstance(frame, pd.DataFrame) else [frame.dtype]
    if array.dtype != object or not all(map(pd.api.types.is_numeric_dtype, kinds)):
        return array
    return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))


def _table(factors: Any) -> pd.DataFrame:
    if isinstance(factors, pd.DataFrame | pd.Series):
        frame = factors.to_frame() if isinstance(factors, pd.Series) else factors
        if not frame.shape[1] or not frame.columns.is_unique:
            raise InputError("factors in a frame need a column at least, and every name once")
        return frame
    if isinstance(factors, np.ma.MaskedArray):
        array = np.asarray(factors.data).astype(object)
        array[np.ma.getmaskarray(factors)] = None
    else:
        array = as_array(factors)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "biufUSO" or not array.shape[1]:
        raise InputError(f"factors must be a table (N, k) of numbers or words, got {array.dtype} {array.shape}")
    return pd.DataFrame(array)


def _of_table(factors: Any) -> GroundTruth:
    frame = _table(factors)
    columns = [_typed(frame[name]) for name in frame]
    discrete = np.array([_named(column) or pd.api.types.is_integer_dtype(column) for column in columns])
    values = [
        _numbered(column) if _named(column) else column.to_numpy(dtype=np.float64, na_value=np.nan)
        for column in columns
    ]
    return GroundTruth(np.stack(values, axis=1), discrete)


def _typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Give a column of objects the type of what it holds."""
    if column.dtype == object:
        floats = pd.api.types.infer_dtype(column) == "floating"
        column = column.astype(np.float64) if floats else column.convert_dtypes()
    if pd.api.types.is_complex_dtype(column):
        raise InputError(f"factor {column.name} has complex numbers: give real ones")
    return column


def _named(column: "pd.Series[Any]") -> bool:
    """Tell whether the classes of a column are words, bools or whole numbers that float64 does not tell apart."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return True
    return pd.api.types.is_integer_dtype(column) and _too_large(column.dropna().to_numpy())


def _numbered(column: "pd.Series[Any]") -> Values:
    try:
        numbers, _ = pd.factorize(column, sort=True)
    except TypeError as error:
        raise InputError(f"factor {column.name} holds values that cannot be told apart: {error}") from error
    return np.where(numbers < 0, np.nan, numbers.astype(np.float64))


def _too_large(whole: NDArray[np.integer[Any]]) -> bool:
    return bool(whole.size) and max(abs(int(whole.min())), abs(int(whole.max()))) > EXACT


def _numbered_groups(groups: Any) -> NDArray[np.int64]:
    array = as_array(groups)
    if array.ndim != 1 or array.dtype.kind == "c":
        raise InputError(f"groups must be one number or name a row, got {array.dtype} {array.shape}")
    numbers = pd.factorize(array)[0].astype(np.int64)
    if (numbers < 0).any():
        raise InputError(f"{int((numbers < 0).sum())} rows have no group: say for every row whose it is")
    return numbers


def _labels(column: Values, bins: int | None) -> NDArray[np.int64]:
    labels = np.full(len(column), MISSING)
    rows = ~np.isnan(column)
    present = column[rows]
    if bins is None:
        labels[rows] = np.unique(present, return_inverse=True)[1]
    elif len(present):
        labels[rows] = np.searchsorted(equal_bins(present[:, None], bins)[:, 0], present, side="right") - 1
    return labels


def equal_bins(columns: NDArray[np.floating[Any]], bins: int) -> NDArray[np.floating[Any]]:
    """Return the lower edges (bins, c) of bins of equal width between the smallest and largest of each of (N, c).

    Raises:
        InputError: If bins is below 2.
    """
    if bins < 2:
        raise InputError(f"bins must be at least 2, got {bins}")
    low, high = columns.min(axis=0), columns.max(axis=0)
    margin = np.where(low == high, 0.5, 0.0).astype(columns.dtype)
    return np.linspace(low - margin, high + margin, bins + 1)[:-1]
