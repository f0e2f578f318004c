import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from disentangle_pl.errors import InputError
from disentangle_pl.likelihoods import Bernoulli, Gaussian, Likelihood

SHAPES = [(3, 1, 4, 6), (2, 3, 4, 4), (2, 1, 2, 4, 6)]


def draw(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Give an output of either sign and a grey image."""
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(shape, generator=generator), torch.rand(shape, generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_sums_the_log_probabilities_of_torch_over_the_pixels(shape: tuple[int, ...]) -> None:
    output, grey = draw(shape)
    image = (grey > 0.5).float()
    expected = -TorchBernoulli(logits=output).log_prob(image)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(Bernoulli()(output, image), expected.flatten(1).sum(1))


@pytest.mark.parametrize("shape", SHAPES)
def test_bernoulli_takes_grey_as_a_probability(shape: tuple[int, ...]) -> None:
    output, image = draw(shape)
    p = output.double().sigmoid()
    expected = -(image * p.log() + (1 - image) * (1 - p).log()).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli()(output, image).double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(Bernoulli().mean(output).double(), p, rtol=1e-6, atol=1e-7)


def test_bernoulli_survives_extreme_logits() -> None:
    output = torch.tensor([-1e4, 1e4]).view(2, 1, 1, 1)
    assert Bernoulli()(output, torch.ones(2, 1, 1, 1)).tolist() == [1e4, 0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_sums_the_log_densities_of_torch(shape: tuple[int, ...], scale: float, learned: bool) -> None:
    output, image = draw(shape)
    pixels = -Normal(output, scale).log_prob(image)  # type: ignore[no-untyped-call]
    expected = pixels.flatten(1).sum(1)
    torch.testing.assert_close(Gaussian(scale, learned)(output, image), expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(Gaussian(scale).mean(output), output, rtol=0, atol=0)


def test_a_learned_scale_gets_the_gradient_of_the_density_and_a_fixed_one_none() -> None:
    output, image = draw((3, 1, 4, 6))
    learned = Gaussian(0.5, learned=True)
    torch.autograd.backward(learned(output, image).sum())
    # d/ds of (r / s)^2 / 2 + log s by log s is 1 - (r / s)^2
    expected = (1 - ((image - output) / 0.5).square()).sum()
    torch.testing.assert_close(learned.log_scale.grad, expected)
    fixed = Gaussian(0.5)
    assert not fixed.log_scale.requires_grad
    assert math.exp(fixed.log_scale.item()) == pytest.approx(0.5)


def test_the_best_learned_scale_is_the_residual() -> None:
    output, image = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.25)
    values = [Gaussian(scale)(output, image).item() for scale in (0.2, 0.25, 0.3)]
    assert min(values) == values[1]


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.5)])
def test_a_bfloat16_output_is_scored_in_float32(likelihood: Likelihood) -> None:
    output, image = draw((2, 1, 16, 16))
    half = output.bfloat16()
    scored = likelihood(half, image)
    assert scored.dtype == torch.float32
    torch.testing.assert_close(scored, likelihood(half.float(), image), rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match=f"scale > 0, got {scale}"):
        Gaussian(scale)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [(0.0, 2.0, "from 0 to 2"), (-1.0, 1.0, "from -1 to 1"), (0.0, 255.0, "to 255"), (0.5, 1.001, "from 0.5 to 1.001")],
)
def test_bernoulli_refuses_images_outside_the_unit_interval_and_names_the_flag(
    low: float, high: float, message: str
) -> None:
    image = torch.linspace(low, high, 24).view(2, 3, 2, 2)
    with pytest.raises(InputError, match=rf"{message}, .*--model\.likelihood=Gaussian"):
        Bernoulli().check(image)
    Gaussian().check(image)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian()])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_no_likelihood_takes_images_that_are_not_finite(likelihood: Likelihood, wrong: float) -> None:
    image = torch.rand(3, 2, 1, 4, 4)
    likelihood.check(image)
    likelihood.check(image * (1 + 1e-6))
    image[1, 0, 0, 2, 2] = wrong
    with pytest.raises(InputError, match="1 of 3 images looked at"):
        likelihood.check(image)
