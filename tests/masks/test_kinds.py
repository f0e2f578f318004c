"""Every kind of mask: the dense network where it starts, exact cuts, penalties in closed form, and what it learns."""

import math
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import (
    ChannelMask,
    Masked,
    apply_masks,
    density,
    follow_step,
    kernel_norms,
    masked_layers,
    open_pairs,
    penalties,
)
from disentangle_pl.masks.gates import BinaryMask, GumbelMask, HardConcreteMask
from disentangle_pl.masks.l1 import GroupLassoMask, L1Mask, ProximalL1Mask, WeightL1
from disentangle_pl.masks.magnitude import MagnitudeMask
from disentangle_pl.masks.random_mask import RandomMask

LEARNED = [L1Mask, ProximalL1Mask, GroupLassoMask, WeightL1, HardConcreteMask, BinaryMask, GumbelMask]
EXACT = [L1Mask, GroupLassoMask, WeightL1, BinaryMask, GumbelMask, MagnitudeMask, partial(RandomMask, density=1.0)]
ANY = torch.optim.SGD([torch.zeros(1)])
LAYERS = [
    nn.Linear(3, 4),
    nn.Conv1d(3, 4, 3),
    nn.ConvTranspose1d(3, 4, 4),
    nn.Conv2d(3, 4, 3),
    nn.Conv3d(3, 4, 2),
    nn.ConvTranspose2d(3, 4, 4),
    nn.ConvTranspose3d(3, 4, 2),
]


def masked(factory: Callable[[tuple[int, int]], ChannelMask], layer: nn.Module | None = None) -> Masked:
    """Mask a convolution, or the layer given."""
    torch.manual_seed(0)
    made = layer or nn.Conv2d(3, 4, 3)
    apply_masks(made, factory)
    (found,) = masked_layers(made)
    return found


def weight_of(layer: nn.Module) -> Tensor:
    """Return the masked weight of a layer."""
    assert isinstance(layer.weight, Tensor)
    return layer.weight


@pytest.mark.parametrize("factory", EXACT, ids=str)
@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_open_gates_are_the_dense_layer_bit_for_bit(
    factory: Callable[[tuple[int, int]], ChannelMask], number: int
) -> None:
    layer = deepcopy(LAYERS[number])
    dense = weight_of(layer).detach().clone()
    apply_masks(layer, factory)
    layer.eval()
    assert torch.equal(weight_of(layer), dense)


def test_unit_norms_start_as_the_dense_layer() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    dense = weight_of(layer).detach().clone()
    masked(ProximalL1Mask, layer)
    torch.testing.assert_close(weight_of(layer).detach(), dense)


def test_raw_l1_is_evaded_by_scale_and_unit_norms_are_not() -> None:
    for factory, evaded in ((L1Mask, True), (ProximalL1Mask, False)):
        mask, layer = found = masked(factory)
        before, product = mask.penalty(found.weight).item(), weight_of(layer).detach().clone()
        with torch.no_grad():
            found.weight.mul_(1000)
            if isinstance(mask, L1Mask):
                mask.mask.div_(1000)
        after = mask.penalty(found.weight).item()
        torch.testing.assert_close(weight_of(layer).detach(), product)
        assert after == pytest.approx(before / 1000 if evaded else before, rel=1e-5)


def test_the_strength_of_raw_l1_shrinks_the_mask_and_not_the_network() -> None:
    norms, products = [], []
    for strength in (0.0, 0.03):
        mask, layer = found = masked(partial(L1Mask, strength=strength), nn.Linear(4, 4, bias=False))
        x = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
        target = x @ torch.randn(4, 4, generator=torch.Generator().manual_seed(2))
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
        for _ in range(1500):
            optimizer.zero_grad()
            loss = (layer(x) - target).square().mean() + strength * mask.penalty(found.weight)
            torch.autograd.backward(loss)
            optimizer.step()
        norms.append(mask.penalty(found.weight).item())
        products.append(weight_of(layer).detach())
        assert density(layer).kept == 16  # and nothing is cut
    assert norms[1] < norms[0] / 5
    torch.testing.assert_close(products[1], products[0], atol=0.15, rtol=0)


