"""Posteriors of the images of a group, made to share the latents the group has in common."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian

Average = Callable[[DiagonalGaussian], DiagonalGaussian]
Divergence = Callable[[DiagonalGaussian, DiagonalGaussian], Tensor]


def kl_divergence(first: DiagonalGaussian, second: DiagonalGaussian) -> Tensor:
    """Return KL(first || second) (..., d) of every latent, in nats (Locatello et al. 2020, section 4.1)."""
    return first.kl_to(second)


def symmetric_kl(first: DiagonalGaussian, second: DiagonalGaussian) -> Tensor:
    """Return the mean of both KL divergences (..., d), in nats, which does not depend on the order of the pair."""
    return 0.5 * (first.kl_to(second) + second.kl_to(first))


def mean_distance(first: DiagonalGaussian, second: DiagonalGaussian) -> Tensor:
    """Return |mean - mean| (..., d), blind to the variances; in units of the prior's standard deviation."""
    return (first.mean - second.mean).abs()


def shared_latents(
    q: DiagonalGaussian, ratio: float, divergence: Divergence = kl_divergence, floor: float = 0.0
) -> Tensor:
    """Decide which latents a pair shares: those whose divergence lies below tau = min + ratio (max - min), or a floor.

    Source: Locatello et al. 2020, section 4.1, with KL(q(z|x1) || q(z|x2)) as divergence, ratio 1/2 and no floor.
        Without a floor nothing is shared when all divergences are equal; otherwise, for 0 < ratio < 1, at least one
        latent is shared and at least one is not, even when the two images are the same scan made twice.

    Args:
        q: (B, 2, d).
        ratio: Position of the threshold between the smallest and the largest divergence of the pair.
        divergence: Compares the two posteriors of a pair, latent by latent.
        floor: Latents whose divergence lies below it are shared whatever the threshold, in units of the divergence.

    Returns:
        (B, 1, d) bool.
    """
    first, second = (DiagonalGaussian(q.mean[:, i], q.logvar[:, i]) for i in (0, 1))
    distance = divergence(first, second)
    low, high = distance.amin(1, keepdim=True), distance.amax(1, keepdim=True)
    return ((distance < low + ratio * (high - low)) | (distance < floor)).unsqueeze(1)


def moment_average(q: DiagonalGaussian) -> DiagonalGaussian:
    """Average means and variances over the group: (B, G, d) to (B, 1, d) (Hosoya 2019, arXiv:1809.02383)."""
    variance = q.logvar.exp().mean(1, keepdim=True)
    return DiagonalGaussian(q.mean.mean(1, keepdim=True), variance.log())


def product_of_gaussians(q: DiagonalGaussian) -> DiagonalGaussian:
    """Multiply the densities of the group: (B, G, d) to (B, 1, d) (Bouchacourt et al. 2018, eq. 4)."""
    precision = torch.exp(-q.logvar)
    total = precision.sum(1, keepdim=True)
    return DiagonalGaussian((precision * q.mean).sum(1, keepdim=True) / total, -total.log())


def dlib_product(q: DiagonalGaussian) -> DiagonalGaussian:
    """Multiply the densities but keep the harmonic mean of the variances, G times too large, as disentanglement_lib."""
    product = product_of_gaussians(q)
    return DiagonalGaussian(product.mean, product.logvar + math.log(q.mean.shape[1]))


class Aggregated(NamedTuple):
    """What an aggregation makes of the posteriors of a group.

    Attributes:
        posterior: (B, G, d), equal over the group where shared.
        shared: (B, 1, d) bool.
        kl_weight: Broadcasts to (B, G, d); how much the KL of a latent of one image counts.
    """

    posterior: DiagonalGaussian
    shared: Tensor
    kl_weight: Tensor


class Aggregation(nn.Module, ABC):
    """Makes the posteriors of a group share what its images have in common."""

    @abstractmethod
    def forward(self, q: DiagonalGaussian, changed: Tensor | None = None) -> Aggregated:
        """Aggregate posteriors (B, G, d); `changed` (B, k) tells which factors vary in the group, if known."""


class AdaGVAE(Aggregation):
    """Average means and variances of the latents that a pair seems to share.

    Source: Locatello et al., Weakly-Supervised Disentanglement Without Compromises, ICML 2020.

    Args:
        ratio: Position of the sharing threshold between the smallest (0) and largest (1) divergence of a pair.
        divergence: `kl_divergence`, `symmetric_kl`, `mean_distance` or any function like them.
        floor: Latents that diverge less are always shared, so that a pair in which nothing changed shares everything;
            in units of the divergence.

    Raises:
        InputError: If ratio lies outside [0, 1] or floor is negative.
    """

    def __init__(self, ratio: float = 0.5, divergence: Divergence = kl_divergence, floor: float = 0.0) -> None:
        super().__init__()
        self.ratio, self.floor = _checked(ratio, floor)
        self.divergence = divergence

    def forward(self, q: DiagonalGaussian, changed: Tensor | None = None) -> Aggregated:
        """Average the shared latents of pairs (B, 2, d); `changed` is not looked at."""
        _check_pair(q)
        return _share(q, moment_average(q), shared_latents(q, self.ratio, self.divergence, self.floor))


