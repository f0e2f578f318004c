"""The types every score shares, its input check, and the hold-out rule of the scores that train a probe."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError

Codes: TypeAlias = NDArray[np.floating[Any]]
Factors: TypeAlias = NDArray[np.integer[Any]]
Score: TypeAlias = Callable[[Codes, Factors], float]
Split: TypeAlias = tuple[Codes, Factors]


def check(codes: Codes, factors: Factors) -> None:
    """Refuse what no score can be computed on.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k) class indices.

    Raises:
        InputError: If an array is not 2-D or has no columns, if the numbers of rows differ or are below 2, if
            a code is NaN or infinite, or if the factors are not integers.
    """
    if codes.ndim != 2 or factors.ndim != 2:
        raise InputError(f"codes and factors must be (N, d) and (N, k), got {codes.shape} and {factors.shape}")
    if len(codes) != len(factors) or len(codes) < 2:
        raise InputError(f"a score needs at least 2 rows of both, got {len(codes)} codes and {len(factors)} factors")
    if 0 in (codes.shape[1], factors.shape[1]):
        raise InputError(f"a score needs a latent and a factor, got codes {codes.shape}, factors {factors.shape}")
    if not np.issubdtype(factors.dtype, np.integer):
        raise InputError(f"factors must be integer class indices, got {factors.dtype}: bin continuous covariates first")
    broken = np.flatnonzero(~np.isfinite(codes).all(axis=0))
    if broken.size:
        raise InputError(f"codes of latents {broken.tolist()} are NaN or infinite: check that the model converged")


def check_sizes(codes: Codes, factors: Factors, *, latents: int = 1, values: int = 1) -> None:
    """Check codes and factors, and refuse fewer columns than the score compares.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k) class indices.
        latents: The smallest d.
        values: The smallest k.

    Raises:
        InputError: As `check`, or if d or k is too small.
    """
    check(codes, factors)
    if codes.shape[1] < latents or factors.shape[1] < values:
        need = f"at least {latents} latents and {values} factors"
        raise InputError(f"this score needs {need}, got {codes.shape[1]} and {factors.shape[1]}")


def train_test(codes: Codes, factors: Factors, test: Split | None) -> tuple[Split, Split]:
    """Pair the rows a probe is fitted on with the rows it is scored on.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k) class indices.
        test: Codes (M, d) and factors (M, k) to score on, or None to hold out the last third of the rows,
            which must then be in random order.

    Returns:
        The (codes, factors) to fit on and those to score on.

    Raises:
        InputError: If a pair fails `check`, test has other columns, or fewer than 6 rows are to be split.
    """
    check(codes, factors)
    if test is None:
        if len(codes) < 6:
            raise InputError(f"holding out a third needs at least 6 rows, got {len(codes)}: give more, or a test set")
        cut = len(codes) - len(codes) // 3
        return (codes[:cut], factors[:cut]), (codes[cut:], factors[cut:])
    check(*test)
    shapes = codes.shape[1], factors.shape[1], test[0].shape[1], test[1].shape[1]
    if shapes[:2] != shapes[2:]:
        raise InputError(f"test has {shapes[2]} latents and {shapes[3]} factors, train has {shapes[0]} and {shapes[1]}")
    return (codes, factors), test


def varying(factors: Factors) -> NDArray[np.bool_]:
    """Tell which factors (N, k) take more than one value: (k,) bool.

    Raises:
        InputError: If none does.
    """
    mask: NDArray[np.bool_] = factors.min(axis=0) < factors.max(axis=0)
    if not mask.any():
        raise InputError("every factor has one value in this sample: a score needs a factor that varies")
    return mask
