"""Do counterfactual scans keep the rules that any counterfactual keeps? Composition, reversibility, effectiveness.

Source: Monteiro et al. 2023, Measuring axiomatic soundness of counterfactual image models (arXiv:2303.01274).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.interventions import transport


class Soundness(NamedTuple):
    """How far an intervention on latents is from what it should be, means over scans.

    Attributes:
        composition: Mean absolute change of a voxel when the model encodes and decodes a scan without intervention;
            0 is perfect. A transported residual makes it 0 by construction, so this is what the residual hides.
        composition_10: The same after ten rounds.
        reversibility: Mean absolute difference of a voxel to the scan after an intervention and its reverse, each on
            the codes of the scan at hand.
        effectiveness: Of the intended move of the codes, the share that the encoder finds in the changed scan; 1 is
            perfect.
        spill: Movement of all other latents, as a share of the intended one; 0 is perfect.
        identity: Share of the changed scans whose codes are nearest to those of their own person among all people's,
            when the latents that move are left out.
        chance: What identity would be by chance.
    """

    composition: float
    composition_10: float
    reversibility: float
    effectiveness: float
    spill: float
    identity: float
    chance: float


@torch.no_grad()
def soundness(model: VAE, images: Tensor, shift: Tensor) -> Soundness:
    """Check one intervention, the same move of codes for every scan.

    Args:
        model: Encodes and decodes.
        images: (n, 1, *S) one scan a person, n at least 2.
        shift: (d,) what is added to the codes; 0 where a latent stays.
    """
    z = model.encode(images).mean.float()
    again = images
    drift = []
    for _ in range(10):
        again = model.decode(model.encode(again).mean.float())
        drift.append(float((again - images).abs().mean()))
    there = transport(model, images, z, z + shift)
    at = model.encode(there).mean.float()
    back = transport(model, there, at, at - shift)
    moved = at - z
    size = float(shift.square().sum())
    along = float((moved @ shift).mean()) / size if size else float("nan")
    beside = moved[:, shift == 0].square().sum(1).mean().sqrt()
    return Soundness(
        composition=drift[0],
        composition_10=drift[-1],
        reversibility=float((back - images).abs().mean()),
        effectiveness=along,
        spill=float(beside) / np.sqrt(size) if size else float("nan"),
        identity=_identity(z[:, shift == 0], at[:, shift == 0]),
        chance=1 / len(images),
    )


def _identity(before: Tensor, after: Tensor) -> float:
    """Return the share of rows (n, d) of `after` whose nearest row of `before` has the same number."""
    if not before.shape[1]:
        return 1 / len(before)
    nearest = torch.cdist(after, before).argmin(1)
    return float((nearest == torch.arange(len(before), device=before.device)).float().mean())
