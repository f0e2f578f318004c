"""Tiny changes of images that leave every factor as it is but turn the directions of variance, and their control.

Source: Zietlow, Rolinek and Martius, Demystifying Inductive Biases for (Beta-)VAE Based Architectures (ICML 2021,
arXiv:2102.06822). They train the perturbation; ours is a closed form with the same bound.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.errors import InputError

ANCHORS = 32


class Perturbed(FactorDataset):
    """Any data set with faint waves over its images, which move with two rotated factors; labels are unchanged.

    x' = clip(x + eps m(a, b)) to [0, 1] with |m| <= 1. Over the upper rows a wave moves with the sum of the positions
    of factors a and b in their lists, over the lower rows one with their difference. A step of a or b moves both waves,
    so what they add varies along the diagonals of (a, b), not along its axes: where a and b induce similar variance,
    the local principal directions turn towards 45 degrees between them. Two images never differ by more than `eps` in a
    pixel from their originals, and images of whole bytes stay so.

    Source: the question of Zietlow et al. 2021 (ICML); the waves are ours.

    Args:
        dataset: The images.
        eps: The most that a pixel may change, in (0, 1].
        pair: The names of a and b; null takes the two that induce most variance, at 32 random anchors each.
        turn: By how much a step of a factor moves a wave, in wave lengths.
        share: Share of the rows with the wave of the sum; with 1/2 both waves balance and nothing turns.
        waves: Wave lengths from left to right.

    Raises:
        InputError: If a number makes no sense or the pair is none.
    """

    def __init__(
        self,
        dataset: FactorDataset,
        eps: float = 0.1,
        pair: Sequence[str] | None = None,
        turn: float = 0.2,
        share: float = 0.75,
        waves: float = 3.0,
    ) -> None:
        if not 0 < eps <= 1 or not 0 <= share <= 1 or not all(map(math.isfinite, (turn, waves))):
            got = f"{eps}, {share}, {turn} and {waves}"
            raise InputError(f"perturbed images need 0 < eps <= 1, 0 <= share <= 1, finite turn and waves, got {got}")
        names = dataset.factors.names
        chosen = strongest(dataset) if pair is None else tuple(pair)
        if len(set(chosen)) != 2 or not set(chosen) <= set(names):
            raise InputError(f"pair={list(chosen)} must be two of the factors {list(names)}")
        self.dataset, self.eps = dataset, eps
        self.shape, self.factors, self.stochastic = dataset.shape, dataset.factors, dataset.stochastic
        self.pair = chosen
        self.columns = [names.index(name) for name in chosen]
        self.turn, self.share, self.waves = turn, share, waves

    def images(self, index: Tensor) -> Tensor:
        """Perturb (B, C, *S) on the device of the grid index (B,)."""
        return move(self.dataset.images(index), self.pattern(index), self.eps)

    def pattern(self, index: Tensor) -> Tensor:
        """Return m (B, 1, *S) in [-1, 1] at grid index (B,)."""
        a, b = (self.factors.to_factors(index)[:, column] for column in self.columns)
        rows, *_, columns = self.shape[1:]
        upper = torch.arange(rows, device=index.device) < round(self.share * rows)
        steps = torch.where(upper, (a + b)[:, None], (a - b)[:, None])
        across = (torch.arange(columns, device=index.device) + 0.5) / columns * self.waves
        wave = torch.cos(2 * math.pi * (across - self.turn * steps[..., None]))
        middle = [1] * (len(self.shape) - 3)
        return wave.view(-1, 1, rows, *middle, columns).expand(-1, 1, *self.shape[1:])


class Noised(FactorDataset):
    """The control: every image with noise of its own, uniform in [-eps, eps] and independent over pixels.

    Source: the control of Zietlow et al. 2021 (ICML).

    Args:
        dataset: The images.
        eps: The most that a pixel may change, in (0, 1].
        seed: Other seeds give other noise; the noise of an image never changes.

    Raises:
        InputError: If eps makes no sense.
    """

    def __init__(self, dataset: FactorDataset, eps: float = 0.1, seed: int = 0) -> None:
        if not 0 < eps <= 1:
            raise InputError(f"noise needs 0 < eps <= 1, got {eps}")
        self.dataset, self.eps, self.seed = dataset, eps, seed
        self.shape, self.factors, self.stochastic = dataset.shape, dataset.factors, dataset.stochastic

    def images(self, index: Tensor) -> Tensor:
        """Add noise to (B, C, *S) on the device of the grid index (B,)."""
        pixels = math.prod(self.shape)
        count = index[:, None] * pixels + torch.arange(pixels, device=index.device)
        return move(self.dataset.images(index), 2 * scatter(count, self.seed).view(-1, *self.shape) - 1, self.eps)


def move(images: Tensor, pattern: Tensor, eps: float) -> Tensor:
    """Return clip(x + eps m) with the change rounded towards 0 to whole bytes, so that |x' - x| <= eps.

    Args:
        images: (B, C, *S), to be clipped to [0, 1]; a pixel beyond is clipped to where it is.
        pattern: m, (B, C, *S) or (B, 1, *S) in [-1, 1].
        eps: The bound.
    """
    # One division: a sum of two quotients would be no multiple of 1/255 to the last bit.
    moved = (255 * images + (255 * eps * pattern).trunc()) / 255
    return torch.minimum(torch.maximum(moved, images.clamp_max(0)), images.clamp_min(1))


def scatter(count: Tensor, seed: int) -> Tensor:
    """Return uniform numbers in [0, 1) that depend on integers (...) alone: on every device the same."""
    bits = count + seed * 0x5851F42D
    for factor in (0x45D9F3B, 0x119DE1F3, 0x45D9F3B):
        bits = ((bits ^ (bits >> 16)) * factor) & 0xFFFFFFFF
    return (bits ^ (bits >> 16)).float() / 2**32 % 1


def strongest(dataset: FactorDataset) -> tuple[str, ...]:
    """Return the names of the two factors that induce most variance, at 32 random anchors each; no nuisance."""
    space = dataset.factors
    draws = torch.Generator().manual_seed(0)
    amounts = []
    for k, size in enumerate(space.sizes):
        factors = space.sample(ANCHORS, draws)[:, None, :].repeat(1, size, 1)
        factors[..., k] = torch.arange(size)
        slices = [dataset.images(space.to_index(some)).flatten(1) for some in factors]
        amounts.append(float(torch.stack([some.var(dim=0, correction=0).sum() for some in slices]).mean()))
    scored = [k for k, name in enumerate(space.names) if name not in space.nuisance]
    order = sorted(scored, key=lambda k: -amounts[k])
    return tuple(space.names[k] for k in sorted(order[:2]))
