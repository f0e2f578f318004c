"""The types every score shares, its input check, and the hold-out rule of the scores that train a probe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError

Codes: TypeAlias = NDArray[np.floating[Any]]
Labels: TypeAlias = NDArray[np.integer[Any]]
Values: TypeAlias = NDArray[np.float64]
MISSING = -1
LARGEST = 1e30  # beyond it squares leave single precision
FEWEST = 6  # rows of which a third can be held out


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Factors of both kinds, classes and quantities, with values that may be missing.

    Scores accept plain arrays too: integers are classes without missing values, floats are quantities, NaN is missing.

    Attributes:
        values: (N, k) float64, NaN where missing. A class is a whole number.
        discrete: (k,) bool, True for classes and False for quantities such as age.

    Raises:
        InputError: If values are not a float array (N, k), or discrete is not a bool array (k,).
    """

    values: Values
    discrete: NDArray[np.bool_]

    def __post_init__(self) -> None:
        floats, bools = self.values.dtype.kind == "f", self.discrete.dtype.kind == "b"
        if not (floats and bools) or self.values.ndim != 2 or self.discrete.shape != self.values.shape[1:]:
            got = f"{self.values.dtype} {self.values.shape} and {self.discrete.dtype} {self.discrete.shape}"
            raise InputError(f"ground truth needs float values (N, k) and bool kinds (k,), got {got}")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]] | NDArray[np.bool_]) -> "GroundTruth":
        """Take some rows."""
        return GroundTruth(self.values[rows], self.discrete)

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
        return GroundTruth(self.values[:, chosen], self.discrete[chosen])

    def labels(self, bins: int = 20) -> NDArray[np.int64]:
        """Number the classes of every factor 0, 1, ... in order, and cut quantities into bins of equal width.

        Returns:
            (N, k), `MISSING` where a value is missing.
        """
        pairs = zip(self.values.T, self.discrete, strict=True)
        return np.stack([_labels(column, None if classes else bins) for column, classes in pairs], axis=1)


Factors: TypeAlias = NDArray[np.integer[Any]] | NDArray[np.floating[Any]] | GroundTruth
Score: TypeAlias = Callable[[Codes, Factors], float]
Split: TypeAlias = tuple[Codes, Factors]
Checked: TypeAlias = tuple[Codes, GroundTruth]


def ground_truth(factors: Factors) -> GroundTruth:
    """Give factors (N, k) their kinds: integers are classes, floats are quantities with NaN for missing.

    Raises:
        InputError: If the array is not 2-D, holds neither, or a value is infinite (beyond 1e30) or, among classes, not
            whole.
    """
    if not isinstance(factors, GroundTruth):
        if factors.dtype.kind not in "iuf" or factors.ndim != 2:
            raise InputError(f"factors must be a numeric array (N, k), got {factors.dtype} {factors.shape}")
        factors = GroundTruth(factors.astype(np.float64), np.full(factors.shape[1], factors.dtype.kind != "f"))
    infinite = np.flatnonzero((np.abs(factors.values) > LARGEST).any(axis=0))
    if infinite.size:
        raise InputError(f"factors {infinite.tolist()} are infinite or beyond {LARGEST:g}: mark missing values by NaN")
    classes = factors.values[:, factors.discrete]
    if (classes != np.round(classes))[~np.isnan(classes)].any():
        raise InputError("a discrete factor has values that are not whole numbers: class indices are needed")
    return factors


def check_codes(codes: Codes) -> None:
    """Refuse codes that no score can be computed on.

    Args:
        codes: (N, d) posterior means.

    Raises:
        InputError: If codes are not a numeric array (N, d), N is below 2, d is 0, or a code is NaN or infinite
            (beyond 1e30).
    """
    if codes.dtype.kind not in "iuf" or codes.ndim != 2 or not codes.shape[1]:
        raise InputError(f"codes must be a numeric array (N, d) of a latent or more, got {codes.dtype} {codes.shape}")
    if len(codes) < 2:
        raise InputError(f"a score needs at least 2 rows, got codes {codes.shape}")
    broken = np.flatnonzero(~(np.abs(codes.astype(np.float64)) <= LARGEST).all(axis=0))
    if broken.size:
        raise InputError(f"codes of latents {broken.tolist()} are NaN or infinite: check that the model converged")


def check(codes: Codes, factors: Factors, *, latents: int = 1, values: int = 1) -> GroundTruth:
    """Refuse what no score can be computed on, and return the factors with their kinds.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), see `ground_truth`.
        latents: The smallest d that the score compares.
        values: The smallest k that the score compares.

    Raises:
        InputError: If the codes fail `check_codes` or the factors `ground_truth`, d or k is too small, or the numbers
            of rows differ.
    """
    check_codes(codes)
    truth = ground_truth(factors)
    if len(codes) != len(truth):
        raise InputError(f"a score needs pairs of codes and factors, got {len(codes)} codes and {len(truth)} factors")
    if codes.shape[1] < latents or truth.shape[1] < values:
        need = f"at least {latents} latents and {values} factors"
        raise InputError(f"this score needs {need}, got codes {codes.shape}, factors {truth.shape}")
    return truth


def train_test(codes: Codes, factors: Factors, test: Split | None) -> tuple[Checked, Checked]:
    """Pair the rows a probe is fitted on with the rows it is scored on.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k), see `ground_truth`.
        test: Codes (M, d) and factors (M, k) to score on, or None to hold out the last third of the rows,
            which must then be in random order.

    Returns:
        The (codes, factors) to fit on and those to score on.

    Raises:
        InputError: If a pair fails `check`, test has other columns or kinds, or fewer than 6 rows are to be split.
    """
    truth = check(codes, factors)
    if test is None:
        if len(codes) < FEWEST:
            raise InputError(
                f"holding out a third needs at least {FEWEST} rows, got {len(codes)}: give more, or a test set"
            )
        cut = len(codes) - len(codes) // 3
        return (codes[:cut], truth[:cut]), (codes[cut:], truth[cut:])
    held_out = check(*test)
    shapes = codes.shape[1], truth.shape[1], test[0].shape[1], held_out.shape[1]
    if shapes[:2] != shapes[2:]:
        raise InputError(f"test has {shapes[2]} latents and {shapes[3]} factors, train has {shapes[0]} and {shapes[1]}")
    if (truth.discrete != held_out.discrete).any():
        raise InputError("a factor is a class in train and a quantity in test, or the reverse: give both as one kind")
    return (codes, truth), (test[0], held_out)


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


def _labels(column: Values, bins: int | None) -> NDArray[np.int64]:
    labels = np.full(len(column), MISSING)
    there = ~np.isnan(column)
    present = column[there]
    if bins is None:
        labels[there] = np.unique(present, return_inverse=True)[1]
    elif len(present):
        labels[there] = np.searchsorted(equal_bins(present[:, None], bins)[:, 0], present, side="right") - 1
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