@pytest.mark.parametrize("factory", [ProximalL1Mask, GroupLassoMask])
def test_a_proximal_step_is_soft_thresholding(factory: Callable[[tuple[int, int]], ChannelMask]) -> None:
    found = masked(factory)
    mask, layer = found
    before = kernel_norms(weight_of(layer).detach())
    size = before.flatten().kthvalue(5).values
    with torch.no_grad():
        mask.shrink(found.weight, size)
    after = kernel_norms(weight_of(layer).detach())
    torch.testing.assert_close(after, (before - size).clamp_min(0), atol=1e-6, rtol=0)
    assert density(layer) == (12 - int((before <= size).sum()), 12)
    assert int((before <= size).sum()) == 5


@pytest.mark.parametrize("factory", [ProximalL1Mask, GroupLassoMask])
def test_proximal_kinds_cut_what_the_data_do_not_need(factory: Callable[..., ChannelMask]) -> None:
    found = masked(partial(factory, strength=0.05), nn.Linear(6, 2, bias=False))
    mask, layer = found
    x = torch.randn(512, 6, generator=torch.Generator().manual_seed(1))
    target = torch.stack([x[:, 0] * 2, x[:, 1] - x[:, 2]], 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    for step in range(1, 801):
        optimizer.zero_grad()
        torch.autograd.backward((layer(x) - target).square().mean() + 0.05 * mask.penalty(found.weight))
        optimizer.step()
        follow_step([found], optimizer, step)
    expected = torch.tensor([[1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]], dtype=torch.bool)
    assert torch.equal(open_pairs(weight_of(layer).detach()), expected)
    # the least squares solution, each coordinate shortened by strength over the curvature (2 / 2 outputs)
    assert weight_of(layer)[0, 0].item() == pytest.approx(2 - 0.05, abs=0.02)


@pytest.mark.parametrize("factory", [ProximalL1Mask, GroupLassoMask])
def test_a_proximal_penalty_has_no_gradient_of_its_own(factory: Callable[[tuple[int, int]], ChannelMask]) -> None:
    found = masked(factory)
    assert not found.mask.penalty(found.weight).requires_grad
    assert found.mask.penalty(found.weight).item() == pytest.approx(kernel_norms(found.weight).sum().item())


def test_a_cut_pair_comes_back_if_the_loss_wants_it() -> None:
    found = masked(partial(ProximalL1Mask, strength=0.01), nn.Linear(2, 1, bias=False))
    mask, layer = found
    assert isinstance(mask, ProximalL1Mask)
    with torch.no_grad():
        mask.mask.zero_()
    x = torch.randn(64, 2)
    torch.autograd.backward((layer(x) - 3 * x[:, :1]).square().mean())
    assert mask.mask.grad is not None
    assert mask.mask.grad.abs().max() > 0


def test_hard_concrete_gates_have_the_published_distribution() -> None:
    torch.manual_seed(0)
    mask = HardConcreteMask((200, 200), dropped=0.3)
    gates = mask(torch.ones(200, 200)).detach()
    open_share = mask.penalty(gates).item() / gates.numel()
    assert (gates > 0).float().mean().item() == pytest.approx(open_share, abs=0.01)
    assert 0 < (gates == 1).float().mean() < 1
    assert open_share == pytest.approx(1 / (1 + math.exp(-(math.log(0.7 / 0.3) - 2 / 3 * math.log(0.1 / 1.1)))))
    mask.eval()
    assert (mask(torch.ones(200, 200)) - (0.7 * 1.2 - 0.1)).abs().max() < 1e-6


def test_binary_gates_cut_exactly_and_learn_through_the_step() -> None:
    found = masked(BinaryMask)
    mask, layer = found
    assert isinstance(mask, BinaryMask)
    with torch.no_grad():
        mask.logits[1, 2] = -0.1
    assert mask.penalty(found.weight) == 11
    assert weight_of(layer)[1, 2].abs().max() == 0
    torch.autograd.backward(weight_of(layer).sum())
    slope = torch.sigmoid(mask.logits.detach()) * (1 - torch.sigmoid(mask.logits.detach()))
    assert mask.logits.grad is not None
    torch.testing.assert_close(mask.logits.grad, slope * found.weight.detach().sum((2, 3)))


def test_gumbel_gates_are_open_as_often_as_their_odds_say() -> None:
    torch.manual_seed(0)
    mask = GumbelMask((200, 200), start=math.log(0.8 / 0.2))
    gates = mask(torch.ones(200, 200)).detach()
    assert set(gates.unique().tolist()) == {0.0, 1.0}
    assert gates.mean().item() == pytest.approx(0.8, abs=0.01)
    assert mask.penalty(gates).item() / gates.numel() == pytest.approx(0.8)
    mask.eval()
    assert torch.equal(mask(torch.ones(200, 200)).detach(), torch.ones(200, 200))


def test_weight_l1_is_the_sum_of_sizes() -> None:
    found = masked(WeightL1)
    assert found.mask.penalty(found.weight).item() == pytest.approx(found.weight.abs().sum().item())
    assert found.mask.penalty(found.weight).requires_grad


def test_magnitude_pruning_keeps_the_largest_and_says_when_to_rewind() -> None:
    found = masked(partial(MagnitudeMask, density=0.25, rounds=2, interval=3))
    mask, layer = found
    with torch.no_grad():
        found.weight.add_(torch.randn_like(found.weight))
        trained = kernel_norms(found.weight).flatten()
    kept = []
    for step in range(1, 10):
        follow_step([found], ANY, step)
        kept.append(density(layer).kept)
    assert kept == [12, 12, 6, 6, 6, 3, 3, 3, 3]
    assert isinstance(mask, MagnitudeMask)
    assert [step for step in range(10) if step in mask.rewinds] == [3, 6]
    survivors = set(trained.topk(6).indices.tolist())
    assert set(mask.mask.flatten().nonzero().flatten().tolist()) <= survivors


def test_one_shot_without_rewinding_keeps_the_weights() -> None:
    found = masked(partial(MagnitudeMask, density=0.5, rounds=1, interval=1, rewind=False))
    with torch.no_grad():
        found.weight.mul_(2)
    before = found.weight.detach().clone()
    follow_step([found], ANY, 1)
    assert density(found.layer).kept == 6
    assert not found.mask.rewinds
    assert torch.equal(found.weight.detach(), before)
    expected = set(kernel_norms(before).flatten().topk(6).indices.tolist())
    assert set(open_pairs(weight_of(found.layer).detach()).flatten().nonzero().flatten().tolist()) == expected


def test_a_threshold_over_all_layers_keeps_the_largest_weights_of_all() -> None:
    wide, narrow = nn.Conv2d(3, 4, 3), nn.Linear(6, 5)
    network = nn.Sequential(wide, narrow)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        wide.weight.copy_(torch.randn(wide.weight.shape, generator=draws))
        narrow.weight.copy_(0.8 * torch.randn(narrow.weight.shape, generator=draws))
    apply_masks(network, partial(MagnitudeMask, density=0.25, rounds=2, interval=1, across_layers=True))
    layers = list(masked_layers(network))
    sizes = torch.cat([layer.weight.detach().flatten(2).square().mean(2).sqrt().flatten() for layer in layers[:1]])
    sizes = torch.cat([sizes, layers[1].weight.detach().abs().flatten()])
    for step, kept in ((1, 21), (2, round(42 / 4))):
        follow_step(layers, ANY, step)
        found = torch.cat([open_pairs(weight_of(layer.layer).detach()).flatten() for layer in layers])
        assert set(found.nonzero().flatten().tolist()) == set(sizes.topk(kept).indices.tolist())
    shares = [density(layer.layer).kept / density(layer.layer).total for layer in layers]
    assert shares[0] != shares[1]


def test_a_threshold_over_all_layers_leaves_each_its_largest() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():
        nn.init.constant_(cast(nn.Linear, network[1]).weight, 1e-3)[2, 1] = 2e-3
    apply_masks(network, partial(MagnitudeMask, density=0.1, rounds=1, interval=1, across_layers=True))
    follow_step(list(masked_layers(network)), ANY, 1)
    assert open_pairs(weight_of(network[1]).detach()).nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("factory", [L1Mask, HardConcreteMask, BinaryMask, GumbelMask, MagnitudeMask, RandomMask])
def test_gates_are_what_multiplies_the_kernels_in_evaluation(
    factory: Callable[[tuple[int, int]], ChannelMask],
) -> None:
    mask, layer = found = masked(factory)
    with torch.no_grad():
        for parameter in mask.parameters():
            parameter.normal_()
        for buffer in mask.buffers():
            buffer.bernoulli_()
    gates = mask.gates()
    layer.eval()
    assert gates is not None
    assert not gates.requires_grad
    torch.testing.assert_close(weight_of(layer).detach(), found.weight.detach() * gates[..., None, None])
    assert gates.min() < gates.max()


def test_gates_of_unit_norms_are_the_norms_and_kinds_without_a_mask_have_none() -> None:
    mask, layer = masked(ProximalL1Mask)
    gates = mask.gates()
    assert gates is not None
    torch.testing.assert_close(gates, kernel_norms(weight_of(layer).detach()))
    assert masked(GroupLassoMask).mask.gates() is None
    assert masked(WeightL1).mask.gates() is None


def test_the_strength_warms_up() -> None:
    mask = L1Mask((1, 1), strength=2.0, warm_up=3)
    assert [mask.strength_at(step) for step in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert L1Mask((1, 1), strength=2.0).strength_at(0) == 2.0
    late = GroupLassoMask((1, 1), strength=2.0, warm_up=3, delay=2)
    assert [late.strength_at(step) for step in range(7)] == [0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    with pytest.raises(InputError, match="delay of a mask penalty must not be negative, got -1 steps"):
        ProximalL1Mask((1, 1), delay=-1)


def test_penalties_are_weighted_layer_by_layer() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    apply_masks(network, partial(L1Mask, strength=0.5, warm_up=1))
    weighted, raw = penalties(list(masked_layers(network)), 0)
    assert (weighted.item(), raw.item()) == (3.0, 12.0)
    assert penalties(list(masked_layers(network)), 9)[0].item() == 6.0


@pytest.mark.parametrize("factory", LEARNED)
@pytest.mark.parametrize(("name", "value"), [("strength", -1.0), ("strength", math.nan), ("warm_up", -1)])
def test_what_lies_outside_its_range_is_refused(factory: Callable[..., ChannelMask], name: str, value: float) -> None:
    with pytest.raises(InputError, match="must not be negative"):
        factory((2, 2), **{name: value})


@pytest.mark.parametrize(
    "make",
    [
        lambda: MagnitudeMask((2, 2), density=0),
        lambda: MagnitudeMask((2, 2), rounds=0),
        lambda: MagnitudeMask((2, 2), interval=0),
        lambda: MagnitudeMask((2, 2), interval=10, rewind_to=10),
        lambda: MagnitudeMask((2, 2), interval=10, rewind_to=-1),
        lambda: MagnitudeMask((2, 2), interval=10, rewind_to=1, rewind=False),
        lambda: HardConcreteMask((2, 2), dropped=1.0),
        lambda: HardConcreteMask((2, 2), temperature=0),
        lambda: GumbelMask((2, 2), temperature=-1),
    ],
)
def test_impossible_masks_are_refused(make: Callable[[], ChannelMask]) -> None:
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize("factory", [*LEARNED, MagnitudeMask])
def test_a_state_dict_restores_every_kind(factory: Callable[[tuple[int, int]], ChannelMask]) -> None:
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        layer = nn.Conv2d(3, 4, 3)
        apply_masks(layer, factory)
        made.append(layer.eval())
    with torch.no_grad():
        for parameter in made[0].parameters():
            parameter.normal_()
    x = torch.randn(2, 3, 5, 5)
    assert not torch.equal(made[0](x), made[1](x))
    made[1].load_state_dict(made[0].state_dict())
    assert torch.equal(made[0](x), made[1](x))


def test_unit_norms_of_single_weights_are_their_signs_and_do_not_move() -> None:
    found = masked(ProximalL1Mask, nn.Linear(20, 30, bias=False))
    before = found.weight.detach().clone()
    assert torch.equal(weight_of(found.layer), before)  # to the last bit: M is |K|, and K' = M sign(K)
    optimizer = torch.optim.Adam(found.layer.parameters(), lr=0.01)
    x = torch.randn(64, 20, generator=torch.Generator().manual_seed(1))
    for _ in range(50):
        optimizer.zero_grad()
        layer = found.layer
        assert isinstance(layer, nn.Linear)
        torch.autograd.backward((layer(x) - x[:, :1]).square().mean())
        optimizer.step()
    assert torch.equal(found.weight, before)
    assert not torch.equal(weight_of(found.layer), before)
