"""Reference values of disentanglement_lib, and factors to make codes from."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.metrics.score import Codes

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
    factors: NDArray[np.int64]
    test: tuple[Codes, NDArray[np.int64]]
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


def codebook() -> tuple[Codes, NDArray[np.int64]]:
    """Remake the codes and factors of all the states of `disentangled`."""
    golden = load("disentangled", "")
    sizes = golden.values["factor_sizes"]
    factors = np.stack(np.unravel_index(np.arange(sizes.prod()), sizes), axis=1)
    codes = np.random.RandomState(golden.values["codebook_seed"]).normal(size=(len(factors), 10))
    codes *= np.repeat([0.05, 0.02], 5)
    codes[:, :5] += factors / (sizes - 1) * 3 - 1.5
    np.testing.assert_allclose(codes[golden.values["state_index_train"]], golden.codes, atol=1e-6)
    return codes, factors


def draw(sizes: tuple[int, ...], rows: int) -> NDArray[np.int64]:
    """Draw factors (rows, k) evenly from their grid."""
    return np.random.default_rng(0).integers(0, sizes, (rows, len(sizes)))


def rotate(codes: Codes) -> Codes:
    """Turn the first two latents by 45 degrees."""
    turned = codes.copy()
    turned[:, 0], turned[:, 1] = (codes[:, 0] + codes[:, 1]) / 2**0.5, (codes[:, 0] - codes[:, 1]) / 2**0.5
    return turned
