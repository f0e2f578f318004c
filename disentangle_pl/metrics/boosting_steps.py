"""The compiled steps of `boosting` between trees: residuals, leaf values and predictions.

Sums run in NumPy's pairwise order, because scikit-learn takes means by NumPy.
"""

import numpy as np
from numba import njit

from disentangle_pl.metrics.trees import LEAVES, Bools, Bytes, Floats, Places, Singles

RATE = 0.1
BLOCK = 128
FLAT = 1e-150
compiled = njit(cache=True, nogil=True, error_model="numpy")


@compiled
def softmax_residuals(raw: Floats, labels: Floats, residual: Floats, first: int, last: int) -> None:
    """Write 1 (the row's class is k) - p_k into residual (c, N), for the rows first to last - 1."""
    for start in range(first, last, BLOCK):
        rows = range(start, min(start + BLOCK, last))
        top, total = np.full(BLOCK, -np.inf), np.zeros(BLOCK)
        for k in range(len(raw)):
            for row in rows:
                top[row - start] = max(top[row - start], raw[k, row])
        for k in range(len(raw)):
            for row in rows:
                residual[k, row] = np.exp(raw[k, row] - top[row - start])
                total[row - start] += residual[k, row]
        for k in range(len(raw)):
            for row in rows:
                residual[k, row] = (labels[row] == k) - residual[k, row] / total[row - start]


@compiled
def logistic_residuals(raw: Floats, labels: Floats, residual: Floats, first: int, last: int) -> None:
    """Write label - p into residual (1, N), for the rows first to last - 1."""
    for row in range(first, last):
        label = labels[row]
        if raw[0, row] > -37:
            against = np.exp(-raw[0, row])
            residual[0, row] = -(((1 - label) - label * against) / (1 + against))
        else:
            residual[0, row] = label - np.exp(raw[0, row])


@compiled
def step(target: Floats, classes: int, first: int, residual: Floats, leaf: Bytes, value: Floats, raw: Floats) -> None:
    """Give the trees of the outputs first, ... their Newton steps as leaf values where they are classes, and add them.

    Args:
        target: (N,).
        classes: Their number, 0 for a quantity, whose leaves keep their means.
        first: The first of k outputs.
        residual: (k, N).
        leaf: (k, N) of every row.
        value: (k, 8) to set.
        raw: (k, N) to add to.
    """
    parts = np.empty((2, target.size))
    for k in range(len(raw)):
        if classes:
            label, scale = (1, 1.0) if classes == 2 else (first + k, (classes - 1) / classes)
            _newton(residual[k], target == label, scale, leaf[k], parts, value[k])
        for row in range(target.size):
            raw[k, row] += RATE * value[k, leaf[k, row]]


@compiled
def _newton(residual: Floats, member: Bools, scale: float, leaf: Bytes, parts: Floats, value: Floats) -> None:
    """Set each leaf to scale * sum r / sum p (1 - p), with r the residuals and p the chances of its rows."""
    ends, place = np.zeros(LEAVES + 1, np.int64), np.zeros(LEAVES, np.int64)
    for row in range(leaf.size):
        ends[leaf[row] + 1] += 1
    for j in range(LEAVES):
        ends[j + 1] += ends[j]
        place[j] = ends[j]
    for row in range(leaf.size):
        chance = member[row] - residual[row]
        p = place[leaf[row]]
        parts[0, p], parts[1, p] = residual[row], chance * (1 - chance)
        place[leaf[row]] += 1
    for j in range(LEAVES):
        rows = ends[j + 1] - ends[j]
        if rows:
            slope = _pairwise_sum(parts[0, ends[j] : ends[j + 1]]) / rows * scale
            curvature = _pairwise_sum(parts[1, ends[j] : ends[j + 1]]) / rows
            value[j] = slope / curvature if abs(curvature) >= FLAT else 0.0


@compiled
def _pairwise_sum(values: Floats) -> float:
    n = values.size
    if n > 128:
        half = n // 16 * 8
        return float(_pairwise_sum(values[:half]) + _pairwise_sum(values[half:]))
    whole = n - n % 8
    total = 0.0
    if whole:
        a, b, c, d, e, f, g, h = values[:8]
        for i in range(8, whole, 8):
            a, b, c, d = a + values[i], b + values[i + 1], c + values[i + 2], d + values[i + 3]
            e, f, g, h = e + values[i + 4], f + values[i + 5], g + values[i + 6], h + values[i + 7]
        total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(whole, n):
        total += values[i]
    return total


@compiled
def descend(codes: Singles, latent: Places, threshold: Floats, value: Floats, raw: Floats) -> None:
    """Add trees (rounds, k, ...) to raw (k, M), for codes (d, M): seven comparisons for a row, and no branch."""
    for number in range(len(latent)):
        for k in range(len(raw)):
            column, cut, leaf, rows = latent[number, k], threshold[number, k], value[number, k], raw[k]
            a, b, c = codes[column[0]], codes[column[1]], codes[column[2]]
            d, e, f, g = codes[column[3]], codes[column[4]], codes[column[5]], codes[column[6]]
            for row in range(rows.size):
                one = leaf[1] if d[row] > cut[3] else leaf[0]
                two = leaf[3] if e[row] > cut[4] else leaf[2]
                three = leaf[5] if f[row] > cut[5] else leaf[4]
                four = leaf[7] if g[row] > cut[6] else leaf[6]
                low = two if b[row] > cut[1] else one
                high = four if c[row] > cut[2] else three
                rows[row] += RATE * (high if a[row] > cut[0] else low)
