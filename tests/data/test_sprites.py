import math
from colorsys import hsv_to_rgb
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.data.sprites import RADIUS, Sprites, ellipse, heart, square
from disentangle_pl.errors import InputError

FULL = Sprites()
STEP = 3  # pixels between two positions at 155 pixels: 0.6 / 31 * 155
SHAPES = {"square": 0, "ellipse": 1, "heart": 2}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def render(data: Sprites, *factors: tuple[int, ...]) -> Tensor:
    return data.images(data.factors.to_index(torch.tensor(factors)))


def sample(data: Sprites, n: int) -> Tensor:
    return data.factors.sample(n, torch.Generator().manual_seed(0))


def test_the_grid_is_that_of_dsprites() -> None:
    assert FULL.factors.names == ("shape", "scale", "orientation", "x", "y")
    assert FULL.factors.sizes == (3, 6, 40, 32, 32)
    assert len(FULL) == 737_280
    assert FULL.shape == FULL[0].image.shape == (1, 64, 64)


def test_images_are_binary_and_never_empty() -> None:
    images = FULL.images(FULL.factors.to_index(sample(FULL, 300)))
    assert images.dtype == torch.float32
    assert torch.unique(images).tolist() == [0, 1]
    assert images.flatten(1).sum(1).min() > 30


def test_a_subset_has_exactly_the_images_of_the_full_grid() -> None:
    chosen: dict[str, Any] = {
        "shape_values": [2, 0],
        "scale_values": [5, 1],
        "orientation_values": [39, 3, 17],
        "x_values": [31, 0, 8],
        "y_values": [4],
    }
    subset = Sprites(**chosen)
    assert subset.factors.sizes == (2, 2, 3, 3, 1)
    factors = subset.factors.to_factors(torch.arange(len(subset)))
    columns = zip(chosen.values(), factors.unbind(1), strict=True)
    positions = torch.stack([torch.tensor(values)[column] for values, column in columns], 1)
    assert torch.equal(subset.images(torch.arange(len(subset))), FULL.images(FULL.factors.to_index(positions)))


@pytest.mark.parametrize("scale", range(6))
@pytest.mark.parametrize("orientation", [0, 7, 20])
def test_areas_follow_the_formulas(scale: int, orientation: int) -> None:
    pixels = 256
    radius = RADIUS * (0.5 + scale / 10) * pixels
    images = render(Sprites(pixels), (0, scale, orientation, 9, 20), (1, scale, orientation, 9, 20))
    side = radius * math.sqrt(2)
    assert images[0].sum().item() == pytest.approx(side**2, rel=0.03)
    assert images[1].sum().item() == pytest.approx(math.pi * radius * radius / 2, rel=0.03)


@every_shape
@pytest.mark.parametrize("orientation", [0, 7])
def test_a_step_in_position_moves_the_image(shape: int, orientation: int) -> None:
    fine = Sprites(155)
    start, right, down = render(
        fine, (shape, 3, orientation, 5, 5), (shape, 3, orientation, 6, 5), (shape, 3, orientation, 5, 6)
    )
    assert torch.equal(start.roll(STEP, 2), right)
    assert torch.equal(start.roll(STEP, 1), down)


@every_shape
def test_the_largest_sprite_is_whole_at_every_edge(shape: int) -> None:
    fine = Sprites(155)
    for orientation in range(39):
        places = ((16, 16), (0, 0), (0, 31), (31, 0), (31, 31))
        areas = render(fine, *((shape, 5, orientation, x, y) for x, y in places)).flatten(1).sum(1)
        assert len(torch.unique(areas)) == 1


@every_shape
def test_outlines_fill_the_unit_circle_without_leaving_it(shape: int) -> None:
    v, u = torch.meshgrid(torch.linspace(-1.5, 1.5, 1001), torch.linspace(-1.5, 1.5, 1001), indexing="ij")
    inside = (square, ellipse, heart)[shape](u, v)
    assert (u.square() + v.square())[inside].max().sqrt().item() == pytest.approx(1, abs=0.005)


