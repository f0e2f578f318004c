"""Phenotypes: one value a person from many scans."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.designs import People, Values
from disentangle_pl.genetics.growth import slopes_of_people
from disentangle_pl.genetics.traits import Summary


def one_value(values: Values, people: People, years: Values, summary: Summary) -> tuple[NDArray[np.int64], Values]:
    """Make one value a person of the scans.

    Args:
        values: (N, K) codes of scans.
        people: (N,) a number of the person of every scan.
        years: (N,) time of the scan, NaN where unknown.
        summary: `baseline` is the scan of the earliest known time (the first one if none is known), `mean` that over
            all scans, `slope` the least-squares change a year of the person's own scans, `blup` the one that a mixed
            model of everybody's scans predicts (see `slopes_of_people`); people without two times have neither.

    Returns:
        The numbers of the people (P,), sorted, and their values (P, K), NaN where there is none.

    Raises:
        InputError: If a slope is asked for and nobody has two scans at different times.
    """
    who = np.unique(people).astype(np.int64)
    how: dict[Summary, Callable[[Values, Values], Values]] = {"baseline": _first, "mean": _mean}
    own = how.get(summary, _slope)
    made = np.stack([own(values[people == person], years[people == person]) for person in who])
    if np.isnan(made).all():
        raise InputError(f"nobody has two scans at different known times: ask for baseline or mean, not {summary}")
    if summary == "blup":
        known = ~np.isnan(years)
        some, slopes = slopes_of_people(values[known], people[known], years[known])
        made[np.isin(who, some)] = np.where(np.isnan(made[np.isin(who, some)]), np.nan, slopes)
    return who, made


def _first(values: Values, years: Values) -> Values:
    chosen: Values = values[np.argmin(np.where(np.isnan(years), np.inf, years))]
    return chosen


def _mean(values: Values, years: Values) -> Values:
    mean: Values = values.mean(axis=0)
    return mean


def _slope(values: Values, years: Values) -> Values:
    known = ~np.isnan(years)
    past = years[known] - years[known].mean() if known.any() else years[known]
    spread = (past**2).sum()
    if spread == 0:
        return np.full(values.shape[1], np.nan)
    slope: Values = past @ values[known] / spread
    return slope
