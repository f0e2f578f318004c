"""Smooth patterns that are orthogonal to each other: the products of cosines of the discrete cosine transform."""

import math

import torch
from torch import Tensor

from disentangle_pl.errors import InputError


def cosine_pattern(height: int, width: int, down: int, across: int) -> Tensor:
    """Return cos(pi down (i + 1/2) / height) cos(pi across (j + 1/2) / width): (height, width), within [-1, 1].

    Patterns with other frequencies are orthogonal to it; its mean is 0 unless both frequencies are. Where both are
    above 0, its mean square is 1/4.

    Args:
        height: Rows.
        width: Columns.
        down: Half waves from top to bottom, at least 0 and below height.
        across: Half waves from left to right, at least 0 and below width.

    Raises:
        InputError: If a frequency does not fit the pixels.
    """
    if not (0 <= down < height and 0 <= across < width):
        raise InputError(f"{height} x {width} pixels cannot show {down} and {across} half waves: take more pixels")
    rows = torch.cos(math.pi * down * (torch.arange(height) + 0.5) / height)
    columns = torch.cos(math.pi * across * (torch.arange(width) + 0.5) / width)
    return rows[:, None] * columns


def equal_patterns(height: int, width: int, number: int) -> Tensor:
    """Return patterns of equal length that are orthogonal, the smoothest first: (number, height, width).

    Args:
        height: Rows.
        width: Columns.
        number: How many, below (height - 1) (width - 1).

    Raises:
        InputError: If there are not so many.
    """
    pairs = [(down, across) for down in range(1, height) for across in range(1, width)]
    if not 1 <= number <= len(pairs):
        raise InputError(f"{height} x {width} pixels have {len(pairs)} patterns of equal length, not {number}")
    chosen = sorted(pairs, key=lambda pair: (sum(pair), pair))[:number]
    return torch.stack([cosine_pattern(height, width, *pair) for pair in chosen])
