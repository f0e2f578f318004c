"""Linear probes with a penalty, fitted to weighted rows for every penalty at once."""

from typing import NamedTuple, final

import numpy as np
from scipy.special import expit

from disentangle_pl.metrics.score import Values

PENALTIES: Values = np.array([*np.logspace(-3, 3, 7), np.inf])  # the last is the choice to use no input at all
STEPS, HALVINGS, CONVERGED = 50, 20, 1e-8


@final
class Path(NamedTuple):
    """Probes of one kind, one a penalty.

    Attributes:
        centre: (k,) subtracted from the inputs.
        scale: (k,) the inputs are divided by.
        slopes: (p, k).
        offsets: (p,).
    """

    centre: Values
    scale: Values
    slopes: Values
    offsets: Values

    def values(self, inputs: Values) -> Values:
        """Return what the probes (p, N) say of inputs (N, k): quantities of ridge, log odds of logistic regression."""
        outputs: Values = ((inputs - self.centre) / self.scale) @ self.slopes.T + self.offsets
        return outputs.T


def ridge_path(inputs: Values, target: Values, weights: Values, penalties: Values = PENALTIES) -> Path:
    """Fit ridge regression: mean squared error + penalty x squared slopes, of inputs in standard deviations.

    Source: Hoerl and Kennard 1970, Technometrics 12:55.

    Args:
        inputs: (N, k); one that does not vary has slope 0.
        target: (N,) quantities.
        weights: (N,) not negative.
        penalties: (p,) above 0; infinity makes slopes 0.
    """
    units, centre, scale = _standardised(inputs, weights)
    share = weights / weights.sum()
    mean = float(share @ target)
    left, values, right = np.linalg.svd(units * np.sqrt(share)[:, None], full_matrices=False)
    moments = left.T @ (np.sqrt(share) * (target - mean))
    slopes = (values * moments / (values**2 + penalties[:, None])) @ right
    return Path(centre, scale, slopes, np.full(len(penalties), mean))


def logistic_path(inputs: Values, target: Values, weights: Values, penalties: Values = PENALTIES) -> Path:
    """Fit logistic regression: mean log loss + half the penalty x squared slopes, of inputs in standard deviations.

    Both classes count alike, whatever their sizes, so that log odds of 0 are the even choice.

    Source: King and Zeng 2001, Political Analysis 9:137, on weighting classes.

    Args:
        inputs: (N, k); one that does not vary has slope 0.
        target: (N,) of 0 and 1, both there.
        weights: (N,) not negative.
        penalties: (p,) above 0; infinity makes slopes and offset 0.
    """
    even = balanced(target, weights)
    units, centre, scale = _standardised(inputs, weights)
    design = np.column_stack((np.ones(len(units)), units))
    solutions = np.zeros((len(penalties), design.shape[1]))
    beta = np.zeros(design.shape[1])
    finite = np.flatnonzero(np.isfinite(penalties))
    for i in finite[np.argsort(penalties[finite])[::-1]]:
        beta = newton_logistic(
            design, target, even, np.concatenate(([0.0], np.full(units.shape[1], penalties[i]))), beta
        )
        solutions[i] = beta
    return Path(centre, scale, solutions[:, 1:], solutions[:, 0])


def balanced(target: Values, weights: Values) -> Values:
    """Scale weights (N,) so that those of either class of the target, 0 or 1, sum to one half."""
    shares = np.where(target == 1, weights[target == 1].sum(), weights[target == 0].sum())
    return np.asarray(weights / shares / 2, dtype=np.float64)


def log_loss(target: Values, odds: Values) -> Values:
    """Return the loss of log odds (p, N) for classes (N,) of 0 and 1, in nats, (p, N)."""
    return np.asarray(np.logaddexp(0.0, np.where(target == 1, -odds, odds)), dtype=np.float64)


def _standardised(inputs: Values, weights: Values) -> tuple[Values, Values, Values]:
    share = weights / weights.sum()
    centre = share @ inputs
    spread = np.sqrt(share @ (inputs - centre) ** 2)
    still = spread <= 1e-12 * np.maximum(1.0, np.abs(centre))
    scale = np.where(still, 1.0, spread)
    return np.where(still, 0.0, (inputs - centre) / scale), centre, scale


def newton_logistic(design: Values, target: Values, weights: Values, penalty: Values, beta: Values) -> Values:
    """Descend from beta (k,) by Newton steps, halved where they lead uphill.

    Args:
        design: (N, k).
        target: (N,) of 0 and 1.
        weights: (N,).
        penalty: (k,) of squared slopes.
        beta: (k,) to begin with.
    """
    loss = _objective(design, target, weights, penalty, beta)
    for _ in range(STEPS):
        chance = expit(design @ beta)
        gradient = design.T @ (weights * (chance - target)) + penalty * beta
        curve = (design.T * (weights * chance * (1 - chance))) @ design + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curve, gradient)
        for _ in range(HALVINGS):
            after = _objective(design, target, weights, penalty, beta - step)
            if after <= loss:
                break
            step = step / 2
        if loss - after < CONVERGED * CONVERGED + 1e-14 * abs(loss):
            break
        beta, loss = beta - step, after
    return beta


def _objective(design: Values, target: Values, weights: Values, penalty: Values, beta: Values) -> float:
    return float(weights @ log_loss(target, design @ beta) + (penalty * beta**2).sum() / 2)
