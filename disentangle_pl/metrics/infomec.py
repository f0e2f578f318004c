"""InfoMEC: modularity, compactness and explicitness on one information-theoretic footing."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.information import entropy
from disentangle_pl.metrics.nearest import class_information, quantity_information
from disentangle_pl.metrics.score import Codes, CodesLike, Factors, Labels, Values, check, moving, varying


class InfoMEC(NamedTuple):
    """The three scores of Hsu et al. 2023, each in [0, 1].

    Attributes:
        infom: Modularity: does an active latent know one factor only?
        infoc: Compactness: does one active latent know all that is known of a factor? Easy to win by pruning.
        infoe: Explicitness: how much of the factors can be read off the codes linearly?
        active: The number of active latents.
    """

    infom: float
    infoc: float
    infoe: float
    active: int


def infomec(codes: CodesLike, factors: Factors, *, neighbours: int = 10, seed: int = 0) -> InfoMEC:
    r"""Return the InfoMEC scores of continuous codes, over the factors that vary.

    .. math::

        \mathrm{InfoM} = \frac{\frac{1}{d'} \sum_j \frac{\max_k N_{jk}}{\sum_k N_{jk}} - \frac{1}{K}}{1 - \frac{1}{K}}

        \mathrm{InfoC} = \frac{\frac{1}{K} \sum_k \frac{\max_j N_{jk}}{\sum_j N_{jk}} - \frac{1}{d'}}{1 - \frac{1}{d'}}

        \mathrm{InfoE} = \frac{1}{K} \sum_k \Big( 1 - \frac{L_k}{L_k^0} \Big)

    InfoM and InfoC compare shares of what is known, however little: pure noise scores .62 and .50 on dSprites with 10
    latents, beside an InfoE of 0. Quote all three and the active latents, and `chance.permuted_floor`.

    Source: Hsu et al. 2023 (arXiv:2305.18378); the constants are those of the authors' code. As there,
    latents whose range is at most a twentieth of the widest are pruned for InfoM and InfoC but not for InfoE. Where
    theirs divides zero by zero: a latent or factor that shares no information counts as 0, and so does the InfoC of
    fewer than 2 active latents.

    Args:
        codes: (N, d) posterior means, in their own units: pruning compares their ranges.
        factors: (N, k), at least 2 of which vary. A quantity has its own estimators: see `normalised_information` and
            `explained_per_factor`. A row counts for the factors it has.
        neighbours: The number of neighbours of the estimator of mutual information.
        seed: Seed of the noise that breaks ties.

    Returns:
        The scores.

    Raises:
        InputError: If the input fails `check`, fewer than 2 factors vary, or neighbours is below 1.
    """
    codes, truth = check(codes, factors, values=2)
    truth = truth.columns(varying(truth, least=2))
    known = normalised_information(codes, truth, neighbours=neighbours, seed=seed)[active_latents(codes)]
    explained = explained_per_factor(codes, truth)
    return InfoMEC(concentration(known), concentration(known.T), float(explained.mean()), len(known))


def active_latents(codes: Codes) -> NDArray[np.bool_]:
    """Tell which latents (N, d) have a range above a twentieth of the widest: (d,)."""
    ranges = codes.max(axis=0) - codes.min(axis=0)
    active: NDArray[np.bool_] = ranges > ranges.max() / 20
    return active


def normalised_information(codes: CodesLike, factors: Factors, *, neighbours: int = 10, seed: int = 0) -> Values:
    """Return I(c_j; v_k) over what v_k tells about itself, from nearest neighbours.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); for classes the denominator is the entropy, for quantities the estimate of I(v_k; v_k), which
            grows with log N unless values repeat. A row counts for the factors it has.
        neighbours: The number of neighbours, at least 1.
        seed: Seed of the noise that breaks ties.

    Returns:
        (d, k), at least 0 and at most about 1; 0 for a constant latent or factor.

    Raises:
        InputError: If the input fails `check`, or neighbours is below 1.
    """
    codes, truth = check(codes, factors)
    if neighbours < 1:
        raise InputError(f"neighbours must be at least 1, got {neighbours}")
    known = np.zeros((codes.shape[1], truth.shape[1]))
    for factor in np.flatnonzero(truth.varying):
        there = truth.present[:, factor]
        values, rows = truth.values[there, factor], codes[there]
        if truth.discrete[factor]:
            labels = _numbered(values)
            nats = class_information(rows, labels, neighbours=neighbours, seed=seed)
            known[:, factor] = nats / entropy(labels[:, None])
        else:
            both = np.hstack([rows, values[:, None]])
            nats = quantity_information(both, values, neighbours=neighbours, seed=seed)
            known[:, factor] = nats[:-1] / nats[-1] if nats[-1] > 0 else 0.0
    return known


def explained_per_factor(codes: CodesLike, factors: Factors) -> Values:
    """Return the share of the loss of a constant prediction that a linear one saves, on the rows it is fitted on.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); for classes the loss is the log loss of multinomial logistic regression without penalty and
            with balanced classes, for quantities the squared error of linear regression. A row counts for the
            factors it has.

    Returns:
        (k,) in [0, 1], NaN for a factor with one value. Few rows for many classes and latents flatter it.

    Raises:
        InputError: If the input fails `check`.
    """
    codes, truth = check(codes, factors)
    scores = np.full(truth.shape[1], np.nan)
    for factor in np.flatnonzero(truth.varying):
        there = truth.present[:, factor]
        explained = _classes_explained if truth.discrete[factor] else _quantity_explained
        scores[factor] = explained(_standardised(codes[there]), truth.values[there, factor])
    return scores.clip(0.0, 1.0)


def _quantity_explained(rows: Codes, values: Values) -> float:
    return float(LinearRegression().fit(rows, values).score(rows, values))


def _classes_explained(rows: Codes, values: Values) -> float:
    labels = _numbered(values)
    # the constant prediction for balanced classes is the even one
    return 1 - _cross_entropy(rows, labels) / float(np.log(labels.max() + 1))


def _cross_entropy(rows: Codes, labels: Labels) -> float:
    with warnings.catch_warnings():
        # without a penalty separable classes have no optimum: the authors too stop after 100 steps
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn takes many classes for a quantity, but the user said what they are
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        machine = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=100).fit(rows, labels)
    return float(log_loss(labels, machine.predict_proba(rows), labels=machine.classes_))


def _numbered(values: Values) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64, copy=False)


def _standardised(codes: Codes) -> Codes:
    moved = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    moved[:, ~moving(codes)] = 0
    spread = moved.std(axis=0)
    scaled: Values = moved / np.where(spread > 0, spread, 1.0)
    return scaled.astype(np.float32)


def concentration(known: Values) -> float:
    """Return the mean over rows of max / sum, scaled so that an even row has 0, for a (rows, columns) table."""
    rows, columns = known.shape
    if not rows or columns < 2:
        return 0.0
    even = np.full(rows, 1 / columns)
    total = known.sum(axis=1)
    share = np.divide(known.max(axis=1), total, out=even, where=total > 0)
    return float((share.mean() - 1 / columns) / (1 - 1 / columns))
