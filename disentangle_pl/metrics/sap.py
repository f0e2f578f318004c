"""Separated attribute predictability (SAP)."""

import numpy as np
from sklearn.svm import LinearSVC

from disentangle_pl.metrics.information import Values
from disentangle_pl.metrics.score import Codes, Factors, Split, check_sizes, train_test, varying


def sap_matrix(codes: Codes, factors: Factors, *, test: Split | None = None, seed: int = 0) -> Values:
    """Return how well a linear support vector machine tells each factor from each latent alone.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k) class indices.
        test: Codes (M, d) and factors (M, k) to score on, or None for the last third of the rows.
        seed: Seed of the solver.

    Returns:
        (d, k) test accuracy in [0, 1]; NaN for a factor with one value among the rows fitted on.

    Raises:
        InputError: If an input fails `check`, test has other columns, or no factor varies.
    """
    train, held_out = train_test(codes, factors, test)
    scores = np.full((codes.shape[1], factors.shape[1]), np.nan)
    for factor in np.flatnonzero(varying(train[1])):
        for latent in range(len(scores)):
            machine = LinearSVC(C=0.01, class_weight="balanced", random_state=seed)
            machine.fit(train[0][:, [latent]], train[1][:, factor])
            scores[latent, factor] = machine.score(held_out[0][:, [latent]], held_out[1][:, factor])
    return scores


def sap(codes: Codes, factors: Factors, *, test: Split | None = None, seed: int = 0) -> float:
    """Return the SAP score: the gap in test accuracy of the two most predictive latents, mean over factors.

    Source: Kumar et al. 2018 (arXiv:1711.00848, section 3), with the machine of Locatello et al. 2019
    (arXiv:1811.12359): LinearSVC, C = .01, balanced classes. One linear cut cannot tell many ordered values
    apart, so a perfect code scores .24 on dSprites: see `chance.ceiling`. The penalty makes the scale of the
    codes matter.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k) class indices; those with one value among the rows fitted on are left out of the mean.
        test: Codes (M, d) and factors (M, k) to score on, or None for the last third of the rows.
        seed: Seed of the solver.

    Returns:
        The mean gap, in [0, 1].

    Raises:
        InputError: If an input fails `check`, d < 2, test has other columns, or no factor varies.
    """
    check_sizes(codes, factors, latents=2)
    ranked = np.sort(sap_matrix(codes, factors, test=test, seed=seed), axis=0)
    return float(np.nanmean(ranked[-1] - ranked[-2]))
