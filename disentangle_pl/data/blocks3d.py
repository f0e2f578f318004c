"""A coloured solid in a coloured room, drawn procedurally at any resolution: no download."""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.raycast import UP, Hit, capsule, cube, cylinder, planes, within
from disentangle_pl.errors import InputError

SIZES = {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15}
SOLIDS: tuple[tuple[float, float, Callable[[Tensor, Tensor], Hit]], ...] = (  # half the height, radius of a ball around
    (0.8, 1.39, partial(cube, half=0.8)),
    (0.9, 1.18, partial(cylinder, radius=0.75, half=0.9)),
    (0.95, 0.96, partial(capsule, radius=0.95, half=0.0)),
    (1.25, 1.26, partial(capsule, radius=0.6, half=0.65)),
)
SCALES = (0.75, 1.25)
TURN = math.radians(30)  # the camera goes round the solid from -TURN to TURN
TILT = math.radians(22)  # and looks down by TILT
DISTANCE, AIM, ZOOM = 9.0, 1.1, 0.29  # of the camera; the height it aims at; half the image's width at distance 1
FLOOR_AND_WALLS = ((0.0, 1.0, 0.0), (math.sqrt(0.5), 0.0, math.sqrt(0.5)), (-math.sqrt(0.5), 0.0, math.sqrt(0.5)))
OFFSETS = (0.0, -2.6, -2.6)
LIGHT = (-0.25, 0.8, 0.55)
AMBIENT = 0.4
PAINT = ((0.55, 0.95), (0.45, 1.0), (0.9, 1.0))  # saturation and value of floor, walls and solid


class Blocks3D(FactorDataset):
    """A solid on the floor of a room: floor hue x wall hue x object hue x scale x shape x orientation.

    Follows the published description of 3D Shapes (Burgess & Kim 2018), with a scene of our own: 10 hues evenly spaced
    round the colour circle; 8 scales in [0.75, 1.25]; cube, cylinder, sphere, capsule; 15 orientations of the camera in
    [-30, 30] degrees, by which the corner of the room moves through the image. One ray a point, matt surfaces under one
    lamp, with shadows; last factor fastest; colours are multiples of 1/255. Any subset of every factor's values can be
    chosen by its positions in the full list, and the images of a subset are exactly those of the full grid.

    Rays are cast once for each scale, shape and orientation, at the first use and on the CPU; from then on an image is
    a lookup and a colouring on the device that asks, the same on every device. The lookup table takes 3 bytes a pixel.

    Source: Burgess & Kim, 3D Shapes Dataset, 2018, whose description it follows.

    Args:
        resolution: Height and width in pixels.
        floor_hue_values: Positions in the 10 hues; null for all.
        wall_hue_values: Positions in the 10 hues.
        object_hue_values: Positions in the 10 hues.
        scale_values: Positions in the 8 scales.
        shape_values: Positions in (cube, cylinder, sphere, capsule).
        orientation_values: Positions in the 15 orientations.
        supersample: Points a pixel and axis; 1 gives jagged edges.

    Raises:
        InputError: If a position lies outside its list, repeats, or none is given, or a number makes no sense.
    """

    def __init__(
        self,
        resolution: int = 64,
        floor_hue_values: Sequence[int] | None = None,
        wall_hue_values: Sequence[int] | None = None,
        object_hue_values: Sequence[int] | None = None,
        scale_values: Sequence[int] | None = None,
        shape_values: Sequence[int] | None = None,
        orientation_values: Sequence[int] | None = None,
        supersample: int = 3,
    ) -> None:
        if resolution < 2 or supersample < 1:
            raise InputError(f"blocks need resolution >= 2 and supersample >= 1, got {resolution} and {supersample}")
        painted = (floor_hue_values, wall_hue_values, object_hue_values)
        given = (*painted, scale_values, shape_values, orientation_values)
        chosen = {n: _checked(n, SIZES[n], v) for n, v in zip(SIZES, given, strict=True)}
        self.factors = FactorSpace(tuple(chosen), tuple(len(values) for values in chosen.values()))
        self.shape = (3, resolution, resolution)
        self.supersample = supersample
        *hues, self.scales, self.kinds, self.orientations = (list(values) for values in chosen.values())
        self.paint = [_colours(*PAINT[i])[positions] for i, positions in enumerate(hues)]

    def images(self, index: Tensor) -> Tensor:
        """Colour (B, 3, H, W) on the device of the grid index (B,)."""
        if self._light.device != index.device:
            self._light = self._light.to(index.device)
            self.paint = [part.to(index.device) for part in self.paint]
        hues = self.factors.to_factors(index)[:, :3].unbind(1)
        paint = torch.stack([part[hue] for part, hue in zip(self.paint, hues, strict=True)], 2)
        light = self._light[index % len(self._light)].float().flatten(2)
        return torch.bmm(paint, light).round_().div_(255).view(-1, *self.shape)

    @cached_property
    def _light(self) -> Tensor:
        """What floor, walls and solid reflect (n, 3, H, W), in bytes, for every scale, shape and orientation."""
        shots = {o: Shot(o, self.shape[-1] * self.supersample) for o in self.orientations}
        scenes = itertools.product(self.scales, self.kinds, self.orientations)
        light = (F.avg_pool2d(shots[o].light(scale, kind), self.supersample) for scale, kind, o in scenes)
        return torch.stack([(part * 255).round().byte() for part in light])


