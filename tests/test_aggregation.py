import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from disentangle_pl.aggregation import (
    AdaGVAE,
    AdaMLVAE,
    Aggregation,
    moment_average,
    product_of_gaussians,
    shared_latents,
)
from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian

KINDS = [AdaGVAE, AdaMLVAE]
every_kind = pytest.mark.parametrize("kind", KINDS)


def gaussian(mean: list[list[float]], variance: list[list[float]]) -> DiagonalGaussian:
    """Build one pair (1, 2, d)."""
    return DiagonalGaussian(torch.tensor([mean]), torch.tensor([variance]).log())


def draw(shape: tuple[int, ...]) -> DiagonalGaussian:
    return DiagonalGaussian(*torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)))


# Latent 0: KL = (1/4 + 1/4 - 1 + log 4) / 2 = 0.443. Latent 1: KL = (1 + 9 - 1 - 0) / 2 = 4.5. Latent 2: 0.
# The threshold at ratio 1/2 is 2.25: latents 0 and 2 are shared.
PAIR = gaussian([[0.0, 3.0, 1.0], [1.0, 0.0, 1.0]], [[1.0, 1.0, 2.0], [4.0, 1.0, 2.0]])
DIVERGENCES = torch.tensor([(0.25 + 0.25 - 1 + math.log(4)) / 2, 4.5, 0.0])


def test_the_threshold_lies_between_the_smallest_and_the_largest_divergence() -> None:
    first, second = (DiagonalGaussian(PAIR.mean[0, i], PAIR.logvar[0, i]) for i in (0, 1))
    torch.testing.assert_close(first.kl_to(second), DIVERGENCES)
    assert shared_latents(PAIR, 0.5).tolist() == [[[True, False, True]]]
    below, above = DIVERGENCES[0] / 4.5 - 0.01, DIVERGENCES[0] / 4.5 + 0.01
    assert shared_latents(PAIR, float(below)).tolist() == [[[False, False, True]]]
    assert shared_latents(PAIR, float(above)).tolist() == [[[True, False, True]]]


def test_ada_gvae_averages_means_and_variances_of_shared_latents() -> None:
    q = AdaGVAE()(PAIR)
    torch.testing.assert_close(q.mean, torch.tensor([[[0.5, 3.0, 1.0], [0.5, 0.0, 1.0]]]))
    torch.testing.assert_close(q.logvar.exp(), torch.tensor([[[2.5, 1.0, 2.0], [2.5, 1.0, 2.0]]]))


def test_ada_ml_vae_multiplies_the_densities_of_shared_latents() -> None:
    q = AdaMLVAE()(PAIR)
    # precisions 1 and 1/4: mean (0 + 1/4) / (5/4) = 0.2, variance 4/5; two equal variances of 2 give 1
    torch.testing.assert_close(q.mean, torch.tensor([[[0.2, 3.0, 1.0], [0.2, 0.0, 1.0]]]))
    torch.testing.assert_close(q.logvar.exp(), torch.tensor([[[0.8, 1.0, 1.0], [0.8, 1.0, 1.0]]]))


def test_the_product_is_the_normalised_product_of_the_densities() -> None:
    group = draw((1, 4, 1))
    product = product_of_gaussians(group)
    assert product.mean.shape == (1, 1, 1)
    z = torch.linspace(-3, 3, 7).view(-1, 1, 1)
    parts = Normal(group.mean, (0.5 * group.logvar).exp()).log_prob(z)  # type: ignore[no-untyped-call]
    whole = Normal(product.mean, (0.5 * product.logvar).exp()).log_prob(z)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(parts.sum((1, 2)).diff(), whole.sum((1, 2)).diff(), rtol=1e-4, atol=1e-4)


def test_groups_of_any_size_are_averaged_moment_by_moment() -> None:
    group = draw((3, 5, 2))
    average = moment_average(group)
    torch.testing.assert_close(average.mean, group.mean.mean(1, keepdim=True))
    torch.testing.assert_close(average.logvar.exp(), group.logvar.exp().mean(1, keepdim=True))


@every_kind
def test_an_identical_pair_keeps_its_posteriors(kind: type[AdaGVAE]) -> None:
    one = draw((4, 1, 6))
    pair = DiagonalGaussian(one.mean.expand(4, 2, 6), one.logvar.expand(4, 2, 6))
    q = kind()(pair)
    assert torch.equal(q.mean, pair.mean)
    assert torch.equal(q.logvar, pair.logvar)


@every_kind
def test_the_images_of_a_pair_agree_on_shared_latents_and_keep_the_others(kind: type[AdaGVAE]) -> None:
    pair = draw((200, 2, 6))
    q, shared = kind()(pair), shared_latents(pair, 0.5)
    for after, before in zip(q, pair, strict=True):
        assert torch.equal(after[:, 0][shared[:, 0]], after[:, 1][shared[:, 0]])
        assert torch.equal(after.masked_fill(shared, 0), before.masked_fill(shared, 0))


def test_at_least_one_latent_is_shared_and_one_is_not_unless_all_diverge_alike() -> None:
    count = shared_latents(draw((1000, 2, 6)), 0.5).sum(-1)
    assert count.min() >= 1
    assert count.max() <= 5
    alike = gaussian([[0.0] * 3, [1.0] * 3], [[1.0] * 3, [1.0] * 3])
    assert not shared_latents(alike, 0.5).any()


def test_every_pair_has_a_threshold_of_its_own() -> None:
    pairs = draw((50, 2, 6))
    alone = [shared_latents(DiagonalGaussian(pairs.mean[[i]], pairs.logvar[[i]]), 0.5) for i in range(50)]
    assert torch.equal(shared_latents(pairs, 0.5), torch.cat(alone))


def test_the_ratio_moves_from_no_latent_to_all_but_the_farthest() -> None:
    pairs = draw((100, 2, 6))
    assert not shared_latents(pairs, 0.0).any()
    assert shared_latents(pairs, 0.999).sum(-1).eq(5).all()


@every_kind
def test_a_ratio_of_zero_shares_nothing(kind: type[AdaGVAE]) -> None:
    pairs = draw((10, 2, 6))
    assert torch.equal(kind(ratio=0.0)(pairs).mean, pairs.mean)


@every_kind
def test_gradients_flow_through_shared_latents_to_both_images(kind: type[AdaGVAE]) -> None:
    mean, logvar = PAIR.mean.clone().requires_grad_(), PAIR.logvar.clone().requires_grad_()
    q = kind()(DiagonalGaussian(mean, logvar))
    (q.mean[0, 0, 0] + q.logvar[0, 0, 0]).backward()
    for leaf in (mean, logvar):
        assert leaf.grad is not None
        assert leaf.grad[0, :, 0].abs().min() > 0
        assert leaf.grad[0, :, 1:].abs().max() == 0


@every_kind
@pytest.mark.parametrize("size", [1, 3])
def test_only_pairs_can_be_compared(kind: type[Aggregation], size: int) -> None:
    with pytest.raises(InputError, match=f"groups of {size}"):
        kind()(draw((4, size, 6)))


@every_kind
@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_a_ratio_outside_its_range_is_refused(kind: type[AdaGVAE], ratio: float) -> None:
    with pytest.raises(InputError, match=rf"\[0, 1\], got {ratio}"):
        kind(ratio)


def test_extreme_variances_stay_finite() -> None:
    pair = DiagonalGaussian(torch.zeros(1, 2, 3), torch.tensor([[[-20.0, 10.0, 0.0], [10.0, -20.0, 0.0]]]))
    results: list[Tensor] = [part for kind in KINDS for part in kind()(pair)]
    assert all(part.isfinite().all() for part in results)
