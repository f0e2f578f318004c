"""Disentanglement, completeness and informativeness (DCI)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting import BoostedTrees, Task, boost, thread_count
from disentangle_pl.metrics.coarse_boosting import coarse_boost
from disentangle_pl.metrics.score import (
    Checked,
    Codes,
    CodesLike,
    Factors,
    Split,
    Values,
    check,
    train_test_of_two,
    varying,
)

Probe: TypeAlias = BoostedTrees | None


class Predictor(Protocol):
    """What was fitted to predict a factor."""

    def predict(self, codes: NDArray[np.floating[Any]], /) -> Any:
        """Return the class or the quantity (M,) for codes (M, d)."""


class DCI(NamedTuple):
    """The three scores of Eastwood & Williams 2018.

    Attributes:
        disentanglement: Does a latent serve one factor? In [0, 1].
        completeness: Is a factor held by one latent? In [0, 1].
        informativeness_train: Mean accuracy (R^2 of a quantity) on the rows fitted on.
        informativeness_test: The same on the held-out rows.
    """

    disentanglement: float
    completeness: float
    informativeness_train: float
    informativeness_test: float


def fit_probes(
    codes: CodesLike, factors: Factors, *, seed: int = 0, jobs: int = -1, levels: int | None = None
) -> list[Probe]:
    """Fit gradient-boosted trees (scikit-learn's defaults) from all the latents to each factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); rows in which a factor is missing are left out for this factor.
        seed: Seed of the trees, see `boost`.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.
        levels: Cut every latent into so many levels first, see `coarse_boost`; None for every cut there is.

    Returns:
        k ensembles, None for a factor with one value.

    Raises:
        InputError: If the input fails `check`, no factor varies, jobs is neither positive nor -1, or
            levels are not 2 to 200.
    """
    codes, truth = check(codes, factors)
    chosen, present = np.flatnonzero(varying(truth)), truth.present
    tasks = [Task(codes[present[:, j]], truth.values[present[:, j], j], bool(truth.discrete[j])) for j in chosen]
    probes: list[Probe] = [None] * truth.shape[1]
    fitted = coarse_boost(tasks, levels=levels, jobs=jobs) if levels else boost(tasks, seed=seed, jobs=jobs)
    for j, probe in zip(chosen, fitted, strict=True):
        probes[j] = probe
    return probes


def importance_matrix(probes: Sequence[Probe], latents: int) -> Values:
    """Return how much each probe leans on each latent: (latents, k), 0 where there is no probe."""
    unused = np.zeros(latents)
    return np.stack([unused if probe is None else np.abs(probe.importances) for probe in probes], axis=1)


def disentanglement_per_code(importance: Values) -> Values:
    """Return 1 - H_k(P_j) of every latent j, P_j the shares of the factors in it: (d,) in [0, 1], 0 if idle.

    Args:
        importance: (d, k), k >= 2, not negative.

    Raises:
        InputError: If there is one column only, which every row would keep to.
    """
    if importance.shape[1] < 2:
        raise InputError(f"shares need at least 2 factors and 2 latents to differ over, got {importance.shape}")
    shares = importance + 1e-11
    shares /= shares.sum(axis=1, keepdims=True)
    order: Values = 1 + np.sum(shares * np.log(shares), axis=1) / np.log(importance.shape[1])
    return order


def completeness_per_factor(importance: Values) -> Values:
    """Return `disentanglement_per_code` with latents and factors exchanged: (k,), for importance (d, k), d >= 2."""
    return disentanglement_per_code(importance.T)


def disentanglement(importance: Values) -> float:
    """Return sum_j rho_j (1 - H_k(P_j)), P_j the shares of the factors in latent j.

    rho_j is the share of latent j in all the importance. Source: Eastwood & Williams 2018 (ICLR, section 2).

    Args:
        importance: (d, k), k >= 2, not negative.

    Returns:
        A score in [0, 1], 0 if nothing is important.

    Raises:
        InputError: If there is one column only, which every row would keep to.
    """
    weights = importance.sum(axis=1)
    return float(weights @ disentanglement_per_code(importance) / max(weights.sum(), np.finfo(np.float64).tiny))


def completeness(importance: Values) -> float:
    """Return the disentanglement with latents and factors exchanged, for importance (d, k), d >= 2."""
    return disentanglement(importance.T)


def informativeness_per_factor(
    probes: Sequence[Predictor | None], codes: CodesLike, factors: Factors, *, jobs: int = -1
) -> Values:
    """Return how well each probe predicts its factor.

    Args:
        probes: k of them, such as `fit_probes` gives.
        codes: (M, d) posterior means.
        factors: (M, k); rows in which a factor is missing are left out for this factor.
        jobs: The number of threads, -1 for all cores.

    Returns:
        (k,) in [0, 1], the accuracy of classes, where a class not fitted on counts as missed, and the R^2 of
        quantities, at least 0; NaN where there is no probe, no row, or a quantity with one value.

    Raises:
        InputError: If the input fails `check`, or jobs is neither positive nor -1.
    """
    codes, truth = check(codes, factors)
    with ThreadPoolExecutor(thread_count(jobs)) as pool:
        columns = zip(probes, truth.values.T, truth.discrete, strict=True)
        parts = [pool.submit(_informativeness, probe, codes, column, kind) for probe, column, kind in columns]
        return np.array([part.result() for part in parts])


def dci_scores(
    codes: CodesLike,
    factors: Factors,
    *,
    test: Split | None = None,
    seed: int = 0,
    jobs: int = -1,
    levels: int | None = None,
) -> DCI:
    r"""Return the DCI scores with gradient-boosted trees, as set by Locatello et al. 2019 (arXiv:1811.12359).

    .. math::

        D = \sum_j \rho_j \left( 1 - H_K\Big( \frac{R_{j \cdot}}{\sum_k R_{jk}} \Big) \right), \qquad
        C = \sum_k \rho_k \left( 1 - H_d\Big( \frac{R_{\cdot k}}{\sum_j R_{jk}} \Big) \right)

        I = \frac{1}{K} \sum_k \mathrm{accuracy}_k

    The cost grows with rows, latents and the classes of all factors together.

    Source: Eastwood & Williams 2018 (ICLR, section 2).

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k), at least 2 of which vary; one with one value among the rows fitted on is left out, and rows in
            which a factor is missing are left out for this factor.
        test: Codes (M, d) and factors (M, k) to score on, or None for a random third of the rows.
        seed: Seed of the trees. 0 gives the numbers of the reference implementation.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.
        levels: Cut every latent into so many levels first, 2 to 200, which takes a quarter of the time and is near
            enough for noise and rotated codes, see `coarse_boost`. None for every cut there is, as the reference
            implementation.

    Returns:
        The scores.

    Raises:
        InputError: If an input fails `check`, d < 2, test has other columns, fewer than 2 factors vary, none of these
            can be scored on the held-out rows, or jobs is neither positive nor -1.
    """
    train, held_out = train_test_of_two(codes, factors, test, latents=2)
    probes = fit_probes(*train, seed=seed, jobs=jobs, levels=levels)
    importance = importance_matrix(probes, train[0].shape[1])[:, train[1].varying]
    return dci_of(importance, probes, train, held_out, jobs=jobs)


def dci_of(
    importance: Values, probes: Sequence[Predictor | None], train: Checked, held_out: Checked, *, jobs: int = -1
) -> DCI:
    """Return the DCI scores of probes, whatever they are.

    Args:
        importance: (d, k), not negative, of every latent for every factor that varies, d >= 2 and k >= 2.
        probes: One for every factor, None for one that has no part.
        train: Codes (N, d) and factors fitted on.
        held_out: Codes (M, d) and factors to score on.
        jobs: The number of threads, -1 for all cores.

    Raises:
        InputError: If no probe can be scored on the held-out rows.
    """
    predicted = [informativeness_per_factor(probes, *rows, jobs=jobs) for rows in (train, held_out)]
    if np.isnan(predicted[1]).all():
        raise InputError("no factor that was fitted has values in the rows to score on: give more rows, or a test set")
    scores = (float(np.nanmean(each)) for each in predicted)
    return DCI(disentanglement(importance), completeness(importance), *scores)


def dci_disentanglement(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, seed: int = 0, jobs: int = -1
) -> float:
    """Return the disentanglement of `dci_scores` alone; each such call fits all the trees."""
    return dci_scores(codes, factors, test=test, seed=seed, jobs=jobs).disentanglement


def dci_completeness(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, seed: int = 0, jobs: int = -1
) -> float:
    """Return the completeness of `dci_scores` alone; each such call fits all the trees."""
    return dci_scores(codes, factors, test=test, seed=seed, jobs=jobs).completeness


def dci_informativeness(
    codes: CodesLike, factors: Factors, *, test: Split | None = None, seed: int = 0, jobs: int = -1
) -> float:
    """Return the test informativeness of `dci_scores` alone; each such call fits all the trees."""
    return dci_scores(codes, factors, test=test, seed=seed, jobs=jobs).informativeness_test


def _informativeness(probe: Predictor | None, codes: Codes, factor: Values, discrete: bool) -> float:
    present = ~np.isnan(factor)
    actual = factor[present]
    if probe is None or not len(actual):
        return np.nan
    predicted = probe.predict(codes[present])
    if discrete:
        return float(np.mean(predicted == actual))
    spread = np.var(actual)
    return max(0.0, float(1 - np.mean((predicted - actual) ** 2) / spread)) if spread else np.nan
