import math
from collections.abc import Callable, Iterable
from itertools import permutations, product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from disentangle_pl.losses import (
    aggregate_log_density,
    capacity,
    covariance,
    density_ratio_tc,
    dip_penalties,
    discriminator_loss,
    gaussian_total_correlation,
    pairwise_log_density,
    permute_dims,
    stratified_log_weights,
    total_correlation,
    weighted_log_weights,
)
from disentangle_pl.posterior import DiagonalGaussian

Weights = Callable[[int, int], Tensor]
ESTIMATORS = [weighted_log_weights, stratified_log_weights]
N = 4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data_set(n: int = N, d: int = 2) -> tuple[DiagonalGaussian, Tensor]:
    """The posteriors (n, d) of a whole data set and one latent drawn from each."""
    mean, logvar, noise = torch.randn(3, n, d, generator=seeded(), dtype=torch.float64)
    q = DiagonalGaussian(2 * mean, logvar)
    return q, q.sample(noise)


def densities(q: DiagonalGaussian, z: Tensor) -> tuple[Tensor, Tensor]:
    """The exact q(z) and its marginals at latents z (n, d), (n, 1 + d), and those of every q(z|x), (n, n, 1 + d)."""
    parts = Normal(q.mean, (0.5 * q.logvar).exp()).log_prob(z.unsqueeze(1)).exp()  # type: ignore[no-untyped-call]
    pairs = torch.cat((parts.prod(2, keepdim=True), parts), 2)
    return pairs.mean(1), pairs


def average_estimate(weights: Weights, batches: Iterable[tuple[int, ...]]) -> Tensor:
    """Average the estimates of q(z_i) and its marginals (N, 1 + d) over batches of image numbers."""
    q, z = data_set()
    total, count = torch.zeros(N, 3, dtype=torch.float64), torch.zeros(N, 1)
    for batch in map(list, batches):
        own = DiagonalGaussian(q.mean[batch], q.logvar[batch])
        joint, marginals = aggregate_log_density(pairwise_log_density(own, z[batch]), weights(len(batch), N))
        total.index_add_(0, torch.tensor(batch), torch.cat((joint.unsqueeze(1), marginals), 1).exp())
        count.index_add_(0, torch.tensor(batch), torch.ones(len(batch), 1))
    return total / count


def test_the_log_density_of_every_latent_under_every_posterior() -> None:
    q, z = data_set(3, 2)
    found = pairwise_log_density(q, z)
    for i, j in product(range(3), repeat=2):
        exact = Normal(q.mean[j], (0.5 * q.logvar[j]).exp()).log_prob(z[i])  # type: ignore[no-untyped-call]
        torch.testing.assert_close(found[i, j], exact)


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_stratified_sampling_is_unbiased_over_all_batches(batch: int) -> None:
    exact, _ = densities(*data_set())
    found = average_estimate(stratified_log_weights, permutations(range(N), batch))
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("batch", [2, 3])
def test_stratified_sampling_with_replacement_counts_the_image_itself_too_often(batch: int) -> None:
    exact, pairs = densities(*data_set())
    own = pairs[torch.arange(N), torch.arange(N)]
    found = average_estimate(stratified_log_weights, product(range(N), repeat=batch))
    torch.testing.assert_close(found, exact + (own - exact) / N, rtol=1e-6, atol=0)


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_weighted_sampling_underestimates_by_a_known_share(batch: int) -> None:
    exact, pairs = densities(*data_set())
    own = pairs[torch.arange(N), torch.arange(N)]
    others = (pairs.sum(1) - own) / (N - 1)
    found = average_estimate(weighted_log_weights, permutations(range(N), batch))
    torch.testing.assert_close(found, (own + (batch - 1) * others) / (N * batch), rtol=1e-6, atol=0)
    assert (found < exact).all()
    if batch == N:
        torch.testing.assert_close(found, exact / N, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("batch", "size"), [(1, 9), (2, 2), (2, 9), (5, 5), (6, 100), (8, 3), (64, 737_280)])
def test_the_stratified_weights_of_an_image_sum_to_one(batch: int, size: int) -> None:
    weights = stratified_log_weights(batch, size).exp()
    assert weights.shape == (batch, batch)
    torch.testing.assert_close(weights.sum(1), torch.ones(batch))
    if batch > 1:
        torch.testing.assert_close(weights.diagonal(), torch.full((batch,), 1 / max(batch, size)))
    # every image is as often the odd one out as any other
    torch.testing.assert_close(weights.sum(0), torch.ones(batch))


def test_the_stratified_weights_of_a_batch_of_three() -> None:
    # N = 5, M = 2: 1/5 for itself, (5 - 2) / (5 * 2) for the next, 1/2 for the last
    expected = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.2, 0.3], [0.3, 0.5, 0.2]])
    torch.testing.assert_close(stratified_log_weights(3, 5).exp(), expected)


