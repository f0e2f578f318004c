"""InfoMEC: modularity, compactness and explicitness on one information-theoretic footing."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.blas_threads import one_blas_thread
from disentangle_pl.metrics.boosting import thread_count
from disentangle_pl.metrics.information import entropy
from disentangle_pl.metrics.logistic import fit_logistic
from disentangle_pl.metrics.nearest import class_information, quantity_information
from disentangle_pl.metrics.score import Codes, CodesLike, Factors, GroundTruth, Values, check, moving, varying

ROUNDING = 1e-12


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


def infomec(codes: CodesLike, factors: Factors, *, neighbours: int = 10, seed: int = 0, jobs: int = -1) -> InfoMEC:
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
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        The scores.

    Raises:
        InputError: If the input fails `check`, fewer than 2 factors vary, neighbours is below 1, or jobs is neither
            positive nor -1.
    """
    codes, truth = check(codes, factors, values=2)
    truth = truth.columns(varying(truth, least=2))
    information = normalised_information(codes, truth, neighbours=neighbours, seed=seed, jobs=jobs)[
        active_latents(codes)
    ]
    explained = explained_per_factor(codes, truth, jobs=jobs)
    return InfoMEC(concentration(information), concentration(information.T), float(explained.mean()), len(information))


def active_latents(codes: Codes) -> NDArray[np.bool_]:
    """Tell which latents (N, d) have a range above a twentieth of the widest: (d,)."""
    ranges = codes.max(axis=0) - codes.min(axis=0)
    active: NDArray[np.bool_] = ranges > ranges.max() / 20
    return active


def normalised_information(
    codes: CodesLike, factors: Factors, *, neighbours: int = 10, seed: int = 0, jobs: int = -1
) -> Values:
    """Return I(c_j; v_k) over what v_k tells about itself, from nearest neighbours.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); for classes the denominator is the entropy, for quantities the estimate of I(v_k; v_k), which
            grows with log N unless values repeat. A row counts for the factors it has.
        neighbours: The number of neighbours, at least 1.
        seed: Seed of the noise that breaks ties.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        (d, k), at least 0 and at most about 1; 0 for a constant latent or factor.

    Raises:
        InputError: If the input fails `check`, neighbours is below 1, or jobs is neither positive nor -1.
    """
    codes, truth = check(codes, factors)
    if neighbours < 1:
        raise InputError(f"neighbours must be at least 1, got {neighbours}")
    information = np.zeros((codes.shape[1], truth.shape[1]))
    varies = np.flatnonzero(truth.varying)
    with ThreadPoolExecutor(thread_count(jobs)) as pool:
        share = partial(_information_share, codes, truth, neighbours, seed)
        for factor, column in zip(varies, pool.map(share, varies), strict=True):
            information[:, factor] = column
    return information


def _information_share(codes: Codes, truth: GroundTruth, neighbours: int, seed: int, factor: SupportsIndex) -> Values:
    present = truth.present[:, factor]
    values, rows = truth.values[present, factor], codes[present]
    if truth.discrete[factor]:
        labels = _numbered(values)
        shares: Values = class_information(rows, labels, neighbours=neighbours, seed=seed) / entropy(labels[:, None])
        return shares
    nats = quantity_information(np.hstack([rows, values[:, None]]), values, neighbours=neighbours, seed=seed)
    return nats[:-1] / nats[-1] if nats[-1] > 0 else np.zeros(len(nats) - 1)


def explained_per_factor(codes: CodesLike, factors: Factors, *, jobs: int = -1) -> Values:
    """Return the share of the loss of a constant prediction that a linear one saves, on the rows it is fitted on.

    Args:
        codes: (N, d) posterior means.
        factors: (N, k); for classes the loss is the log loss of multinomial logistic regression without penalty and
            with balanced classes, for quantities the squared error of linear regression. A row counts for the
            factors it has.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.

    Returns:
        (k,) in [0, 1], NaN for a factor with one value. Few rows for many classes and latents flatter it.

    Raises:
        InputError: If the input fails `check`, or jobs is neither positive nor -1.
    """
    codes, truth = check(codes, factors)
    scores = np.full(truth.shape[1], np.nan)
    varies = np.flatnonzero(truth.varying)
    with one_blas_thread(), ThreadPoolExecutor(thread_count(jobs)) as pool:
        for factor, share in zip(varies, pool.map(partial(_explained, codes, truth), varies), strict=True):
            scores[factor] = share
    return scores.clip(0.0, 1.0)


def _explained(codes: Codes, truth: GroundTruth, factor: SupportsIndex) -> float:
    present = truth.present[:, factor]
    explained = _classes_explained if truth.discrete[factor] else _quantity_explained
    return explained(_standardised(codes[present]), truth.values[present, factor])


def _quantity_explained(rows: Codes, values: Values) -> float:
    return float(LinearRegression().fit(rows, values).score(rows, values))


def _classes_explained(rows: Codes, values: Values) -> float:
    labels = _numbered(values)
    probe = fit_logistic(rows, labels, penalty=0.0, balanced=True)  # at most 100 steps, as the authors
    # the constant prediction for balanced classes is the even one
    explained = 1 - probe.log_loss(rows, labels) / float(np.log(labels.max() + 1))
    return explained if explained > ROUNDING else 0.0


def _numbered(values: Values) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64, copy=False)


def _standardised(codes: Codes) -> Codes:
    moved = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    moved[:, ~moving(codes)] = 0
    spread = moved.std(axis=0)
    scaled: Values = moved / np.where(spread > 0, spread, 1.0)
    return scaled.astype(np.float32)


def concentration(information: Values) -> float:
    """Return the mean over rows of max / sum, scaled so that an even row has 0, for a (rows, columns) table."""
    rows, columns = information.shape
    if not rows or columns < 2:
        return 0.0
    even = np.full(rows, 1 / columns)
    total = information.sum(axis=1)
    share = np.divide(information.max(axis=1), total, out=even, where=total > 0)
    return float((share.mean() - 1 / columns) / (1 - 1 / columns))