def test_the_first_and_the_last_orientation_are_the_same() -> None:
    first = sample(FULL, 300)
    first[:, 2] = 0
    last = first.clone()
    last[:, 2] = 39
    turned = first.clone()
    turned[:, 2] = 5
    images = [FULL.images(FULL.factors.to_index(factors)) for factors in (first, last, turned)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


def test_orientation_turns_clockwise_in_39_steps() -> None:
    fine = Sprites(155)
    # 155 pixels put the middle of position 0 on the edge between pixels 31 and 32
    still, eighth, third, two_thirds = render(fine, *((1, 5, o, 0, 0) for o in (0, 5, 13, 26)))[:, 0, :62, :62]
    assert torch.equal(still, still.flip(0))
    assert still.any(0).sum() > 1.9 * still.any(1).sum()  # the long axis lies horizontally at first
    assert torch.equal(third.flip(1), two_thirds)
    down, right = eighth.nonzero().double().T - 30.5
    assert (down * right).mean() > 0.5 * right.square().mean()


def test_the_heart_is_symmetric_and_points_down() -> None:
    fine = Sprites(155, orientation_values=[0])
    image = render(fine, (2, 3, 0, 5, 5))[0, 0]
    centre = 31 + 5 * STEP  # in pixels, on the edge between two
    window = image[:, centre - 28 : centre + 28]
    assert torch.equal(window, window.flip(1))
    rows = window.sum(1).nonzero()
    assert window[rows[0, 0], 28] == 0  # two lobes at the top
    assert window[rows[-1, 0], 28] == 1


def test_shapes_scales_and_rows_differ() -> None:
    images = render(FULL, (0, 3, 0, 5, 5), (1, 3, 0, 5, 5), (2, 3, 0, 5, 5))
    assert len(torch.unique(images.flatten(1), dim=0)) == 3
    areas = render(FULL, *((2, scale, 0, 5, 5) for scale in range(6))).flatten(1).sum(1)
    assert (areas.diff() > 0).all()


def test_colour_is_a_first_factor_of_evenly_spaced_hues() -> None:
    colors = 7
    coloured = Sprites(colors=colors)
    assert coloured.factors.names[0] == "color"
    assert coloured.shape == (3, 64, 64)
    assert len(coloured) == colors * 737_280
    grey = render(FULL, (2, 5, 3, 9, 20))[0]
    for color in range(colors):
        image = render(coloured, (color, 2, 5, 3, 9, 20))[0]
        hue = torch.tensor(hsv_to_rgb(color / colors, 1, 1)).view(3, 1, 1)
        torch.testing.assert_close(image, grey * hue, rtol=0, atol=0.5 / 255 + 1e-6)
        torch.testing.assert_close(image * 255, (image * 255).round(), rtol=0, atol=1e-4)


def test_supersampling_averages_a_finer_image_to_bytes() -> None:
    smooth, fine = Sprites(32, supersample=4), Sprites(128)
    index = smooth.factors.to_index(sample(smooth, 50))
    images = smooth.images(index)
    assert torch.equal(images, (F.avg_pool2d(fine.images(index), 4) * 255).round() / 255)
    assert ((images > 0) & (images < 1)).any()
    assert images.shape == (50, 1, 32, 32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape_values": [3]}, r"shape_values=\[3\] must be distinct positions between 0 and 2"),
        ({"scale_values": [-1]}, "between 0 and 5"),
        ({"orientation_values": [0, 40]}, "between 0 and 39"),
        ({"x_values": [1, 1]}, r"x_values=\[1, 1\] must be distinct"),
        ({"y_values": []}, "at least one"),
        ({"colors": -1}, "colors >= 0"),
        ({"resolution": 1}, "resolution >= 2"),
        ({"supersample": 0}, "supersample >= 1"),
    ],
)
def test_impossible_choices_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sprites(**arguments)
