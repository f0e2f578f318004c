"""Where rays meet a plane, a cube, a cylinder or a capsule: closed forms.

Points and directions are (3, P) tensors of x, y, z with y upwards; (3, 1) stands for one point that all rays share. A
solid is centred at the origin. Distances are in units of the direction's length, infinite where a ray misses.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

UP = torch.tensor([[0.0], [1.0], [0.0]])


class Hit(NamedTuple):
    """Where rays enter a solid.

    Attributes:
        distance: (P,), infinite where a ray misses.
        normal: (3, P) outward unit normals; meaningless where a ray misses.
    """

    distance: Tensor
    normal: Tensor


def slab(start: Tensor, way: Tensor, half: float) -> tuple[Tensor, Tensor]:
    """Distances (..., P) at which rays enter and leave the layer between -half and half."""
    sides = torch.stack([(-half - start) / way, (half - start) / way])
    return sides.amin(0), sides.amax(0)


def ball(start: Tensor, way: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Distances (P,) at which rays enter and leave a ball, in any number of coordinates (n, P)."""
    a, b = way.square().sum(0), (start * way).sum(0)
    inside = b.square() - a * (start.square().sum(0) - radius**2)
    root = inside.clamp(min=0).sqrt()
    missed = inside < 0
    return ((-b - root) / a).masked_fill(missed, math.inf), ((root - b) / a).masked_fill(missed, -math.inf)


def cube(start: Tensor, way: Tensor, half: float) -> Hit:
    """Meet the cube of side 2 half."""
    enter, leave = slab(start, way, half)
    distance, axis = enter.max(0)
    return Hit(_visible(distance, leave.amin(0)), (axis == torch.arange(3).unsqueeze(1)) * -way.sign())


def cylinder(start: Tensor, way: Tensor, radius: float, half: float) -> Hit:
    """Meet the upright cylinder of height 2 half."""
    enter, leave = ball(start[::2], way[::2], radius)
    top, bottom = slab(start[1], way[1], half)
    distance = torch.maximum(enter, top)
    level = torch.tensor([[1.0], [0.0], [1.0]])
    side = (start + distance * way) * level / radius
    return Hit(_visible(distance, torch.minimum(leave, bottom)), torch.where(enter > top, side, -way.sign() * UP))


def capsule(start: Tensor, way: Tensor, radius: float, half: float) -> Hit:
    """Meet the upright capsule around the segment from -half to half; a sphere where half is 0."""
    side, _ = ball(start[::2], way[::2], radius)
    height = start[1] + side * way[1]
    ends = [ball(start - end * UP, way, radius)[0] for end in (-half, half)]
    distance = torch.stack([side.masked_fill(~(height.abs() < half), math.inf), *ends]).amin(0)
    point = start + distance * way
    return Hit(_visible(distance, distance + 1), (point - point[1].clamp(-half, half) * UP) / radius)


def within(radius: float, meet: Callable[[Tensor, Tensor], Hit], start: Tensor, way: Tensor) -> Hit:
    """Meet a solid that lies in the ball of a radius: only the rays that meet the ball are followed."""
    near = ball(start, way, radius)[0].isfinite().nonzero().squeeze(1)
    distance, normal = torch.full_like(way[0], math.inf), torch.zeros_like(way)
    distance[near], normal[:, near] = meet(start.expand_as(way)[:, near], way[:, near])
    return Hit(distance, normal)


def planes(start: Tensor, way: Tensor, normals: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Meet the first of several one-sided planes n.p = offset from their front side.

    Args:
        start: (3, P) or (3, 1).
        way: (3, P).
        normals: (n, 3).
        offsets: (n,).

    Returns:
        The distance (P,) and the number (P,) of the plane.
    """
    towards = normals @ way
    distance = (offsets.unsqueeze(1) - normals @ start) / towards
    nearest: tuple[Tensor, Tensor] = distance.masked_fill(towards >= 0, math.inf).min(0)
    return nearest


def _visible(distance: Tensor, leave: Tensor) -> Tensor:
    return distance.masked_fill(~((distance < leave) & (distance > 0)), math.inf)
