"""Two independent Gaussians, and how well a principal component finds the wider one."""

import math

import torch
from torch import Tensor

from disentangle_pl.errors import InputError


def two_gaussians(points: int, ratio: float, generator: torch.Generator, *, draws: int = 1) -> Tensor:
    """Draw points (draws, points, 2) with standard deviations (ratio, 1).

    Args:
        points: Points a draw, at least 2.
        ratio: Of the standard deviations, at least 1.
        generator: Source of the points, on the CPU.
        draws: Independent draws.

    Raises:
        InputError: If a number makes no sense.
    """
    if points < 2 or draws < 1 or not 1 <= ratio < math.inf:
        raise InputError(f"two Gaussians need 2 points, a draw and a ratio >= 1, got {points}, {draws} and {ratio}")
    points_of_draws = torch.randn(draws, points, 2, generator=generator, dtype=torch.float64)
    return points_of_draws * torch.tensor([ratio, 1.0], dtype=torch.float64)


def component_angles(points: Tensor) -> Tensor:
    """Return the angles (draws,) in degrees, 0 to 90, between first principal component and first axis.

    Args:
        points: (draws, n, 2).
    """
    centred = points - points.mean(dim=1, keepdim=True)
    (xx, xy), (_, yy) = (row.unbind(-1) for row in (centred.mT @ centred).unbind(-2))
    return torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy)).abs()


def expected_angle(points: int, ratio: float) -> float:
    """Return the root mean square of the angle in degrees that theory predicts for large n and small angles.

    sqrt(l1 l2 / (n (l1 - l2)^2)) radians, with the variances l1 > l2; at most 45, which a direction drawn at random has
    on average and a ratio of 1 gives. Source: Anderson 1963, Asymptotic theory for principal component analysis.

    Args:
        points: n.
        ratio: Of the standard deviations, at least 1.
    """
    wide, narrow = ratio**2, 1.0
    if wide == narrow:
        return 45.0
    return min(45.0, math.degrees(math.sqrt(wide * narrow / (points * (wide - narrow) ** 2))))
