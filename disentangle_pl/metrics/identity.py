"""Is a scan recognised as one of its person?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Codes, Values, check_codes, moving

BLOCK = 1024
TIE = 1e-9


class Identification(NamedTuple):
    """How often the nearest other scan is one of the same person.

    Attributes:
        rate: In [0, 1].
        chance: The rate of a nearest scan drawn at random.
        scans: How many scans were asked: those of people with two or more.
    """

    rate: float
    chance: float
    scans: int


def identification(codes: Codes, people: People) -> Identification:
    """Return how often the nearest other scan, in whitened codes, belongs to the same person.

    Everybody's scans are candidates; those of people with one scan are not asked about. Of scans equally near each
    counts in part, as if one were drawn, so that codes that say nothing have the rate of chance.

    Args:
        codes: (N, d).
        people: (N,) a number of the person of every scan.

    Raises:
        InputError: If the codes cannot be scored, or there are fewer than two people or nobody with two scans.
    """
    white = whitened(codes)
    if people.shape != (len(codes),):
        raise InputError(f"every scan needs the number of its person, got {people.shape} for codes {codes.shape}")
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    probed = np.flatnonzero(counts[person] > 1)
    if len(counts) < 2 or not len(probed):
        raise InputError(f"identification needs two people and one with two scans, got {len(codes)} of {len(counts)}")
    hits = 0.0
    for start in range(0, len(probed), BLOCK):
        rows = probed[start : start + BLOCK]
        nearest = _nearest(white, rows)
        same = person[rows, None] == person[None]
        hits += float(((nearest & same).sum(axis=1) / nearest.sum(axis=1)).sum())
    chance = (counts[person[probed]] - 1).mean() / (len(codes) - 1)
    return Identification(hits / len(probed), float(chance), len(probed))


def whitened(codes: Codes) -> Values:
    """Return the codes (N, r) of the latents that move, in standard deviations and without their correlations.

    With few scans the correlations are shrunk towards none, or else whitening would put all scans at one distance.

    Source: Ledoit and Wolf 2004, Journal of Multivariate Analysis 88:365, on codes of unit variance.

    Args:
        codes: (N, d).

    Returns:
        (N, r), r the number of latents that move.

    Raises:
        InputError: If the codes cannot be scored.
    """
    codes = check_codes(codes)
    alive = codes[:, moving(codes)].astype(np.float64)
    spread = alive.std(axis=0)
    units: Values = (alive - alive.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if not units.shape[1]:
        return units
    correlation = units.T @ units / len(units)
    shrunk = shrinkage(units)
    values, vectors = np.linalg.eigh((1 - shrunk) * correlation + shrunk * np.eye(len(correlation)))
    white: Values = units @ vectors / np.sqrt(np.maximum(values, values.max() * 1e-12))
    return white


def shrinkage(units: Values) -> float:
    """Return the share of the identity in the estimate of the covariance of centred rows (N, d), in [0, 1]."""
    rows, width = units.shape
    covariance = units.T @ units / rows
    distance = ((covariance - np.trace(covariance) / width * np.eye(width)) ** 2).sum()
    squares = (units**2).T @ units**2 / rows
    noise = (squares - covariance**2).sum() / rows
    return float(np.clip(noise / distance, 0.0, 1.0)) if distance > 0 else 1.0


def _nearest(white: Values, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell which scans (N,) are the nearest to each of some rows (m,): (m, N)."""
    sizes = (white**2).sum(axis=1)
    apart = np.maximum(sizes[rows, None] + sizes[None] - 2 * white[rows] @ white.T, 0.0)
    apart[np.arange(len(rows)), rows] = np.inf
    limit = apart.min(axis=1, keepdims=True)
    near: NDArray[np.bool_] = apart <= limit + TIE * (1 + limit)
    return near
