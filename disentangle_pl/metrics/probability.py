"""Whether predicted chances and quantities come true as they say, and what acting on them gains.

Source: Van Calster et al. 2019, Calibration: the Achilles heel of predictive analytics, BMC Medicine 17:230; Collins et
al. 2024, TRIPOD+AI, BMJ 385:e078378, items 12e and 23a.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from disentangle_pl.metrics.prediction_probes import newton_logistic
from disentangle_pl.metrics.score import Values

GROUPS = 5
MOST_ODDS = 50.0
TINY_PENALTY = 1e-9  # where classes are separable no slope is the best


class Line(NamedTuple):
    """How what came true lies to what was predicted.

    Attributes:
        intercept: 0 is right, above it predictions are too low: in log odds with slope 1, or in the target's unit.
        slope: 1 is right, below it predictions are too extreme.
    """

    intercept: float
    slope: float


class Groups(NamedTuple):
    """Scans in G groups of rising prediction.

    Attributes:
        predicted: (G,) mean predictions.
        observed: (G,) mean targets.
        share: (G,) of all weight.
    """

    predicted: Values
    observed: Values
    share: Values


class Brier(NamedTuple):
    """The mean squared error of chances, and its parts by groups: score = reliability - resolution + uncertainty.

    Attributes:
        score: 0 at best.
        reliability: How far chances of groups are from shares; 0 at best.
        resolution: How far shares of groups are from that of all.
        uncertainty: Of who says the share of all.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float


def chance_calibration(target: Values, odds: Values, weights: Values) -> Line:
    """Return calibration in the large and the calibration slope of log odds (n,) for classes (n,) of 0 and 1.

    Source: Cox 1958, Biometrika 45:562.
    """
    share = weights / weights.sum()
    observed = float(share @ target)
    intercept = brentq(lambda shift: float(share @ expit(odds + shift)) - observed, -2 * MOST_ODDS, 2 * MOST_ODDS)
    design = np.column_stack((np.ones(len(odds)), odds))
    slope = newton_logistic(design, target, share, np.array([0.0, TINY_PENALTY]), np.array([0.0, 0.0]))[1]
    return Line(float(intercept), float(slope))


def quantity_calibration(target: Values, predicted: Values, weights: Values) -> Line:
    """Return the mean of targets (n,) less predictions (n,), and the slope of targets over predictions.

    The slope is NaN where predictions do not vary.
    """
    share = weights / weights.sum()
    centred = predicted - share @ predicted
    spread = float(share @ centred**2)
    slope = float(share @ (centred * target)) / spread if spread > 1e-12 else float("nan")
    return Line(float(share @ (target - predicted)), slope)


def prediction_groups(target: Values, predicted: Values, weights: Values, groups: int = GROUPS) -> Groups:
    """Cut scans (n,) into groups of rising prediction and of equal weight; of equal predictions none is cut apart."""
    order = np.argsort(predicted, kind="stable")
    middle = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    _, first, place = np.unique(predicted[order], return_index=True, return_inverse=True)
    number = np.minimum((middle[first] * groups).astype(int), groups - 1)[place]
    number = np.unique(number, return_inverse=True)[1]
    mass = np.bincount(number, weights[order])
    means = [np.bincount(number, weights[order] * values[order]) / mass for values in (predicted, target)]
    return Groups(means[0], means[1], mass / weights.sum())


def brier(target: Values, chance: Values, weights: Values, groups: int = GROUPS) -> Brier:
    """Return the Brier score of chances (n,), and its parts; these sum to it where chances of a group are equal.

    Source: Brier 1950, Monthly Weather Review 78:1; Murphy 1973, Journal of Applied Meteorology 12:595.
    """
    share = weights / weights.sum()
    cut, rate = prediction_groups(target, chance, weights, groups), float(share @ target)
    return Brier(
        float(share @ (chance - target) ** 2),
        float(cut.share @ (cut.predicted - cut.observed) ** 2),
        float(cut.share @ (cut.observed - rate) ** 2),
        rate * (1 - rate),
    )


def net_benefit(target: Values, chance: Values, thresholds: Values, weights: Values) -> Values:
    """Return true positives less false positives at the odds of a threshold, per person (t,), of who acts from it on.

    Source: Vickers and Elkin 2006, Decision Curve Analysis, Medical Decision Making 26:565.

    Args:
        target: (n,) of 0 and 1.
        chance: (n,) of class 1.
        thresholds: (t,) in (0, 1).
        weights: (n,).
    """
    share = weights / weights.sum()
    acts = chance[None] >= thresholds[:, None]
    true, false = acts @ (share * target), acts @ (share * (1 - target))
    benefit: Values = true - false * thresholds / (1 - thresholds)
    return benefit
