"""Nearest-neighbour mutual information of continuous codes, in nats: no bins to choose."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import digamma

from disentangle_pl.metrics.score import Codes, Labels, Values, moving


def class_information(codes: Codes, labels: Labels, *, neighbours: int = 10, seed: int = 0) -> Values:
    """Return the mutual information of every latent with a class.

    psi(N) - <psi(N_v)> + <psi(k)> - <psi(m)>: N_v rows have the class of a row, m rows of any class are nearer to it
    than its k-th neighbour of the same class. Source: Ross 2014 (PLoS ONE 9(2): e87357), the estimator of
    scikit-learn's `mutual_info_classif`; a class seen once has no neighbour and is left out.

    Args:
        codes: (N, d) posterior means.
        labels: (N,) classes, none missing.
        neighbours: k; a class of fewer rows uses all of them.
        seed: Seed of the noise of 1e-10 standard deviations that breaks ties.

    Returns:
        (d,) in nats, at least 0; exactly 0 for a constant latent, or with no class seen twice.
    """
    classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    common = sizes[classes] > 1
    if not common.any():
        return np.zeros(codes.shape[1])
    codes, classes = codes[common], classes[common]
    fixed = digamma(len(codes)) + np.mean(digamma(np.minimum(neighbours, sizes[classes] - 1)) - digamma(sizes[classes]))
    nearer = [_rows_nearer(column, classes, neighbours) for column in _scaled(codes, seed).T]
    return _positive(fixed - np.array([np.mean(digamma(count)) for count in nearer]), codes)


def quantity_information(codes: Codes, quantity: Values, *, neighbours: int = 10, seed: int = 0) -> Values:
    """Return the mutual information of every latent with a quantity.

    psi(N) + psi(k) - <psi(m_c)> - <psi(m_v)>: m_c and m_v rows are nearer to a row in the code and in the quantity than
    its k-th neighbour in the larger of both distances. Source: Kraskov et al. 2004 (Phys. Rev. E 69: 066138, equation
    8), the estimator of scikit-learn's `mutual_info_regression`.

    Args:
        codes: (N, d) posterior means, N >= 2.
        quantity: (N,), none missing.
        neighbours: k, at most N - 1.
        seed: Seed of the noise of 1e-10 standard deviations that breaks ties.

    Returns:
        (d,) in nats, at least 0; exactly 0 for a constant latent.
    """
    nearest = min(neighbours, len(codes) - 1)
    target = _scaled(quantity[:, None], seed + 1)[:, 0]
    crowds = [_crowds(column, target, nearest) for column in _scaled(codes, seed).T]
    return _positive(digamma(len(codes)) + digamma(nearest) - np.array(crowds), codes)


def _positive(nats: Values, codes: Codes) -> Values:
    return np.where(moving(codes), np.maximum(nats, 0.0), 0.0)


def _scaled(columns: Codes, seed: int) -> Values:
    moved = columns.astype(np.float64) - columns.mean(axis=0, dtype=np.float64)
    spread = moved.std(axis=0)
    noise = np.random.default_rng(seed).standard_normal(moved.shape)
    scaled: Values = moved / np.where(spread > 0, spread, 1.0) + 1e-10 * noise
    return scaled


def _rows_nearer(column: Values, classes: NDArray[np.int64], neighbours: int) -> NDArray[np.int64]:
    order = np.argsort(column)
    ordered, labels = column[order], classes[order]
    grouped = np.argsort(labels, kind="stable")
    parts = np.split(ordered[grouped], np.flatnonzero(np.diff(labels[grouped])) + 1)
    radius = np.concatenate([_distance(part, min(neighbours, len(part) - 1)) for part in parts])
    return _within(ordered, ordered[grouped], radius)


def _distance(ordered: Values, nearest: int) -> Values:
    """Return the distance (n,) of each of n ordered points to its nearest-th neighbour, an end of a run of both."""
    edge = np.full(nearest, np.inf)
    padded = np.concatenate([-edge, ordered, edge])
    starts, ends = (sliding_window_view(part, nearest + 1) for part in (padded[:-nearest], padded[nearest:]))
    shortest: Values = np.maximum(ordered[:, None] - starts, ends - ordered[:, None]).min(axis=1)
    return shortest


def _within(ordered: Values, points: Values, radius: Values) -> NDArray[np.int64]:
    """Count the ordered values closer to each point than its radius, the point itself included."""
    upper = np.searchsorted(ordered, points + radius, side="left")
    lower = np.searchsorted(ordered, points - radius, side="right")
    # rounding of the sums may let in the neighbours at the radius itself
    upper = upper - (ordered[upper - 1] - points >= radius)
    lower = lower + (points - ordered[np.minimum(lower, len(ordered) - 1)] >= radius)
    counts: NDArray[np.int64] = np.maximum(upper - lower, 1)
    return counts


def _crowds(column: Values, target: Values, nearest: int) -> float:
    points = np.stack([column, target], axis=1)
    radius = np.asarray(KDTree(points).query(points, k=[nearest + 1], p=np.inf)[0])[:, 0]
    counts = [_within(np.sort(values), values, radius) for values in (column, target)]
    return float(np.mean(digamma(counts[0]) + digamma(counts[1])))
