from copy import deepcopy
from functools import partial
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, Density, apply_masks, density, masked_layers
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.masks.random_mask import RandomMask

INPUTS, OUTPUTS = 3, 4
LAYERS = {
    "Linear": (nn.Linear(INPUTS, OUTPUTS), torch.Size([])),
    "Conv1d": (nn.Conv1d(INPUTS, OUTPUTS, 3, padding=1), torch.Size([6])),
    "ConvTranspose1d": (nn.ConvTranspose1d(INPUTS, OUTPUTS, 3, padding=1), torch.Size([6])),
    "Conv2d": (nn.Conv2d(INPUTS, OUTPUTS, 3, padding=1), torch.Size([5, 6])),
    "Conv3d": (nn.Conv3d(INPUTS, OUTPUTS, 3, padding=1), torch.Size([4, 5, 6])),
    "ConvTranspose2d": (nn.ConvTranspose2d(INPUTS, OUTPUTS, 3, padding=1), torch.Size([5, 6])),
    "ConvTranspose3d": (nn.ConvTranspose3d(INPUTS, OUTPUTS, 3, padding=1), torch.Size([4, 5, 6])),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def make(name: str) -> tuple[nn.Module, Tensor]:
    """Give a fresh copy of a layer and a batch of inputs for it."""
    layer, size = LAYERS[name]
    torch.manual_seed(0)
    return deepcopy(layer), torch.randn(2, INPUTS, *size)


def masked(name: str) -> tuple[nn.Module, L1Mask, Tensor]:
    """Give a layer with a learned mask of ones, the mask, and inputs."""
    layer, x = make(name)
    apply_masks(layer, L1Mask)
    ((mask, _),) = masked_layers(layer)
    return layer, cast(L1Mask, mask), x


def by_input(name: str, mask: Tensor) -> Tensor:
    """View a mask (m, n) as M[input, output], whichever way the layer stores its weight."""
    return mask if "Transpose" in name else mask.T


@every_layer
def test_a_mask_of_ones_is_the_dense_layer_bit_for_bit(name: str) -> None:
    dense, x = make(name)
    layer, mask, _ = masked(name)
    assert torch.equal(layer(x), dense(x))
    assert tuple(by_input(name, mask.mask).shape) == (INPUTS, OUTPUTS)


@every_layer
def test_the_kernel_of_every_pair_is_multiplied_by_its_entry(name: str) -> None:
    dense, x = make(name)
    layer, mask, _ = masked(name)
    entries = torch.randn(INPUTS, OUTPUTS)
    with torch.no_grad():
        by_input(name, mask.mask).copy_(entries)
        kernel = cast(Tensor, dense.weight)
        kernel = kernel if "Transpose" in name else kernel.transpose(0, 1)  # K[input, output, ...]
        for i in range(INPUTS):
            for j in range(OUTPUTS):
                kernel[i, j] *= entries[i, j]
    torch.testing.assert_close(layer(x), dense(x))


@every_layer
def test_a_cut_pair_carries_neither_signal_nor_gradient(name: str) -> None:
    layer, mask, x = masked(name)
    with torch.no_grad():
        by_input(name, mask.mask)[1, 2] = 0
    x.requires_grad_()
    out = layer(x)
    (reached,) = torch.autograd.grad(out[:, 2].square().sum(), x, retain_graph=True)
    assert reached[:, 1].abs().max() == 0
    assert reached[:, 0].abs().max() > 0
    (reached,) = torch.autograd.grad(out[:, 3].square().sum(), x)
    assert reached[:, 1].abs().max() > 0


@every_layer
def test_an_input_whose_pairs_are_all_cut_gets_no_gradient_and_its_kernels_none_either(name: str) -> None:
    layer, mask, x = masked(name)
    with torch.no_grad():
        by_input(name, mask.mask)[1] = 0
    x.requires_grad_()
    torch.autograd.backward(layer(x).square().sum())
    assert x.grad is not None
    assert x.grad[:, 1].abs().max() == 0
    assert x.grad[:, 0].abs().max() > 0
    kernel = dict(layer.named_parameters())["parametrizations.weight.original"].grad
    assert kernel is not None
    kernel = kernel if "Transpose" in name else kernel.transpose(0, 1)
    assert kernel[1].abs().max() == 0
    assert kernel[0].abs().max() > 0


@every_layer
def test_density_counts_the_pairs_that_still_connect(name: str) -> None:
    layer, mask, _ = masked(name)
    assert density(layer) == Density(12, 12)
    with torch.no_grad():
        mask.mask.zero_()
        mask.mask[0, 0] = -1e-20
        mask.mask[1, 2] = 1
    assert density(layer) == Density(2, 12)


def test_a_kernel_with_one_weight_left_counts_and_an_empty_one_does_not() -> None:
    layer = nn.Conv2d(2, 1, 3)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 1, 2, 2] = 0.5
    assert density(layer) == Density(1, 2)


