"""Reference values of the toys: variances, directions and bounds in closed form."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.data.linear_toys import CosineFactors, TurningDirections
from disentangle_pl.data.patterns import cosine_pattern, equal_patterns
from disentangle_pl.data.separate_squares import SeparateSquares
from disentangle_pl.data.two_gaussians import component_angles, expected_angle, two_gaussians
from disentangle_pl.data.variance_toys import PATCH, SIDES, ColourPatch, ColourSize, EvenColourSize
from disentangle_pl.errors import InputError

TOYS = [
    ColourSize(positions=4),
    ColourPatch(positions=4),
    EvenColourSize(positions=4),
    CosineFactors(3),
    TurningDirections(),
    SeparateSquares(),
    SeparateSquares(1),
]


def grid(data: FactorDataset) -> Tensor:
    """Return all images as a tensor of factors: (*sizes, D)."""
    return data.images(torch.arange(len(data))).double().view(*data.factors.sizes, -1)


@pytest.mark.parametrize("data", TOYS, ids=lambda data: type(data).__name__)
def test_images_have_the_shape_and_the_range(data: FactorDataset) -> None:
    index = data.factors.to_index(data.factors.sample(40, torch.Generator().manual_seed(0)))
    images = data.images(index)
    assert images.shape == (40, *data.shape)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    torch.testing.assert_close(data[int(index[3])].image, images[3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("data", TOYS, ids=lambda data: type(data).__name__)
def test_all_images_differ(data: FactorDataset) -> None:
    assert len(torch.unique(data.images(torch.arange(len(data))).flatten(1), dim=0)) == len(data)


def test_squares_have_the_area_the_colour_and_the_middle_of_their_factors() -> None:
    data = ColourSize(positions=4)
    factors = data.factors.sample(50, torch.Generator().manual_seed(0))
    places = torch.arange(32) + 0.5
    for image, (colour, size, x, y) in zip(data.images(data.factors.to_index(factors)), factors.tolist(), strict=True):
        side, level = SIDES[size], 0.3 + 0.1 * colour
        assert float(image.sum()) == pytest.approx(side**2 * level, rel=1e-5)
        assert float((image[0].sum(0) * places).sum() / image.sum()) == pytest.approx(data.middles[x].item(), rel=1e-5)
        assert float((image[0].sum(1) * places).sum() / image.sum()) == pytest.approx(data.middles[y].item(), rel=1e-5)
    assert (data.middles.diff() > 0).all()
    assert not data.images(torch.arange(len(data)))[:, :, :PATCH].any()


def test_colour_induces_variance_by_area() -> None:
    amounts = grid(ColourSize()).var(0, correction=0).sum(-1)
    assert amounts.tolist() == pytest.approx([0.84, 3.36, 7.56, 13.44, 21.0], rel=1e-6)


def test_colour_of_the_patch_and_even_colour_induce_one_amount() -> None:
    for data, amount in ((ColourPatch(), PATCH**2 * 0.0525), (EvenColourSize(), 0.84)):
        assert grid(data).var(0, correction=0).sum(-1).tolist() == pytest.approx([amount] * 5, rel=1e-5)


def test_cosines_are_orthogonal_with_the_amplitudes_of_the_ratio() -> None:
    images = grid(CosineFactors(3, 5, 1.5))
    directions = [images.select(k, 4) - images.select(k, 0) for k in range(3)]
    lines = torch.stack([some.flatten(0, 1)[0] for some in directions])
    for some, line in zip(directions, lines, strict=True):
        assert (some - line).abs().max() < 1e-6
    gram = lines @ lines.T
    assert (gram - gram.diagonal().diag()).abs().max() < 1e-5
    lengths = gram.diagonal().sqrt()
    assert (lengths[:-1] / lengths[1:]).tolist() == pytest.approx([1.5, 1.5], rel=1e-5)
    # a_1 = 9 / 38 of sum one half, steps of 2 a_1, mean square 1/4 on 1024 pixels
    assert float(lengths[0]) == pytest.approx(2 * 9 / 38 * 16, rel=1e-5)


def test_directions_turn_with_position_and_keep_their_length() -> None:
    data = TurningDirections(levels=2, positions=3, turn=90, ratio=2)
    images = grid(data)
    major, minor = images[1, 0] - images[0, 0], images[0, 1] - images[0, 0]
    angles = major @ major.T / (major.norm(dim=1)[:, None] * major.norm(dim=1))
    assert angles[0].tolist() == pytest.approx([1, math.sqrt(0.5), 0], abs=1e-6)
    assert (major * minor).sum(1).abs().max() < 1e-5
    assert (major.norm(dim=1) / minor.norm(dim=1)).tolist() == pytest.approx([2] * 3, rel=1e-5)


def test_separate_squares_never_share_a_pixel_with_another_position() -> None:
    images = grid(SeparateSquares(2, 8)).view(4, 4, 4, 4, 3, -1)
    first = images[:, 0, 0, 0, 0]
    assert (first @ first.T).tolist() == (64 * torch.eye(4)).tolist()
    assert not images[..., 2, :].any()
    assert torch.equal(images[1, 2, :, :, 0], images[1, 2, 3, 3, 0].expand(4, 4, -1))


def test_patterns_are_orthogonal_and_of_equal_length() -> None:
    flat = equal_patterns(12, 20, 30).double().flatten(1)
    assert (flat @ flat.T - 60 * torch.eye(30)).abs().max() < 1e-4
    assert float(cosine_pattern(4, 4, 0, 0).mean()) == 1


@pytest.mark.parametrize(
    ("points", "medians"),
    [
        (50, [44.5, 25.2, 15.2, 6.6, 3.7, 1.5]),
        (200, [45.5, 14.0, 7.4, 3.3, 1.8, 0.7]),
        (1000, [44.4, 6.6, 3.3, 1.4, 0.8, 0.3]),
    ],
)
def test_angles_of_the_first_component_have_the_reference_medians(points: int, medians: list[float]) -> None:
    draws = torch.Generator().manual_seed(3)
    for ratio, median in zip((1.0, 1.1, 1.2, 1.5, 2.0, 4.0), medians, strict=True):
        angles = component_angles(two_gaussians(points, ratio, draws, draws=3000))
        assert float(angles.median()) == pytest.approx(median, rel=0.1, abs=0.06)


def test_theory_predicts_the_angle() -> None:
    assert expected_angle(200, 1.5) == pytest.approx(4.862, abs=1e-3)
    angles = component_angles(two_gaussians(200, 1.5, torch.Generator().manual_seed(0), draws=4000))
    assert float(angles.square().mean().sqrt()) == pytest.approx(5.0, abs=0.2)
    assert expected_angle(200, 1.0) == expected_angle(2, 1.01) == 45


def test_angles_are_those_of_an_eigenvector() -> None:
    points = two_gaussians(30, 1.3, torch.Generator().manual_seed(1), draws=20)
    centred = points - points.mean(1, keepdim=True)
    first = torch.linalg.eigh(centred.mT @ centred)[1][..., -1]
    assert component_angles(points).tolist() == pytest.approx(torch.rad2deg(first[:, 0].abs().acos()).tolist())


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (ColourSize, {"sides": [4, 4]}, "distinct even"),
        (ColourSize, {"sides": [5]}, "distinct even"),
        (ColourSize, {"resolution": 27}, "larger resolution"),
        (ColourSize, {"positions": 6}, "no 6 positions"),
        (ColourSize, {"low": 1.0}, "low < 1"),
        (CosineFactors, {"ratio": 0.5}, "ratio >= 1"),
        (CosineFactors, {"resolution": 2}, "patterns"),
        (TurningDirections, {"positions": 1}, "2 positions"),
        (TurningDirections, {"resolution": 6}, "larger resolution"),
        (SeparateSquares, {"squares": 4}, "1 to 3"),
        (SeparateSquares, {"side": 20}, "two fit"),
        (cosine_pattern, {"height": 4, "width": 4, "down": 4, "across": 0}, "more pixels"),
        (two_gaussians, {"points": 1, "ratio": 2.0, "generator": torch.Generator()}, "2 points"),
    ],
)
def test_impossible_settings_are_refused(make: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**arguments)
