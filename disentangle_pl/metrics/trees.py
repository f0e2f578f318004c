"""The arrays of regression trees of depth 3: sorted codes, trees, and the memory they grow in; see `tree_growth`."""

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = NDArray[np.uint32]
Bins: TypeAlias = NDArray[np.uint16]
Bytes: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]

DEPTH = 3
LEAVES = 2**DEPTH
SPLITS = LEAVES - 1
NODES = SPLITS + LEAVES
SAME = np.float32(1e-7)
ROW = np.uint32(0x7FFFFFFF)
MOST_BINS = 1024


class Table(NamedTuple):
    """Codes, sorted and binned: see `table_of`.

    Attributes:
        values: (d, N).
        order: (d, N) rows in ascending order, with the top bit set where the next value is no more than 1e-7 above.
        inverse: (N + 1,) 1 / n.
        bins: (N, d) of every row.
        edges: (d, B + 1) where the bins begin and end in `order`; the next value is always more than 1e-7 above a bin.
    """

    values: Singles
    order: Rows
    inverse: Floats
    bins: Bins
    edges: Places


class Trees(NamedTuple):
    """Complete binary trees: split j has the children 2j + 1 and 2j + 2, of which the last 8 are leaves.

    Attributes:
        latent: (..., 7) of each split.
        threshold: (..., 7) rows whose code is not above go left; infinite where a tree ends early.
        value: (..., 8) of the leaves from left to right; one higher up has the place of its leftmost descendant.
        importance: (..., d) to which a tree adds the squared error that each latent removes.
        leaf: (..., N) of every row fitted on.
    """

    latent: Places
    threshold: Floats
    value: Floats
    importance: Floats
    leaf: Bytes


class Work(NamedTuple):
    """The state of a growing tree: its 15 nodes, its random order, its rows and its bins.

    Attributes:
        first: (15,) where the rows of a node begin.
        last: (15,) where they end.
        total: (15,) the sum of their targets.
        squares: (15,) the sum of the squares of their targets.
        impurity: (15,) the variance of their targets.
        inherited: (15,) the number of latents that an ancestor found constant.
        is_leaf: (15,) 1 or 0.
        state: (1,) of the random generator.
        latents: (d,) in random order.
        constant: (d,) those found constant, from the root down.
        draws: (d,) the latents drawn for a split.
        rows: (N,) grouped by node, in the order in which scikit-learn leaves them.
        node: (N,) of every row, the deepest yet.
        members: (N + 1,) the rows of a node or of a part of it in the order of a latent.
        spare: (N,) of use while rows are regrouped.
        packed: (N,) 1 in the high bits, the size of the target in fixed point in the others; negated where it is not
            positive.
        sums: (7, d, 2B) those of `packed` in every bin of a node, where targets are not positive and where they are.
        counts: (d, B + 1) the rows of a node before each bin.
        left: (d, B + 1) the sum of their targets.
        bound: (d, B) what a cut in the bin can gain at most, -1 where there is none.
        reached: (B,) what the cut at the end of a bin of one latent gains, -1 where there is none.
        gain: (d,) what the best cut gains of those looked at.
    """

    first: Places
    last: Places
    total: Floats
    squares: Floats
    impurity: Floats
    inherited: Places
    is_leaf: Bytes
    state: Places
    latents: Places
    constant: Places
    draws: Places
    rows: Rows
    node: Bytes
    members: Rows
    spare: Rows
    packed: Places
    sums: Places
    counts: Places
    left: Floats
    bound: Floats
    reached: Floats
    gain: Floats


def table_of(codes: NDArray[np.floating[Any]]) -> Table:
    """Sort codes (N, d), cast to float32, and part them into bins of about as many rows each."""
    values = np.array(codes.T, np.float32, order="C")
    latents, rows = values.shape
    order = np.argsort(values, axis=1, kind="stable").astype(np.uint32)
    ranked = np.take_along_axis(values, order, axis=1)
    tied = ranked[:, 1:] <= ranked[:, :-1] + SAME
    count = min(2 * math.isqrt(rows), rows // 16 + 1, MOST_BINS)
    evenly = np.arange(count + 1) * rows // count
    bins, edges = np.empty((rows, latents), np.uint16), np.empty((latents, count + 1), np.int64)
    for latent in range(latents):
        cuts = np.concatenate([[0], np.flatnonzero(~tied[latent]) + 1, [rows]])
        edges[latent] = cuts[np.searchsorted(cuts, evenly)]
        bins[order[latent], latent] = np.repeat(np.arange(count), np.diff(edges[latent]))
    order[:, :-1][tied] |= ~ROW
    return Table(values, order, np.append(0, 1 / np.arange(1, rows + 1)), bins, edges)


def workspace(table: Table) -> Work:
    """Reserve the memory in which trees grow one after the other."""
    d, n = table.values.shape
    bins = table.edges.shape[1] - 1
    return Work(
        first=np.zeros(NODES, np.int64),
        last=np.zeros(NODES, np.int64),
        total=np.zeros(NODES),
        squares=np.zeros(NODES),
        impurity=np.zeros(NODES),
        inherited=np.zeros(NODES, np.int64),
        is_leaf=np.zeros(NODES, np.uint8),
        state=np.zeros(1, np.int64),
        latents=np.zeros(d, np.int64),
        constant=np.zeros(d, np.int64),
        draws=np.zeros(d, np.int64),
        rows=np.zeros(n, np.uint32),
        node=np.zeros(n, np.uint8),
        members=np.zeros(n + 1, np.uint32),
        spare=np.zeros(n, np.uint32),
        packed=np.zeros(n, np.int64),
        sums=np.zeros((SPLITS, d, 2 * bins), np.int64),
        counts=np.zeros((d, bins + 1), np.int64),
        left=np.zeros((d, bins + 1)),
        bound=np.zeros((d, bins)),
        reached=np.zeros(bins),
        gain=np.zeros(d),
    )
