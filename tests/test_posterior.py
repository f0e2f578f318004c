import pytest
import torch
from torch.distributions import Normal, kl_divergence

from disentangle_pl.posterior import DiagonalGaussian

SHAPE = (5, 2, 3)


def draw(seed: int) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, logvar = 2 * torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
    return DiagonalGaussian(mean, logvar)


def normal(q: DiagonalGaussian) -> Normal:
    return Normal(q.mean, (0.5 * q.logvar).exp())


def test_kl_equals_that_of_torch() -> None:
    q = draw(0)
    standard = Normal(torch.zeros_like(q.mean), torch.ones_like(q.mean))
    torch.testing.assert_close(q.kl(), kl_divergence(normal(q), standard))


def test_kl_to_another_equals_that_of_torch_in_both_directions() -> None:
    p, q = draw(0), draw(1)
    torch.testing.assert_close(p.kl_to(q), kl_divergence(normal(p), normal(q)))
    torch.testing.assert_close(q.kl_to(p), kl_divergence(normal(q), normal(p)))
    assert not torch.allclose(p.kl_to(q), q.kl_to(p))


def test_kl_is_zero_only_at_the_same_distribution() -> None:
    q = draw(0)
    standard = DiagonalGaussian(torch.zeros(3), torch.zeros(3))
    torch.testing.assert_close(standard.kl(), torch.zeros(3), rtol=0, atol=0)
    torch.testing.assert_close(q.kl_to(q), torch.zeros(SHAPE, dtype=torch.float64), rtol=0, atol=0)
    assert q.kl().min() > 0
    assert q.kl_to(draw(1)).min() > 0


def test_kl_to_the_standard_normal_is_kl() -> None:
    q = draw(0)
    torch.testing.assert_close(q.kl_to(DiagonalGaussian(q.mean * 0, q.logvar * 0)), q.kl())


def test_a_sample_is_the_mean_plus_scaled_noise() -> None:
    q = DiagonalGaussian(torch.tensor([1.0, -2.0]), torch.tensor([1.0, 4.0]).log())
    torch.testing.assert_close(q.sample(torch.tensor([3.0, 3.0])), torch.tensor([4.0, 4.0]))


def test_samples_have_the_moments_of_the_posterior() -> None:
    q = DiagonalGaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.25, 9.0]).log())
    z = q.sample(torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(z.mean(0), q.mean, rtol=0, atol=0.05)
    torch.testing.assert_close(z.var(0), torch.tensor([0.25, 9.0]), rtol=0.03, atol=0)


def test_gradients_flow_to_both_moments() -> None:
    mean, logvar = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    torch.autograd.backward(DiagonalGaussian(mean, logvar).sample(torch.tensor([2.0, -2.0])).sum())
    assert mean.grad is not None
    assert logvar.grad is not None
    assert mean.grad.tolist() == [1, 1]
    assert logvar.grad.tolist() == pytest.approx([1, -1])
