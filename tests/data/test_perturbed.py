"""The bound, the labels and the reach of perturbations; their effect on directions is tested with the study."""

from typing import Any

import pytest
import torch

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.data.linear_toys import CosineFactors
from disentangle_pl.data.perturbed import Noised, Perturbed, move, scatter, strongest
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import ResidentImages, render
from disentangle_pl.errors import InputError

SPRITES = Sprites(16, None, [0, 5], [0, 7], [0, 10, 20, 31], [0, 10, 20, 31])
COSINES = CosineFactors(3, 4, 1.2, 16)


@pytest.mark.parametrize("base", [SPRITES, COSINES], ids=["black", "grey"])
@pytest.mark.parametrize("kind", [Perturbed, Noised])
@pytest.mark.parametrize("eps", [0.03, 0.1, 0.175])
def test_no_pixel_changes_by_more_than_eps(base: FactorDataset, kind: Any, eps: float) -> None:
    data = kind(base, eps)
    index = torch.arange(len(base))
    change = data.images(index) - base.images(index)
    assert change.abs().max() <= eps + 1e-6  # the rounding of float32
    assert change.abs().max() > 0.8 * eps
    assert (change != 0).float().mean() > 0.3
    assert torch.equal(data[5].factors, base[5].factors)
    assert data.shape == base.shape
    assert data.factors is base.factors


@pytest.mark.parametrize("kind", [Perturbed, Noised])
def test_images_of_bytes_stay_so_in_memory_too(kind: Any) -> None:
    data = kind(SPRITES, 0.1)
    index = torch.arange(len(data))
    pixels = render(data)
    assert pixels is not None
    assert pixels.dtype == torch.uint8
    kept = ResidentImages(data, pixels).images(index)
    assert torch.equal(kept, data.images(index))
    assert (kept - SPRITES.images(index)).abs().max() <= 0.1 + 1e-6


def test_waves_move_with_sum_and_difference_alone() -> None:
    data = Perturbed(COSINES, pair=["wave_1", "wave_3"], share=0.5, turn=0.1)
    index = data.factors.to_index(torch.tensor([[1, 0, 2], [2, 3, 1], [2, 1, 3], [0, 0, 0]]))
    same_sum, other, same_difference, apart = data.pattern(index)[:, 0]
    assert torch.equal(same_sum[:8], other[:8])
    assert not torch.allclose(same_sum[8:], other[8:])
    torch.testing.assert_close(same_sum[8:], same_difference[8:])
    assert not torch.allclose(same_sum[:8], same_difference[:8])
    assert not torch.allclose(apart[:8], same_sum[:8])
    assert data.pattern(index).abs().max() <= 1


def test_the_strongest_pair_is_found() -> None:
    assert strongest(COSINES) == Perturbed(COSINES).pair == ("wave_1", "wave_2")


def test_noise_belongs_to_its_image_and_is_uniform() -> None:
    data, other = Noised(COSINES, 0.5), Noised(COSINES, 0.5, seed=1)
    index = torch.tensor([3, 5, 3])
    first, second, again = data.images(index)
    assert torch.equal(first, again)
    assert not torch.equal(first, other.images(index)[0])
    noise = scatter(torch.arange(100_000), 0)
    assert float(noise.mean()) == pytest.approx(0.5, abs=0.005)
    assert float(noise.var()) == pytest.approx(1 / 12, rel=0.02)
    assert abs(float(torch.corrcoef(torch.stack([noise[:-1], noise[1:]]))[0, 1])) < 0.02
    assert noise.min() >= 0
    assert noise.max() < 1
    assert not torch.allclose(first - COSINES.images(index)[0], second - COSINES.images(index)[1], atol=0.1)


def test_pixels_outside_the_unit_interval_are_not_cut_off() -> None:
    moved = move(torch.tensor([-1.0, 0.0, 1.0, 2.0]), torch.tensor([1.0, -1.0, 1.0, -1.0]), 0.1)
    torch.testing.assert_close(moved, torch.tensor([-0.9020, 0.0, 1.0, 1.9020]), rtol=0, atol=1e-4)


def test_volumes_are_perturbed_too() -> None:
    pattern = torch.linspace(-1, 1, 8).view(1, 1, 2, 2, 2)
    assert move(torch.full((2, 1, 2, 2, 2), 0.5), pattern, 0.1).shape == (2, 1, 2, 2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"eps": 0.0}, "0 < eps"), ({"pair": ["wave_1", "wave_1"]}, "two of"), ({"share": 2.0}, "share")],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Perturbed(COSINES, **arguments)
    with pytest.raises(InputError, match="eps"):
        Noised(COSINES, 2.0)
