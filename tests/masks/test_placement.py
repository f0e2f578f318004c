from collections.abc import Callable
from copy import deepcopy

import pytest
import torch

from disentangle_pl.backbones import ConvBackbone
from disentangle_pl.connectivity import layers
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import MASKABLE, ChannelMask, Masked, masked_layers
from disentangle_pl.masks.gates import HardConcreteMask
from disentangle_pl.masks.l1 import GroupLassoMask, L1Mask, ProximalL1Mask, WeightL1
from disentangle_pl.masks.magnitude import MagnitudeMask
from disentangle_pl.masks.placement import Placement


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        (Placement(), "1111 1111"),
        (Placement(encoder=False), "0000 1111"),
        (Placement(decoder=False), "1111 0000"),
        (Placement(pixels=False), "0111 1110"),
        (Placement(latents=False), "1110 0111"),
        (Placement(decoder=False, pixels=False, latents=False), "0110 0000"),
    ],
    ids=str,
)
def test_the_wanted_layers_are_masked(placement: Placement, expected: str) -> None:
    network = ConvBackbone((1, 8, 8), 3, channels=(4, 8), hidden=6)
    placement.apply(network.encoder, network.decoder, L1Mask)
    masked = [layer for _, layer in masked_layers(network)]
    for part, wanted in zip((network.encoder, network.decoder), expected.split(), strict=True):
        layers = [layer for layer in part.modules() if isinstance(layer, MASKABLE)]
        assert "".join(str(int(layer in masked)) for layer in layers) == wanted


def test_masks_nowhere_are_refused() -> None:
    with pytest.raises(InputError, match="neither"):
        Placement(encoder=False, decoder=False)


def masked_weight(found: Masked) -> torch.Tensor:
    """Return the weight of a layer as it acts."""
    assert isinstance(found.layer.weight, torch.Tensor)
    return found.layer.weight.detach()


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 8, 8, 8)])
def test_whole_channels_are_gated_where_convolutions_meet_linear_layers(shape: tuple[int, ...]) -> None:
    network = ConvBackbone(shape, 3, channels=(4, 5), hidden=6)
    dense = deepcopy(network)
    Placement(whole_channels=True).apply(network.encoder, network.decoder, L1Mask)
    masked = list(masked_layers(network))
    sizes = [tuple(mask.mask.shape) for mask, _ in masked if isinstance(mask, L1Mask)]
    assert sizes == [(4, 1), (5, 4), (6, 5), (6, 6), (6, 3), (5, 6), (5, 4), (4, 1)]
    x, z = torch.rand(2, *shape), torch.randn(2, 3)
    assert torch.equal(network.moments(x), dense.moments(x))  # open gates are the dense network bit for bit
    assert torch.equal(network.decode(z), dense.decode(z))
    into, out = masked[2], masked[5]
    assert isinstance(into.mask, L1Mask)
    assert isinstance(out.mask, L1Mask)
    units = 2 ** (len(shape) - 1)
    with torch.no_grad():
        into.mask.mask[1, 3] = 0
        out.mask.mask[4, 2] = 0
    assert (masked_weight(into) == 0).nonzero().tolist() == [[1, 3 * units + unit] for unit in range(units)]
    assert (masked_weight(out) == 0).nonzero().tolist() == [[4 * units + unit, 2] for unit in range(units)]
    # and those units are the channels of the neighbouring convolutions
    graphs = layers(network.encoder)
    assert (~graphs[2].pairs).nonzero().tolist() == [[1, 3]]
    assert (~layers(network.decoder)[1].pairs).nonzero().tolist() == [[4, 2]]


@pytest.mark.parametrize("factory", [GroupLassoMask, ProximalL1Mask, MagnitudeMask, HardConcreteMask, WeightL1])
def test_masks_of_whole_channels_see_their_kernels(factory: Callable[..., ChannelMask]) -> None:
    torch.manual_seed(0)
    network = ConvBackbone((1, 8, 8), 3, channels=(4, 5), hidden=6)
    Placement(whole_channels=True).apply(network.encoder, network.decoder, factory)
    network.eval()
    found = list(masked_layers(network))[5]
    assert found.weight.shape == (5, 6, 4, 1)
    before = masked_weight(found).clone()
    with torch.no_grad():
        found.weight[2, 1] *= 0.0
    changed = masked_weight(found) != before
    assert changed.nonzero().tolist() == [[8 + unit, 1] for unit in range(4)]
    assert torch.isfinite(found.mask.penalty(found.weight))
