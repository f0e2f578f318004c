"""Grey squares whose colour induces much variance where they are large and little where they are small, and controls.

Source: the example of colour and size in Rakowski and Lippert, Disentanglement and Local Directions of Variance (ECML
PKDD 2021). The data of that paper are not public: sizes, colours and controls are our own.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.errors import InputError

SIDES = (4, 8, 12, 16, 20)
PATCH = 4  # side of the corner patch; no square comes nearer to the edge


class SquareToy(FactorDataset, ABC):
    """A square on black: colour x size, and position if wanted.

    All squares of one position share their middle. Colours are evenly spaced and not multiples of 1/255.

    Args:
        resolution: Height and width in pixels.
        sides: The sizes: sides in pixels, even numbers.
        levels: The number of colours, from `low` to 1.
        low: The darkest colour.
        positions: Columns, and rows, the square may be at; 1 leaves both factors out.

    Raises:
        InputError: If a number makes no sense or the squares do not fit.
    """

    def __init__(
        self,
        resolution: int = 32,
        sides: Sequence[int] = SIDES,
        levels: int = 8,
        low: float = 0.3,
        positions: int = 1,
    ) -> None:
        if not sides or len(set(sides)) < len(sides) or any(side < 2 or side % 2 for side in sides):
            raise InputError(f"sides={list(sides)} must be distinct even numbers of pixels, at least one")
        room = resolution - max(sides) - 2 * PATCH
        if positions < 1 or room < positions - 1:
            raise InputError(
                f"squares of {max(sides)} pixels and a free edge of {PATCH} leave no {positions} positions in "
                f"{resolution} pixels: take a larger resolution"
            )
        if levels < 1 or not 0 <= low < 1:
            raise InputError(f"squares need a colour at least and 0 <= low < 1, got {levels} and {low}")
        names, sizes = ("colour", "size", "x", "y"), (levels, len(sides), positions, positions)
        count = 2 if positions == 1 else 4
        self.factors = FactorSpace(names[:count], sizes[:count])
        self.shape = (1, resolution, resolution)
        self.sides = torch.tensor(sides)
        self.levels = torch.linspace(low, 1, levels)
        self.smallest, self.middle_level = min(sides), float(self.levels.mean())
        first = PATCH + max(sides) // 2
        spread = torch.linspace(0, room, positions) if positions > 1 else torch.tensor([room / 2])
        self.middles = first + spread.round().long()

    def images(self, index: Tensor) -> Tensor:
        """Draw (B, 1, H, W) on the device of the grid index (B,)."""
        colour, size, *place = self.factors.to_factors(index).unbind(-1)
        own = self.levels, self.sides, self.middles
        self.levels, self.sides, self.middles = (values.to(index.device) for values in own)
        level, side = _at(self.levels, colour), _at(self.sides, size)
        x, y = (_at(self.middles, at) for at in place or [torch.zeros_like(colour)] * 2)
        grid = torch.arange(self.shape[-1], device=index.device)
        across, down = (
            (grid >= x - side // 2) & (grid < x + side // 2),
            (grid >= y - side // 2) & (grid < y + side // 2),
        )
        return self.paint((down.mT & across).float(), level, side).unsqueeze(1)

    @abstractmethod
    def paint(self, inside: Tensor, level: Tensor, side: Tensor) -> Tensor:
        """Colour squares.

        Args:
            inside: (B, H, W) 1 in the square and 0 elsewhere.
            level: (B, 1, 1) colours.
            side: (B, 1, 1) sides in pixels.
        """


@final
class ColourSize(SquareToy):
    """The square itself has the colour: a change of colour moves as many pixels as the square has.

    The variance that colour induces grows with the area: its amount and its direction depend on size.

    Source: a toy of our own.
    """

    def paint(self, inside: Tensor, level: Tensor, side: Tensor) -> Tensor:
        """Fill the squares."""
        return inside * level


@final
class ColourPatch(SquareToy):
    """The consistent control: a fixed corner patch has the colour, and the square has the mean colour.

    Colour and size act on different pixels, so each induces the same variance wherever the other is.

    Source: a toy of our own.
    """

    def paint(self, inside: Tensor, level: Tensor, side: Tensor) -> Tensor:
        """Fill the squares with the mean colour and the patch with the colour."""
        image = inside * self.middle_level
        image[:, :PATCH, :PATCH] = level
        return image


@final
class EvenColourSize(SquareToy):
    """The amount-only control: the contrast of colours is scaled by (smallest side / side).

    Colour then induces the same amount of variance at every size, but still in other directions.

    Source: a toy of our own.
    """

    def paint(self, inside: Tensor, level: Tensor, side: Tensor) -> Tensor:
        """Fill large squares with colours nearer to the mean."""
        return inside * (self.middle_level + (level - self.middle_level) * (self.smallest / side))


def _at(values: Tensor, index: Tensor) -> Tensor:
    return values[index].view(-1, 1, 1)
