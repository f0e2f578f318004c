"""Scores that need the model itself, not only its codes: what its decoder does to each latent."""

from math import prod

import torch

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.consistency import consistency
from disentangle_pl.metrics.decoder_geometry import distance_to_orthogonality
from disentangle_pl.models.vae import VAE
from disentangle_pl.studies.codes import CodeTable

NATS = 0.01  # a latent whose mean KL is below is passive
MOST_PAIRS, FEWEST_PAIRS, VOXELS = 1000, 50, 1000 * 64 * 64  # what keeps volumes at minutes


def decoder_scores(model: VAE, table: CodeTable, *, pairs: int | None = None, points: int = 100) -> dict[str, float]:
    """Score the way from the latents through the images and back, over the latents that say something.

    Args:
        model: The model, in evaluation mode.
        table: Its codes, with the KL of every latent.
        pairs: Pairs of latents for consistency and restrictiveness, drawn from the prior; None takes 1,000 for images
            of 64 x 64 pixels, fewer for larger ones and volumes, and 50 at least.
        points: Codes, drawn at random, at which the decoder's directions are compared with the axes.

    Returns:
        `consistency`, `restrictiveness` (Shu et al. 2020, arXiv:1910.09772), `distance_to_orthogonality` (Rolinek et
        al. 2019, arXiv:1812.06775) and `informative_by_kl`, the number of those latents; that alone if there are none.

    Raises:
        InputError: If the model gives NaN or infinite images or codes, or the table lacks the KL.
    """
    if table.kl is None:
        raise InputError("these codes come without the KL of their latents: encode them with their model")
    active = torch.from_numpy(table.kl > NATS)
    counts = {"informative_by_kl": float(active.sum())}
    if not active.any() or len(active) < 2:
        return counts
    device = model.device
    draws = torch.Generator(device).manual_seed(0)
    pairs = pairs or max(FEWEST_PAIRS, min(MOST_PAIRS, VOXELS // prod(model.backbone.shape[1:])))
    shu = consistency(model.decode, lambda image: model.encode(image).mean, len(active), pairs=pairs, generator=draws)
    codes = torch.from_numpy(table.codes).to(device)
    return counts | {
        "consistency": float(shu.consistency[active].mean()),
        "restrictiveness": float(shu.restrictiveness[active].mean()),
        "distance_to_orthogonality": distance_to_orthogonality(model.decode, codes, points=points, active=active),
    }
