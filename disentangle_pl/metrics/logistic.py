"""The linear probe of the BetaVAE score, of explicitness and of InfoMEC: multinomial logistic regression."""

from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from disentangle_pl.metrics.score import Values

STEPS = 100
GRADIENT = 1e-4  # the largest entry of the gradient at which a fit ends
LEAST_ODDS = -70.0  # smaller logits make numbers below the normal ones, with which processors take ten times as long


@final
class LinearProbe(NamedTuple):
    """A fitted probe.

    Attributes:
        classes: (c,) in ascending order, c >= 2.
        weights: (c, d + 1) slopes, then offsets; 0 for the first of 2 classes, which have one line.
    """

    classes: NDArray[np.integer[Any]]
    weights: Values

    def chances(self, inputs: NDArray[np.floating[Any]]) -> Values:
        """Return the probability of every class (N, c) for inputs (N, d)."""
        logits = inputs @ self.weights[:, :-1].T + self.weights[:, -1]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Values = odds / odds.sum(axis=1, keepdims=True)
        return shares

    def accuracy(self, inputs: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
        """Return the share of rows (N, d) whose likeliest class is their label (N,)."""
        return float(np.mean(self.classes[self.chances(inputs).argmax(axis=1)] == labels))

    def log_loss(self, inputs: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
        """Return the mean log loss in nats of rows (N, d) for their labels (N,), all of which are classes."""
        own = self.chances(inputs)[np.arange(len(labels)), np.searchsorted(self.classes, labels)]
        return float(-np.log(np.maximum(own, np.finfo(np.float64).eps)).mean())


def fit_logistic(
    inputs: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    penalty: float = 1.0,
    balanced: bool = False,
) -> LinearProbe:
    """Minimise the summed log loss + penalty / 2 x squared slopes, by at most 100 steps of L-BFGS.

    The objective, the start and the ends are those of scikit-learn's `LogisticRegression`, whose loss took five times
    as long on 40 classes. One that runs out of steps is as good as the published ones, which did too; without a
    penalty separable classes have no optimum.

    Args:
        inputs: (N, d), in single precision if time matters.
        labels: (N,), two classes or more.
        penalty: 1 / C, 0 for none.
        balanced: Weigh rows so that every class counts alike.
    """
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    design = np.column_stack((inputs, np.ones(len(inputs), inputs.dtype)))
    across = np.array(design.T, order="C")
    shares = 1 / (len(classes) * counts[places]) if balanced else np.full(len(labels), 1 / len(labels))
    weight = shares.astype(inputs.dtype)
    rows = np.arange(len(labels))
    first = 1 if len(classes) == 2 else 0  # of 2 classes the second has a line, the first none
    shape = len(classes) - first, design.shape[1]
    strength = penalty / len(labels)
    logits = np.zeros((len(classes), len(labels)), inputs.dtype)

    def loss_and_gradient(flat: Values) -> tuple[float, Values]:
        lines = flat.reshape(shape)
        logits[0] = 0
        np.matmul(lines.astype(inputs.dtype), across, out=logits[first:])
        np.subtract(logits, logits.max(axis=0), out=logits)
        np.maximum(logits, LEAST_ODDS, out=logits)
        own = logits[places, rows]
        np.exp(logits, out=logits)
        total = logits.sum(axis=0)
        loss = shares @ (np.log(total) - own)
        np.multiply(logits, weight / total, out=logits)
        logits[places, rows] -= weight
        gradient = (logits[first:] @ design).astype(np.float64)
        gradient[:, :-1] += strength * lines[:, :-1]
        return float(loss + strength / 2 * (lines[:, :-1] ** 2).sum()), gradient.ravel()

    best = minimize(
        loss_and_gradient,
        np.zeros(shape).ravel(),
        method="L-BFGS-B",
        jac=True,
        options={"maxiter": STEPS, "maxls": 50, "gtol": GRADIENT, "ftol": 64 * float(np.finfo(np.float64).eps)},
    )
    lines = np.zeros((len(classes), shape[1]))
    lines[first:] = best.x.reshape(shape)
    return LinearProbe(classes, lines)
