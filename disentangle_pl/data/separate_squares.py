"""Squares that move without ever sharing a pixel with where they were before."""

import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.errors import InputError

AXES = ("x", "y")


class SeparateSquares(FactorDataset):
    """Up to three squares, each in a colour channel of its own, on a lattice as wide as the squares.

    Two positions of a square never overlap, so all of them are equally far apart in pixels: the images do not say which
    positions are neighbours. Every factor induces the same variance everywhere. The idea is that of the XYSquares of
    Nathan Michlo's disent (https://github.com/nmichlo/disent); the images are our own.

    Source: after XYSquares of disent (https://github.com/nmichlo/disent).

    Args:
        squares: How many, 1 to 3; one gives grey images.
        side: Of a square, in pixels.
        resolution: Height and width in pixels; its quotient by the side is the number of positions an axis.

    Raises:
        InputError: If a number makes no sense, or there is one position only.
    """

    def __init__(self, squares: int = 2, side: int = 8, resolution: int = 32) -> None:
        if squares not in (1, 2, 3) or side < 1 or resolution // side < 2:
            got = f"{squares} of {side} in {resolution}"
            raise InputError(f"separate squares are 1 to 3, and at least two fit beside each other, got {got} pixels")
        positions = resolution // side
        names = [f"{axis}{i + 1}" for i in range(squares) for axis in AXES]
        self.factors = FactorSpace(names, [positions] * len(names))
        self.shape = (1 if squares == 1 else 3, resolution, resolution)
        self.side = side

    def images(self, index: Tensor) -> Tensor:
        """Draw (B, C, H, W) on the device of the grid index (B,)."""
        cell = torch.arange(self.shape[-1], device=index.device) // self.side
        place = self.factors.to_factors(index).view(len(index), -1, len(AXES))
        across, down = (cell == place[..., axis, None] for axis in range(len(AXES)))
        squares = (down[..., :, None] & across[..., None, :]).float()
        blank = squares.new_zeros(len(index), self.shape[0] - squares.shape[1], *self.shape[1:])
        return torch.cat([squares, blank], dim=1)
