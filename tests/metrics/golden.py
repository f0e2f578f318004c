"""Reference values of disentanglement_lib, and factors to make codes from."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.metrics.score import Codes, Factors, Split

FOLDER = Path(__file__).parents[3] / "shared" / "golden"
CASES = [
    ("disentangled", ""),
    ("disentangled", "small_"),
    ("rotated", ""),
    ("rotated", "small_"),
    ("edge_constant_duplicate", ""),
]


class Golden(NamedTuple):
    codes: Codes
    factors: Factors
    test: Split
    values: dict[str, NDArray[Any]]


def load(case: str, prefix: str) -> Golden:
    """Load one case; the prefix `small_` means the first 1000 rows to fit on and 500 to score on."""
    path = FOLDER / f"{case}.npz"
    if not path.exists():
        pytest.skip(f"no reference values at {path}")
    with np.load(path) as file:
        arrays = dict(file)
    rows, held_out = (1000, 500) if prefix else (None, None)
    return Golden(
        arrays["mus_train"].T[:rows],
        arrays["ys_train"].T[:rows],
        (arrays["mus_test"].T[:held_out], arrays["ys_test"].T[:held_out]),
        {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)},
    )


def draw(sizes: tuple[int, ...], rows: int) -> NDArray[np.int64]:
    """Draw factors (rows, k) evenly from their grid."""
    return np.random.default_rng(0).integers(0, sizes, (rows, len(sizes)))


def rotate(codes: Codes) -> Codes:
    """Turn the first two latents by 45 degrees."""
    turned = codes.copy()
    turned[:, 0], turned[:, 1] = (codes[:, 0] + codes[:, 1]) / 2**0.5, (codes[:, 0] - codes[:, 1]) / 2**0.5
    return turned
