"""Explicitness: can a linear probe read every value of a factor?"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.boosting import thread_count
from disentangle_pl.metrics.logistic import fit_logistic
from disentangle_pl.metrics.score import (
    MISSING,
    Codes,
    CodesLike,
    Factors,
    GroundTruth,
    Labels,
    Split,
    Values,
    moving,
    train_test,
    varying,
)


def explicitness_per_factor(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, bins: int = 20, jobs: int = -1
) -> Values:
    """Return how well logistic regression from all the latents ranks the classes of every factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); a quantity is cut into as many classes, rows in which a factor is missing are left out for it.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        bins: The number of bins of a quantity, at least 2.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        (k,) mean area under the curve of one class against the rest, over the classes that were fitted on and have
        both sides in the rows scored on; NaN for a factor without one.

    Raises:
        InputError: If an input fails `check`, test has other columns, bins < 2, no factor varies, or jobs is neither
            positive nor -1.
    """
    train, held_out = train_test(codes, factors, test)
    varying(train[1])
    centre, scale = _moments(train[0])
    inputs = [((rows - centre) / scale).astype(np.float32) for rows in (train[0], held_out[0])]
    fitted, scored = _alike(train[1], held_out[1], bins)
    with one_blas_thread(), ThreadPoolExecutor(thread_count(jobs)) as pool:
        columns = zip(fitted.T, scored.T, strict=True)
        areas = [pool.submit(_explicitness, inputs[0], column, inputs[1], other) for column, other in columns]
        return np.array([area.result() for area in areas])


def explicitness(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, bins: int = 20, jobs: int = -1
) -> float:
    r"""Return the explicitness: the area under the curve of a linear probe, mean over classes, then over factors.

    .. math::

        \frac{1}{K} \sum_k \frac{1}{n_k} \sum_{u=1}^{n_k} \mathrm{AUC}\big( P(v_k = u \mid c) \big)

    Source: Ridgeway & Mozer 2018 (arXiv:1802.05312, section 3), as set by Locatello et al. 2019 (arXiv:1811.12359):
    logistic regression on standardised codes. It asks what all the latents know together, so a rotation does not
    lower it. Chance is .5; 2 e - 1 is the form that starts at 0.

    Args:
        codes: (N, d) posterior means; a dead latent has no part.
        factors: (N, k); a quantity is cut into as many classes, rows in which a factor is missing are left out for
            it, and so is a factor that `explicitness_per_factor` has no number for.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        bins: The number of bins of a quantity, at least 2.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        The mean, in [0, 1].

    Raises:
        InputError: If an input fails `check`, test has other columns, bins < 2, no factor can be scored, or jobs is
            neither positive nor -1.
    """
    areas = explicitness_per_factor(codes, factors, test=test, bins=bins, jobs=jobs)
    if np.isnan(areas).all():
        raise InputError("no factor varies both in the rows fitted on and in those scored on: give more rows")
    return float(np.nanmean(areas))


def area_under_curve(scores: Values, positive: NDArray[np.bool_]) -> Values:
    """Return the chance that a positive row scores above a negative one, ties counting half.

    Args:
        scores: (N, c).
        positive: (N, c), each column with both kinds.

    Returns:
        (c,) in [0, 1].
    """
    ranks = np.asarray(rankdata(scores, axis=0))
    ones = positive.sum(axis=0)
    areas: Values = ((ranks * positive).sum(axis=0) - ones * (ones + 1) / 2) / (ones * (len(scores) - ones))
    return areas


def _moments(codes: NDArray[np.floating[Any]]) -> tuple[Values, Values]:
    codes = codes.astype(np.float64)
    spread = codes.std(axis=0)
    return codes.mean(axis=0), np.where(moving(codes) & (spread > 0), spread, 1.0)


def _alike(train: GroundTruth, held_out: GroundTruth, bins: int) -> tuple[Labels, Labels]:
    """Number the classes of both parts alike."""
    labels = GroundTruth(np.concatenate([train.values, held_out.values]), train.discrete).labels(bins)
    return labels[: len(train)], labels[len(train) :]


def _explicitness(fitted: Codes, labels: Labels, scored: Codes, scored_labels: Labels) -> float:
    labelled, present = labels != MISSING, scored_labels != MISSING
    if len(np.unique(labels[labelled])) < 2:
        return np.nan
    probe = fit_logistic(fitted[labelled], labels[labelled])
    positive = scored_labels[present, None] == probe.classes
    mixed = positive.any(axis=0) & ~positive.all(axis=0)
    if not mixed.any():
        return np.nan
    chances = probe.chances(scored[present])
    return float(area_under_curve(chances[:, mixed], positive[:, mixed]).mean())
