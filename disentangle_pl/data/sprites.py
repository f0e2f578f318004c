"""The dSprites family drawn procedurally, on the device that asks, at any resolution: no download."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.errors import InputError

RADIUS = 0.2  # circumradius at scale 1, in image widths: no sprite ever leaves the image
ELLIPSE_RATIO = 0.5
SIZES = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}


def square(u: Tensor, v: Tensor) -> Tensor:
    """Inside test of a square with circumradius 1, at coordinates (..., H, W)."""
    return torch.maximum(u.abs(), v.abs()) <= math.sqrt(0.5)


def ellipse(u: Tensor, v: Tensor) -> Tensor:
    """Inside test of an ellipse with semi-axes 1 and `ELLIPSE_RATIO`."""
    return u.square() + (v / ELLIPSE_RATIO).square() <= 1


def heart(u: Tensor, v: Tensor) -> Tensor:
    """Inside test of the heart (a^2 + b^2 - 1)^3 <= a^2 b^3, shrunk and shifted into the unit circle, point down."""
    a, b = 1.25 * u, 0.25 - 1.25 * v
    return (a.square() + b.square() - 1) ** 3 <= a.square() * b**3


class Sprites(FactorDataset):
    """White (or coloured) sprites on black: shape x scale x orientation x horizontal x vertical position.

    Follows the published description of dSprites (Matthey et al. 2017): square, ellipse, heart; 6 scales in [0.5, 1];
    40 orientations in [0, 2 pi], both ends included; 32 x 32 positions; binary images, last factor fastest. The
    outlines are our own, so pixels differ from the published file. Any subset of every factor's values can be chosen by
    its positions in the full list, and the images of a subset are exactly those of the full grid.

    Source: Matthey et al., dSprites, 2017, whose description it follows.

    Args:
        resolution: Height and width in pixels.
        shape_values: Positions in (square, ellipse, heart); null for all.
        scale_values: Positions in the 6 scales.
        orientation_values: Positions in the 40 orientations.
        x_values: Positions in the 32 columns.
        y_values: Positions in the 32 rows.
        colors: Number of evenly spaced hues, as a first factor `color` of RGB images; 0 for grey images without it.
        supersample: Points a pixel and axis: 1 gives binary images, more gives grey edges.

    Raises:
        InputError: If a position lies outside its list, repeats, or none is given, or a number makes no sense.
    """

    def __init__(
        self,
        resolution: int = 64,
        shape_values: Sequence[int] | None = None,
        scale_values: Sequence[int] | None = None,
        orientation_values: Sequence[int] | None = None,
        x_values: Sequence[int] | None = None,
        y_values: Sequence[int] | None = None,
        colors: int = 0,
        supersample: int = 1,
    ) -> None:
        if resolution < 2 or supersample < 1 or colors < 0:
            got = f"{resolution}, {supersample} and {colors}"
            raise InputError(f"sprites need resolution >= 2, supersample >= 1 and colors >= 0, got {got}")
        given = (shape_values, scale_values, orientation_values, x_values, y_values)
        chosen = {n: _checked(n, SIZES[n], v) for n, v in zip(SIZES, given, strict=True)}
        sizes = {"color": colors} if colors else {}
        sizes |= {name: len(values) for name, values in chosen.items()}
        self.factors = FactorSpace(tuple(sizes), tuple(sizes.values()))
        self.shape = (3 if colors else 1, resolution, resolution)
        self.supersample = supersample
        self.colors = colors
        kind, scale, orientation, x, y = (torch.tensor(values) for values in chosen.values())
        radius = RADIUS * torch.linspace(0.5, 1, SIZES["scale"])[scale]
        angle = torch.linspace(0, 2 * math.pi, SIZES["orientation"])[orientation]
        across, down = (torch.linspace(RADIUS, 1 - RADIUS, SIZES[axis]) for axis in "xy")
        self.values = [kind, radius, angle, across[x], down[y]]
        self.hues = _hues(torch.arange(colors), colors)

    def images(self, index: Tensor) -> Tensor:
        """Render (B, C, H, W) on the device of the grid index (B,)."""
        factors = self.factors.to_factors(index)
        self.values = [values.to(index.device) for values in self.values]
        chosen = zip(self.values, factors[:, -5:].unbind(1), strict=True)
        silhouette = self._silhouette(*(values[at].view(-1, 1, 1) for values, at in chosen))
        if not self.colors:
            return silhouette
        self.hues = self.hues.to(index.device)
        return silhouette * self.hues[factors[:, 0]]

    def _silhouette(self, kind: Tensor, radius: Tensor, angle: Tensor, x: Tensor, y: Tensor) -> Tensor:
        points = self.shape[-1] * self.supersample
        grid = (torch.arange(points, device=kind.device) + 0.5) / points
        across, down = (grid - x) / radius, (grid - y).transpose(1, 2) / radius
        cos, sin = angle.cos(), angle.sin()
        u, v = cos * across + sin * down, cos * down - sin * across
        inside = torch.zeros_like(u, dtype=torch.bool)
        for number, outline in enumerate((square, ellipse, heart)):
            chosen = kind == number
            if chosen.is_cuda:  # to count the rows the CPU would wait for the GPU
                inside |= chosen & outline(u, v)
            elif chosen.any():  # most batches of a grid in order have one shape
                rows = chosen.flatten()
                inside[rows] = outline(u[rows], v[rows])
        image = inside.unsqueeze(1).float()
        if self.supersample == 1:
            return image
        return (F.avg_pool2d(image, self.supersample) * 255).round() / 255


def _hues(color: Tensor, colors: int) -> Tensor:
    turn = color / colors + torch.tensor([[0.0], [-1 / 3], [1 / 3]])
    rgb = ((turn * 6 % 6 - 3).abs() - 1).clamp(0, 1).T
    return (rgb * 255).round().div(255).view(-1, 3, 1, 1)


def _checked(name: str, size: int, values: Sequence[int] | None) -> Sequence[int]:
    chosen = range(size) if values is None else values
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0 or max(chosen) >= size:
        raise InputError(f"{name}_values={values} must be distinct positions between 0 and {size - 1}, at least one")
    return chosen
