"""How many people a trial needs to show that a treatment slows a measure."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.reliability import People
from disentangle_pl.metrics.score import Values

SPAN = 0.5  # years between first and last scan below which a slope is mostly noise


class PersonSlopes(NamedTuple):
    """A straight line a person, by least squares.

    Attributes:
        people: (P,) the numbers of those with scans far enough apart.
        slopes: (P, d) change a year.
    """

    people: People
    slopes: Values


def person_slopes(measures: Values, people: People, years: Values, span: float = SPAN) -> PersonSlopes:
    """Fit every person a slope of their own.

    Args:
        measures: (N, d), NaN where unknown: a scan counts only if all d are known.
        people: (N,) a number of the person of every scan.
        years: (N,) time, NaN where unknown.
        span: People whose scans are less far apart, in years, are left out.

    Raises:
        InputError: If nobody has two scans so far apart.
    """
    complete = np.isfinite(years) & np.isfinite(measures).all(axis=1)
    who, slopes = [], []
    for person in np.unique(people[complete]):
        own = complete & (people == person)
        past = years[own] - years[own].mean()
        if np.ptp(past) >= span:
            who.append(person)
            slopes.append(past @ measures[own] / (past @ past))
    if not who:
        raise InputError(f"slopes need somebody with scans {span:g} years apart: there is nobody")
    return PersonSlopes(np.array(who), np.array(slopes, dtype=np.float64))


def trial_size(
    slopes: Values, ageing: float = 0.0, *, slowing: float = 0.25, power: float = 0.8, level: float = 0.05
) -> float:
    """Return the people an arm of a trial that compares mean slopes: 2 (z_a + z_b)^2 var / (slowing x mean)^2.

    The slopes have their error of measurement in them, so that the size is that of a trial with these very visits.

    Source: Fox et al. 2000, Archives of Neurology 57:339; Ard and Edland 2011, Journal of Alzheimer's Disease
        26(s3):369, where var is written as the variance of true slopes and that of their estimates.

    Args:
        slopes: (P,) of patients, two or more.
        ageing: Change a year that no treatment slows, such as that of healthy people; 0 slows all change.
        slowing: Share of the change that the treatment takes away, in (0, 1].
        power: Wanted, in (0, 1).
        level: Of the two-sided test, in (0, 1).

    Returns:
        At least 2, infinite where patients do not change beyond ageing.

    Raises:
        InputError: If there are fewer than two people, or a share is none.
    """
    if slopes.ndim != 1 or len(slopes) < 2 or not np.isfinite(slopes).all():
        raise InputError(f"the size of a trial needs finite slopes of two people, got {slopes.shape}")
    if not (0 < slowing <= 1 and 0 < power < 1 and 0 < level < 1):
        raise InputError(f"slowing, power and level must be shares, got {slowing}, {power} and {level}")
    return float(_sizes(slopes[None], np.array([ageing]), slowing, power, level)[0])


def trial_size_interval(
    slopes: Values, controls: Values | None = None, *, draws: int = 1000, seed: int = 0
) -> tuple[Interval, NDArray[np.float64]]:
    """Return the size of a trial for a slowing by 25 % at 80 % power, with its interval over people.

    Args:
        slopes: (P,) of patients.
        controls: (C,) of healthy people, whose mean is not slowed; None slows all change. They are drawn again too.
        draws: Bootstrap samples.
        seed: Of them; the same people give the same draws, so that two measures can be compared.

    Returns:
        The size, and the draws (B,). Ends may be infinite.

    Raises:
        InputError: As `trial_size`.
    """
    ageing = 0.0 if controls is None else float(controls.mean())
    size = trial_size(slopes, ageing)
    rng = np.random.default_rng(seed)
    resamples = slopes[rng.integers(len(slopes), size=(draws, len(slopes)))]
    old = np.zeros(draws)
    if controls is not None:
        old = controls[rng.integers(len(controls), size=(draws, len(controls)))].mean(axis=1)
    sizes = _sizes(resamples, old, 0.25, 0.8, 0.05)
    low, high = np.quantile(sizes, [0.025, 0.975], method="closest_observation")
    return Interval(size, float(low), float(high)), sizes


def _sizes(slopes: Values, ageing: Values, slowing: float, power: float, level: float) -> Values:
    """Return sizes (B,) of slopes (B, P) and ageing (B,)."""
    effect = slowing * np.abs(slopes.mean(axis=1) - ageing)
    spread = slopes.std(axis=1, ddof=1)
    standard = np.divide(spread, effect, out=np.full(len(slopes), np.inf), where=effect > 1e-12 * (spread + 1e-300))
    z = norm.isf(level / 2) + norm.isf(1 - power)
    sizes: Values = np.maximum(np.ceil(2 * (z * standard) ** 2), 2.0)
    return sizes
