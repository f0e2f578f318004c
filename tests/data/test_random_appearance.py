"""The rules of the three random appearances, and that they are anew in training yet the same after a restart."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from disentangle_pl.data.factors import FactorDataset
from disentangle_pl.data.pairs import UniformPairs
from disentangle_pl.data.perturbed import Noised, Perturbed
from disentangle_pl.data.random_appearance import NoiseBackground, PictureBackground, RandomColour
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import ResidentImages, SyntheticData
from disentangle_pl.errors import InputError

SPRITES = Sprites(16, None, [5], [0], [0, 10, 20, 31], [0, 10, 20, 31])
SOFT = Sprites(16, None, [5], [0], [0, 31], [0, 31], supersample=3)
INDEX = torch.arange(len(SPRITES))
DRAWS = torch.full((20_000,), 7) + len(SPRITES) * torch.arange(20_000)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """A picture of 300 x 200 pixels that tells row and column of each."""
    rows, columns = np.mgrid[:200, :300]
    path = tmp_path / "picture.png"
    Image.fromarray(np.stack([rows, columns // 2, rows * 0], 2).astype(np.uint8)).save(path)
    return str(path)


def every(picture: str) -> list[FactorDataset]:
    return [RandomColour(SPRITES), NoiseBackground(SPRITES), PictureBackground(SPRITES, picture)]


def assert_uniform(numbers: Tensor, low: float, high: float) -> None:
    assert numbers.min() >= low
    assert numbers.max() <= high
    assert float(numbers.mean()) == pytest.approx((low + high) / 2, abs=0.01 * (high - low))
    assert float(numbers.std()) == pytest.approx((high - low) / 12**0.5, rel=0.02)


def test_objects_have_one_colour_each_and_the_background_none() -> None:
    images, grey = RandomColour(SPRITES).images(DRAWS), SPRITES.images(DRAWS[:1] % len(SPRITES))
    colours = images.amax((2, 3))
    assert torch.equal(images, grey * colours[:, :, None, None])
    for channel in colours.unbind(1):
        assert_uniform(channel, 0.5, 1)
    assert (torch.corrcoef(colours.T) - torch.eye(3)).abs().max() < 0.03


def test_noise_fills_the_background_and_the_object_is_white() -> None:
    images, inside = NoiseBackground(SPRITES).images(DRAWS[:500]), SPRITES.images(torch.tensor([7]))[0, 0] == 1
    assert (images[..., inside] == 1).all()
    assert_uniform(images[..., ~inside], 0, 1)
    first, second = images[:2, :, ~inside].flatten(1)
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.1


def test_the_object_is_the_negative_of_a_tinted_patch(picture: str) -> None:
    data = PictureBackground(SPRITES, picture)
    assert data.places == (200 - 16, 300 - 16)
    images, inside = data.images(DRAWS), SPRITES.images(torch.tensor([7]))[0, 0] == 1
    patches = torch.where(inside, 1 - images, images)
    steps = (patches.diff(dim=2)[:, 0], patches.diff(dim=3)[:, 1], patches[:, 2])
    torch.testing.assert_close(steps[0], torch.full_like(steps[0], 0.5 / 255), rtol=0, atol=1e-6)
    assert steps[1].min() >= -1e-6
    assert_uniform(2 * patches[:, 2, 0, 0], 0, 1)  # the blue of the picture is 0
    soft = PictureBackground(SOFT, picture).images(torch.arange(len(SOFT)))
    assert soft.min() >= 0
    assert soft.max() <= 1


def test_evaluation_keeps_one_appearance_and_training_draws_anew(picture: str) -> None:
    for data in every(picture):
        first = data.images(INDEX)
        assert first.shape == (len(SPRITES), 3, 16, 16)
        assert torch.equal(first, data.images(INDEX))
        assert torch.equal(data.factors.to_factors(INDEX + 3 * len(data)), data.factors.to_factors(INDEX))
        other = data.images(INDEX + 3 * len(data))
        assert (first != other).flatten(1).any(1).all()
        assert not any(torch.equal(first[0, 0, 0, 0], image) for image in first[1:])


@pytest.mark.parametrize("pairs", [None, UniformPairs()])
def test_training_is_resumable_and_the_same_under_two_processes(pairs: UniformPairs | None) -> None:
    def made(batch_size: int, place: tuple[int, int] = (0, 1)) -> SyntheticData:
        class Placed(SyntheticData):
            @property
            def place(self) -> tuple[int, int]:
                return place

        data = Placed(NoiseBackground(SPRITES), pairs, batch_size, steps_per_epoch=3, eval_size=20)
        data.setup("fit")
        assert not isinstance(data.dataset, ResidentImages)
        return data

    def images(data: SyntheticData, loader: Any) -> list[Tensor]:
        return [data.on_after_batch_transfer(batch, 0).image for batch in loader]

    whole = made(4)
    expected = images(whole, whole.train_dataloader())
    halves = [made(2, (rank, 2)) for rank in (0, 1)]
    parts = zip(*(images(half, half.train_dataloader()) for half in halves), strict=True)
    assert all(torch.equal(torch.cat(part), image) for part, image in zip(parts, expected, strict=True))
    killed, resumed = made(4), made(4)
    list(islice(killed.train_dataloader(), 2))
    resumed.load_state_dict(killed.state_dict())
    (last,) = images(resumed, resumed.train_dataloader())
    assert torch.equal(last, expected[2])
    validated = [images(data, data.val_dataloader())[0] for data in (whole, resumed)]
    assert torch.equal(*validated)


def test_what_cannot_be_dressed_is_refused(picture: str, tmp_path: Path) -> None:
    for wrong in (Sprites(16, colors=2), NoiseBackground(SPRITES)):
        with pytest.raises(InputError, match="need grey images"):
            RandomColour(wrong)
    with pytest.raises(InputError, match=r"is missing or no picture .*The_Scream\.jpg"):
        PictureBackground(SPRITES, str(tmp_path / "none.jpg"))
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(InputError, match="is missing or no picture"):
        PictureBackground(SPRITES, str(tmp_path / "text.jpg"))
    with pytest.raises(InputError, match="give a larger picture"):
        PictureBackground(Sprites(256), picture)


@pytest.mark.parametrize("wrapped", [Noised, Perturbed])
def test_what_lies_over_random_appearances_is_random_too(wrapped: Any) -> None:
    data = SyntheticData(wrapped(RandomColour(SPRITES)), batch_size=200, eval_size=20)
    data.setup("fit")
    ((index,), *_) = data.train_dataloader()
    assert index.max() > len(SPRITES)
    assert data.on_after_batch_transfer((index,), 0).factors.max() == 3
