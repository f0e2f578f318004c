"""Known factors as a regulariser: labels, matches and ranks (Shu et al. 2020)."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian

SMALLEST = 1e-8  # squared distance of two posteriors in a unit of their variance


class Supervision(nn.Module, ABC):
    """A penalty on the posteriors of a batch whose factors are known.

    Latent i stands for factor `columns[i]`. Missing factors (NaN) are left out; a batch without any gives 0.

    Args:
        strength: Weight of the penalty in the loss, at least 0.
        columns: Positions of the supervised factors in `Batch.factors`, all different.

    Raises:
        InputError: If strength is negative, or columns are missing, negative or repeat.
    """

    def __init__(self, strength: float = 1.0, columns: Sequence[int] = (0,)) -> None:
        super().__init__()
        if strength < 0:
            raise InputError(f"the strength of a supervision must not be negative, got {strength}")
        if not columns or min(columns) < 0 or len(set(columns)) < len(columns):
            raise InputError(f"a supervision needs the positions of its factors, at least one, got {list(columns)}")
        self.strength = strength
        self.columns = list(columns)

    @abstractmethod
    def forward(self, q: DiagonalGaussian, factors: Tensor) -> Tensor:
        """Return the unweighted penalty () for posteriors (B, G, d) and factors (B, G, k)."""

    def supervised(self, q: DiagonalGaussian, factors: Tensor) -> tuple[DiagonalGaussian, Tensor]:
        """Take the posteriors (B, G, c) and the factors (B, G, c), float, of the c supervised columns.

        Raises:
            InputError: If there are fewer factors or latents than the columns name.
        """
        count = len(self.columns)
        if max(self.columns) >= factors.shape[2] or count > q.mean.shape[2]:
            raise InputError(
                f"the supervision names factors {self.columns}, but the data have {factors.shape[2]} and the model "
                f"{q.mean.shape[2]} latents: shorten model.supervision.columns"
            )
        # no list as an index: copying it to a GPU would make every step wait
        labels = torch.stack([factors[..., column] for column in self.columns], -1)
        return DiagonalGaussian(q.mean[..., :count], q.logvar[..., :count]), labels.float()


class RestrictedLabels(Supervision):
    """The squared error between the mean of a latent and its standardised factor, summed over factors.

    Guarantees consistency of the labelled latents. Source: restricted labelling, Shu et al. 2020 (arXiv:1910.09772,
    section 3); as a regulariser of a VAE, Locatello et al. 2020 (arXiv:1905.01258, section 3.2).

    Args:
        strength: Weight in the loss, at least 0.
        columns: Positions of the labelled factors; latent i learns factor `columns[i]`.
        sizes: How many values each of them takes: classes 0..n-1 are standardised as if drawn evenly.

    Raises:
        InputError: As `Supervision`, or if there is not one size of at least 2 a column.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, strength: float = 1.0, columns: Sequence[int] = (0,), sizes: Sequence[int] = (2,)) -> None:
        super().__init__(strength, columns)
        if len(sizes) != len(columns) or min(sizes) < 2:
            raise InputError(f"restricted labels need one size >= 2 a column, got sizes {list(sizes)}")
        self.register_buffer("middle", torch.tensor([(n - 1) / 2 for n in sizes]), persistent=False)
        self.register_buffer("spread", torch.tensor([math.sqrt((n * n - 1) / 12) for n in sizes]), persistent=False)

    def forward(self, q: DiagonalGaussian, factors: Tensor) -> Tensor:
        """Return the error (), the mean over the images (B, G) of its sum over the labelled factors."""
        own, labels = self.supervised(q, factors)
        error = own.mean - (labels - self.middle) / self.spread
        # Before the square: its gradient would carry a missing label to the weights, masked or not.
        return torch.where(labels.isnan(), 0.0, error).square().sum(2).mean()


class MatchPairs(Supervision):
    """Latents that agree over a pair where their factor matches, and lie `margin` standard deviations apart elsewhere.

    With D the symmetric KL of a latent over the pair, in nats, and sqrt(2 D) their distance, which for two posteriors
    of one width is in standard deviations: a pair that matches costs D, one that does not half the square of what its
    distance lacks to the margin. The second half gives the latent something to say: the first alone is least for a
    latent that is empty. Guarantees consistency of the matched latents, and where all but one factor match,
    restrictiveness of the one, as long as every factor sometimes differs; for groups that always share it, `KnownMask`
    and `GVAE` are the hard form. Source: match pairing, Shu et al. 2020 (arXiv:1910.09772, section 3), whose generator
    has to draw what a pair shares from the shared latent; the margin is that of Hadsell et al. 2006
    (doi:10.1109/CVPR.2006.100, eq. 4).

    Args:
        strength: Weight in the loss, at least 0.
        columns: Positions of the matched factors; latent i stands for factor `columns[i]`.
        margin: Least distance of a latent whose factor differs, in standard deviations; 0 only draws matching pairs
            together.

    Raises:
        InputError: As `Supervision`, or if margin is negative.
    """

    def __init__(self, strength: float = 1.0, columns: Sequence[int] = (0,), margin: float = 3.0) -> None:
        super().__init__(strength, columns)
        if margin < 0:
            raise InputError(f"the margin of a match supervision must not be negative, got {margin}")
        self.margin = margin

    def forward(self, q: DiagonalGaussian, factors: Tensor) -> Tensor:
        """Return the penalty () in nats, the mean over pairs (B, 2) of its sum over latents."""
        (first, second), (one, two) = _two(*self.supervised(q, factors))
        divergence = 0.5 * (first.kl_to(second) + second.kl_to(first))
        # A root has no gradient at 0, where rounding may lead even below.
        distance = (2 * divergence).clamp_min(SMALLEST).sqrt()
        apart = torch.where((one < two) | (one > two), 0.5 * F.relu(self.margin - distance).square(), 0.0)
        return torch.where(one == two, divergence, apart).sum(1).mean()


class RankPairs(Supervision):
    """The cross-entropy of telling which image of a pair has more of a factor from the means of its latent.

    Pairs with equal values carry no order and are left out. Guarantees consistency; the order of two visits is such a
    rank. Source: rank pairing, Shu et al. 2020 (arXiv:1910.09772, section 3).
    """

    def forward(self, q: DiagonalGaussian, factors: Tensor) -> Tensor:
        """Return the cross-entropy () in nats, summed over factors, averaged over pairs (B, 2)."""
        (first, second), (one, two) = _two(*self.supervised(q, factors))
        errors = F.binary_cross_entropy_with_logits(first.mean - second.mean, (one > two).float(), reduction="none")
        return torch.where((one > two) | (one < two), errors, 0.0).sum(1).mean()


def _two(q: DiagonalGaussian, factors: Tensor) -> tuple[list[DiagonalGaussian], tuple[Tensor, ...]]:
    if q.mean.shape[1] != 2:
        raise InputError(f"match and rank supervision compare the images of a pair, got groups of {q.mean.shape[1]}")
    return [DiagonalGaussian(q.mean[:, i], q.logvar[:, i]) for i in (0, 1)], factors.unbind(1)
