"""Images that are linear in their factors, with known variances and directions."""

import math

import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.patterns import equal_patterns
from disentangle_pl.errors import InputError

MARKER = 8  # the marker of the position has the lowest eighth of the rows


class CosineFactors(FactorDataset):
    """Every factor scales a smooth pattern of its own: equal or unequal variances, alike everywhere.

    x = 1/2 + sum_k a_k v_k p_k with v_k evenly spaced in [-1, 1], orthogonal patterns p_k of equal length, and
    a_k = a_1 / ratio^(k - 1), sum_k a_k = 1/2. With `ratio` 1 all factors induce the same variance, and nothing in the
    images tells their axes from rotated ones; above 1, the factors are the principal components. The idea is the linear
    toy of Rolinek et al. 2019 (arXiv:1812.06775) with degenerate variances.

    Source: after the linear toy of Rolinek et al. 2019 (arXiv:1812.06775).

    Args:
        factors: Their number K.
        levels: Values each takes, at least 2.
        ratio: By how much the amplitude falls from a factor to the next, at least 1.
        resolution: Height and width in pixels.

    Raises:
        InputError: If a number makes no sense.
    """

    def __init__(self, factors: int = 4, levels: int = 8, ratio: float = 1.5, resolution: int = 32) -> None:
        if factors < 1 or levels < 2 or not 1 <= ratio < math.inf:
            got = f"{factors}, {levels} and {ratio}"
            raise InputError(f"cosines need a factor and 2 levels at least and a finite ratio >= 1, got {got}")
        self.factors = FactorSpace([f"wave_{k + 1}" for k in range(factors)], [levels] * factors)
        self.shape = (1, resolution, resolution)
        self.values = torch.linspace(-1, 1, levels)
        falling = ratio ** -torch.arange(factors, dtype=torch.float64)
        self.amplitudes = (falling / falling.sum() / 2).float()
        self.patterns = equal_patterns(resolution, resolution, factors)

    def images(self, index: Tensor) -> Tensor:
        """Add the patterns up: (B, 1, H, W) on the device of the grid index (B,)."""
        own = self.values, self.amplitudes, self.patterns
        self.values, self.amplitudes, self.patterns = (part.to(index.device) for part in own)
        weights = self.values[self.factors.to_factors(index)] * self.amplitudes
        return 0.5 + torch.einsum("bk,khw->bhw", weights, self.patterns).unsqueeze(1)


class TurningDirections(FactorDataset):
    """Two factors whose directions in the space of images turn with a third one.

    At position t of a marker, the factors `major` and `minor` scale two orthogonal patterns that are turned, as axes of
    a plane, by an angle that goes from 0 to `turn` degrees. Each induces the same amount of variance everywhere; only
    the directions depend on the position. With `turn` 0 nothing does: the control.

    Source: a toy of our own.

    Args:
        levels: Values of `major` and of `minor`, at least 2.
        positions: Values of `position`, at least 2.
        turn: Degrees between the directions at the first and at the last position.
        ratio: Amplitude of `major` over that of `minor`, at least 1.
        resolution: Height and width in pixels.

    Raises:
        InputError: If a number makes no sense.
    """

    def __init__(
        self, levels: int = 8, positions: int = 8, turn: float = 90.0, ratio: float = 1.5, resolution: int = 32
    ) -> None:
        marker, width = resolution // MARKER, resolution // max(positions, 1)
        if levels < 2 or positions < 2 or not math.isfinite(turn) or not 1 <= ratio < math.inf:
            got = f"{levels}, {positions}, {turn} and {ratio}"
            raise InputError(f"turning directions need 2 levels, 2 positions, finite turn and ratio >= 1, got {got}")
        if not marker or not width:
            raise InputError(f"{resolution} pixels have no room for {positions} positions: take a larger resolution")
        self.factors = FactorSpace(("major", "minor", "position"), (levels, levels, positions))
        self.shape = (1, resolution, resolution)
        self.values = torch.linspace(-1, 1, levels)
        self.angles = torch.deg2rad(torch.linspace(0, turn, positions))
        self.patterns = equal_patterns(resolution - marker, resolution, 2)
        self.marker, self.width = marker, width
        self.ratio = ratio
        self.amplitude = 0.5 / math.sqrt(2 * (1 + ratio**-2))

    def images(self, index: Tensor) -> Tensor:
        """Draw (B, 1, H, W) on the device of the grid index (B,)."""
        major, minor, position = self.factors.to_factors(index).unbind(-1)
        own = self.values, self.angles, self.patterns
        self.values, self.angles, self.patterns = (part.to(index.device) for part in own)
        a, b = self.values[major] * self.amplitude, self.values[minor] * (self.amplitude / self.ratio)
        angle = self.angles[position]
        cos, sin = angle.cos(), angle.sin()
        weights = torch.stack([cos * a - sin * b, sin * a + cos * b], dim=-1)
        upper = 0.5 + torch.einsum("bk,khw->bhw", weights, self.patterns)
        column = torch.arange(self.shape[-1], device=index.device) // self.width
        lower = (column == position[:, None]).float()[:, None, :].expand(-1, self.marker, -1)
        return torch.cat([upper, lower], dim=1).unsqueeze(1)
