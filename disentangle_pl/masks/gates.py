"""Learned gates: hard concrete (L0), straight-through and Gumbel."""

import math

import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, over_kernel

EDGE = 1e-6  # keeps logarithms of uniform noise finite


class HardConcreteMask(ChannelMask):
    """Stochastic gates in [0, 1] with mass at both ends, under the expected number of open ones (L0).

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the expected number of open pairs in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        dropped: Probability of a closed gate at the start, in (0, 1).
        temperature: Of the concrete distribution, above 0.

    Raises:
        InputError: If an argument lies outside its range.

    Source: Louizos et al. 2018, Learning Sparse Neural Networks through L0 Regularization (arXiv:1712.01312), eq.
        10-13.
    """

    LOW, HIGH = -0.1, 1.1

    def __init__(
        self,
        pairs: tuple[int, int],
        strength: float = 1e-3,
        warm_up: int = 0,
        dropped: float = 0.1,
        temperature: float = 2 / 3,
    ) -> None:
        super().__init__(strength, warm_up)
        if not 0 < dropped < 1:
            raise InputError(f"a hard concrete gate starts closed with a probability in (0, 1), got dropped={dropped}")
        self.temperature = _positive(temperature)
        self.log_odds = nn.Parameter(torch.full(pairs, math.log(1 - dropped) - math.log(dropped)))

    def forward(self, weight: Tensor) -> Tensor:
        """Draw gates in training; use their middle otherwise."""
        if self.training:
            soft = torch.sigmoid((_logistic(self.log_odds) + self.log_odds) / self.temperature)
        else:
            soft = torch.sigmoid(self.log_odds)
        gates = (soft * (self.HIGH - self.LOW) + self.LOW).clamp(0, 1)
        return weight * over_kernel(gates, weight)

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the expected number of open pairs."""
        return torch.sigmoid(self.log_odds - self.temperature * math.log(-self.LOW / self.HIGH)).sum()


class BinaryMask(ChannelMask):
    """Gates of exactly 0 or 1; gradients pass the step function as if it were a sigmoid.

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the number of open pairs in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        start: Logit of every gate at the start; above 0 is open.

    Raises:
        InputError: If strength or warm_up is negative.

    Source: straight-through estimator, Bengio et al. 2013 (arXiv:1308.3432).
    """

    def __init__(self, pairs: tuple[int, int], strength: float = 1e-3, warm_up: int = 0, start: float = 0.5) -> None:
        super().__init__(strength, warm_up)
        self.logits = nn.Parameter(torch.full(pairs, float(start)))

    def forward(self, weight: Tensor) -> Tensor:
        """Cut the pairs whose logit is not above 0."""
        return weight * over_kernel(self._gates(), weight)

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the number of open pairs."""
        return self._gates().sum()

    def _gates(self) -> Tensor:
        return _straight_through((self.logits > 0).float(), torch.sigmoid(self.logits))


class GumbelMask(ChannelMask):
    """Gates of exactly 0 or 1, drawn by their learned odds in training, and open where these are above one otherwise.

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the expected number of open pairs in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        start: Log odds of every gate at the start.
        temperature: Of the relaxation that gradients pass through, above 0.

    Raises:
        InputError: If an argument lies outside its range.

    Source: Jang et al. 2017 (arXiv:1611.01144); as a mask on graphs, Lachapelle et al. 2022 (arXiv:2107.10098).
    """

    def __init__(
        self,
        pairs: tuple[int, int],
        strength: float = 1e-3,
        warm_up: int = 0,
        start: float = 5.0,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(strength, warm_up)
        self.temperature = _positive(temperature)
        self.log_odds = nn.Parameter(torch.full(pairs, float(start)))

    def forward(self, weight: Tensor) -> Tensor:
        """Draw gates in training; open the likely ones otherwise."""
        drawn = self.log_odds + _logistic(self.log_odds) if self.training else self.log_odds
        gates = _straight_through((drawn > 0).float(), torch.sigmoid(drawn / self.temperature))
        return weight * over_kernel(gates, weight)

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the expected number of open pairs."""
        return torch.sigmoid(self.log_odds).sum()


def _straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Return `hard`, to the last bit, with the gradient of `soft`."""
    return hard + (soft - soft.detach())


def _logistic(like: Tensor) -> Tensor:
    uniform = torch.rand_like(like).clamp(EDGE, 1 - EDGE)
    return uniform.log() - (-uniform).log1p()


def _positive(temperature: float) -> float:
    if not temperature > 0:
        raise InputError(f"the temperature of a gate must be above 0, got {temperature}")
    return temperature
