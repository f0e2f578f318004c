"""TAD, the total difference of areas under the curve: how far the best latent of an attribute is ahead of the next."""

from itertools import permutations
from typing import NamedTuple

import numpy as np

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.explicitness import area_under_curve
from disentangle_pl.metrics.information import entropy, mutual_information
from disentangle_pl.metrics.score import MISSING, CodesLike, Factors, Labels, Values, check, varying


class TAD(NamedTuple):
    """The score of Yeats et al. 2022 and what it must be read with.

    Attributes:
        total: The sum over the captured attributes of the largest area under the curve less the second: at most half
            the number of attributes.
        captured: How many attributes count.
    """

    total: float
    captured: int


def tad(codes: CodesLike, factors: Factors, *, captured: float = 0.75, shared: float = 0.2) -> TAD:
    r"""Return the sum over binary attributes of how far the best latent alone is ahead of the next in telling them.

    .. math::

        \sum_{k \text{ captured}} A_{(1)k} - A_{(2)k}, \qquad
        A_{jk} = \max\big( \mathrm{AUC}(c_j; v_k), \, 1 - \mathrm{AUC}(c_j; v_k) \big)

    It is made for data whose attributes are labels and not the coordinates of a grid, such as CelebA, so attributes
    that others tell much about are left out, and so are those which no latent captures.

    Source: Yeats et al. 2022 (NashAE, arXiv:2209.10677) and the authors' code, which besides gives latents with a range
    below .2 an area of .5.

    Args:
        codes: (N, d) posterior means, d >= 2.
        factors: (N, k); only classes of two values are scored. A row counts for the factors it has.
        captured: The smallest area of the best latent that counts.
        shared: The largest share of the entropy of an attribute that another one may tell.

    Returns:
        The sum, and the number of attributes.

    Raises:
        InputError: If the input fails `check`, d < 2, or no factor is a class of two values.
    """
    codes, truth = check(codes, factors, latents=2)
    labels = truth.labels()
    binary = np.flatnonzero(varying(truth) & truth.discrete & (labels.max(axis=0) == 1))
    if not binary.size:
        raise InputError("TAD needs factors that are classes of two values, such as attributes: none of these is")
    labels = labels[:, binary]
    areas = np.sort([_areas(codes.astype(np.float64), column) for column in labels.T], axis=1)
    counted = (areas[:, -1] >= captured) & (_redundancy(labels) <= shared)
    return TAD(float((areas[:, -1] - areas[:, -2])[counted].sum()), int(counted.sum()))


def _areas(codes: Values, attribute: Labels) -> Values:
    present = attribute != MISSING
    positive = np.broadcast_to(attribute[present, None] == 1, codes[present].shape)
    areas = area_under_curve(codes[present], positive)
    return np.maximum(areas, 1 - areas)


def _redundancy(labels: Labels) -> Values:
    """Return the largest share of the entropy of every attribute (N, k) that another one tells: (k,)."""
    shares = np.zeros(labels.shape[1])
    for one, other in permutations(range(labels.shape[1]), 2):
        pair = labels[(labels[:, [one, other]] != MISSING).all(axis=1)][:, [one, other]]
        if len(pair):
            nats = entropy(pair[:, :1])[0]
            share = mutual_information(pair[:, 1:], pair[:, :1])[0, 0] / nats if nats > 0 else 0.0
            shares[one] = max(shares[one], share)
    return shares