def test_equal_weights_over_the_whole_data_set_are_exact() -> None:
    q, z = data_set()
    exact, _ = densities(q, z)
    log_density = pairwise_log_density(q, z)
    joint, marginals = aggregate_log_density(log_density, torch.full((N, N), -math.log(N), dtype=torch.float64))
    torch.testing.assert_close(torch.cat((joint.unsqueeze(1), marginals), 1), exact.log())
    weighted = aggregate_log_density(log_density, weighted_log_weights(N, N))
    torch.testing.assert_close(weighted[0], joint - math.log(N), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(weighted[1], marginals - math.log(N), rtol=1e-6, atol=1e-6)


def test_a_factorised_aggregate_has_no_total_correlation() -> None:
    first, second, variances = [-2.0, 0.5, 1.0], [0.0, 4.0], (0.3, 1.7)
    mean = torch.tensor(list(product(first, second)), dtype=torch.float64)
    q = DiagonalGaussian(mean, torch.tensor(variances, dtype=torch.float64).log().expand(6, 2))
    z = torch.randn(6, 2, generator=seeded(), dtype=torch.float64)
    equal = torch.full((6, 6), -math.log(6), dtype=torch.float64)
    torch.testing.assert_close(total_correlation(q, z, equal), torch.zeros((), dtype=torch.float64))
    sheared = mean @ torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
    assert total_correlation(DiagonalGaussian(sheared, q.logvar), sheared, equal) > 0.1


def correlated(n: int, rho: float) -> Tensor:
    """Draw (n, 2) from two normal latents of variance 1 and correlation rho."""
    first, second = torch.randn(2, n, generator=seeded())
    return torch.stack((first, rho * first + math.sqrt(1 - rho**2) * second), 1)


def test_a_large_batch_finds_the_total_correlation_of_a_gaussian() -> None:
    n, rho, variance = 1000, 0.8, 0.2
    # means of covariance [[.8, .8], [.8, .8]] and posteriors of variance .2: q(z) has variance 1 and correlation .8
    mean = math.sqrt(rho) * torch.randn(n, 1, generator=seeded()).expand(n, 2)
    q = DiagonalGaussian(mean, torch.full((n, 2), math.log(variance)))
    z = q.sample(torch.randn(n, 2, generator=seeded(1)))
    found = total_correlation(q, z, torch.full((n, n), -math.log(n)))
    assert found.item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)
    stratified = total_correlation(q, z, stratified_log_weights(n, n))
    assert stratified.item() == pytest.approx(found.item(), abs=0.05)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_estimate_of_disentanglement_lib_lacks_a_constant_and_has_the_same_gradient(d: int) -> None:
    batch, size = 6, 1000
    mean, logvar, noise = torch.randn(3, batch, d, generator=seeded(), dtype=torch.float64)
    leaves = [mean.requires_grad_(), logvar.requires_grad_(), noise.requires_grad_()]
    q = DiagonalGaussian(mean, logvar)
    weighted = total_correlation(q, q.sample(noise), weighted_log_weights(batch, size))
    bare = total_correlation(q, q.sample(noise), torch.zeros(batch, batch))
    constant = (d - 1) * math.log(size * batch)
    torch.testing.assert_close(weighted - bare, torch.tensor(constant, dtype=torch.float64), rtol=1e-6, atol=1e-6)
    for one, other in zip(torch.autograd.grad(weighted, leaves), torch.autograd.grad(bare, leaves), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
        assert d == 1 or one.abs().max() > 1e-3


@pytest.mark.parametrize("weights", ESTIMATORS)
def test_one_latent_has_no_total_correlation(weights: Weights) -> None:
    q, z = data_set(6, 1)
    torch.testing.assert_close(total_correlation(q, z, weights(6, 50)), torch.zeros((), dtype=torch.float64))


def test_permuting_keeps_the_values_of_every_latent() -> None:
    z = torch.randn(50, 4, generator=seeded())
    before = z.clone()
    permuted = permute_dims(z, seeded())
    assert torch.equal(z, before)
    assert torch.equal(permuted.sort(0).values, z.sort(0).values)
    assert not torch.equal(permuted, z)


def test_permuting_repeats_with_the_generator_and_else_follows_the_global_one() -> None:
    z = torch.randn(50, 4, generator=seeded())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert torch.equal(permute_dims(z, seeded(3)), permute_dims(z, seeded(3)))
    assert not torch.equal(permute_dims(z, seeded(3)), permute_dims(z, seeded(4)))
    assert torch.equal(torch.get_rng_state(), state)
    first = permute_dims(z)
    assert not torch.equal(first, permute_dims(z))
    torch.manual_seed(5)
    assert torch.equal(first, permute_dims(z))


def test_every_order_is_equally_likely_whatever_that_of_the_other_latents() -> None:
    latents = 9000
    z = torch.arange(3.0).unsqueeze(1).expand(3, latents)
    permuted = permute_dims(z, seeded()).long()
    order = 3 * permuted[0] + permuted[1]
    orders = [3 * a + b for a, b in permutations(range(3), 2)]
    spread = 5 * math.sqrt(latents / 6 * 5 / 6)
    assert all((order == o).sum().item() == pytest.approx(latents / 6, abs=spread) for o in orders)
    neighbours = 9 * order[0::2] + order[1::2]
    counts = torch.stack([(neighbours == 9 * a + b).sum() for a, b in product(orders, repeat=2)])
    assert counts.sum() == latents / 2
    assert (counts - latents / 72).abs().max() < 5 * math.sqrt(latents / 72)


def test_permuted_latents_do_not_correlate() -> None:
    z = correlated(10_000, 0.9)
    assert torch.corrcoef(z.T)[0, 1] > 0.85
    assert torch.corrcoef(permute_dims(z, seeded(1)).T)[0, 1].abs() < 0.05


def test_the_losses_of_the_discriminator_in_closed_form() -> None:
    joint, permuted = torch.tensor([[2.0, 0.5], [1.0, 3.0]]), torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(density_ratio_tc(joint), torch.tensor((1.5 - 2.0) / 2))
    expected = 0.5 * ((math.log1p(math.exp(-1.5)) + math.log1p(math.exp(2.0))) / 2 + math.log1p(math.exp(-1.0)))
    torch.testing.assert_close(discriminator_loss(joint, permuted), torch.tensor(expected))
    blind = discriminator_loss(torch.zeros(3, 2), torch.zeros(5, 2))
    torch.testing.assert_close(blind, torch.tensor(math.log(2)))


def test_the_best_discriminator_of_a_gaussian_tells_its_total_correlation() -> None:
    n, rho = 20_000, 0.7
    z = correlated(n, rho)

    def logits(z: Tensor, sharper: float = 1.0, shift: float = 0.0) -> Tensor:
        exponent = rho**2 * z.square().sum(1) - 2 * rho * z.prod(1)
        ratio = -0.5 * math.log(1 - rho**2) - 0.5 * exponent / (1 - rho**2)
        return torch.stack((sharper * ratio + shift + 3, torch.full((len(z),), 3.0)), 1)

    error = 5 * logits(z)[:, 0].std().item() / math.sqrt(n)
    assert density_ratio_tc(logits(z)).item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=error)
    permuted = permute_dims(z, seeded(1))
    best = discriminator_loss(logits(z), logits(permuted))
    for worse in ({"sharper": 0.7}, {"sharper": 1.4}, {"shift": 0.3}, {"shift": -0.3}, {"sharper": -1.0}):
        assert discriminator_loss(logits(z, **worse), logits(permuted, **worse)) > best


