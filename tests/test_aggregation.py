import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from disentangle_pl.aggregation import (
    GVAE,
    MLVAE,
    AdaGVAE,
    AdaMLVAE,
    Aggregation,
    Average,
    Divergence,
    KnownMask,
    dlib_product,
    kl_divergence,
    mean_distance,
    moment_average,
    product_of_gaussians,
    shared_latents,
    symmetric_kl,
)
from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian

KINDS = [AdaGVAE, AdaMLVAE]
every_kind = pytest.mark.parametrize("kind", KINDS)


def gaussian(mean: list[list[float]], variance: list[list[float]]) -> DiagonalGaussian:
    """Build one pair (1, 2, d)."""
    return DiagonalGaussian(torch.tensor([mean]), torch.tensor([variance]).log())


def twice(one: DiagonalGaussian) -> DiagonalGaussian:
    """Make groups (B, 2, d) of one posterior (B, 1, d) each."""
    return DiagonalGaussian(*(moment.expand(-1, 2, -1) for moment in one))


def moments(q: DiagonalGaussian) -> Tensor:
    """Mean and variance side by side."""
    return torch.stack((q.mean, q.logvar.exp()))


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
    # KL (8 - 1 - log 8) / 2 = 2.46, 0.5 and 4.5: the threshold is 2.5, half of the way and not half of the largest
    tight = gaussian([[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]], [[8.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert shared_latents(tight, 0.5).tolist() == [[[True, True, False]]]


def test_ada_gvae_averages_means_and_variances_of_shared_latents() -> None:
    q = AdaGVAE()(PAIR).posterior
    torch.testing.assert_close(q.mean, torch.tensor([[[0.5, 3.0, 1.0], [0.5, 0.0, 1.0]]]))
    torch.testing.assert_close(q.logvar.exp(), torch.tensor([[[2.5, 1.0, 2.0], [2.5, 1.0, 2.0]]]))


def test_ada_ml_vae_multiplies_the_densities_of_shared_latents() -> None:
    q = AdaMLVAE()(PAIR).posterior
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
    pair = twice(draw((4, 1, 6)))
    q, shared, _ = kind()(pair)
    assert not shared.any()
    assert torch.equal(q.mean, pair.mean)
    assert torch.equal(q.logvar, pair.logvar)


@every_kind
def test_the_images_of_a_pair_agree_on_shared_latents_and_keep_the_others(kind: type[AdaGVAE]) -> None:
    pair = draw((200, 2, 6))
    q, shared, kl_weight = kind()(pair)
    assert torch.equal(shared, shared_latents(pair, 0.5))
    assert kl_weight == 1
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
    assert torch.equal(kind(ratio=0.0)(pairs).posterior.mean, pairs.mean)


@every_kind
def test_gradients_flow_through_shared_latents_to_both_images(kind: type[AdaGVAE]) -> None:
    mean, logvar = PAIR.mean.clone().requires_grad_(), PAIR.logvar.clone().requires_grad_()
    q = kind()(DiagonalGaussian(mean, logvar)).posterior
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
    with pytest.raises(InputError, match=rf"in \[0, 1\] and a floor >= 0, got {ratio} and 0.0"):
        kind(ratio)
    with pytest.raises(InputError, match=r"got 0.5 and -1"):
        kind(floor=-1)


def test_extreme_variances_stay_finite() -> None:
    pair = DiagonalGaussian(torch.zeros(1, 2, 3), torch.tensor([[[-20.0, 10.0, 0.0], [10.0, -20.0, 0.0]]]))
    kinds: list[Aggregation] = [AdaGVAE(), AdaMLVAE(average=dlib_product), GVAE(2), MLVAE(2), KnownMask()]
    results: list[Tensor] = [part for kind in kinds for part in kind(pair, torch.zeros(1, 1).bool()).posterior]
    assert all(part.isfinite().all() for part in results)


@pytest.mark.parametrize(("kind", "narrower"), [(AdaGVAE, 1), (AdaMLVAE, 2)])
def test_a_floor_makes_an_identical_pair_share_everything_and_keep_its_mean(
    kind: type[AdaGVAE], narrower: float
) -> None:
    pair = twice(draw((4, 1, 6)))
    q, shared, _ = kind(floor=1e-6)(pair)
    assert shared.all()
    torch.testing.assert_close(q.mean, pair.mean)
    torch.testing.assert_close(q.logvar.exp(), pair.logvar.exp() / narrower)


def test_the_floor_is_compared_with_the_divergence_and_adds_to_the_threshold() -> None:
    # 0.443, 4.5 and 0, at a ratio of 0 and thus with the floor alone
    assert shared_latents(PAIR, 0.0, floor=0.4).tolist() == [[[False, False, True]]]
    assert shared_latents(PAIR, 0.0, floor=0.5).tolist() == [[[True, False, True]]]
    assert shared_latents(PAIR, 0.0, floor=4.6).all()
    assert shared_latents(PAIR, 0.5, floor=0.1).tolist() == [[[True, False, True]]]


@pytest.mark.parametrize(
    ("divergence", "expected"),
    [
        (kl_divergence, DIVERGENCES.tolist()),
        # the other way round: (4 + 1 - 1 - log 4) / 2 for latent 0
        (symmetric_kl, [0.5 * (DIVERGENCES[0].item() + (4 - math.log(4)) / 2), 4.5, 0.0]),
        (mean_distance, [1.0, 3.0, 0.0]),
    ],
)
def test_the_divergences_of_a_pair(divergence: Divergence, expected: list[float]) -> None:
    first, second = (DiagonalGaussian(PAIR.mean[0, i], PAIR.logvar[0, i]) for i in (0, 1))
    torch.testing.assert_close(divergence(first, second), torch.tensor(expected))
    if divergence is not kl_divergence:
        torch.testing.assert_close(divergence(second, first), torch.tensor(expected))


@every_kind
def test_an_adaptive_aggregation_decides_by_its_divergence(kind: type[AdaGVAE]) -> None:
    # Latent 0 differs in variance alone: KL (9 - 1 - log 9) / 2 = 2.9, backwards 0.65, on average 1.8. The others
    # are at 0.5 and 4.5 either way, so that the threshold is 2.5.
    pair = gaussian([[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]], [[9.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert kind()(pair).shared.tolist() == [[[False, True, False]]]
    assert kind(divergence=mean_distance)(pair).shared.tolist() == [[[True, True, False]]]
    backwards = DiagonalGaussian(*(moment.flip(1) for moment in pair))
    assert kind()(backwards).shared.tolist() == [[[True, True, False]]]
    for q in (pair, backwards):
        assert kind(divergence=symmetric_kl)(q).shared.tolist() == [[[True, True, False]]]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_product_of_disentanglement_lib_is_too_wide_by_the_size_of_the_group(size: int) -> None:
    group = draw((4, size, 3))
    ours, theirs = product_of_gaussians(group), dlib_product(group)
    torch.testing.assert_close(theirs.mean, ours.mean)
    torch.testing.assert_close(theirs.logvar.exp(), size * ours.logvar.exp())
    harmonic = size / (1 / group.logvar.exp()).sum(1, keepdim=True)
    torch.testing.assert_close(theirs.logvar.exp(), harmonic)


@pytest.mark.parametrize(
    ("kind", "average"),
    [
        (AdaMLVAE(average=dlib_product), dlib_product),
        (MLVAE(1, average=dlib_product), dlib_product),
        (MLVAE(1), product_of_gaussians),
        (GVAE(1), moment_average),
        (KnownMask(), moment_average),
        (KnownMask(product_of_gaussians), product_of_gaussians),
    ],
)
def test_what_is_shared_is_the_average_that_was_asked_for(kind: Aggregation, average: Average) -> None:
    pair = draw((20, 2, 3))
    q, shared, _ = kind(pair, torch.tensor([[False, True, False]]).expand(20, 3))
    torch.testing.assert_close(moments(q), torch.where(shared, moments(average(pair)), moments(pair)))
    assert 0 < shared.sum() < shared.numel()


@pytest.mark.parametrize("kind", [GVAE, MLVAE])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_content_of_a_group_is_shared_and_counts_once(kind: type[GVAE], size: int) -> None:
    group = draw((4, size, 5))
    q, shared, kl_weight = kind(content=2)(group)
    assert shared.expand(4, 1, 5).tolist() == [[[True, True, False, False, False]]] * 4
    torch.testing.assert_close(
        kl_weight.expand(4, size, 5).sum(1), torch.tensor([1.0, 1, size, size, size]).expand(4, 5)
    )
    assert (q.mean[..., :2] == q.mean[:, :1, :2]).all()
    torch.testing.assert_close(moments(q)[..., 2:], moments(group)[..., 2:])


@pytest.mark.parametrize("kind", [GVAE, MLVAE])
def test_content_needs_a_latent_and_leaves_one_for_style(kind: type[GVAE]) -> None:
    with pytest.raises(InputError, match="content must be at least 1 latent, got 0"):
        kind(content=0)
    with pytest.raises(InputError, match="content=5 leaves no style among 5 latents"):
        kind(content=5)(draw((4, 3, 5)))
    assert kind(content=4)(draw((4, 3, 5))).shared.sum() == 16


def test_a_known_mask_keeps_the_latents_of_changed_factors_and_shares_the_others() -> None:
    group = draw((2, 3, 4))
    changed = torch.tensor([[True, False, False], [False, True, True]])
    q, shared, kl_weight = KnownMask()(group, changed)
    assert shared.tolist() == [[[False, True, True, True]], [[True, False, False, True]]]
    assert kl_weight == 1
    for i, own in enumerate(([0], [1, 2])):
        for latent in range(4):
            mean, variance = group.mean[i, :, latent], group.logvar[i, :, latent].exp()
            expected = (mean, variance) if latent in own else (mean.mean().expand(3), variance.mean().expand(3))
            torch.testing.assert_close(moments(q)[:, i, :, latent], torch.stack(expected))


def test_a_known_mask_needs_to_know_and_a_latent_for_every_factor() -> None:
    with pytest.raises(InputError, match="the data do not tell which: use AdaGVAE"):
        KnownMask()(draw((2, 2, 3)))
    with pytest.raises(InputError, match="4 factors need more latents: use AdaGVAE"):
        KnownMask()(draw((2, 2, 3)), torch.zeros(2, 4).bool())
    assert KnownMask()(draw((2, 2, 3)), torch.zeros(2, 3).bool()).shared.all()
