"""Learned gates: hard concrete (L0), straight-through and Gumbel."""

import math
import warnings

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, over_kernel
from disentangle_pl.masks.gate_gradients import straight_through, stretched_sigmoid
from disentangle_pl.masks.proximal import group_of


class LearnedGates(ChannelMask):
    """Gates that are closed in evaluation where a logit is low enough.

    Their logits (m, n) are their only parameter.

    Attributes:
        closed: The largest logit of a closed gate.
    """

    closed: float = 0.0

    def check(self, optimizer: Optimizer, steps: float) -> None:
        """Warn if no gate can close in time: Adam moves a logit by about its learning rate in a step, and not further.

        Other optimisers have no such bound.
        """
        (logits,) = self.parameters()
        group = group_of(optimizer, logits)
        rate = float(max(group["lr"], group.get("initial_lr", 0.0)))
        distance = float(logits.detach().min()) - self.closed
        if not self.strength or not isinstance(optimizer, Adam) or distance <= rate * steps:
            return
        warnings.warn(
            f"no gate of the masks can close in this training: a logit starts {distance:.3g} above that of a closed "
            f"gate and moves by at most about {rate:.3g} in a step (the learning rate times "
            f"model.mask.speed={self.speed:g}), so {distance / rate:,.0f} steps are needed and {steps:,.0f} are made. "
            f"Set model.mask.speed to {4 * self.speed * distance / (rate * steps):.2g} or more",
            stacklevel=2,
        )


class HardConcreteMask(LearnedGates):
    r"""Stochastic gates in [0, 1] with mass at both ends, under the expected number of open ones (L0).

    .. math::

        M = \min\Big(1, \max\Big(0, (\zeta - \gamma) \, \sigma\Big(\frac{\log \alpha + \log u - \log(1 - u)}{\tau}\Big)
        + \gamma \Big)\Big)

        \text{loss} + \lambda \sum_{ij} \sigma\Big(\log \alpha_{ij} - \tau \log \frac{-\gamma}{\zeta}\Big)

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the expected number of open pairs in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        dropped: Probability of a closed gate at the start, in (0, 1).
        temperature: Of the concrete distribution, above 0.
        speed: Learning rate of the gates as a multiple of that of the weights.

    Raises:
        InputError: If an argument lies outside its range.

    Source: Louizos et al. 2018, Learning Sparse Neural Networks through L0 Regularization (arXiv:1712.01312), eq.
        10-13.
    """

    LOW, HIGH = -0.1, 1.1
    closed = math.log(-LOW / HIGH)

    def __init__(
        self,
        pairs: tuple[int, int],
        strength: float = 1e-3,
        warm_up: int = 0,
        dropped: float = 0.1,
        temperature: float = 2 / 3,
        speed: float = 1.0,
    ) -> None:
        super().__init__(strength, warm_up, speed)
        if not 0 < dropped < 1:
            raise InputError(f"a hard concrete gate starts closed with a probability in (0, 1), got dropped={dropped}")
        self.temperature = _positive(temperature)
        self.log_odds = nn.Parameter(torch.full(pairs, math.log(1 - dropped) - math.log(dropped)))

    def forward(self, weight: Tensor) -> Tensor:
        """Draw gates in training; use their middle otherwise."""
        temperature = self.temperature if self.training else 1.0
        gates = stretched_sigmoid(self.log_odds, temperature, self.LOW, self.HIGH, noisy=self.training)
        return weight * over_kernel(gates, weight)

    def gates(self) -> Tensor:
        """Return the middle of every gate, in [0, 1]."""
        return stretched_sigmoid(self.log_odds.detach(), 1.0, self.LOW, self.HIGH)

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the expected number of open pairs."""
        return torch.sigmoid(self.log_odds - self.temperature * math.log(-self.LOW / self.HIGH)).sum()


class BinaryMask(LearnedGates):
    r"""Gates of exactly 0 or 1; gradients pass the step function as if it were a sigmoid.

    .. math::

        M_{ij} = \mathbf{1}[l_{ij} > 0], \qquad
        \frac{\partial M_{ij}}{\partial l_{ij}} := \sigma'(l_{ij})

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the number of open pairs in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        start: Logit of every gate at the start; above 0 is open.
        speed: Learning rate of the gates as a multiple of that of the weights.

    Raises:
        InputError: If an argument lies outside its range.

    Source: straight-through estimator, Bengio et al. 2013 (arXiv:1308.3432).
    """

    def __init__(
        self,
        pairs: tuple[int, int],
        strength: float = 1e-3,
        warm_up: int = 0,
        start: float = 0.5,
        speed: float = 1.0,
    ) -> None:
        super().__init__(strength, warm_up, speed)
        self.logits = nn.Parameter(torch.full(pairs, float(start)))

    def forward(self, weight: Tensor) -> Tensor:
        """Cut the pairs whose logit is not above 0."""
        return weight * over_kernel(self._gates(), weight)

    def gates(self) -> Tensor:
        """Return M, of zeros and ones."""
        return (self.logits.detach() > 0).float()

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the number of open pairs."""
        return self._gates().sum()

    def _gates(self) -> Tensor:
        return straight_through(self.logits)


class GumbelMask(LearnedGates):
    r"""Gates of exactly 0 or 1, drawn by their learned odds in training, and open where these are above one otherwise.

    .. math::

        M_{ij} = \mathbf{1}[l_{ij} + g_{ij} > 0], \qquad g_{ij} = \log u_{ij} - \log(1 - u_{ij}), \qquad
        u_{ij} \sim U(0, 1)

    Args:
        pairs: (m, n) channels of the layer's weight.
        strength: Weight of the expected number of open pairs in the loss, at least 0.
        warm_up: Steps over which the strength grows from 0.
        start: Log odds of every gate at the start.
        temperature: Of the relaxation that gradients pass through, above 0.
        speed: Learning rate of the gates as a multiple of that of the weights.

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
        speed: float = 1.0,
    ) -> None:
        super().__init__(strength, warm_up, speed)
        self.temperature = _positive(temperature)
        self.log_odds = nn.Parameter(torch.full(pairs, float(start)))

    def forward(self, weight: Tensor) -> Tensor:
        """Draw gates in training; open the likely ones otherwise."""
        gates = straight_through(self.log_odds, self.temperature, noisy=self.training)
        return weight * over_kernel(gates, weight)

    def gates(self) -> Tensor:
        """Return M, of zeros and ones: one where a gate is likelier open than closed."""
        return (self.log_odds.detach() > 0).float()

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the expected number of open pairs."""
        return torch.sigmoid(self.log_odds).sum()


def _positive(temperature: float) -> float:
    if not temperature > 0:
        raise InputError(f"the temperature of a gate must be above 0, got {temperature}")
    return temperature