def test_the_covariance_is_that_of_numpy_and_is_not_rounded_by_autocast() -> None:
    mean = 3 * torch.randn(7, 4, generator=seeded()) + 100
    expected = np.cov(mean.double().numpy().T, ddof=0)
    np.testing.assert_allclose(covariance(mean).numpy(), expected, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(covariance(mean), covariance(mean.clone()).float())
        np.testing.assert_allclose(covariance(mean).numpy(), expected, rtol=1e-4)
    assert torch.equal(covariance(mean[:1]), torch.zeros(4, 4))


def test_the_dip_penalties_by_hand() -> None:
    off, diagonal = dip_penalties(torch.tensor([[2.0, 0.5, -1.0], [0.5, 0.0, 0.2], [-1.0, 0.2, 1.0]]))
    torch.testing.assert_close(off, torch.tensor(2 * (0.25 + 1 + 0.04)))
    torch.testing.assert_close(diagonal, torch.tensor(1.0 + 1 + 0))
    assert [penalty.item() for penalty in dip_penalties(torch.eye(5))] == [0, 0]


def test_the_capacity_grows_in_a_straight_line_and_stays() -> None:
    assert [capacity(step, 100, 25.0) for step in (0, 1, 50, 100, 101, 10**9)] == [0, 0.25, 12.5, 25, 25, 25]
    assert capacity(5, 1, 3.0) == 3
    assert capacity(5, 10, 0.0) == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 1 - 1e-6])
@pytest.mark.parametrize(("rho", "d"), [(0.0, 10), (0.5, 10), (0.9, 3)])
def test_the_gaussian_total_correlation_has_its_closed_form_at_small_batches(rho: float, d: int, share: float) -> None:
    """Latents of variance 1, all correlated by rho; `share` of the variance is in the means."""
    mixed = torch.full((d, d), rho * share) + (share - rho * share) * torch.eye(d)
    root = torch.linalg.cholesky(mixed + 1e-9 * torch.eye(d))
    draws = torch.randn(300, 64, d, generator=torch.Generator().manual_seed(0)) @ root.T
    logvar = torch.full((64, d), math.log(1 - share))
    found = torch.stack([gaussian_total_correlation(DiagonalGaussian(mean, logvar)) for mean in draws])
    true = -0.5 * torch.linalg.slogdet(mixed + (1 - share) * torch.eye(d)).logabsdet
    assert found.mean().item() == pytest.approx(true.item(), abs=0.05, rel=0.03)


def test_the_gaussian_total_correlation_of_one_image_or_latent_is_0() -> None:
    for shape in ((1, 3), (5, 1)):
        q = DiagonalGaussian(torch.randn(shape), torch.randn(shape))
        assert gaussian_total_correlation(q).abs() < 1e-5
