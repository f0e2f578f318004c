import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.decoder_geometry import (
    Decoder,
    distance_to_orthogonality,
    distances_to_orthogonality,
    jacobians,
)

SOURCE = torch.Generator().manual_seed(0)
FRAME = torch.linalg.qr(torch.randn(40, 3, generator=SOURCE))[0]
LATENTS = torch.randn(20, 3, generator=SOURCE)


def turn(degrees: float) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def linear(scales: list[float], rotation: Tensor) -> Decoder:
    weights = FRAME @ torch.diag(torch.tensor(scales)) @ rotation
    return lambda z: (z @ weights.T).reshape(len(z), 2, 20)


def test_jacobians_equal_those_of_autograd() -> None:
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 1, 3))
    latents = LATENTS.clone().requires_grad_()
    pixels = decoder(latents).flatten(start_dim=1).sum(dim=0)
    rows = [torch.autograd.grad(pixel, latents, retain_graph=True)[0] for pixel in pixels]
    torch.testing.assert_close(jacobians(decoder, LATENTS), torch.stack(rows, dim=1))


@pytest.mark.parametrize("scales", [[3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [100.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
def test_orthogonal_columns_have_none(scales: list[float]) -> None:
    assert distance_to_orthogonality(linear(scales, torch.eye(3)), LATENTS) == pytest.approx(0, abs=1e-3)
    swapped = torch.tensor([[0.0, -1, 0], [0, 0, 1], [1, 0, 0]])
    assert distance_to_orthogonality(linear(scales, swapped), LATENTS) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("degrees", "nearest"), [(10, 10), (45, 45), (70, 20), (-30, 30), (170, 10)])
def test_a_rotation_has_a_closed_form(degrees: float, nearest: float) -> None:
    expected = math.sqrt(2 * (2 - 2 * math.cos(math.radians(nearest))))
    actual = distance_to_orthogonality(linear([3.0, 2.0, 1.0], turn(degrees)), LATENTS)
    assert actual == pytest.approx(expected, abs=1e-4)


def test_two_latents_at_45_degrees_have_the_value_that_is_promised() -> None:
    assert distance_to_orthogonality(linear([3.0, 2.0, 1.0], turn(45)), LATENTS) == pytest.approx(1.0824, abs=1e-4)


def test_every_point_has_its_own_directions() -> None:
    straight, turned = linear([3.0, 2.0, 1.0], torch.eye(3)), linear([3.0, 2.0, 1.0], turn(45))

    def bent(z: Tensor) -> Tensor:
        return torch.where(z[:, :1, None] > 0, straight(z), turned(z))

    distances = distances_to_orthogonality(jacobians(bent, LATENTS))
    torch.testing.assert_close(distances > 0.5, LATENTS[:, 0] <= 0)
    share = float((LATENTS[:, 0] <= 0).double().mean())
    assert distance_to_orthogonality(bent, LATENTS, batch_size=7) == pytest.approx(1.0824 * share, abs=1e-3)
    ordered = LATENTS[LATENTS[:, 0].argsort()]
    some = [distance_to_orthogonality(bent, ordered, points=len(ordered) // 2, seed=seed) for seed in range(2)]
    assert some[0] != some[1], "points are drawn, and not the first ones"
    assert max(some) < 1.0


def test_the_matching_is_the_best_of_all() -> None:
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=SOURCE, dtype=torch.float64))[0]
    jacobian = torch.diag(torch.arange(5.0, 0, -1, dtype=torch.float64)) @ rotation.T
    signed = [
        torch.eye(5, dtype=torch.float64)[list(order)] * torch.tensor(signs, dtype=torch.float64)[:, None]
        for order in torch.cartesian_prod(*5 * [torch.arange(5)]).tolist()
        if len(set(order)) == 5
        for signs in [[1.0 if rotation[i, j] >= 0 else -1.0 for i, j in enumerate(order)]]
    ]
    nearest = min(signed, key=lambda permutation: float((rotation - permutation).abs().sum()))
    expected = (rotation - nearest).square().sum().sqrt()
    torch.testing.assert_close(distances_to_orthogonality(jacobian[None])[0], expected)


def test_only_active_latents_are_looked_at() -> None:
    decoder = linear([3.0, 2.0, 1.0], turn(45))
    active = torch.tensor([True, False, True])
    assert distance_to_orthogonality(decoder, LATENTS, active=active) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("latents", "options", "message"),
    [
        (LATENTS[0], {}, r"\(N, d\)"),
        (LATENTS[:0], {}, r"\(0, 3\)"),
        (LATENTS, {"points": 0}, "a point"),
        (LATENTS, {"batch_size": 0}, "a batch"),
        (LATENTS, {"active": torch.tensor([True, False])}, "some of the 3 latents"),
        (LATENTS, {"active": torch.zeros(3, dtype=torch.bool)}, "some of the 3 latents"),
        (LATENTS * torch.nan, {}, "NaN"),
    ],
)
def test_wrong_input_is_refused(latents: Tensor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        distance_to_orthogonality(lambda z: z**2, latents, **options)
