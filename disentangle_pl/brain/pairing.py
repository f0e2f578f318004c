"""Ways to choose which two scans are seen together, and the controls for what pairs teach.

The interval of a pair travels in the batch: the second `years` of its factors less the first.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from disentangle_pl.brain.clocks import DAYS_A_YEAR
from disentangle_pl.brain.sampling import VisitPairs, visit_pairs
from disentangle_pl.data.draws import Draw
from disentangle_pl.errors import InputError


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

    Pairs of visits whose `years` are unknown are left out.

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
        return _listed_pairs(visits, self.shortest, self.longest)


class RescanPairs(Pairing):
    """Two scans of one participant within days: what differs is no ageing. A negative control.

    Args:
        max_days: Longest interval in days.
    """

    def __init__(self, max_days: float = 1.0) -> None:
        if not max_days >= 0:
            raise InputError(f"max_days {max_days} must be 0 or more")
        self.longest = max_days / DAYS_A_YEAR

    def __call__(self, visits: pd.DataFrame) -> Draw:
        """Return what draws pairs of row numbers (n, 2)."""
        return _listed_pairs(visits, 0.0, self.longest)


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
    """Draws two different participants, and a visit of each."""

    people: VisitPairs

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        start, count = self.people.start, self.people.count
        first = torch.randint(len(count), (n,), generator=generator)
        further = torch.randint(1, len(count), (n,), generator=generator)
        who = torch.stack((first, (first + further) % len(count)), 1)
        uniform = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return (self.people.rows[start[who] + (uniform * count[who]).long()],)


@dataclass(frozen=True)
class _Twins:
    """Draws pairs of visits, and keeps one of the two, twice."""

    pairs: VisitPairs

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        (rows,) = self.pairs(n, generator)
        kept = torch.randint(2, (n, 1), generator=generator)
        return (rows.gather(1, kept).expand(n, 2).contiguous(),)


def _listed_pairs(visits: pd.DataFrame, shortest: float, longest: float) -> Draw:
    people = [_pairs_of(rows, shortest, longest) for _, rows in visits.groupby("participant_id", sort=False)]
    several = [pairs for pairs in people if len(pairs)]
    if not several:
        raise InputError(
            f"no training participant has two visits {shortest:.3g} to {longest:.3g} years apart: "
            "take a wider interval, or set pairs to false"
        )
    rank_zero_info(
        f"{len(several)} of {len(people)} training participants have {sum(map(len, several))} pairs of visits "
        f"{shortest:.3g} to {longest:.3g} years apart"
    )
    count = torch.tensor([len(pairs) for pairs in several])
    return _ListedPairs(torch.cat(several), count.cumsum(0) - count, count)


def _pairs_of(visits: pd.DataFrame, shortest: float, longest: float) -> Tensor:
    dated = visits.dropna(subset="years").sort_values("years", kind="stable")
    years, rows = dated["years"].to_numpy(np.float64), dated.index.to_numpy(np.int64)
    first, second = np.triu_indices(len(rows), 1)
    interval = (years[second] - years[first]).round(9)
    fits = (interval >= shortest) & (interval <= longest)
    return torch.from_numpy(np.stack((rows[first[fits]], rows[second[fits]]), 1))
