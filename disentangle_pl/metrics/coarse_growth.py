"""The compiled growth of regression trees of depth 3 on latents cut into at most 255 levels, without a look at rows.

A cut lies between two levels, so sums over levels decide it. Those of the root are taken for sixteen trees at once,
those of a smaller child row by row, and those of the larger are what remains of their parent's. Sums are whole numbers,
which do not depend on an order: a count of rows in the upper half of 64 bits, residuals in fixed point in the lower.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from disentangle_pl.metrics.trees import LEAVES, NODES, SPLITS, Bytes, Floats, Places, Singles

Marks: TypeAlias = NDArray[np.int32]

PAIRS = 8  # of trees that are summed together, each pair in a whole number of 64 bits
WIDTH = 2 * PAIRS
UNCUT = 255
RATE = 0.1
GAIN = 1 + 1e-9  # what a cut must multiply the squared sums by: less is rounding
ROW = 1 << 32
HALF = 1 << 31
compiled = njit(cache=True, nogil=True, error_model="numpy")
# for sums whose order nothing depends on but the last digits of a leaf
approximate = njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz", "reassoc", "contract"})


class Levels(NamedTuple):
    """Codes cut into levels: see `levels_of`.

    Attributes:
        rows: (N, d) the level of every row.
        columns: (d, N) the same.
        counts: (d, B) the rows of every level.
        thresholds: (d, B) the codes half-way between a level and the next one, infinite above the last.
        inverse: (N + 1,) 1 / n, and 0 for none.
    """

    rows: Bytes
    columns: Bytes
    counts: Places
    thresholds: Floats
    inverse: Floats


def levels_of(codes: NDArray[np.floating[Any]], levels: int) -> Levels:
    """Cut each column of codes (N, d), cast to float32, into levels of about as many rows each, and finer at its ends.

    One, two, four and so on of the rows at either end can be cut off, as trees fitted to noise do. A column of at most
    255 different values keeps them all; otherwise equal values share a level.

    Args:
        codes: (N, d).
        levels: The number of levels of as many rows.
    """
    values: Singles = np.array(codes.T, np.float32, order="C")
    rows = values.shape[1]
    ends = 2 ** np.arange(int(np.log2(max(rows // levels, 1))) + 1)
    evenly = np.unique(np.concatenate([ends, np.arange(1, levels) * rows // levels, rows - ends]))
    columns, edges = np.empty(values.shape, np.uint8), []
    for column, values_of in zip(columns, values, strict=True):
        distinct = np.unique(values_of)
        if len(distinct) > UNCUT:
            lows = np.unique(np.partition(values_of, evenly)[evenly])
            last = np.searchsorted(distinct, lows) - 1
            last = last[last >= 0]
        else:
            last = np.arange(len(distinct) - 1)
        column[:] = np.searchsorted(distinct[last], values_of)
        edges.append(distinct[last] / 2.0 + distinct[last + 1] / 2.0)
    thresholds = np.full((len(values), 1 + max(map(len, edges))), np.inf)
    for row, edge in zip(thresholds, edges, strict=True):
        row[: len(edge)] = edge
    counts = np.stack([np.bincount(column, minlength=thresholds.shape[1]) for column in columns]).astype(np.int64)
    return Levels(columns.T.copy(), columns, counts, thresholds, np.append(0, 1 / np.arange(1, rows + 1)))


class Output(NamedTuple):
    """Trees of one round for k outputs, which `grow_coarse` writes, as in `trees.Trees`.

    Attributes:
        latent: (k, 7).
        threshold: (k, 7).
        value: (k, 8).
        importance: (k, d), added to.
        raw: (k, N) predictions, added to.
    """

    latent: Places
    threshold: Floats
    value: Floats
    importance: Floats
    raw: Singles


@compiled
def grow_coarse(levels: Levels, residual: Singles, largest: Singles, first: int, newton: float, output: Output) -> None:
    """Fit a tree to each of the residuals (k, N) by squared error, and add it to the predictions.

    Args:
        levels: Of the rows.
        residual: (k, N).
        largest: (k,) the largest of them without its sign.
        first: The latent that is tried first by the first tree, the next one by the next: which decides between cuts of
            equal worth.
        newton: The factor of the Newton step of a class, sum r / sum |r| (1 - |r|); 0 for a mean.
        output: What is written.
    """
    outputs, rows = residual.shape
    latents, width = levels.thresholds.shape
    packed = np.zeros((WIDTH, rows), np.int32)
    across = np.empty((rows, PAIRS), np.int64)
    sums = np.empty((latents, width, PAIRS), np.int64)
    units = np.zeros(WIDTH)
    nodes = np.empty((SPLITS, latents, width), np.int64)
    marks, spare = np.empty(rows, np.int32), np.empty(rows, np.int32)
    for start in range(0, outputs, WIDTH):
        count = min(WIDTH, outputs - start)
        for s in range(count):
            units[s] = _pack(residual[start + s], float(largest[start + s]), packed[s])
        _sum_together(levels.columns, packed, across, sums)
        for s in range(count):
            k = start + s
            if units[s] > 0:
                _take_apart(levels.counts, sums, s, nodes[0])
                turn = (first + k) % latents
                _grow(levels, residual[k], packed[s], units[s], turn, newton, nodes, marks, spare, k, output)


@compiled
def _pack(residual: Singles, largest: float, packed: Marks) -> float:
    """Write the residual in fixed point, such that no sum over rows needs more than 32 bits; returns its unit."""
    if largest == 0:
        packed[:] = 0
        return 0.0
    unit = largest / float(HALF // residual.size - 1)
    scale = np.float32(1 / unit)
    for row in range(residual.size):
        packed[row] = np.int32(residual[row] * scale)
    return unit


@compiled
def _sum_together(columns: Bytes, packed: Marks, across: Places, sums: Places) -> None:
    """Sum the residuals of every level, those of tree s in the lower half of a number and of s + 8 in the upper."""
    for row in range(across.shape[0]):
        for s in range(PAIRS):
            across[row, s] = np.int64(packed[s, row]) + np.int64(packed[s + PAIRS, row]) * ROW
    sums[:] = 0
    for latent in range(columns.shape[0]):
        column, total = columns[latent], sums[latent]
        for row in range(column.size):
            level = column[row]
            for s in range(PAIRS):
                total[level, s] += across[row, s]


@compiled
def _take_apart(counts: Places, sums: Places, tree: int, root: Places) -> None:
    for latent in range(counts.shape[0]):
        for level in range(counts.shape[1]):
            pair = sums[latent, level, tree % PAIRS]
            upper = (pair + HALF) >> 32
            one = pair - upper * ROW if tree < PAIRS else upper
            root[latent, level] = counts[latent, level] * ROW + one


@compiled
def _sum_rows(rows: Marks, bins: Bytes, packed: Marks, sums: Places) -> None:
    flat = sums.reshape(-1)
    flat[:] = 0
    width = np.uint64(sums.shape[1])
    for row in rows:
        size, start = np.int64(packed[row]) + ROW, np.uint64(0)
        for latent in range(bins.shape[1]):
            flat[start + np.uint64(bins[row, latent])] += size
            start += width


@compiled
def _best_cut(sums: Places, inverse: Floats, turn: int) -> tuple[float, int, int]:
    """Return the gain of the best cut, its latent (-1 for none), and the last level below it."""
    total = 0
    for level in range(sums.shape[1]):
        total += sums[0, level]
    n = (total + HALF) >> 32
    whole = float(total - n * ROW)
    none = whole * whole * inverse[n]
    best, chosen, cut = none * GAIN, -1, UNCUT
    if n < 2:
        return 0.0, chosen, cut
    for step in range(sums.shape[0]):
        latent = turn + step if turn + step < sums.shape[0] else turn + step - sums.shape[0]
        before = 0
        for level in range(sums.shape[1] - 1):
            before += sums[latent, level]
            count = (before + HALF) >> 32
            below = float(before - count * ROW)
            above = whole - below
            worth = below * below * inverse[count] + above * above * inverse[n - count]
            if worth > best:
                best, chosen, cut = worth, latent, level
    return best - none, chosen, cut


@compiled
def _part(rows: Marks, column: Bytes, cut: int, spare: Marks) -> int:
    """Put the rows at or below a level first, each part in order, and return their number."""
    low, high = 0, 0
    for p in range(rows.size):
        row = rows[p]
        side = int(column[np.uint64(row)] > cut)
        rows[low] = row
        spare[high] = row
        low += 1 - side
        high += side
    rows[low:] = spare[:high]
    return low


@compiled
def _grow(
    levels: Levels,
    residual: Singles,
    packed: Marks,
    unit: float,
    turn: int,
    newton: float,
    nodes: Places,
    marks: Marks,
    spare: Marks,
    k: int,
    output: Output,
) -> None:
    ends = np.zeros((2, NODES), np.int64)
    ends[1, 0] = residual.size
    for row in range(residual.size):
        marks[row] = row
    for node in range(SPLITS):
        gain, latent, cut = _best_cut(nodes[node], levels.inverse, turn)
        first, last = ends[0, node], ends[1, node]
        middle = last
        if latent >= 0:
            output.latent[k, node] = latent
            output.threshold[k, node] = levels.thresholds[latent, cut]
            output.importance[k, latent] += gain * unit * unit
            middle = first + _part(marks[first:last], levels.columns[latent], cut, spare)
        child = 2 * node + 1
        ends[0, child], ends[1, child], ends[0, child + 1], ends[1, child + 1] = first, middle, middle, last
        if child < SPLITS:
            small, large = (child, child + 1) if middle - first <= last - middle else (child + 1, child)
            _sum_rows(marks[ends[0, small] : ends[1, small]], levels.rows, packed, nodes[small])
            nodes[large] = nodes[node] - nodes[small]
    raw = output.raw[k]
    for j in range(LEAVES):
        rows = marks[ends[0, SPLITS + j] : ends[1, SPLITS + j]]
        value = _leaf(residual, rows, newton)
        output.value[k, j] = value
        change = np.float32(RATE * value)
        for row in rows:
            raw[np.uint64(row)] += change


@approximate
def _leaf(residual: Singles, rows: Marks, newton: float) -> float:
    slope, curvature = np.float32(0), np.float32(0)
    for row in rows:
        r = residual[np.uint64(row)]
        slope += r
        curvature += abs(r) - r * r
    if newton == 0:
        return float(slope) / rows.size if rows.size else 0.0
    return newton * float(slope) / float(curvature) if curvature > 0 else 0.0
