"""Do the axes of a hidden layer mean something? Scores of its units, beside their floor and their own rotation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.metrics.chance import permuted, random_rotation
from disentangle_pl.metrics.dci import disentanglement, fit_probes, importance_matrix
from disentangle_pl.metrics.infomec import active_latents, concentration, normalised_information
from disentangle_pl.metrics.score import Codes, CodesLike, Factors, GroundTruth, check, sampled_rows, varying

UNITS, CLASSES, DCI_ROWS = 64, 8, 300  # what keeps a network of 12 layers at half a minute on one core
FEW, DRAWS = 16, 3  # controls of few axes scatter, and cost little
TITLES = {"dci_disentanglement": "DCI disentanglement", "infom": "InfoM"}
ROUNDING = 1e-5  # a constant channel may differ in its last bits between batches


class Axes(NamedTuple):
    """A score of the units of a layer.

    Attributes:
        value: Of the units as they are.
        floor: Of the units with their rows, or groups where these are known, permuted against the factors.
        rotated: Of as many axes of the layer after a random rotation: a value no higher than this says that the units
            are axes like any others.
    """

    value: float
    floor: float
    rotated: float


class LayerScores(NamedTuple):
    """What a layer's units know one by one.

    Attributes:
        alive: Number of units that are not constant.
        units: Number of units.
        scores: `dci_disentanglement` and `infom`, each in [0, 1]; empty if fewer than 2 units are alive.
    """

    alive: int
    units: int
    scores: dict[str, Axes]


def layer_scores(units: CodesLike, factors: Factors, *, jobs: int = -1, seed: int = 0) -> LayerScores:
    """Score the units of a layer as if they were latents.

    Both scores depend on the number of units, so layers of different widths compare by their distances from floor and
    rotation. InfoM has a high floor: it compares shares of what is known, however little. DCI weighs units by their
    use: of many axes that turn in few dimensions trees use those that happen to lie near a factor, and the score of a
    rotation is high; InfoM counts every unit alike. Constant units are left out; of more than 64, 64 drawn at random
    speak for all. Floor and rotation are means over 3 draws where at most 16 units are scored, and single draws
    otherwise.

    Args:
        units: (N, m) outputs of a layer; DCI takes 300 rows drawn at random, whole groups where groups are known, or
            all if there are fewer.
        factors: (N, k), at least 2 of which vary; those that do not are left out. More than 8 classes are merged with
            their neighbours to at most 8, and quantities are cut into 8 bins of equal width. A row counts for the
            factors it has.
        jobs: The number of threads, -1 for all cores; the result does not depend on it.
        seed: Seed of the units and rows drawn, the permutations and the rotations.

    Returns:
        The scores.

    Raises:
        InputError: If the input fails `check`, fewer than 2 factors vary among the rows of DCI, or jobs is neither
            positive nor -1.

    Source: Eastwood & Williams 2018 (ICLR) and Hsu et al. 2023 (arXiv:2305.18378) for the scores.
    """
    units, truth = check(units, factors)
    truth = coarse(truth)
    sample = sampled_rows(len(truth), DCI_ROWS, seed, truth.groups)
    truth = truth.columns(varying(truth[sample], least=2))
    living = units[:, alive(units)].astype(np.float64)
    if living.shape[1] < 2:
        return LayerScores(living.shape[1], units.shape[1], {})
    subset = sampled_rows(living.shape[1], UNITS, seed)

    def disentangled(codes: Codes) -> float:
        probes = fit_probes(codes[sample], truth[sample], jobs=jobs)
        return disentanglement(importance_matrix(probes, codes.shape[1]))

    def modular(codes: Codes) -> float:
        return concentration(normalised_information(codes, truth)[active_latents(codes)])

    scores = {"dci_disentanglement": disentangled, "infom": modular}
    return LayerScores(
        living.shape[1],
        units.shape[1],
        {name: _beside_controls(score, living, subset, truth.groups, seed) for name, score in scores.items()},
    )


def alive(units: Codes) -> NDArray[np.bool_]:
    """Tell which units (N, m) are not constant: (m,)."""
    low, high = units.min(axis=0), units.max(axis=0)
    moves: NDArray[np.bool_] = high - low > ROUNDING * np.maximum(np.abs(low), np.abs(high))
    return moves


def coarse(truth: GroundTruth) -> GroundTruth:
    """Merge neighbouring classes until there are at most 8, and cut quantities into 8 bins of equal width."""
    labels = truth.labels(bins=CLASSES)
    merged = labels // np.maximum(1, -(-(labels.max(axis=0, initial=0) + 1) // CLASSES))
    return GroundTruth(np.where(truth.present, merged, np.nan), np.ones(truth.shape[1], dtype=bool), truth.groups)


def _beside_controls(
    score: Callable[[Codes], float],
    living: Codes,
    subset: NDArray[np.intp],
    groups: NDArray[np.integer[Any]] | None,
    seed: int,
) -> Axes:
    chosen = living[:, subset]
    seeds = range(seed, seed + (DRAWS if len(subset) <= FEW else 1))
    floors = [score(permuted(chosen, groups, seed=each)) for each in seeds]
    turned = [score(living @ random_rotation(living.shape[1], seed=each)[:, : len(subset)]) for each in seeds]
    return Axes(score(chosen), float(np.mean(floors)), float(np.mean(turned)))
