"""Distance to orthogonality (DtO): do the latents move the decoded image in orthogonal directions?"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.autograd.functional import jvp

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import sampled_rows

Decoder: TypeAlias = Callable[[Tensor], Tensor]
# columns closer to orthogonal than this are: float32 images cannot say more, and equal norms would blow it up
ORTHOGONAL = 1e-5


def jacobians(decoder: Decoder, latents: Tensor) -> Tensor:
    """Return the Jacobian of the decoder at every point, by one directional derivative for each latent.

    Args:
        decoder: Maps latents (B, d) to images (B, ...), each row on its own (evaluation mode).
        latents: (B, d).

    Returns:
        (B, D, d), D the number of values of an image.
    """
    columns = []
    for unit in torch.eye(latents.shape[1], dtype=latents.dtype, device=latents.device):
        change: Tensor = jvp(decoder, latents, unit.expand_as(latents))[1]  # type: ignore[no-untyped-call]
        columns.append(change.flatten(start_dim=1))
    return torch.stack(columns, dim=-1)


def distances_to_orthogonality(jacobian: Tensor) -> Tensor:
    """Return the Frobenius distance of V_i to the nearest signed permutation, V_i the right singular vectors of J_i.

    Args:
        jacobian: (n, D, d) of finite numbers.

    Returns:
        (n,) float64 in [0, sqrt(2 d)); 0 if the columns are orthogonal. Where columns that are not orthogonal have
        equal singular values, V and the distance are arbitrary.
    """
    columns = jacobian.detach().cpu().double()
    gram = columns.transpose(1, 2) @ columns
    norms = gram.diagonal(dim1=1, dim2=2).sqrt()
    noise = gram.abs() <= ORTHOGONAL * norms[:, :, None] * norms[:, None, :]
    vectors = torch.linalg.eigh(gram.masked_fill(noise & ~torch.eye(gram.shape[1], dtype=torch.bool), 0.0))[1]
    return torch.stack([_distance(rotation) for rotation in vectors])


@torch.no_grad()
def distance_to_orthogonality(
    decoder: Decoder,
    latents: Tensor,
    *,
    points: int = 200,
    batch_size: int = 50,
    active: Tensor | None = None,
    seed: int = 0,
) -> float:
    r"""Return the mean distance of the decoder's local directions to the axes of the latent space.

    .. math::

        \frac{1}{n} \sum_i \min_P \| V_i - P \|_F, \qquad J_{\mathrm{dec}}(\mu(x_i)) = U_i \Sigma_i V_i^{\top}, \qquad
        P \text{ a signed permutation}

    Source: Rolinek et al. 2019 (arXiv:1812.06775): the nearest signed permutation is that of the largest
    sum of |V|, found by the Hungarian algorithm.

    Args:
        decoder: Maps latents (B, d) to images (B, ...), each row on its own (evaluation mode).
        latents: (N, d) posterior means.
        points: How many of them, drawn at random, to use at most.
        batch_size: How many points to pass through the decoder at once; memory grows with batch_size D d.
        active: (d,) bool, the latents to look at, or None for all. Dead latents without any effect are axes of their
            own and cost nothing; those with a tiny effect in random directions count in full.
        seed: Of the points drawn.

    Returns:
        The mean distance, 0 for orthogonal directions; two latents at 45 degrees give 1.08.

    Raises:
        InputError: If latents is not (N, d) with a row, no latent is active, points or batch_size is below 1, or a
            Jacobian is NaN or infinite.
    """
    if latents.ndim != 2 or not latents.numel() or points < 1 or batch_size < 1:
        raise InputError(
            f"DtO needs latents (N, d), a point and a batch at least, got {(*latents.shape,)}, {points}, {batch_size}"
        )
    chosen = torch.ones(latents.shape[1], dtype=torch.bool) if active is None else active.cpu()
    if chosen.shape != latents.shape[1:] or not chosen.any():
        raise InputError(f"active must pick some of the {latents.shape[1]} latents, got {chosen.tolist()}")
    batches = (
        jacobians(decoder, batch).cpu()
        for batch in torch.split(latents[torch.from_numpy(sampled_rows(len(latents), points, seed))], batch_size)
    )
    return float(torch.cat([_finite(batch[..., chosen]) for batch in batches]).mean())


def _finite(jacobian: Tensor) -> Tensor:
    if not jacobian.isfinite().all():
        raise InputError("the decoder has a Jacobian that is NaN or infinite: check that the model converged")
    return distances_to_orthogonality(jacobian)


def _distance(rotation: Tensor) -> Tensor:
    size = rotation.abs()
    rows, columns = linear_sum_assignment(size.numpy(), maximize=True)
    # |V - P|^2 = |V|^2 + |P|^2 - 2 <V, P>, and both have d columns of length 1
    return (2 * (len(size) - size[rows, columns].sum())).clamp(min=0).sqrt()
