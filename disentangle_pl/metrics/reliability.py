"""What a latent says of a person again and again: agreement of repeats, variances within and between people, slopes."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Codes, Values, check_codes

People: TypeAlias = NDArray[np.integer]


class Agreement(NamedTuple):
    """The intraclass correlation ICC(2,1) of every latent, and its confidence interval, each (d,).

    Attributes:
        icc: At most 1; the estimate falls below 0 where repeats agree less than strangers do. 0 for a dead latent.
        low: Lower end.
        high: Upper end.
    """

    icc: Values
    low: Values
    high: Values


class Variances(NamedTuple):
    """Variance components of every latent, each (d,).

    Attributes:
        within: Between the scans of one person.
        between: Between people, at least 0.
    """

    within: Values
    between: Values


class Slopes(NamedTuple):
    """Change of every latent a year, each (d,).

    Attributes:
        slope: In units of the codes.
        low: Lower end of its confidence interval.
        high: Upper end.
        error: Its standard error, from the spread over people.
    """

    slope: Values
    low: Values
    high: Values
    error: Values


def agreement(repeats: Codes, *, level: float = 0.95) -> Agreement:
    r"""Return ICC(2,1), absolute agreement of single measurements, of n people scanned k times each.

    .. math::

        \mathrm{ICC}(2, 1) = \frac{MS_R - MS_E}{MS_R + (k - 1) MS_E + k (MS_C - MS_E) / n}

    Repeats are taken as drawn at random, and a shift of all people from one repeat to the next counts as disagreement:
    (MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n), with the mean squares of people, repeats and residuals.

    Source: Shrout and Fleiss 1979, Psychological Bulletin 86:420; the interval is that of McGraw and Wong 1996,
        Psychological Methods 1:30, table 7, case 2A.

    Args:
        repeats: (n, k, d) codes of the k-th scan of each person, n >= 2, k >= 2.
        level: Coverage of the interval, in (0, 1).

    Returns:
        Finite numbers. Without any variance all are 0; repeats that agree to the last digit give 1, 1, 1.

    Raises:
        InputError: If repeats are not numbers (n, k, d) of two people and two repeats, or level is not in (0, 1).
    """
    if repeats.ndim != 3 or min(repeats.shape[:2]) < 2:
        raise InputError(f"agreement needs two people with two repeats each, got repeats {repeats.shape}: (n, k, d)")
    if not 0 < level < 1:
        raise InputError(f"level must lie in (0, 1), got {level}")
    n, k, _ = repeats.shape
    check_codes(repeats.reshape(n * k, -1))
    rows, columns, residual = _mean_squares(repeats.astype(np.float64))
    total = rows + (k - 1) * residual + k * (columns - residual) / n
    icc = _ratio(rows - residual, total)
    exact, dead = (residual + columns == 0) & (rows > 0), rows + residual + columns == 0
    tail = (1 - level) / 2
    freedom = _freedom(icc, columns, residual, n, k)
    upper, lower = f_distribution.isf(tail, n - 1, freedom), f_distribution.isf(tail, freedom, n - 1)
    common = k * columns + (k * n - k - n) * residual
    low = _ratio(n * (rows - upper * residual), upper * common + n * rows)
    high = _ratio(n * (lower * rows - residual), common + n * lower * rows)
    return Agreement(*(np.where(dead, 0.0, np.where(exact, 1.0, value)) for value in (icc, low, high)))


def variances(codes: Codes, people: People) -> Variances:
    """Estimate variances within and between people who have any number of scans, by moments of a one-way analysis.

    Source: Searle, Casella and McCulloch 1992, Variance Components, section 3.6 (the ANOVA estimator for unbalanced
        data); a negative estimate of the variance between people is set to 0.

    Args:
        codes: (N, d).
        people: (N,) a number of the person of every scan.

    Raises:
        InputError: If the codes cannot be scored, there are fewer than two people, or nobody has two scans.
    """
    person, counts = _grouped(codes, people)
    a, total = len(counts), len(codes)
    if a < 2 or a == total:
        raise InputError(f"variances within and between people need two people and repeats, got {total} scans of {a}")
    values = codes.astype(np.float64)
    means = _means(values, person, counts)
    within = ((values - means[person]) ** 2).sum(axis=0) / (total - a)
    mean_square = (counts[:, None] * (means - values.mean(axis=0)) ** 2).sum(axis=0) / (a - 1)
    size = (total - (counts**2).sum() / total) / (a - 1)
    return Variances(within, np.maximum((mean_square - within) / size, 0.0))


def yearly_slopes(codes: Codes, people: People, years: Values, *, level: float = 0.95) -> Slopes:
    """Regress codes on time within people, with one slope for all: what people differ in cancels.

    Source: the within estimator with standard errors clustered by person, Cameron and Miller 2015, Journal of Human
        Resources 50:317, equations 10 and 12, and section VI.A.1 for Student's t with one degree of freedom less than
        there are people. Who was scanned at one time alone says nothing of change and does not count among them.

    Args:
        codes: (N, d).
        people: (N,) a number of the person of every scan.
        years: (N,) time, NaN where unknown: these scans are left out.
        level: Coverage of the interval, in (0, 1).

    Returns:
        Slopes a year; error and interval of one person alone are NaN.

    Raises:
        InputError: If the codes cannot be scored, or nobody has two scans at different known times.
    """
    dated = ~np.isnan(years)
    if dated.sum() < 2:
        raise InputError(f"a slope needs scans at known times, got {int(dated.sum())} of {len(years)}")
    person, counts = _grouped(codes[dated], people[dated])
    values, times = codes[dated].astype(np.float64), years[dated].astype(np.float64)[:, None]
    moved, past = values - _means(values, person, counts)[person], times - _means(times, person, counts)[person]
    spread = float((past**2).sum())
    if spread <= 0:
        raise InputError("a slope needs somebody with two scans at different known times: there is nobody")
    slope = (past * moved).sum(axis=0) / spread
    scores = _sums(past * (moved - past * slope), person, len(counts))
    groups = int((_sums(past**2, person, len(counts)) > 0).sum())
    if groups < 2:
        return Slopes(slope, *np.full((3, len(slope)), np.nan))
    error = np.sqrt((scores**2).sum(axis=0) * groups / (groups - 1)) / spread
    half = t_distribution.ppf((1 + level) / 2, groups - 1) * error
    return Slopes(slope, slope - half, slope + half, error)


def _mean_squares(repeats: Values) -> tuple[Values, Values, Values]:
    n, k, _ = repeats.shape
    centred = repeats - repeats.mean(axis=(0, 1))
    people, times = centred.mean(axis=1, keepdims=True), centred.mean(axis=0, keepdims=True)
    residual = ((centred - people - times) ** 2).sum(axis=(0, 1)) / ((n - 1) * (k - 1))
    rows, columns = k * (people**2).sum(axis=(0, 1)) / (n - 1), n * (times**2).sum(axis=(0, 1)) / (k - 1)
    noise = np.finfo(np.float64).eps ** 2 * (repeats**2).max(axis=(0, 1)) * n * k
    return tuple(np.where(square > noise, square, 0.0) for square in (rows, columns, residual))  # type: ignore[return-value]


def _freedom(icc: Values, columns: Values, residual: Values, n: int, k: int) -> Values:
    """Return the degrees of freedom v of McGraw and Wong; 1 where nothing is left to estimate."""
    a = _ratio(k * icc, n * (1 - icc))
    b = 1 + (n - 1) * a
    parts = (a * columns) ** 2 / (k - 1) + (b * residual) ** 2 / ((n - 1) * (k - 1))
    return np.where(parts > 0, _ratio((a * columns + b * residual) ** 2, parts), 1.0)


def _ratio(above: Values, below: Values) -> Values:
    ratio: Values = np.divide(above, below, out=np.zeros_like(above), where=below != 0)
    return ratio


def _grouped(codes: Codes, people: People) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    check_codes(codes)
    if people.shape != (len(codes),):
        raise InputError(f"every scan needs the number of its person, got {people.shape} for codes {codes.shape}")
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    return person, counts


def _sums(values: Values, person: NDArray[np.intp], groups: int) -> Values:
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, person, values)
    return sums


def _means(values: Values, person: NDArray[np.intp], counts: NDArray[np.int64]) -> Values:
    return _sums(values, person, len(counts)) / counts[:, None]
