"""The exact test of Hardy-Weinberg proportions, as mid-p, of many variants at once."""

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.genetics.designs import Values

Counts = NDArray[np.int64]
NEAR, MARGIN = 8.0, 20
FAR, FAR_MARGIN = 12.0, 60
CELLS = 4_000_000
TIE = 1e-8
SURE, SURE_P = 2.5, 1e-3
"""A number of heterozygous people within 2.5 standard deviations of its mean has a mid-p above 0.001, always."""


def departs(heterozygous: Counts, homozygous: Counts, other: Counts, limit: float) -> NDArray[np.bool_]:
    """Tell whether `exact_mid_p` (m,) is below a limit; where it cannot be, it is not computed."""
    people = np.maximum(heterozygous + homozygous + other, 1)
    rare = heterozygous + 2 * np.minimum(homozygous, other)
    mean, spread = _moments(rare, people)
    unsure = np.flatnonzero(np.abs(heterozygous - mean) > (SURE if limit <= SURE_P else 0.0) * spread)
    below = np.zeros(len(people), dtype=bool)
    below[unsure] = exact_mid_p(heterozygous[unsure], homozygous[unsure], other[unsure]) < limit
    return below


def exact_mid_p(heterozygous: Counts, homozygous: Counts, other: Counts) -> Values:
    """Return the mid-p values (m,) of an excess or a lack of heterozygous people.

    All numbers of heterozygous people that the allele counts allow are weighed; those less likely than the observed
    one count, and those as likely, itself among them, count by half. Without any people p is 1.

    Source: Wigginton et al. 2005, American Journal of Human Genetics 76:887, equation 1; Graffelman & Moreno 2013,
        Statistical Applications in Genetics and Molecular Biology 12:433, for the mid-p.

    Args:
        heterozygous: (m,) people with one allele of each kind.
        homozygous: (m,) people with two of the first kind.
        other: (m,) people with two of the second kind.
    """
    people = heterozygous + homozygous + other
    rare = heterozygous + 2 * np.minimum(homozygous, other)
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1.0, 2 * people.max(initial=0) + 1)))))
    safe = np.maximum(people, 1)
    mean, spread = _moments(rare, safe)
    near = np.abs(heterozygous - mean) <= NEAR * spread + MARGIN
    reach = np.where(near, FAR * spread + FAR_MARGIN, 2 * safe)
    p = np.ones(len(people))
    order = np.argsort(reach, kind="stable")
    start = 0
    while start < len(order):
        fitting = (reach[order[start:]] + 2) * np.arange(1, len(order) - start + 1) <= CELLS
        part = order[start : start + max(int(fitting.argmin()) if not fitting.all() else len(fitting), 1)]
        p[part] = _mid_p(heterozygous[part], rare[part], people[part], mean[part], reach[part], logs)
        start += len(part)
    return p


def _moments(rare: Counts, people: Counts) -> tuple[Values, Values]:
    """Return mean and standard deviation of the number of heterozygous people, the latter of large samples."""
    product = rare * (2 * people - rare)
    return product / np.maximum(2 * people - 1, 1), product / (2 * people**1.5)


def _mid_p(seen: Counts, rare: Counts, people: Counts, mean: Values, reach: Values, logs: Values) -> Values:
    """Sum over the numbers of heterozygous people within `reach` of the mean; all have the parity of `rare`."""
    low = np.maximum(np.floor((mean - reach - rare) / 2).astype(np.int64) * 2 + rare, rare % 2)
    high = np.minimum(rare, np.ceil(mean + reach).astype(np.int64))
    steps = np.arange(int(((high - low) // 2).max(initial=0)) + 1)
    mixed = low[:, None] + 2 * steps
    there = mixed <= high[:, None]
    mixed = np.where(there, mixed, low[:, None])
    of_two = (rare[:, None] - mixed) // 2
    rest = people[:, None] - mixed - of_two
    weight = np.where(there, mixed * np.log(2.0) - logs[mixed] - logs[of_two] - logs[rest], -np.inf)
    mine = seen * np.log(2.0) - logs[seen] - logs[(rare - seen) // 2] - logs[people - seen - (rare - seen) // 2]
    top = weight.max(axis=1)
    chance = np.exp(weight - top[:, None])
    gap = weight - mine[:, None]
    share = np.where(gap < -TIE, 1.0, np.where(gap <= TIE, 0.5, 0.0))
    p: Values = (share * chance).sum(axis=1) / chance.sum(axis=1)
    return p
