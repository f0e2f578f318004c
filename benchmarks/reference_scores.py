"""The scores of disentanglement_lib as it runs them: scikit-learn and NumPy, one class, pair or batch at a time.

Written from its published description (Locatello et al. 2019, arXiv:1811.12359, appendix) to be timed and compared
with.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.preprocessing import StandardScaler, label_binarize
from sklearn.svm import LinearSVC

Rows = NDArray[Any]
Sample = Callable[[int, Rows], Rows]  # (factor, its values in a batch) -> codes of random rows with these values


def _binned(columns: Rows) -> Rows:
    return np.stack([np.digitize(column, np.histogram(column, 20)[1][:-1]) for column in columns.T], axis=1)


def _information(codes: Rows, factors: Rows) -> Rows:
    binned = _binned(codes)
    return np.array([[mutual_info_score(factor, code) for factor in factors.T] for code in binned.T])


def mig(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return the mutual information gap."""
    ranked = np.sort(_information(*train), axis=0)[::-1]
    entropies = np.array([mutual_info_score(factor, factor) for factor in train[1].T])
    return float(np.mean((ranked[0] - ranked[1]) / entropies))


def modularity(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return the modularity."""
    squared = _information(*train) ** 2
    best = squared.max(axis=1)
    with np.errstate(invalid="ignore"):
        scores = 1 - (squared.sum(axis=1) - best) / (best * (squared.shape[1] - 1))
    return float(np.mean(np.where(best == 0, 0, scores)))


def sap(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return the SAP score."""
    scores = np.zeros((train[0].shape[1], train[1].shape[1]))
    for latent, factor in np.ndindex(scores.shape):
        machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
        machine.fit(train[0][:, [latent]], train[1][:, factor])
        scores[latent, factor] = np.mean(machine.predict(test[0][:, [latent]]) == test[1][:, factor])
    ranked = np.sort(scores, axis=0)
    return float(np.mean(ranked[-1] - ranked[-2]))


def dci_disentanglement(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return DCI's disentanglement; completeness and informativeness come from the same trees."""
    columns = []
    random = np.random.RandomState(0)
    for factor in range(train[1].shape[1]):
        model = GradientBoostingClassifier(random_state=random).fit(train[0], train[1][:, factor])
        columns.append(np.abs(model.feature_importances_))
        for codes, factors in (train, test):
            np.mean(model.predict(codes) == factors[:, factor])
    matrix = np.stack(columns, axis=1)
    shares = (matrix + 1e-11) / (matrix + 1e-11).sum(axis=1, keepdims=True)
    order = 1 + (shares * np.log(shares)).sum(axis=1) / np.log(matrix.shape[1])
    return float(np.sum(matrix.sum(axis=1) / matrix.sum() * order))


def explicitness(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return the explicitness."""
    scaler = StandardScaler().fit(train[0])
    results = []
    for factor in range(train[1].shape[1]):
        model = LogisticRegression().fit(scaler.transform(train[0]), train[1][:, factor])
        told = model.predict_proba(scaler.transform(test[0]))
        truth = label_binarize(test[1][:, factor], classes=model.classes_)
        results.append(np.mean([roc_auc_score(truth[:, i], told[:, i]) for i in range(truth.shape[1])]))
    return float(np.mean(results))


def irs(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return the interventional robustness score."""
    codes, factors = train[0], _binned(train[1])
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    cumulative = np.zeros((codes.shape[1], factors.shape[1]))
    for factor in range(factors.shape[1]):
        values = np.unique(factors[:, factor])
        for value in values:
            held = codes[factors[:, factor] == value]
            cumulative[:, factor] += np.percentile(np.abs(held - held.mean(axis=0)), 99, axis=0)
        cumulative[:, factor] /= len(values)
    return float(np.average((1 - cumulative / largest[:, None]).max(axis=1), weights=largest))


def beta_vae_score(sizes: tuple[int, ...], sample: Sample, train: int, test: int) -> float:
    """Return the BetaVAE score from freshly sampled pairs, each batch of 64 encoded anew."""
    random = np.random.RandomState(0)

    def points(count: int) -> tuple[Rows, Rows]:
        labels = random.randint(len(sizes), size=count)
        features = []
        for factor in labels:
            values = random.randint(sizes[factor], size=64)
            first, second = sample(factor, values), sample(factor, values)
            features.append(np.mean(np.abs(first - second), axis=0))
        return np.array(features), labels

    model = LogisticRegression(random_state=random).fit(*points(train))
    return float(model.score(*points(test)))


def factor_vae_score(codes: Rows, sizes: tuple[int, ...], sample: Sample, train: int, test: int) -> float:
    """Return the FactorVAE score from freshly sampled batches of 64."""
    random = np.random.RandomState(0)
    spread = codes.var(axis=0, ddof=1)
    active = np.sqrt(spread) >= 0.05

    def votes(count: int) -> Rows:
        table = np.zeros((len(sizes), int(active.sum())), dtype=np.int64)
        for _ in range(count):
            factor = random.randint(len(sizes))
            batch = sample(factor, np.full(64, random.randint(sizes[factor])))
            table[factor, np.argmin((batch.var(axis=0, ddof=1) / spread)[active])] += 1
        return table

    fitted, held_out = votes(train), votes(test)
    return float(held_out[fitted.argmax(axis=0), np.arange(fitted.shape[1])].sum() / held_out.sum())


def dependence(train: tuple[Rows, Rows], test: tuple[Rows, Rows]) -> float:
    """Return the Gaussian total correlation; the Wasserstein correlation and MI score are computed beside it."""
    covariance = np.cov(train[0].T)
    diagonal = np.diag(np.diag(covariance))
    root = np.real(sqrtm(diagonal @ covariance))
    assert np.isfinite(2 * np.trace(covariance) - 2 * np.trace(root))
    binned = _binned(train[0])
    assert np.isfinite([[mutual_info_score(a, b) for a in binned.T] for b in binned.T]).all()
    return float(0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]))
