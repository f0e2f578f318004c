"""Ways to choose which two scans are seen together, and the controls for what pairs teach.

The interval of a pair travels in the batch: the second `years` of its factors less the first.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from disentangle_pl.brain.cells import DAYS_A_YEAR
from disentangle_pl.brain.rescans import visit_numbers
from disentangle_pl.brain.sampling import VisitPairs, visit_pairs
from disentangle_pl.data.draws import Draw
from disentangle_pl.errors import InputError

Interval = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Fits = Callable[[Interval, Flags], Flags]
"""Tells from the years between two scans, NaN where unknown, and whether they are of one visit, if they are a pair."""


class Pairing(ABC):
    """Chooses pairs of scans of the training participants."""

    @abstractmethod
    def __call__(self, visits: pd.DataFrame) -> Draw:
        """Return what draws pairs of row numbers (n, 2).

        Args:
            visits: Training part of a table of `read_visits`, indexed by row number.

        Raises:
            InputError: If there is no such pair.
        """


class IntervalPairs(Pairing):
    """Two visits of one participant, so many years apart; participants are drawn uniformly, then their pairs.

    Two scans of one visit (see `visit_numbers`) are no such pair, and visits whose `years` are unknown are left out.

    Args:
        min_years: Shortest interval.
        max_years: Longest interval; null for any.

    Raises:
        InputError: If the interval is empty or negative.
    """

    def __init__(self, min_years: float = 0.0, max_years: float | None = None) -> None:
        self.shortest = min_years
        self.longest = float("inf") if max_years is None else max_years
        if not 0 <= self.shortest <= self.longest:
            raise InputError(f"intervals from {min_years} to {max_years} years make no sense")

    def __call__(self, visits: pd.DataFrame) -> Draw:
        """Return what draws pairs of row numbers (n, 2), the earlier visit first."""

        def fits(interval: Interval, one_visit: Flags) -> Flags:
            return ~one_visit & (interval >= self.shortest) & (interval <= self.longest)

        words = f"two visits {self.shortest:.3g} to {self.longest:.3g} years apart"
        return _listed_pairs(visits, fits, words, "take a wider interval, or set pairs to false")


class RescanPairs(Pairing):
    """Two scans of one visit, or of one participant within days: what differs is no ageing. A negative control.

    Args:
        max_days: Longest interval in days between visits (see `visit_numbers`); 0 takes scans of one visit only.
    """

    def __init__(self, max_days: float = 1.0) -> None:
        if not max_days >= 0:
            raise InputError(f"max_days {max_days} must be 0 or more")
        self.longest = max_days / DAYS_A_YEAR

    def __call__(self, visits: pd.DataFrame) -> Draw:
        """Return what draws pairs of row numbers (n, 2)."""

        def fits(interval: Interval, one_visit: Flags) -> Flags:
            return one_visit | ((interval > 0) & (interval <= self.longest))

        words = f"two scans of one visit, or at most {self.longest * DAYS_A_YEAR:.3g} days apart"
        return _listed_pairs(visits, fits, words, "list rescans by disentangle-pl scans --rescans")


class StrangerPairs(Pairing):
    """Visits of two different participants of at least two visits each: pairs that share no person. A control.

    Each of the two scans alone is distributed as in pairs of visits. The interval in the batch means nothing.
    """

    def __call__(self, visits: pd.DataFrame) -> Draw:
        """Return what draws pairs of row numbers (n, 2)."""
        pairs = visit_pairs(visits)
        if len(pairs.count) < 2:
            raise InputError("pairs of strangers need two training participants with two visits each")
        return _Strangers(pairs)


class TwinPairs(Pairing):
    """Twice the same scan of a participant of at least two visits: pairs without any difference. A control."""

    def __call__(self, visits: pd.DataFrame) -> Draw:
        """Return what draws pairs of row numbers (n, 2)."""
        return _Twins(visit_pairs(visits))


@dataclass(frozen=True)
class _ListedPairs:
    """Draws a participant uniformly, then a pair of that participant.

    Attributes:
        pairs: (E, 2) row numbers, participant by participant.
        start: (P,) where in `pairs` each participant begins.
        count: (P,) how many pairs each participant has.
    """

    pairs: Tensor
    start: Tensor
    count: Tensor

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        who = torch.randint(len(self.count), (n,), generator=generator)
        uniform = torch.rand(n, generator=generator, dtype=torch.float64)
        return (self.pairs[self.start[who] + (uniform * self.count[who]).long()],)


@dataclass(frozen=True)
class _Strangers:
    """Draws two different participants, a visit of each, and a scan of that."""

    people: VisitPairs

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        start, count = self.people.start, self.people.count
        first = torch.randint(len(count), (n,), generator=generator)
        further = torch.randint(1, len(count), (n,), generator=generator)
        who = torch.stack((first, (first + further) % len(count)), 1)
        uniform = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return (self.people.scan_of(start[who] + (uniform * count[who]).long(), generator),)


@dataclass(frozen=True)
class _Twins:
    """Draws pairs of visits, and keeps one of the two, twice."""

    pairs: VisitPairs

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        (rows,) = self.pairs(n, generator)
        side = torch.randint(2, (n, 1), generator=generator)
        return (rows.gather(1, side).expand(n, 2).contiguous(),)


def _listed_pairs(visits: pd.DataFrame, fits: Fits, words: str, remedy: str) -> Draw:
    numbered = visits.assign(visit=visit_numbers(visits))
    people = [_pairs_of(rows, fits) for _, rows in numbered.groupby("participant_id", sort=False)]
    several = [pairs for pairs in people if len(pairs)]
    if not several:
        raise InputError(f"no training participant has {words}: {remedy}")
    rank_zero_info(
        f"{len(several)} of {len(people)} training participants have {sum(map(len, several))} pairs of {words[4:]}"
    )
    count = torch.tensor([len(pairs) for pairs in several])
    return _ListedPairs(torch.cat(several), count.cumsum(0) - count, count)


def _pairs_of(scans: pd.DataFrame, fits: Fits) -> Tensor:
    ordered = scans.sort_values("years", kind="stable")
    years, visit = ordered["years"].to_numpy(np.float64), ordered["visit"].to_numpy()
    rows = ordered.index.to_numpy(np.int64)
    first, second = np.triu_indices(len(rows), 1)
    right = fits((years[second] - years[first]).round(9), visit[first] == visit[second])
    return torch.from_numpy(np.stack((rows[first[right]], rows[second[right]]), 1))
