"""Disentanglement, completeness and informativeness (DCI)."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.information import Values
from disentangle_pl.metrics.score import Codes, Factors, Split, check, check_sizes, train_test, varying

Probe: TypeAlias = GradientBoostingClassifier | None


class DCI(NamedTuple):
    """The three scores of Eastwood & Williams 2018.

    Attributes:
        disentanglement: Does a latent serve one factor? In [0, 1].
        completeness: Is a factor held by one latent? In [0, 1].
        informativeness_train: Mean accuracy on the rows fitted on.
        informativeness_test: Mean accuracy on the held-out rows.
    """

    disentanglement: float
    completeness: float
    informativeness_train: float
    informativeness_test: float


def fit_probes(codes: Codes, factors: Factors, *, seed: int = 0, jobs: int = 1) -> list[Probe]:
    """Fit gradient-boosted trees (scikit-learn's defaults) from all the latents to each factor.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k) class indices.
        seed: Seed of the trees. With one job a single stream runs through the factors, which reproduces
            Locatello et al. 2019 bit for bit; otherwise each factor has its own, which moves the scores by
            their seed noise, at most .003.
        jobs: The number of processes; -1 for all cores.

    Returns:
        k classifiers, None for a factor with one value.

    Raises:
        InputError: If the input fails `check`, or no factor varies.
    """
    check(codes, factors)
    stream = np.random.RandomState(seed)
    fits = [
        delayed(_fit)(codes, factor, stream if jobs == 1 else np.random.RandomState(seed + k)) if varies else None
        for k, (factor, varies) in enumerate(zip(factors.T, varying(factors), strict=True))
    ]
    fitted = iter(Parallel(n_jobs=jobs)(fit for fit in fits if fit))
    return [next(fitted) if fit else None for fit in fits]


def importance_matrix(probes: Sequence[Probe], latents: int) -> Values:
    """Return how much each probe leans on each latent: (latents, k), 0 where there is no probe."""
    unused = np.zeros(latents)
    return np.stack([unused if probe is None else np.abs(probe.feature_importances_) for probe in probes], axis=1)


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
    if importance.shape[1] < 2:
        raise InputError(f"shares need at least 2 factors and 2 latents to differ over, got {importance.shape}")
    shares = importance + 1e-11
    shares /= shares.sum(axis=1, keepdims=True)
    order = 1 + np.sum(shares * np.log(shares), axis=1) / np.log(importance.shape[1])
    weights = importance.sum(axis=1)
    return float(weights @ order / max(weights.sum(), np.finfo(np.float64).tiny))


def completeness(importance: Values) -> float:
    """Return the disentanglement with latents and factors exchanged, for importance (d, k), d >= 2."""
    return disentanglement(importance.T)


def dci_scores(codes: Codes, factors: Factors, *, test: Split | None = None, seed: int = 0, jobs: int = 1) -> DCI:
    """Return the DCI scores with gradient-boosted trees, as set by Locatello et al. 2019 (arXiv:1811.12359).

    The cost grows with rows, latents and the values of all factors: minutes for 10,000 rows of dSprites.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k) class indices, k >= 2; one with one value among the rows fitted on has importance 0
            and no part in the informativeness.
        test: Codes (M, d) and factors (M, k) to score on, or None for the last third of the rows.
        seed: Seed of the trees; see `fit_probes`.
        jobs: The number of processes; see `fit_probes`.

    Returns:
        The scores.

    Raises:
        InputError: If an input fails `check`, d < 2 or k < 2, test has other columns, or no factor varies.
    """
    check_sizes(codes, factors, latents=2, values=2)
    train, held_out = train_test(codes, factors, test)
    probes = fit_probes(*train, seed=seed, jobs=jobs)
    matrix = importance_matrix(probes, codes.shape[1])
    return DCI(disentanglement(matrix), completeness(matrix), _accuracy(probes, *train), _accuracy(probes, *held_out))


def dci_disentanglement(codes: Codes, factors: Factors) -> float:
    """Return the disentanglement of `dci_scores` alone; each such call fits all the trees."""
    return dci_scores(codes, factors).disentanglement


def dci_completeness(codes: Codes, factors: Factors) -> float:
    """Return the completeness of `dci_scores` alone; each such call fits all the trees."""
    return dci_scores(codes, factors).completeness


def dci_informativeness(codes: Codes, factors: Factors) -> float:
    """Return the test informativeness of `dci_scores` alone; each such call fits all the trees."""
    return dci_scores(codes, factors).informativeness_test


def _fit(codes: Codes, factor: NDArray[np.int64], stream: np.random.RandomState) -> Probe:
    return GradientBoostingClassifier(random_state=stream).fit(codes, factor)


def _accuracy(probes: Sequence[Probe], codes: Codes, factors: Factors) -> float:
    pairs = zip(probes, factors.T, strict=True)
    return float(np.mean([probe.score(codes, factor) for probe, factor in pairs if probe is not None]))
