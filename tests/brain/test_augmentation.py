import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from disentangle_pl.brain.augmentation import NORMALS, TERMS, Augmentation, log_bias, white_noise
from disentangle_pl.brain.sampling import SingleScans
from disentangle_pl.data.draws import Draw, Draws
from disentangle_pl.errors import InputError

SHAPES = [(4, 1, 6, 7, 8), (4, 2, 1, 6, 7, 8)]
FULL = Augmentation(gain=0.1, gamma=0.1, bias=0.1, noise=0.05)


def chance(image: Tensor) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*image.shape[:-4], NORMALS, generator=generator), torch.arange(len(image)) + 10


def images(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.1


@pytest.mark.parametrize("shape", SHAPES)
def test_no_strength_is_no_change(shape: tuple[int, ...]) -> None:
    image = images(shape)
    assert torch.equal(Augmentation()(image, *chance(image)), image)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_part_is_its_formula(shape: tuple[int, ...]) -> None:
    image = images(shape)
    normals, seeds = chance(image)
    wide = (..., None, None, None, None)
    gain = Augmentation(gain=0.2)(image, normals, seeds)
    torch.testing.assert_close(gain / image, (0.2 * normals[..., 0]).exp()[wide].expand(shape))
    gamma = Augmentation(gamma=0.2)(image, normals, seeds)
    exponent = (0.2 * normals[..., 1]).exp()[wide]
    torch.testing.assert_close(gamma, image**exponent)
    noise = Augmentation(noise=0.2)(image, normals, seeds) - image
    torch.testing.assert_close(noise, 0.2 * white_noise(image, seeds))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_log_of_a_bias_field_lies_in_the_polynomials(shape: tuple[int, ...]) -> None:
    image = images(shape).double()
    ratio = (Augmentation(bias=0.3)(image, *chance(image)) / image).log().reshape(-1, 6 * 7 * 8).numpy()
    axes = [(2 * np.arange(n) + 1) / n - 1 for n in (6, 7, 8)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    powers = [p for p in itertools.product(range(4), repeat=3) if sum(p) <= 3]
    basis = np.stack([(x**i * y**j * z**k).ravel() for i, j, k in powers])
    assert len(powers) == len(TERMS) + 1 == 20
    fitted = np.linalg.lstsq(basis.T, ratio.T, rcond=None)[0]
    np.testing.assert_allclose(basis.T @ fitted, ratio.T, atol=1e-6)
    assert np.abs(ratio).max() > 0.1
    assert not np.allclose(ratio[0], ratio[1])


def test_a_bias_field_has_the_strength_that_was_asked_for() -> None:
    fields = log_bias(0.3 * torch.randn(4000, len(TERMS)), torch.Size((16, 16, 16)))
    assert float(fields.square().mean().sqrt()) == pytest.approx(0.3, rel=0.03)
    assert abs(float(fields.mean())) < 0.01


def test_gains_are_log_normal_around_one() -> None:
    ones = torch.ones(20_000, 1, 1, 1, 1)
    gains = Augmentation(gain=0.2)(ones, torch.randn(len(ones), NORMALS), torch.zeros(len(ones), dtype=torch.int64))
    assert float(gains.log().mean()) == pytest.approx(0, abs=0.005)
    assert float(gains.log().std()) == pytest.approx(0.2, abs=0.005)
    assert float(gains.mean()) == pytest.approx(np.exp(0.02), abs=0.005)


def test_noise_is_white_and_the_background_stays() -> None:
    image = images((2, 1, 20, 20, 20))
    image[:, :, :5] = 0
    normals, seeds = chance(image)
    changed = FULL(image, normals, seeds)
    assert torch.equal(changed[:, :, :5], image[:, :, :5])
    noise = Augmentation(noise=0.05)(image, normals, seeds)[:, :, 5:] - image[:, :, 5:]
    assert float(noise.std()) == pytest.approx(0.05, rel=0.05)
    assert abs(float(np.corrcoef(noise[0].ravel().numpy(), noise[1].ravel().numpy())[0, 1])) < 0.05


def test_values_below_zero_stay_defined() -> None:
    image = images((2, 1, 4, 4, 4)) - 1
    assert FULL(image, *chance(image)).isfinite().all()


def loader(draw: Draw, batch: int, rank: int = 0, world: int = 1) -> Draws:
    return Draws(draw, batch, 5, 7, rank, world)


@pytest.mark.parametrize("augmentation", [FULL, Augmentation(noise=0.1)])
def test_chance_comes_from_the_stream_of_the_examples(augmentation: Augmentation) -> None:
    """Resumed draws go on, and two processes see what one with twice the batch would."""
    image = images((10, 1, 4, 4, 4))
    draw = augmentation.drawn_with(SingleScans(torch.arange(10)))

    def seen(batch: tuple[Tensor, ...]) -> Tensor:
        rows, *given = batch
        return augmentation(image[rows], *given)

    both = [seen(batch) for batch in loader(draw, 6)]
    ranks = [[seen(batch) for batch in loader(draw, 3, rank, 2)] for rank in (0, 1)]
    for together, first, second in zip(both, *ranks, strict=True):
        assert torch.equal(torch.cat((first, second)), together)
        assert not torch.equal(first, second)
    killed = loader(draw, 6)
    start = iter(killed)
    next(start), next(start)
    resumed = loader(draw, 6)
    resumed.go_on_from(killed.state())
    assert all(torch.equal(seen(batch), whole) for batch, whole in zip(resumed, both[2:], strict=True))


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(InputError, match="negative standard deviation"):
        Augmentation(noise=-0.1)
