"""Flows against closed forms."""

import math

import numpy as np
import pytest
import torch

from disentangle_pl.brain.deformation import compose, exponential, flow_of, jacobian, similarity, smooth_noise, warp


def bump(n: int = 24, width: float = 3.0) -> torch.Tensor:
    axis = torch.arange(n) - (n - 1) / 2
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    return torch.exp(-(x**2 + y**2 + z**2) / (2 * width**2))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_warp_draws_from_where_the_displacement_points(axis: int) -> None:
    maps = torch.rand(2, 8, 8, 8)
    displacement = torch.zeros(3, 8, 8, 8)
    displacement[axis] = 2.0
    drawn = warp(maps, displacement)
    expected = maps.roll(-2, dims=axis + 1).narrow(axis + 1, 0, 6)
    assert torch.allclose(drawn.narrow(axis + 1, 0, 6), expected, atol=1e-5)
    assert drawn.narrow(axis + 1, 6, 2).abs().max() < 1e-5


def test_a_cosine_is_an_eigenvector() -> None:
    n, k = 16, 2
    wave = np.cos(np.pi * k * (np.arange(n) + 0.5) / n)
    flow = flow_of(np.broadcast_to(wave[:, None, None], (n, n, n)).copy())
    potential = wave / (2 * math.cos(math.pi * k / n) - 2)
    assert np.allclose(flow[0, :, 3, 5], np.gradient(potential), atol=1e-5)
    assert np.abs(flow[1:]).max() < 1e-6


def test_a_flow_has_the_wanted_divergence() -> None:
    wanted = bump(32, 4).double().numpy()
    wanted -= wanted.mean()
    flow = flow_of(wanted)
    found = sum(np.gradient(flow[axis], axis=axis) for axis in range(3))
    assert np.allclose(found[4:-4, 4:-4, 4:-4], wanted[4:-4, 4:-4, 4:-4], atol=0.08)
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.995


def test_no_flow_through_the_walls() -> None:
    source = np.zeros((24, 24, 24))
    source[5, 12, 12], source[18, 12, 12] = 1, -1
    flow = flow_of(source)
    assert np.abs(flow[0, [0, -1]]).max() < 0.05 * np.abs(flow).max()


def test_a_flow_and_its_reverse_cancel() -> None:
    velocity = 1.5 * bump() * torch.tensor([1.0, -0.5, 0.3])[:, None, None, None]
    back_and_forth = compose(exponential(velocity), exponential(-velocity))
    assert back_and_forth.abs().max() < 0.05 * exponential(velocity).abs().max()


def test_a_constant_velocity_moves_everything_alike() -> None:
    velocity = torch.tensor([1.0, -2.0, 0.5])[:, None, None, None].expand(3, 8, 8, 8)
    assert torch.allclose(exponential(velocity), velocity, atol=1e-5)


def test_a_linear_velocity_stretches_by_its_exponential() -> None:
    rate, axis = 0.4, torch.arange(33) - 16.0
    velocity = torch.zeros(3, 33, 33, 33)
    velocity[1] = rate * axis[None, :, None]
    found = exponential(velocity)[1, 16, 10:23, 16]
    assert torch.allclose(found, (math.exp(rate) - 1) * axis[10:23], rtol=0.02, atol=1e-4)


def test_the_jacobian_of_a_stretch() -> None:
    stretched = similarity(12, -0.1, np.zeros(3), np.zeros(3))
    assert torch.allclose(jacobian(stretched), torch.tensor(math.exp(0.3)), rtol=1e-4)


def test_a_larger_head_is_larger() -> None:
    ball = bump(40, 4)[None]
    for scale in (-0.1, 0.1):
        drawn = warp(ball, similarity(40, scale, np.zeros(3), np.zeros(3)))
        assert float(drawn.sum() / ball.sum()) == pytest.approx(math.exp(3 * scale), rel=0.01)


def test_a_turn_keeps_the_volume_and_the_centre() -> None:
    turned = similarity(16, 0, np.array([0.1, -0.2, 0.3]), np.zeros(3))
    assert torch.allclose(jacobian(turned), torch.tensor(1.0), atol=1e-4)
    assert turned[:, 7:9, 7:9, 7:9].mean((1, 2, 3)).abs().max() < 1e-5
    quarter = similarity(9, 0, np.array([0, 0, math.pi / 2]), np.zeros(3))
    maps = torch.zeros(1, 9, 9, 9)
    maps[0, 7, 4, 4] = 1
    assert float(warp(maps, quarter)[0, 4, 1, 4]) == pytest.approx(1, abs=1e-4)


def test_smooth_noise_is_smooth_and_of_unit_size() -> None:
    rough, smooth = (smooth_noise(np.random.default_rng(0), 2, 32, length) for length in (0.5, 4.0))
    for field in (rough, smooth):
        assert torch.allclose(field.square().mean((1, 2, 3)), torch.ones(2), atol=1e-5)
    lag = [float((field[0, 1:] * field[0, :-1]).mean()) for field in (rough, smooth)]
    assert lag[0] < 0.6 < 0.95 < lag[1]
    assert abs(float((smooth[0] * smooth[1]).mean())) < 0.3
