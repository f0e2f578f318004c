"""Which visits are seen together in training."""

from dataclasses import dataclass

import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from disentangle_pl.errors import InputError


@dataclass(frozen=True)
class VisitPairs:
    """Draws a participant uniformly, then two distinct visits of that participant.

    Attributes:
        rows: Row numbers of all visits of participants who have at least two, in the order of time.
        start: (P,) where in `rows` each participant begins.
        count: (P,) how many visits each participant has, at least 2.
    """

    rows: Tensor
    start: Tensor
    count: Tensor

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        """Draw n pairs of row numbers (n, 2), the earlier visit first."""
        who = torch.randint(len(self.count), (n,), generator=generator)
        uniform = torch.rand(2, n, generator=generator, dtype=torch.float64)
        count = self.count[who]
        first = (uniform[0] * count).long()
        second = (first + 1 + (uniform[1] * (count - 1)).long()) % count
        order = torch.stack((first, second), 1).sort(1).values
        return (self.rows[self.start[who].unsqueeze(1) + order],)


@dataclass(frozen=True)
class SingleScans:
    """Draws scans uniformly.

    Attributes:
        rows: (M,) row numbers to draw from.
    """

    rows: Tensor

    def __call__(self, n: int, generator: torch.Generator) -> tuple[Tensor]:
        """Draw n row numbers (n,)."""
        return (self.rows[torch.randint(len(self.rows), (n,), generator=generator)],)


def rows_of(visits: pd.DataFrame) -> Tensor:
    """Return the row numbers (M,) int64 of a part of a table of `read_visits`."""
    return torch.tensor(visits.index.to_list(), dtype=torch.int64)


def visit_pairs(visits: pd.DataFrame) -> VisitPairs:
    """Collect the participants with at least two visits, and say how many are left out.

    Visits are ordered by years where all of a participant are known, and otherwise as they come.

    Args:
        visits: Part of a table of `read_visits`, indexed by row number.

    Raises:
        InputError: If nobody has two visits.
    """
    people = [rows for _, rows in visits.groupby("participant_id", sort=False)]
    several = [rows_of(_in_time(rows)) for rows in people if len(rows) > 1]
    if not several:
        raise InputError("no training participant has two visits: set pairs to false to train on single scans")
    if len(several) < len(people):
        rank_zero_info(
            f"{len(people) - len(several)} of {len(people)} training participants have one visit "
            "and are left out of the pairs"
        )
    count = torch.tensor([len(rows) for rows in several])
    return VisitPairs(torch.cat(several), count.cumsum(0) - count, count)


def _in_time(visits: pd.DataFrame) -> pd.DataFrame:
    return visits.sort_values("years", kind="stable") if visits["years"].notna().all() else visits
