"""Lead variants: of neighbours that are correlated, only the one of the smallest p."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import Values
from disentangle_pl.genetics.plink import Calls


class Clumping(NamedTuple):
    """When a variant belongs to a lead variant.

    Attributes:
        r2: The squared correlation of the dosages is at least this.
        window: They are at most so many base pairs apart.
    """

    r2: float = 0.1
    window: int = 250_000

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InputError: If r2 is no share, or the window is negative.
        """
        if not 0 < self.r2 <= 1 or self.window < 0:
            raise InputError(f"clumps need an r2 in (0, 1] and a window of at least 0, got {self.r2} and {self.window}")


def clump(
    chromosome: NDArray[np.str_],
    position: NDArray[np.int64],
    log10_p: Values,
    calls: Callable[[NDArray[np.intp]], Calls],
    rule: Clumping,
) -> NDArray[np.intp]:
    """Return for every variant (m,) the lead variant it belongs to, leads themselves; greedily, the smallest p first.

    Source: Purcell et al. 2007, PLINK, American Journal of Human Genetics 81:559, --clump.

    Args:
        chromosome: (m,) of the variants.
        position: (m,) base pairs.
        log10_p: (m,) -log10 p.
        calls: Reads the calls of some of the variants.
        rule: When variants belong together.
    """
    lead = np.full(len(position), -1, dtype=np.intp)
    for first in np.argsort(-log10_p, kind="stable"):
        if lead[first] >= 0:
            continue
        near = (chromosome == chromosome[first]) & (np.abs(position - position[first]) <= rule.window) & (lead < 0)
        others = np.flatnonzero(near & (np.arange(len(lead)) != first))
        lead[first] = first
        if len(others):
            both = calls(np.concatenate(([first], others)))
            lead[others[squared_correlations(both[0], both[1:]) >= rule.r2]] = first
    return lead


def squared_correlations(one: Calls, others: Calls) -> Values:
    """Return r2 (m,) of dosages (N,) and (m, N), each over the people with both calls; 0 where one does not vary."""
    there = ((one >= 0) & (others >= 0)).astype(np.float64)
    number = np.maximum(there.sum(axis=1), 1)
    x, y = there * one, there * others
    mean_x, mean_y = x.sum(axis=1) / number, y.sum(axis=1) / number
    cross = (x * y).sum(axis=1) / number - mean_x * mean_y
    spread = ((x**2).sum(axis=1) / number - mean_x**2) * ((y**2).sum(axis=1) / number - mean_y**2)
    r2: Values = np.divide(cross**2, spread, out=np.zeros_like(cross), where=spread > 1e-12)
    return r2
