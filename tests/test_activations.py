"""What a network says layer by layer, against layers run by hand and channels that are moved one at a time."""

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.activations import activations, steps
from disentangle_pl.backbones import ConvBackbone, MLPBackbone
from disentangle_pl.connectivity import layers
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import apply_masks, open_pairs
from disentangle_pl.masks.random_mask import RandomMask


def run(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Look into a network that is a Sequential."""
    assert isinstance(network, nn.Sequential)
    with torch.no_grad():
        return activations(network, x)


def hooked(network: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """Copy the outputs of modules by their names."""
    found: dict[str, Tensor] = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: found.__setitem__(name, output.clone())
        )
    with torch.no_grad():
        network(x)
    return found


@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 16, 16, 16)])
def test_every_layer_is_read_after_its_activation_and_averaged_over_space(shape: tuple[int, ...]) -> None:
    network = ConvBackbone(shape, latent_dim=3, channels=(4, 8), hidden=6)
    image, z = torch.randn(5, *shape), torch.randn(5, 3)
    found = run(network.encoder, image)
    after = hooked(network.encoder, image, ["1", "3", "6", "7"])
    for name, read in (("0", "1"), ("2", "3"), ("5", "6"), ("7", "7")):
        torch.testing.assert_close(found[name], after[read].flatten(2).mean(2) if name in "02" else after[read])
    found = run(network.decoder, z)
    after = hooked(network.decoder, z, ["1", "4", "6", "7"])
    for name, read in (("0", "1"), ("2", "4"), ("5", "6"), ("7", "7")):
        torch.testing.assert_close(found[name], after[read].flatten(2).mean(2) if name != "0" else after[read])


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_layers_and_channels_are_those_of_the_channel_graph(part: str) -> None:
    network = ConvBackbone((1, 16, 16), latent_dim=3, channels=(4, 8), hidden=6).get_submodule(part)
    x = torch.randn(2, 1, 16, 16) if part == "encoder" else torch.randn(2, 3)
    assert [(name, values.shape[1]) for name, values in run(network, x).items()] == [
        (layer.name, len(layer.pairs)) for layer in layers(network)
    ]


def test_units_that_become_channels_are_those_of_the_channel_graph() -> None:
    network = ConvBackbone((1, 16, 16), latent_dim=3, channels=(4, 8), hidden=6).decoder
    x = torch.randn(2, 3)
    before = run(network, x)["2"]
    graph = layers(network)[1]
    linear = network.get_submodule("2")
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.bias[16:32] += 5  # the 4 x 4 units of channel 1
    moved = (run(network, x)["2"] - before).abs().amax(0) > 0
    assert moved.tolist() == [False, True, *(6 * [False])]
    assert len(graph.pairs) == 8


def test_a_flattened_map_is_averaged_channel_by_channel_wherever_its_activation_stands() -> None:
    torch.manual_seed(0)
    conv, relu = nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True)
    x = torch.randn(4, 1, 6, 6)
    early = run(nn.Sequential(conv, relu, nn.Flatten(), nn.Linear(48, 2)), x)["0"]
    late = run(nn.Sequential(conv, nn.Flatten(), relu, nn.Linear(48, 2)), x)["0"]
    torch.testing.assert_close(late, early)
    torch.testing.assert_close(early, conv(x).relu().mean((2, 3)).detach())


def test_fully_connected_networks_and_masks() -> None:
    network = MLPBackbone((2, 4, 4), 3, (8, 7), (6, 5))
    assert [values.shape[1] for values in run(network.encoder, torch.randn(4, 2, 4, 4)).values()] == [8, 7, 6]
    z = torch.randn(4, 3)
    found = run(network.decoder, z)
    assert [values.shape[1] for values in found.values()] == [6, 5, 2]
    first = network.decoder.get_submodule("0")
    torch.testing.assert_close(found["0"], first(z).tanh().detach())
    apply_masks(network.decoder, lambda pairs: RandomMask(pairs, density=0.1))
    cut = ~open_pairs(first.weight.detach()).any(1)  # type: ignore[operator]
    masked = run(network.decoder, z)["0"]
    assert cut.any()
    assert (masked[:, cut] == 0).all()
    assert (masked[:, ~cut] != 0).all()


def test_an_input_stays_and_an_activation_may_serve_twice() -> None:
    relu = nn.ReLU(inplace=True)
    inner = nn.Sequential(nn.Linear(3, 4), relu)
    network = nn.Sequential(OrderedDict([("first", inner), ("second", nn.Linear(4, 5)), ("last", relu)]))
    x = torch.randn(6, 3)
    before = x.clone()
    found = run(network, x)
    assert torch.equal(x, before)
    assert list(found) == ["first.0", "second"] == [layer.name for layer in layers(network)]
    assert all((values >= 0).all() for values in found.values())
    torch.testing.assert_close(found["second"], network(x).detach())


class Residual(nn.Module):
    """Adds what its layer says."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)


@pytest.mark.parametrize("network", [Residual(), nn.Sequential(nn.Linear(3, 3), Residual())])
def test_layers_beside_the_way_are_refused(network: nn.Module) -> None:
    with pytest.raises(InputError, match=r"a Residual is no nn\.Sequential"):
        list(steps(network))


def test_a_network_without_layers_says_nothing() -> None:
    assert run(nn.Sequential(nn.ReLU()), torch.randn(2, 3)) == {}
