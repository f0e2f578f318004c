"""Draw rows that share the value of one factor, as the BetaVAE and FactorVAE scores need them, from one table."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import MISSING, Checked, Labels, Values, varying

Rows = NDArray[np.int64]


class Table(NamedTuple):
    """Rows to draw from.

    Attributes:
        codes: (N, d).
        labels: (N, k) as `GroundTruth.labels` gives, `MISSING` too where no other row has the value.
    """

    codes: Values
    labels: Labels


def shared_tables(train: Checked, held_out: Checked, bins: int) -> tuple[Table, Table]:
    """Keep the factors of which two values are shared by rows, in the rows fitted on and in those scored on.

    Raises:
        InputError: If fewer than 2 are: there is nothing to tell apart.
    """
    varying(train[1], least=2)
    first, second = (shareable(rows[1].labels(bins)) for rows in (train, held_out))
    useful = _several(first) & _several(second)
    if useful.sum() < 2:
        raise InputError("this score needs 2 factors with values that rows share, in train and in test: give more rows")
    return table_of(train, first[:, useful]), table_of(held_out, second[:, useful])


def table_of(rows: Checked, labels: Labels) -> Table:
    """Put labels (N, k) beside the codes of their rows."""
    return Table(rows[0].astype(np.float64), labels)


def shareable(labels: Labels) -> Labels:
    """Mark as missing the labels (N, k), from 0, that one row alone has."""
    counts = [np.bincount(column - MISSING)[column - MISSING] for column in labels.T]
    return np.where(np.stack(counts, axis=1) > 1, labels, MISSING)


def all_but_one(labels: Labels) -> Labels:
    """Number the groups of rows that share the labels of all factors but one.

    Args:
        labels: (N, k), k >= 2, as `GroundTruth.labels` gives.

    Returns:
        (N, k) from 0: in column j groups of rows in which factor j alone takes different values, two at least;
        `MISSING` for rows in no such group and for those that lack a factor.
    """
    labelled = np.flatnonzero((labels != MISSING).all(axis=1))
    groups = np.full(labels.shape, MISSING)
    for factor in range(labels.shape[1] if len(labelled) else 0):
        shared = np.unique(np.delete(labels[labelled], factor, axis=1), axis=0, return_inverse=True)[1]
        cells = np.unique(np.stack([shared, labels[labelled, factor]], axis=1), axis=0)
        groups[labelled, factor] = np.where(np.bincount(cells[:, 0])[shared] > 1, shared, MISSING)
    return groups


def turns(points: int, factors: int) -> Rows:
    """Give every point (points,) the factor it shares, each factor its turn.

    Raises:
        InputError: If there are fewer points than factors.
    """
    if points < factors:
        raise InputError(f"{points} points cannot cover {factors} factors: draw at least one each")
    return np.arange(points) % factors


def draw_known(labels: Labels, shape: tuple[int, ...], random: np.random.Generator) -> Rows:
    """Draw rows, with replacement, among those of labels (N,) that are not missing."""
    labelled = np.flatnonzero(labels != MISSING)
    return labelled[random.integers(len(labelled), size=shape)]


def draw_partners(labels: Labels, rows: Rows, random: np.random.Generator) -> Rows:
    """Draw for each row another one of the same label: a pair of a row with itself would tell how rare the label is.

    Args:
        labels: (N,) from 0; see `Table`.
        rows: Rows whose label is not missing, of any shape.
        random: Source of the draw.

    Returns:
        Rows, of the same shape.
    """
    order, start, counts = _groups(labels)
    place = np.argsort(order) - start
    ahead = 1 + (random.random(rows.shape) * (counts[rows] - 1)).astype(np.int64)
    partners: Rows = order[start[rows] + (place[rows] + ahead) % counts[rows]]
    return partners


def draw_groups(labels: Labels, rows: Rows, size: int, random: np.random.Generator) -> Rows:
    """Draw for each row (B,) a group of `size` rows of the same label, with replacement: (B, size)."""
    order, start, counts = _groups(labels)
    place = (random.random((len(rows), size)) * counts[rows][:, None]).astype(np.int64)
    groups: Rows = order[start[rows][:, None] + place]
    return groups


def _groups(labels: Labels) -> tuple[Rows, Rows, Rows]:
    """Return the rows in order of their label, and for every row where its group starts there and how large it is."""
    counts = np.bincount(labels - MISSING)
    starts = np.cumsum(counts) - counts
    return np.argsort(labels, kind="stable"), starts[labels - MISSING], counts[labels - MISSING]


def _several(labels: Labels) -> NDArray[np.bool_]:
    lowest = np.where(labels == MISSING, np.iinfo(np.int64).max, labels).min(axis=0)
    several: NDArray[np.bool_] = lowest < labels.max(axis=0)
    return several
