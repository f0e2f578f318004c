"""How well a model tells which factors changed in a pair: precision and recall of its sharing mask."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Values

Mask = NDArray[np.bool_]


class Sharing(NamedTuple):
    """How the latents that a model does not share agree with the factors that changed, each in [0, 1].

    Attributes:
        precision: Share of the latents called changed whose factor did change; 0 if none is called changed.
        recall: Share of the latents whose factor changed that are called changed; 0 if no such factor changed.
        changed: Share of the latents whose factor changed: the precision of a random mask.
    """

    precision: float
    recall: float
    changed: float


def sharing(shared: Mask, changed: Mask, information: Values) -> Sharing:
    """Compare the sharing mask of pairs with what changed in them.

    The factor of a latent is the one it knows most about; latents that know of none are left out. The ground truth is
    of our own making, since the models of Locatello et al. 2020 do not say which latent serves which factor.

    Args:
        shared: (N, d), True where a pair shares a latent.
        changed: (N, k), True where a factor differs between the images of a pair.
        information: (d, k) mutual information of latents and factors, 0 where it is chance.

    Raises:
        InputError: If the shapes do not match, or no latent knows of any factor.
    """
    shapes: Any = shared.shape, changed.shape, information.shape
    if shapes[0][0] != shapes[1][0] or information.shape != (shared.shape[1], changed.shape[1]):
        raise InputError(f"shared, changed and information must be (N, d), (N, k) and (d, k), got {shapes}")
    informed = information.max(axis=1) > 0
    if not informed.any():
        raise InputError("no latent knows of any factor, so its sharing cannot be judged: train for longer")
    truth = changed[:, information.argmax(axis=1)[informed]]
    called = ~shared[:, informed]
    right = float((truth & called).sum())
    return Sharing(right / max(1, int(called.sum())), right / max(1, int(truth.sum())), float(truth.mean()))
