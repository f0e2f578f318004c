"""The arrays of regression trees of depth 3: sorted codes, trees, and the memory they grow in; see `tree_growth`."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Singles: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.int64]
Rows: TypeAlias = NDArray[np.uint32]
Bytes: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]

DEPTH = 3
LEAVES = 2**DEPTH
SPLITS = LEAVES - 1
NODES = SPLITS + LEAVES
SAME = np.float32(1e-7)
ROW = np.uint32(0x7FFFFFFF)


class Table(NamedTuple):
    """Codes, sorted: see `table_of`.

    Attributes:
        values: (d, N).
        order: (d, N) rows in ascending order, with the top bit set where the next value is no more than 1e-7 above.
        inverse: (N + 1,) 1 / n.
    """

    values: Singles
    order: Rows
    inverse: Floats


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
    """What a growing tree knows of its 15 nodes, its random order and its rows.

    Attributes:
        first: (15,) where the rows of a node begin.
        last: (15,) where they end.
        impurity: (15,) the variance of their targets.
        mean: (15,) the mean of their targets.
        known: (15,) the number of latents that an ancestor found constant.
        is_leaf: (15,) 1 or 0.
        state: (1,) of the random generator.
        latents: (d,) in random order.
        constant: (d,) those found constant, from the root down.
        draws: (d,) the latents drawn for a split.
        rows: (N,) grouped by node, in the order in which scikit-learn leaves them.
        left: (N,) 1 for the rows that go left.
        spare: (N,) of use while rows are regrouped.
        orders: (3, d, N) `Table.order` grouped by node, at depth 0, 1 and 2.
    """

    first: Places
    last: Places
    impurity: Floats
    mean: Floats
    known: Places
    is_leaf: Bytes
    state: Places
    latents: Places
    constant: Places
    draws: Places
    rows: Rows
    left: Bytes
    spare: Rows
    orders: Rows


def table_of(codes: NDArray[np.floating[Any]]) -> Table:
    """Sort codes (N, d), cast to float32."""
    values = np.array(codes.T, np.float32, order="C")
    order = np.argsort(values, axis=1, kind="stable").astype(np.uint32)
    ranked = np.take_along_axis(values, order, axis=1)
    order[:, :-1][ranked[:, 1:] <= ranked[:, :-1] + SAME] |= ~ROW
    return Table(values, order, np.append(0, 1 / np.arange(1, len(codes) + 1)))


def workspace(table: Table) -> Work:
    """Reserve the memory in which trees grow one after the other."""
    d, n = table.values.shape
    orders = np.empty((DEPTH, d, n), np.uint32)
    orders[0] = table.order
    return Work(
        first=np.zeros(NODES, np.int64),
        last=np.zeros(NODES, np.int64),
        impurity=np.zeros(NODES),
        mean=np.zeros(NODES),
        known=np.zeros(NODES, np.int64),
        is_leaf=np.zeros(NODES, np.uint8),
        state=np.zeros(1, np.int64),
        latents=np.zeros(d, np.int64),
        constant=np.zeros(d, np.int64),
        draws=np.zeros(d, np.int64),
        rows=np.zeros(n, np.uint32),
        left=np.zeros(n, np.uint8),
        spare=np.zeros(n, np.uint32),
        orders=orders,
    )
