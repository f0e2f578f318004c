from colorsys import hsv_to_rgb
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.nn import functional as F

from disentangle_pl.data.blocks3d import AMBIENT, LIGHT, PAINT, Blocks3D
from disentangle_pl.errors import InputError
from tests.command_line import ROOT, run

SMALL = Blocks3D(resolution=32, supersample=2)
SHAPES = {"cube": 0, "cylinder": 1, "sphere": 2, "capsule": 3}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def render(data: Blocks3D, *factors: tuple[int, ...]) -> Tensor:
    return data.images(data.factors.to_index(torch.tensor(factors)))


def changed(data: Blocks3D, factor: int) -> Tensor:
    """Where (scales, shapes, orientations, H, W) another hue of floor, wall or solid changes the image."""
    hues = torch.zeros(2, 3, dtype=torch.int64)
    hues[1, factor] = 5
    rest = torch.arange(480)
    first, second = (data.images(data.factors.to_index(torch.cat([h, torch.zeros(3).long()])) + rest) for h in hues)
    return (first != second).any(1).view(8, 4, 15, *data.shape[1:])


def test_the_grid_is_that_of_shapes3d() -> None:
    full = Blocks3D()
    assert full.factors.names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert full.factors.sizes == (10, 10, 10, 8, 4, 15)
    assert len(full) == 480_000
    assert full.shape == (3, 64, 64)


def test_images_are_bytes_over_255() -> None:
    index = torch.randint(len(SMALL), (300,), generator=torch.Generator().manual_seed(0))
    images = SMALL.images(index)
    assert images.dtype == torch.float32
    assert images.shape == (300, 3, 32, 32)
    assert 0 <= images.min() < 0.1
    assert 0.9 < images.max() <= 1
    torch.testing.assert_close(images * 255, (images * 255).round(), rtol=0, atol=1e-4)
    assert torch.equal(images, (images * 255).round() / 255)
    assert SMALL[7].image.shape == (3, 32, 32)
    assert SMALL.images(index[:0]).shape == (0, 3, 32, 32)


def test_no_pixel_is_brighter_than_white() -> None:
    for hue in range(10):
        assert SMALL.images(hue * (48_000 + 4800 + 480) + torch.arange(480)).max() <= 1


def test_colours_are_exact_multiples_so_that_no_order_of_summation_matters() -> None:
    for part in SMALL.paint:
        assert torch.equal(part * 256, (part * 256).round())


def test_an_image_does_not_depend_on_its_batch() -> None:
    index = torch.randint(len(SMALL), (37,), generator=torch.Generator().manual_seed(1))
    alone = torch.cat([SMALL.images(index[i : i + 1]) for i in range(37)])
    assert torch.equal(SMALL.images(index), alone)
    assert torch.equal(SMALL.images(index.flip(0)), alone.flip(0))


def test_a_subset_has_exactly_the_images_of_the_full_grid() -> None:
    chosen: dict[str, Any] = {
        "floor_hue_values": [9, 0],
        "wall_hue_values": [4],
        "object_hue_values": [1, 7, 2],
        "scale_values": [7, 2],
        "shape_values": [3, 0],
        "orientation_values": [14, 3, 8],
    }
    subset = Blocks3D(32, supersample=2, **chosen)
    assert subset.factors.sizes == (2, 1, 3, 2, 2, 3)
    factors = subset.factors.to_factors(torch.arange(len(subset)))
    columns = zip(chosen.values(), factors.unbind(1), strict=True)
    positions = torch.stack([torch.tensor(values)[column] for values, column in columns], 1)
    expected = SMALL.images(SMALL.factors.to_index(positions))
    assert torch.equal(subset.images(torch.arange(len(subset))), expected)


def test_images_of_different_factors_differ() -> None:
    scenes = Blocks3D(32, [2, 3], [2, 3], [2, 3], supersample=2)
    images = scenes.images(torch.arange(len(scenes)))
    assert len({image.numpy().tobytes() for image in images}) == len(scenes) == 8 * 480
    hues = SMALL.images(torch.arange(1000) * 480 + 333)
    assert len({image.numpy().tobytes() for image in hues}) == 1000


def test_every_hue_paints_its_own_part_and_together_they_paint_all() -> None:
    floor, wall, solid = (changed(SMALL, factor) for factor in range(3))
    assert (floor | wall | solid).all()
    for part in (floor, wall, solid):
        assert part.flatten(3).sum(3).min() > 10
    only = [floor & ~wall & ~solid, wall & ~floor & ~solid, solid & ~floor & ~wall]
    assert torch.stack(only).any(0).float().mean() > 0.85  # but for the seams


def test_the_solid_is_whole_in_every_image() -> None:
    solid = changed(SMALL, 2)
    assert not solid[..., [0, -1], :].any()
    assert not solid[..., [0, -1]].any()


@every_shape
def test_larger_scales_cover_more(shape: int) -> None:
    areas = changed(SMALL, 2)[:, shape].flatten(2).sum(2).float()
    assert (areas.diff(dim=0) > 0).all()
    assert areas[-1].mean() / areas[0].mean() == pytest.approx((1.25 / 0.75) ** 2, rel=0.25)