class AdaMLVAE(Aggregation):
    """Multiply the posteriors of the latents that a pair seems to share.

    Source: Locatello et al., Weakly-Supervised Disentanglement Without Compromises, ICML 2020.

    Args:
        ratio: Position of the sharing threshold between the smallest (0) and largest (1) divergence of a pair.
        divergence: `kl_divergence`, `symmetric_kl`, `mean_distance` or any function like them.
        floor: Latents that diverge less are always shared; in units of the divergence.
        average: `product_of_gaussians`, the paper's, or `dlib_product`, with twice its variance for a pair.

    Raises:
        InputError: If ratio lies outside [0, 1] or floor is negative.
    """

    def __init__(
        self,
        ratio: float = 0.5,
        divergence: Divergence = kl_divergence,
        floor: float = 0.0,
        average: Average = product_of_gaussians,
    ) -> None:
        super().__init__()
        self.ratio, self.floor = _checked(ratio, floor)
        self.divergence, self.average = divergence, average

    def forward(self, q: DiagonalGaussian, changed: Tensor | None = None) -> Aggregated:
        """Multiply the shared latents of pairs (B, 2, d); `changed` is not looked at."""
        _check_pair(q)
        return _share(q, self.average(q), shared_latents(q, self.ratio, self.divergence, self.floor))


class GVAE(Aggregation):
    """Average means and variances of the content, the first latents, over groups of any size.

    The content of a group is one latent variable: its KL counts once a group. Source: Hosoya, Group-based Learning of
    Disentangled Representations, IJCAI 2019 (arXiv:1809.02383).

    Args:
        content: How many latents hold the content; the others are style, each image's own.

    Raises:
        InputError: If content is below 1.
    """

    def __init__(self, content: int = 5) -> None:
        super().__init__()
        self.content = _checked_content(content)

    def forward(self, q: DiagonalGaussian, changed: Tensor | None = None) -> Aggregated:
        """Average the content of groups (B, G, d); `changed` is not looked at."""
        return _share_content(q, moment_average(q), self.content)


class MLVAE(Aggregation):
    """Multiply the posteriors of the content, the first latents, over groups of any size.

    The content of a group is one latent variable: its KL counts once a group. Source: Bouchacourt et al., Multi-Level
    Variational Autoencoder, AAAI 2018 (arXiv:1705.08841, eq. 3 and 4).

    Args:
        content: How many latents hold the content; the others are style, each image's own.
        average: `product_of_gaussians`, the paper's, or `dlib_product`.

    Raises:
        InputError: If content is below 1.
    """

    def __init__(self, content: int = 5, average: Average = product_of_gaussians) -> None:
        super().__init__()
        self.content, self.average = _checked_content(content), average

    def forward(self, q: DiagonalGaussian, changed: Tensor | None = None) -> Aggregated:
        """Multiply the content of groups (B, G, d); `changed` is not looked at."""
        return _share_content(q, self.average(q), self.content)


class KnownMask(Aggregation):
    """Share every latent but those of the factors that are known to have changed: latent i belongs to factor i.

    Latents beyond the factors are always shared. A nuisance factor may differ in every pair, so its latent, if the data
    have one, is each image's own. Stronger supervision than the adaptive rule: it also says which latent serves which
    factor. With `moment_average` it is the `labels` mode of disentanglement_lib, which has no latent for a nuisance;
    Shu et al. 2020 (arXiv:1910.09772) call it share and change pairing.

    Args:
        average: `moment_average`, `product_of_gaussians` or `dlib_product`.
    """

    def __init__(self, average: Average = moment_average) -> None:
        super().__init__()
        self.average = average

    def forward(self, q: DiagonalGaussian, changed: Tensor | None = None) -> Aggregated:
        """Share the latents of groups (B, G, d) whose factor did not change.

        Raises:
            InputError: If it is not known what changed, or there are fewer latents than factors.
        """
        latents = q.mean.shape[2]
        if changed is None or changed.shape[1] > latents:
            reason = (
                "the data do not tell which" if changed is None else f"{changed.shape[1]} factors need more latents"
            )
            raise InputError(f"KnownMask shares all but latent i where factor i changed, but {reason}: use AdaGVAE")
        spare = changed.new_zeros((len(changed), latents - changed.shape[1]))
        return _share(q, self.average(q), ~torch.cat((changed, spare), 1).unsqueeze(1))


def _share(q: DiagonalGaussian, common: DiagonalGaussian, shared: Tensor) -> Aggregated:
    mean, logvar = torch.where(shared, common.mean, q.mean), torch.where(shared, common.logvar, q.logvar)
    return Aggregated(DiagonalGaussian(mean, logvar), shared, torch.ones((), device=mean.device))


def _share_content(q: DiagonalGaussian, common: DiagonalGaussian, content: int) -> Aggregated:
    groups, size, latents = q.mean.shape
    if content >= latents:
        raise InputError(f"content={content} leaves no style among {latents} latents: lower it or raise latent_dim")
    of_content = torch.arange(latents, device=q.mean.device) < content
    weight = torch.where(of_content, 1 / size, 1.0)
    return _share(q, common, of_content.expand(groups, 1, latents))._replace(kl_weight=weight)


def _check_pair(q: DiagonalGaussian) -> None:
    if q.mean.shape[1] != 2:
        raise InputError(f"adaptive aggregation compares the two images of a pair, got groups of {q.mean.shape[1]}")


def _checked(ratio: float, floor: float) -> tuple[float, float]:
    if not 0 <= ratio <= 1 or floor < 0:
        got = f"{ratio} and {floor}"
        raise InputError(f"an adaptive aggregation needs a threshold ratio in [0, 1] and a floor >= 0, got {got}")
    return ratio, floor


def _checked_content(content: int) -> int:
    if content < 1:
        raise InputError(f"content must be at least 1 latent, got {content}")
    return content
