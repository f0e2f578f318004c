"""Which visits are seen together in training."""

from dataclasses import dataclass

import pandas as pd
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from disentangle_pl.brain.rescans import visit_numbers
from disentangle_pl.errors import InputError


@dataclass(frozen=True)
class VisitPairs:
    """Draws a participant uniformly, then two distinct visits of that participant, then a scan of each visit.

    Attributes:
        rows: Row numbers of all scans of participants who have at least two visits, visit by visit.
        scan: (V,) where in `rows` each visit begins; the visits of a participant are in the order of time.
        scans: (V,) how many scans each visit has, at least 1.
        start: (P,) where in the visits each participant begins.
        count: (P,) how many visits each participant has, at least 2.
    """

    rows: Tensor
    scan: Tensor
    scans: Tensor
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
        return (self.scan_of(self.start[who].unsqueeze(1) + order, generator),)

    def scan_of(self, visit: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a row number for each of some visits, uniformly among its scans."""
        if len(self.rows) == len(self.scan):
            return self.rows[visit]
        uniform = torch.rand(visit.shape, generator=generator, dtype=torch.float64)
        return self.rows[self.scan[visit] + (uniform * self.scans[visit]).long()]


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

    Visits are ordered by years where all of a participant are known, and otherwise as they come. What a visit is
    `visit_numbers` decides: rescans are no second visit.

    Args:
        visits: Part of a table of `read_visits`, indexed by row number.

    Raises:
        InputError: If nobody has two visits.
    """
    numbered = visits.assign(visit=visit_numbers(visits))
    people = [
        [rows_of(scans) for _, scans in _in_time(rows).groupby("visit", sort=False)]
        for _, rows in numbered.groupby("participant_id", sort=False)
    ]
    several = [scans for scans in people if len(scans) > 1]
    rescanned = sum(len(scans) == 1 and len(scans[0]) > 1 for scans in people)
    if not several:
        rescans = f" ({rescanned} have rescans of one, which RescanPairs takes)" if rescanned else ""
        raise InputError(
            f"no training participant has two visits{rescans}: set pairs to false to train on single scans"
        )
    if len(several) < len(people):
        only = f", {rescanned} of them with rescans of it, which RescanPairs takes," if rescanned else ""
        rank_zero_info(
            f"{len(people) - len(several)} of {len(people)} training participants have one visit{only} "
            "and are left out of the pairs"
        )
    listed = [scans for visits_of_one in several for scans in visits_of_one]
    scans, count = (torch.tensor([len(each) for each in lists]) for lists in (listed, several))
    return VisitPairs(torch.cat(listed), scans.cumsum(0) - scans, scans, count.cumsum(0) - count, count)


def _in_time(visits: pd.DataFrame) -> pd.DataFrame:
    return visits.sort_values("years", kind="stable") if visits["years"].notna().all() else visits
