"""Directions in which latents move decoded images: along the axes, and alike everywhere?"""

from typing import NamedTuple

import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.decoder_geometry import distances_to_orthogonality
from disentangle_pl.metrics.variance_directions import alignment, direction_consistency, direction_overlaps


class DecoderDirections(NamedTuple):
    """What the Jacobians of a decoder at n codes say about d latents.

    Attributes:
        orthogonality: (n,) distance to orthogonality (Rolinek et al. 2019, arXiv:1812.06775); 0 is best.
        alignment: (n,) of the right singular vectors with the axes, weighted by squared singular values, 0 to 1.
        consistency: (d,) mean squared cosine between the directions of a latent at two codes, weighted by their
            squared lengths, 0 to 1; 1 if it moves images along the same line everywhere.
        variances: (d,) mean squared length of its columns, in the squared units of images.
    """

    orthogonality: Tensor
    alignment: Tensor
    consistency: Tensor
    variances: Tensor


def decoder_directions(jacobian: Tensor) -> DecoderDirections:
    """Measure the local directions of a decoder; alignment and consistency are measures of our own.

    Args:
        jacobian: (n, D, d) at n codes, of the d active latents.

    Raises:
        InputError: If there are no two codes or no latent, or a number is NaN or infinite.
    """
    if jacobian.ndim != 3 or jacobian.shape[0] < 2 or not jacobian.shape[2]:
        raise InputError(f"decoder directions need Jacobians (n, D, d) at two codes, got {(*jacobian.shape,)}")
    if not jacobian.isfinite().all():
        raise InputError("the decoder has a Jacobian that is NaN or infinite: check that the model converged")
    columns = jacobian.double()
    lengths = columns.square().sum(dim=1)
    values, vectors = torch.linalg.eigh(columns.mT @ columns)
    values = values.clamp(min=0)
    onto = vectors.mT.square() * values[..., None]
    units = columns / lengths.sqrt().clamp(min=1e-300)[:, None, :]
    consistency = [
        direction_consistency(direction_overlaps(units[:, None, :, j]), lengths[:, j])
        if lengths[:, j].sum() > 0
        else lengths.new_ones(())
        for j in range(jacobian.shape[2])
    ]
    return DecoderDirections(
        distances_to_orthogonality(jacobian), alignment(onto, values), torch.stack(consistency), lengths.mean(dim=0)
    )
