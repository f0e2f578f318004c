"""The linear probe of the BetaVAE score and of explicitness."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


def fit_logistic(inputs: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> LogisticRegression:
    """Fit multinomial logistic regression with scikit-learn's defaults: L2 penalty, C = 1, at most 100 iterations.

    Args:
        inputs: (N, d), in single precision if time matters.
        labels: (N,), two classes or more.

    Returns:
        The probe. One that runs out of iterations is as good as the published ones, which did too.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression().fit(inputs, labels)
