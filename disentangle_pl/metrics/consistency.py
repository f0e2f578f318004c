"""Consistency and restrictiveness: do the decoder and the encoder agree on what a latent means?"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from disentangle_pl.errors import InputError

Map: TypeAlias = Callable[[Tensor], Tensor]


class Consistency(NamedTuple):
    """The normalised scores of Shu et al. 2020 for every latent, each in [0, 1].

    Attributes:
        consistency: (m,) float64; 1 if the code of latent i stays the same whatever the other latents do.
        restrictiveness: (m,) float64; 1 if nothing but the code of latent i follows latent i.
        disentanglement: (m,) float64, their product.
    """

    consistency: Tensor
    restrictiveness: Tensor
    disentanglement: Tensor

    def means(self) -> tuple[float, float, float]:
        """Return the means over latents, in the same order."""
        return float(self.consistency.mean()), float(self.restrictiveness.mean()), float(self.disentanglement.mean())


@torch.no_grad()
def consistency(
    generate: Map,
    encode: Map,
    latent_dim: int,
    *,
    pairs: int = 10_000,
    batch_size: int = 250,
    generator: torch.Generator | None = None,
) -> Consistency:
    r"""Return how well latents are kept apart on the way through the images and back.

    .. math::

        c_i = 1 - \frac{\mathbb{E} \big( e_i(z_i, z_{-i}) - e_i(z_i, z'_{-i}) \big)^2}
        {\mathbb{E} \big( e_i(z) - e_i(z') \big)^2}

        r_i = 1 - \frac{\mathbb{E} \big\| e_{-i}(z_i, z_{-i}) - e_{-i}(z'_i, z_{-i}) \big\|^2}
        {\mathbb{E} \big\| e_{-i}(z) - e_{-i}(z') \big\|^2}

    With z, z' ~ N(0, I) and codes e = encode(generate(.)):
    consistency_i = 1 - E (e_i(z_i, z_-i) - e_i(z_i, z'_-i))^2 / E (e_i(z) - e_i(z'))^2,
    restrictiveness_i = 1 - E |e_-i(z_i, z_-i) - e_-i(z'_i, z_-i)|^2 / E |e_-i(z) - e_-i(z')|^2,
    cut off at 0, where sampling noise may take them. Source: Shu et al. 2020 (arXiv:1910.09772).
    Every ratio uses the same pairs, at a cost of m + 2 images and codes for each.

    A code without variance scores 0, so a dead latent (constant code, ignored by the decoder) has consistency 0 and
    restrictiveness 1: average over the active latents alone to leave it out.

    Args:
        generate: Maps latents (B, m) to images (B, ...), such as the mean of a decoder in evaluation mode.
        encode: Maps images (B, ...) to codes (B, m), such as the posterior mean.
        latent_dim: m, at least 2.
        pairs: The number of pairs (z, z').
        batch_size: How many pairs to pass through at once.
        generator: Source of the latents, which are drawn on its device; the default one of the CPU if None.

    Returns:
        The scores of every latent.

    Raises:
        InputError: If m < 2, pairs or batch_size is below 1, or encode gives another shape or a NaN.
    """
    if latent_dim < 2 or pairs < 1 or batch_size < 1:
        raise InputError(
            f"consistency needs 2 latents, a pair and a batch at least, got {latent_dim}, {pairs} and {batch_size}"
        )
    device = torch.device("cpu") if generator is None else generator.device
    sums = torch.zeros(3, latent_dim, dtype=torch.float64)
    for start in range(0, pairs, batch_size):
        shape = 2, min(batch_size, pairs - start), latent_dim
        sums += _squares(lambda z: encode(generate(z)), torch.randn(shape, generator=generator, device=device))
    if not sums.isfinite().all():
        raise InputError("encode gives codes that are NaN or infinite: check that the model converged")
    shared, complement, independent = sums
    consistent = _saved(shared, independent)
    restrictive = _saved(complement, _complement(independent))
    return Consistency(consistent, restrictive, consistent * restrictive)


def _squares(codes_of: Map, latents: Tensor) -> Tensor:
    """Sum squared changes for pairs (2, B, m): of the code kept, of the others, of independent codes, (3, m) in all.

    Swapping latent i gives one point that shares it with the second of the pair and the others with the first, so it
    serves both scores.
    """
    first, second = _checked(codes_of, latents[0]), _checked(codes_of, latents[1])
    fixed_errors, free_errors = [], []
    for i in range(latents.shape[-1]):
        swapped = latents[0].clone()
        swapped[:, i] = latents[1, :, i]
        codes = _checked(codes_of, swapped)
        fixed_errors.append((codes - second).square().sum(dim=0)[i])
        free_errors.append(_complement((codes - first).square().sum(dim=0))[i])
    return torch.stack([torch.stack(fixed_errors), torch.stack(free_errors), (first - second).square().sum(dim=0)])


def _complement(sums: Tensor) -> Tensor:
    """Sum all entries of (m,) but the own: (m,); the own entry may be much larger, so nothing is subtracted."""
    m = len(sums)
    return sums.expand(m, m).tril(-1).sum(dim=1) + sums.expand(m, m).triu(1).sum(dim=1)


def _checked(codes_of: Map, latents: Tensor) -> Tensor:
    codes = codes_of(latents)
    if codes.shape != latents.shape:
        raise InputError(f"encode must give as many codes as latents {(*latents.shape,)}, got {(*codes.shape,)}")
    return codes.cpu().double()


def _saved(changed: Tensor, total: Tensor) -> Tensor:
    return torch.where(total > 0, (1 - changed / total).clamp(min=0), torch.zeros_like(total))
