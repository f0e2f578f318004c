"""Read volumes off images by regression, independently of any latent, to ask what predicted scans have of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold
from torch import Tensor

COARSE = 32
"""Voxels along an edge of what is regressed on; larger volumes are averaged down."""
PENALTIES = np.logspace(0, 6, 7)
FOLDS, BATCH = 5, 16
COMPONENTS = 256
READABLE = 0.5


class Reader(NamedTuple):
    """Linear maps from images to quantities.

    Attributes:
        names: Of the quantities that can be read, k of them.
        r2: (k,) share of the variance explained on people it was not fitted to.
        weights: (k, V) of the voxels of `coarse` images.
        offsets: (k,) in the units of the quantities.
    """

    names: tuple[str, ...]
    r2: tuple[float, ...]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def read(self, images: Tensor) -> NDArray[np.float64]:
        """Read images (n, 1, D, H, W) as (n, k)."""
        found: NDArray[np.float64] = coarse(images) @ self.weights.T + self.offsets
        return found


def coarse(images: Tensor) -> NDArray[np.float64]:
    """Average images (n, 1, *S) down to at most 32 voxels an edge, as (n, V)."""
    depth, height, width = (min(edge, COARSE) for edge in images.shape[2:])
    small = torch.nn.functional.adaptive_avg_pool3d(images.float(), (depth, height, width))
    return small.flatten(1).cpu().double().numpy()


def fit_reader(
    images: Callable[[NDArray[np.int64]], Tensor],
    quantities: NDArray[np.float64],
    names: Sequence[str],
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
    people: NDArray[np.int64],
) -> Reader:
    """Regress quantities on principal components of images, and keep those that can be read off people it has not seen.

    Args:
        images: Looks up rows (n,) as images (n, 1, D, H, W).
        quantities: (N, K) of all rows, NaN where unknown.
        names: (K,) what they are called.
        train: Rows to fit to; the penalty is chosen by folds of people.
        held_out: Rows of other people, to judge by.
        people: (N,) a number a participant.

    Returns:
        The reader of those with R2 of at least 0.5 on the held-out rows; of none, if there are none.
    """
    pixels = [np.concatenate([coarse(images(part)) for part in _parts(rows)]) for rows in (train, held_out)]
    basis = PCA(min(COMPONENTS, *pixels[0].shape), svd_solver="randomized", random_state=0).fit(pixels[0])
    seen, unseen = map(basis.transform, pixels)
    found = []
    for name, values in zip(names, quantities.T, strict=True):
        known, judged = np.isfinite(values[train]), np.isfinite(values[held_out])
        who = people[train][known]
        if len(np.unique(who)) < FOLDS or judged.sum() < 2 or not np.ptp(values[train][known]):
            continue
        folds = list(GroupKFold(FOLDS).split(who, groups=who))
        fitted = RidgeCV(PENALTIES, cv=folds).fit(seen[known], values[train][known])
        r2 = float(r2_score(values[held_out][judged], fitted.predict(unseen[judged])))
        if r2 >= READABLE:
            weights = fitted.coef_ @ basis.components_
            found.append((name, r2, weights, float(fitted.intercept_ - weights @ basis.mean_)))
    told, r2s, maps, offsets = zip(*found, strict=True) if found else ((), (), (), ())
    return Reader(told, r2s, np.array(maps).reshape(len(told), pixels[0].shape[1]), np.array(offsets))


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(rows, -(-len(rows) // BATCH))
