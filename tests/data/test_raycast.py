"""Hits are checked against the solids' own inequalities, sampled along random rays."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.data.raycast import UP, Hit, ball, capsule, cube, cylinder, planes, slab, within

RAYS = 4000


def rays(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random rays from a sphere of radius 5 towards the origin's neighbourhood."""
    generator = torch.Generator().manual_seed(seed)
    start = 5 * F.normalize(torch.randn(3, RAYS, generator=generator), dim=0)
    way = F.normalize(1.2 * torch.randn(3, RAYS, generator=generator) - start, dim=0)
    return start, way


def cube_excess(p: Tensor) -> Tensor:
    return p.abs().amax(0) - 0.8


def cylinder_excess(p: Tensor) -> Tensor:
    return torch.maximum(p[::2].square().sum(0).sqrt() - 0.7, p[1].abs() - 0.9)


def capsule_excess(p: Tensor) -> Tensor:
    return (p - p[1].clamp(-0.6, 0.6) * UP).square().sum(0).sqrt() - 0.5


def sphere_excess(p: Tensor) -> Tensor:
    return p.square().sum(0).sqrt() - 0.9


SOLIDS: dict[str, tuple[Callable[[Tensor, Tensor], Hit], Callable[[Tensor], Tensor]]] = {
    "cube": (lambda start, way: cube(start, way, 0.8), cube_excess),
    "cylinder": (lambda start, way: cylinder(start, way, 0.7, 0.9), cylinder_excess),
    "capsule": (lambda start, way: capsule(start, way, 0.5, 0.6), capsule_excess),
    "sphere": (lambda start, way: capsule(start, way, 0.9, 0.0), sphere_excess),
}
every_solid = pytest.mark.parametrize(("solid", "excess"), SOLIDS.values(), ids=SOLIDS)


@every_solid
def test_a_hit_is_the_first_point_on_the_surface(
    solid: Callable[[Tensor, Tensor], Hit], excess: Callable[[Tensor], Tensor]
) -> None:
    start, way = rays()
    distance = solid(start, way).distance
    hit = distance.isfinite()
    assert 0.1 < hit.float().mean() < 0.8
    assert excess(start + distance.masked_fill(~hit, 0) * way)[hit].abs().max() < 1e-4
    for part in torch.linspace(0, 0.999, 40):
        assert excess(start + distance.clamp(max=9) * part * way).min() > -1e-4  # outside before, and where it misses


@every_solid
def test_normals_are_the_way_out(solid: Callable[[Tensor, Tensor], Hit], excess: Callable[[Tensor], Tensor]) -> None:
    start, way = rays(1)
    distance, normal = solid(start, way)
    hit = distance.isfinite()
    point = (start + distance * way)[:, hit].requires_grad_()
    (steepest,) = torch.autograd.grad(excess(point).sum(), point)
    same = (normal[:, hit] * steepest).sum(0)
    assert (same > 0.999).float().mean() > 0.995  # an edge has two
    torch.testing.assert_close(normal[:, hit].norm(dim=0), torch.ones(int(hit.sum())), rtol=0, atol=1e-4)
    assert (normal[:, hit] * way[:, hit]).sum(0).max() < 1e-3


@every_solid
def test_a_solid_behind_the_start_is_not_seen(
    solid: Callable[[Tensor, Tensor], Hit], excess: Callable[[Tensor], Tensor]
) -> None:
    start, way = rays(2)
    assert solid(start, -way).distance.isinf().all()
    assert excess(start).min() > 0


def test_one_start_may_serve_all_rays() -> None:
    start, way = rays(3)
    for solid, _ in SOLIDS.values():
        assert torch.equal(solid(start[:, :1], way).distance, solid(start[:, :1].expand(3, RAYS), way).distance)


@every_solid
def test_looking_within_a_ball_around_the_solid_changes_nothing(
    solid: Callable[[Tensor, Tensor], Hit], excess: Callable[[Tensor], Tensor]
) -> None:
    start, way = rays(4)
    for begin in (start[:, :1], start):
        expected, found = solid(begin, way), within(1.4, solid, begin, way)
        hit = expected.distance.isfinite()
        torch.testing.assert_close(found.distance, expected.distance)
        torch.testing.assert_close(found.normal[:, hit], expected.normal[:, hit])
    assert within(0.1, solid, start, way).distance.isfinite().sum() < hit.sum()


def test_closed_forms() -> None:
    start, way = torch.tensor([[0.0, 0.0], [0.0, 3.0], [10.0, 10.0]]), torch.tensor([[0.0], [0.0], [-2.0]])
    assert ball(start, way, 2.0)[0].tolist() == [4, float("inf")]
    assert ball(start, way, 2.0)[1].tolist() == [6, -float("inf")]
    assert [part[0].item() for part in slab(start[2], way[2], 4.0)] == [3, 7]
    assert cube(start, way, 4.0).distance.tolist() == [3, 3]


def test_planes_are_seen_from_the_front_and_the_nearest_counts() -> None:
    normals, offsets = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.tensor([-1.0, -4.0])
    way = torch.tensor([[0.0, 0.0, 0.0], [-1.0, -0.1, 0.0], [0.0, -1.0, 1.0]])
    distance, plane = planes(torch.zeros(3, 1), way, normals, offsets)
    assert distance.tolist() == [1, 4, float("inf")]
    assert plane[:2].tolist() == [0, 1]