@every_shape
def test_the_room_turns_with_the_orientation_whatever_the_solid(shape: int) -> None:
    room = Blocks3D(64, [0], [0], [5], [3], [shape])
    top = room.images(torch.arange(15))[:, 0, 0]  # only walls: the left one is darker
    corner = (top < top.mean(1, keepdim=True)).sum(1)
    assert (corner.diff() >= 1).all()
    assert (corner + corner.flip(0) - 64).abs().max() <= 1
    assert corner[7] == 32


def test_the_camera_goes_round_the_solid() -> None:
    solid = changed(SMALL, 2)[5]
    for shape in ("cylinder", "sphere", "capsule"):
        outlines = solid[SHAPES[shape]]
        assert torch.equal(outlines, outlines[:1].expand_as(outlines))
        assert torch.equal(outlines, outlines.flip(2))
    assert len({outline.numpy().tobytes() for outline in solid[0]}) > 5
    assert torch.equal(solid[0], solid[0].flip(0, 2))  # the cube, seen from -a, mirrors it seen from a


def test_floor_and_walls_have_the_colours_of_the_formula() -> None:
    lamp = F.normalize(torch.tensor(LIGHT), dim=0)
    for hue in range(10):
        image = render(SMALL, (hue, (hue + 3) % 10, 0, 0, 0, 7))[0]
        lit = AMBIENT + (1 - AMBIENT) * lamp[1]
        floor = lit * torch.tensor(hsv_to_rgb(hue / 10, *PAINT[0]))
        torch.testing.assert_close(image[:, -1, 0], floor, rtol=0, atol=1.5 / 255)
        for corner, x in ((0, 0.5**0.5), (-1, -(0.5**0.5))):
            lit = AMBIENT + (1 - AMBIENT) * (x * lamp[0] + 0.5**0.5 * lamp[2])
            wall = lit * torch.tensor(hsv_to_rgb((hue + 3) % 10 / 10, *PAINT[1]))
            torch.testing.assert_close(image[:, 0, corner], wall, rtol=0, atol=1.5 / 255)


@every_shape
def test_the_solid_is_shaded_and_throws_a_shadow(shape: int) -> None:
    image = render(SMALL, (0, 5, 3, 6, shape, 12))[0]
    solid = changed(SMALL, 2)[6, shape, 12]
    floor = changed(SMALL, 0)[6, shape, 12] & ~solid
    assert len(set(image[1][solid].tolist())) >= 3
    assert (image[0][floor] - AMBIENT * PAINT[0][1]).abs().min() < 1.5 / 255


def test_outlines_have_the_proportions_of_their_solids() -> None:
    rays = Blocks3D(128, [0, 5], [0], [0, 5], [3], orientation_values=[7], supersample=1)
    images = rays.images(torch.arange(len(rays))).view(2, 2, 4, 3, 128, 128)
    solids = (images[0, 0] != images[0, 1]).any(1)
    high, wide = solids.any(2).sum(1), solids.any(1).sum(1)
    ratios = (high / wide).tolist()
    assert ratios[2] == pytest.approx(1, abs=0.03)  # the sphere
    assert ratios[3] == pytest.approx(1.25 / 0.6, rel=0.1)  # the capsule, seen a little from above
    assert ratios[0] < 1.35 < ratios[1] < 1.6
    bottoms = 127 - solids.any(2).flip(1).int().argmax(1)
    assert bottoms.max() - bottoms.min() < 16  # all of them stand on the floor


def test_supersampling_averages_a_finer_image() -> None:
    smooth = Blocks3D(16, [0], [3], [6], [2, 7], supersample=4)
    fine = Blocks3D(64, [0], [3], [6], [2, 7], supersample=1)
    index = torch.arange(len(smooth))
    torch.testing.assert_close(smooth.images(index), F.avg_pool2d(fine.images(index), 4), rtol=0, atol=3.5 / 255)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"floor_hue_values": [10]}, r"floor_hue_values=\[10\] must be distinct positions between 0 and 9"),
        ({"wall_hue_values": [-1]}, "between 0 and 9"),
        ({"object_hue_values": [1, 1]}, "must be distinct"),
        ({"scale_values": [8]}, "between 0 and 7"),
        ({"shape_values": []}, "at least one"),
        ({"orientation_values": [0, 15]}, "between 0 and 14"),
        ({"resolution": 1}, "resolution >= 2"),
        ({"supersample": 0}, "supersample >= 1"),
    ],
)
def test_impossible_choices_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Blocks3D(**arguments)


def test_the_configuration_parses(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [ROOT / "configs" / "data" / "blocks3d.yaml", ROOT / "configs" / "model" / "vae.yaml"]
    with pytest.raises(SystemExit):
        run("fit", *(f"--config={part}" for part in parts), "--data.dataset.shape_values=[0,2]", "--print_config")
    dataset = yaml.safe_load(capsys.readouterr().out)["data"]["init_args"]["dataset"]
    assert dataset["class_path"] == f"{Blocks3D.__module__}.Blocks3D"
    assert Blocks3D(**dataset["init_args"]).factors.sizes == (10, 10, 10, 8, 2, 15)
