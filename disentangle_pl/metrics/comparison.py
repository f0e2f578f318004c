"""Whether one probe is better than another, when other people might have been there to fit to and to score.

A bootstrap over the people who are scored holds the probes fixed. Two codes that are equally good then differ "beyond
chance" in up to one study of six (`benchmarks/results/false_verdicts.md`), since probes of other people would have
differed too. The variance of the bootstrap is therefore stretched as Nadeau and Bengio stretch that of resampled
splits, 1/J + n_scored/n_fitted for J splits: all people scored stand for one split, and repeats of folds, which show
the same people again, for none.

Source: Nadeau and Bengio 2003, Inference for the Generalization Error, Machine Learning 52:239, section 3.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from disentangle_pl.metrics.prediction_scores import LEVEL, Scored


class Comparison(NamedTuple):
    """By how much one score exceeds another.

    Attributes:
        value: The difference.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: Two-sided, for a difference of 0.
    """

    value: float
    low: float
    high: float
    p: float


def stretched(spread: float, people_scored: float, people_fitted: float) -> float:
    """Return the standard error of a difference, from its standard deviation over people who are scored.

    Args:
        spread: Of the bootstrap over people to score.
        people_scored: How many are scored, in all folds together.
        people_fitted: How many each probe is fitted to: n (K - 1) / K in K-fold cross-validation of n.
    """
    return float(spread * (1 + people_scored / people_fitted) ** 0.5)


def compared(one: Scored, other: Scored, people_scored: int, people_fitted: float) -> Comparison:
    """Compare two scores of the same people, of probes fitted to the same people.

    Args:
        one: A score and its bootstrap over people to score.
        other: Another, of the same draws.
        people_scored: As `stretched`; one less are the degrees of freedom of Student's t.
        people_fitted: As `stretched`.
    """
    value = one.value - other.value
    draws = one.draws - other.draws
    draws = draws[np.isfinite(draws)]
    error = stretched(float(draws.std(ddof=1)) if len(draws) > 1 else 0.0, people_scored, people_fitted)
    if error <= 1e-12:
        return Comparison(value, value, value, float(abs(value) <= 1e-12))
    half = float(stats.t.ppf((1 + LEVEL) / 2, people_scored - 1)) * error
    return Comparison(value, value - half, value + half, float(2 * stats.t.sf(abs(value) / error, people_scored - 1)))