class Shot:
    """The empty room seen from one orientation, into which solids are put.

    Args:
        orientation: Position in the 15 orientations.
        points: Height and width in rays.
    """

    def __init__(self, orientation: int, points: int) -> None:
        turn = TURN * (2 * orientation / (SIZES["orientation"] - 1) - 1)
        back = _column(math.sin(turn) * math.cos(TILT), math.sin(TILT), math.cos(turn) * math.cos(TILT))
        right = _column(math.cos(turn), 0, -math.sin(turn))
        up = torch.linalg.cross(back, right, dim=0)
        across = (2 * (torch.arange(points) + 0.5) / points - 1) * ZOOM
        y, x = (grid.flatten() for grid in torch.meshgrid(-across, across, indexing="ij"))
        self.points = points
        self.eye = AIM * UP + DISTANCE * back
        self.way = x * right + y * up - back
        normals = torch.tensor(FLOOR_AND_WALLS)
        self.distance, self.plane = planes(self.eye, self.way, normals, torch.tensor(OFFSETS))
        self.spot = self.eye + self.distance * self.way
        self.lamp = F.normalize(_column(*LIGHT), dim=0)
        self.room = _lambert(normals.T[:, self.plane], self.lamp)

    def light(self, scale: int, kind: int) -> Tensor:
        """Return the reflected light (3, points, points) of floor, walls and solid in [0, 1], 0 for hidden points."""
        half, radius, solid = SOLIDS[kind]
        size = SCALES[0] + (SCALES[1] - SCALES[0]) * scale / (SIZES["scale"] - 1)
        centre = half * size * UP
        hit = within(radius, solid, (self.eye - centre) / size, self.way)
        shadow = within(
            radius, solid, (self.spot - centre) / size, self.lamp.expand_as(self.way) / size
        ).distance.isfinite()
        part = torch.where(hit.distance * size < self.distance, 2, self.plane.clamp(max=1))
        light = torch.where(part == 2, _lambert(hit.normal, self.lamp), self.room.masked_fill(shadow, AMBIENT))
        return torch.stack([light * (part == i) for i in range(3)]).view(3, self.points, self.points)


def _column(*xyz: float) -> Tensor:
    return torch.tensor(xyz).unsqueeze(1)


def _lambert(normal: Tensor, lamp: Tensor) -> Tensor:
    return AMBIENT + (1 - AMBIENT) * (lamp.T @ normal).squeeze(0).clamp(min=0)


def _colours(saturation: float, value: float) -> Tensor:
    """The colours (10, 3) of the hues in 256ths: their products with bytes are exact, whatever sums them up."""
    turn = torch.arange(SIZES["floor_hue"]).unsqueeze(1) / SIZES["floor_hue"] + torch.tensor([0, -1 / 3, 1 / 3])
    pure = ((turn * 6 % 6 - 3).abs() - 1).clamp(0, 1)
    return (value * (1 - saturation * (1 - pure)) * 256).round() / 256


def _checked(name: str, size: int, values: Sequence[int] | None) -> Sequence[int]:
    chosen = range(size) if values is None else values
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0 or max(chosen) >= size:
        raise InputError(f"{name}_values={values} must be distinct positions between 0 and {size - 1}, at least one")
    return chosen