def drawn(pairs: tuple[int, int], density: float) -> RandomMask:
    """Draw the mask of the only layer."""
    mask = RandomMask(pairs, density)
    mask.begin(torch.ones(pairs), 0, 1)
    return mask


@pytest.mark.parametrize(("asked", "pairs"), [(1.0, 35), (0.5, 18), (0.1, 4), (0.029, 1), (1e-6, 1)])
def test_a_random_mask_keeps_exactly_the_asked_number_of_pairs(asked: float, pairs: int) -> None:
    mask = drawn((5, 7), asked)
    assert mask.mask.sum() == pairs
    assert set(mask.mask.flatten().tolist()) <= {0.0, 1.0}
    assert mask.penalty(torch.ones(5, 7)) == 0
    assert list(mask.parameters()) == []


def test_random_masks_follow_the_seed_and_keep_every_pair_equally_often() -> None:
    torch.manual_seed(0)
    draws = torch.stack([drawn((3, 4), 0.25).mask for _ in range(2000)])
    assert (draws.mean(0) - 0.25).abs().max() < 5 * (0.25 * 0.75 / 2000) ** 0.5
    torch.manual_seed(0)
    assert torch.equal(drawn((3, 4), 0.25).mask, draws[0])
    assert not torch.equal(draws[0], draws[1])


def test_every_layer_can_have_a_density_of_its_own() -> None:
    network = nn.ModuleList([nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 8)), nn.Sequential(nn.Linear(8, 10))])
    apply_masks(network, partial(RandomMask, density=(0.5, 0.25, 0.1)))
    assert [int(mask.mask.sum()) for mask, _ in masked_layers(network) if isinstance(mask, RandomMask)] == [10, 10, 8]
    with pytest.raises(InputError, match="each of the 3 masked layers, got 2"):
        apply_masks(nn.Sequential(*(nn.Linear(2, 2) for _ in range(3))), partial(RandomMask, density=(0.5, 0.25)))


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 16, 16, 16)])
def test_the_asked_density_is_reached_over_a_whole_network(shape: tuple[int, ...]) -> None:
    network = ConvBackbone(shape, latent_dim=4, channels=(8, 16), hidden=32)
    total = density(network).total
    apply_masks(network, partial(RandomMask, density=0.1))
    masks = [mask for mask, _ in masked_layers(network)]
    assert len(masks) == 8
    kept = sum(max(1, round(0.1 * mask.mask.numel())) for mask in masks if isinstance(mask, RandomMask))
    assert density(network) == Density(kept, total)
    assert kept / total == pytest.approx(0.1, abs=0.001)


def test_the_l1_penalty_is_the_sum_of_sizes_and_reaches_the_mask() -> None:
    mask = L1Mask((2, 2), strength=0.5)
    with torch.no_grad():
        mask.mask.copy_(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
    assert mask.penalty(torch.ones(2, 2)) == 6.5
    torch.autograd.backward(mask.penalty(torch.ones(2, 2)))
    assert mask.mask.grad is not None
    assert mask.mask.grad.tolist() == [[1, -1], [1, 1]]
    assert mask.strength == 0.5


@pytest.mark.parametrize("factory", [L1Mask, partial(RandomMask, density=0.3)])
def test_a_state_dict_restores_masks(factory: type[ChannelMask]) -> None:
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 3, 3))
        apply_masks(network, factory)
        networks.append(network)
    first, second = networks
    with torch.no_grad():
        for mask, _ in masked_layers(first):
            for parameter in mask.parameters():
                parameter.normal_()
    x = torch.randn(2, 3, 8, 8)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
    assert any("mask" in key for key in first.state_dict())


def test_a_network_without_channel_pairs_is_refused() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
    assert density(network) == Density(0, 0)
    with pytest.raises(InputError, match="no layer with channel pairs"):
        apply_masks(network, L1Mask)


def test_layers_that_are_left_out_stay_dense() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5))
    apply_masks(network, L1Mask, leave=(network[0],))
    assert [layer for _, layer in masked_layers(network)] == [network[2]]
    with pytest.raises(InputError, match="all are left out"):
        apply_masks(nn.Sequential(network[0]), L1Mask, leave=(network[0],))


@pytest.mark.parametrize("asked", [0.0, -0.1, 1.1])
def test_a_density_outside_its_range_is_refused(asked: float) -> None:
    with pytest.raises(InputError, match=rf"\(0, 1\], got {asked}"):
        RandomMask((2, 2), asked)


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(InputError, match="negative, got -1"):
        L1Mask((2, 2), -1.0)
