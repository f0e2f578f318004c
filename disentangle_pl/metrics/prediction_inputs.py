"""What a probe sees of N scans: columns that may have to be fitted, on training scans and nowhere else."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackError, eigsh

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction_folds import Rows
from disentangle_pl.metrics.score import Values

Inputs: TypeAlias = Callable[[Rows], Values]
NOTHING = 1e-9
CACHE_SIZE = 256
LARGE = 20  # rows a component from which on iteration is faster


def columns(values: Values) -> Inputs:
    """Make inputs of columns (N, k) that are as they are, whoever is in training.

    Raises:
        InputError: If a value is NaN or infinite.
    """
    if values.ndim != 2 or not np.isfinite(values).all():
        broken = np.flatnonzero(~np.isfinite(values).all(axis=0)).tolist() if values.ndim == 2 else values.shape
        raise InputError(f"inputs of a probe must be finite columns (N, k), got NaN or infinity in columns {broken}")
    fixed = values.astype(np.float64)
    return lambda _: fixed


def beside(*parts: Inputs) -> Inputs:
    """Put inputs side by side."""
    return lambda train: np.concatenate([part(train) for part in parts], axis=1)


def remembered(inputs: Inputs, most: int = CACHE_SIZE) -> Inputs:
    """Make inputs once for a set of training rows, and keep those of the last sets: several probes ask the same."""
    cache: dict[bytes, Values] = {}

    def looked_up(train: Rows) -> Values:
        key = train.tobytes()
        if key not in cache:
            if len(cache) >= most:
                del cache[next(iter(cache))]
            cache[key] = inputs(train)
        return cache[key]

    return looked_up


def principal_components(products: NDArray[np.floating], count: int) -> Inputs:
    """Make inputs of principal components, fitted to the training rows only.

    All that is needed of the images are their inner products, so that every fold has its own components at little cost.

    Source: Schoelkopf, Smola and Mueller 1998, Neural Computation 10:1299, with the linear kernel; Wen et al. 2020,
        Medical Image Analysis 63:101694, on components that were fitted before the split.

    Args:
        products: (N, N) inner products of the images of all rows.
        count: Components at most; fewer where the training rows have fewer dimensions.
    """

    def fitted(train: Rows) -> Values:
        inner = products[np.ix_(train, train)].astype(np.float64)
        means = inner.mean(axis=1)
        centred = inner - means[:, None] - means[None] + inner.mean()
        values, vectors = _largest(centred, count)
        present = values > NOTHING * max(values[-1], 0.0)
        axes = vectors[:, present] / np.sqrt(values[present])
        across = products[:, train].astype(np.float64)
        scores: Values = (across - across.mean(axis=1, keepdims=True) - means + inner.mean()) @ axes
        return scores[:, ::-1]

    return fitted


def _largest(matrix: Values, count: int) -> tuple[Values, Values]:
    """Return the largest eigenvalues, in rising order, and their vectors."""
    rows = len(matrix)
    if rows >= LARGE * count:
        try:
            values, vectors = eigsh(matrix, k=count, v0=np.linspace(1, 2, rows))
            return values, vectors
        except ArpackError:  # as of a matrix of zeros
            pass
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=[max(0, rows - count), rows - 1])
    return values, vectors


def without(inputs: Inputs, confounds: Values, controls: NDArray[np.bool_]) -> Inputs:
    """Take from inputs what confounds explain among the controls in training.

    Fitted to controls, so that what disease does to the inputs is not taken for an effect of the confound.

    Source: Dukart, Schroeter and Mueller 2011, PLoS ONE 6:e22193; Snoek, Miletic and Scholte 2019, NeuroImage 184:741,
        on fitting within the folds.

    Args:
        inputs: Any.
        confounds: (N, c), finite.
        controls: (N,) True for scans of healthy people.

    Returns:
        Inputs that raise InputError where training has too few controls to fit c + 1 numbers.
    """
    design = np.column_stack((np.ones(len(confounds)), confounds))

    def fitted(train: Rows) -> Values:
        fitted_controls = train[controls[train]]
        if len(fitted_controls) <= design.shape[1]:
            raise InputError(
                f"confounds are fitted to scans of controls in training, and {len(fitted_controls)} are too few for "
                f"{confounds.shape[1]} confounds: name fewer, or bring more controls"
            )
        values = inputs(train)
        slopes = np.linalg.lstsq(design[fitted_controls], values[fitted_controls], rcond=None)[0]
        residuals: Values = values - design @ slopes
        return residuals

    return fitted
