"""Plug-in entropy and mutual information of binned codes and factors, in nats."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from disentangle_pl.metrics.score import MISSING, Codes, Labels, Values, equal_bins


def discretise(codes: Codes, bins: int = 20) -> NDArray[np.int64]:
    """Bin every latent into equal-width bins between its own smallest and largest code.

    A code on an edge goes into the upper bin; the largest code stays in the last one. The labels are those of
    Locatello et al. 2019 (arXiv:1811.12359, appendix), in the floating-point type of the codes.

    Args:
        codes: (N, d) finite posterior means.
        bins: The number of bins, at least 2.

    Returns:
        (N, d) labels 1..bins; a constant latent has one label.

    Raises:
        InputError: If bins is below 2.
    """
    codes = codes.astype(np.result_type(codes.dtype, np.float32), copy=False)
    edges = equal_bins(codes, bins)
    columns = [np.searchsorted(edge, column, side="right") for edge, column in zip(edges.T, codes.T, strict=True)]
    return np.stack(columns, axis=1).astype(np.int64, copy=False)


def even_codes(codes: Codes) -> Values:
    """Replace every latent by its ranks, at its own spread: `discretise` then gives bins of equally many rows.

    Args:
        codes: (N, d) finite posterior means.

    Returns:
        (N, d); ties get one value, and a constant latent is 0.
    """
    ranks = np.asarray(rankdata(codes, axis=0), dtype=np.float64) / len(codes) - 0.5
    spread = np.where(codes.min(axis=0) < codes.max(axis=0), codes.std(axis=0, dtype=np.float64), 0.0)
    even: Values = ranks * np.sqrt(12) * spread
    return even


def entropy(labels: Labels) -> Values:
    """Return the plug-in entropy of every column of labels (N, k): (k,) in nats, missing rows left out."""
    counts = [np.unique(column[column != MISSING], return_counts=True)[1] for column in labels.T]
    shares = [count / count.sum() for count in counts]
    return np.array([abs(np.sum(share * np.log(share))) for share in shares])


def mutual_information(binned: Labels, labels: Labels) -> Values:
    """Return the plug-in mutual information of every pair of a binned latent and a factor.

    I(c; v) = sum_{c,v} p(c,v) log(p(c,v) / (p(c) p(v))), biased upwards by about (B - 1)(V - 1) / 2N. Rows in which a
    factor is missing are left out for this factor alone.

    Args:
        binned: (N, d) labels of the codes, as `discretise` gives.
        labels: (N, k) labels of the factors, as `GroundTruth.labels` gives.

    Returns:
        (d, k) in nats, at least 0, and exactly 0 where either is constant or nothing is known.
    """
    rows = _from_zero(binned)
    columns = [_column(rows, factor) for factor in labels.T]
    return np.stack(columns, axis=1)


def permuted_information(binned: Labels, factor: Labels, orders: Iterable[NDArray[np.intp]]) -> Values:
    """Return the mutual information of every binned latent with a factor whose rows are put in other orders.

    Only the joint counts change from one order to the next, which makes it faster than `mutual_information` of each.

    Args:
        binned: (N, d) labels of the codes, as `discretise` gives.
        factor: (N,) labels of the factor, none missing, N >= 1.
        orders: P orders (N,) of the rows of the factor; a row may come twice.

    Returns:
        (P, d) in nats, at least 0.
    """
    rows, (values,) = _from_zero(binned), _from_zero(factor[:, None])
    latents, total, width = len(rows), len(factor), int(values.max()) + 1
    bins = int(rows.max()) + 1
    first = (rows + bins * np.arange(latents)[:, None]) * width
    scaled = np.arange(total + 1, dtype=np.float64)
    scaled[1:] *= np.log(scaled[1:])
    counts = np.stack([np.bincount(row, minlength=bins) for row in rows])
    fixed = np.log(total) - scaled[counts].sum(axis=1) / total
    nats = []
    for order in orders:
        moved = values[order]
        cells = np.bincount((first + moved).ravel(), minlength=latents * bins * width)
        own = scaled[np.bincount(moved)].sum()
        nats.append(fixed + (scaled[cells].reshape(latents, -1).sum(axis=1) - own) / total)
    return np.asarray(np.maximum(np.stack(nats), 0.0), dtype=np.float64)


def _column(rows: NDArray[np.int64], factor: Labels) -> Values:
    labelled = factor != MISSING
    if not labelled.any():
        return np.zeros(len(rows))
    return _information(_counts(rows if labelled.all() else rows[:, labelled], _from_zero(factor[labelled, None])[0]))


def _from_zero(labels: Labels) -> NDArray[np.int64]:
    """Transpose labels (N, c) to (c, N), each row from 0, and renumber where the range is wider than N."""
    rows = np.array(labels.T, dtype=np.int64, order="C")
    rows -= rows.min(axis=1, keepdims=True)
    if rows.max() < len(labels):
        return rows
    return np.stack([np.unique(row, return_inverse=True)[1] for row in rows])


def _counts(labels: NDArray[np.int64], factor: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the joint occurrences of labels (d, N) and one factor (N,): (d, B, V)."""
    latents, bins, values = len(labels), int(labels.max()) + 1, int(factor.max()) + 1
    cells = (labels + bins * np.arange(latents)[:, None]) * values + factor
    counts: NDArray[np.int64] = np.bincount(cells.ravel(), minlength=latents * bins * values)
    return counts.reshape(latents, bins, values)


def _information(joint: NDArray[np.int64]) -> Values:
    """Return the mutual information (d,) of the tables (d, B, V), each summing to N."""
    rows, columns = joint.sum(axis=2, keepdims=True), joint.sum(axis=1, keepdims=True)
    total = joint[0].sum()
    ratio = np.divide(joint * total, rows * columns, out=np.ones(joint.shape), where=joint > 0)
    nats = np.sum(joint * np.log(ratio), axis=(1, 2)) / total
    # rounding of an independent table must not look like information: modularity divides by the largest entry
    return np.where(nats < np.finfo(np.float64).eps, 0.0, nats)
