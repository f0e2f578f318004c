"""Channel graphs by hand, and against what moves when an input is changed."""

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.backbones import ConvBackbone, MLPBackbone
from disentangle_pl.connectivity import Layer, dead_channels, fan_out, layers, overlap, reached
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import apply_masks
from disentangle_pl.masks.random_mask import RandomMask


def graph(rows: list[list[int]]) -> Layer:
    """Make a layer from its pairs (outputs, inputs)."""
    pairs = torch.tensor(rows, dtype=torch.bool)
    return Layer("", pairs, int(pairs.sum()), pairs.numel())


# latent 0 reaches hidden 0 and 1, latent 1 hidden 1; hidden 2 hears nobody, hidden 3 speaks to nobody
FIRST = graph([[1, 0], [1, 1], [0, 0], [0, 1]])
LAST = graph([[1, 1, 1, 0]])


def test_paths_by_hand() -> None:
    first, last = reached([FIRST, LAST])
    assert first.int().tolist() == [[1, 0], [1, 1], [0, 0], [0, 1]]
    assert last.int().tolist() == [[1, 1]]
    assert dead_channels([FIRST, LAST]) == [2]
    assert fan_out([FIRST, LAST]).tolist() == [0.5, 0.5]
    assert overlap([FIRST, LAST]) == pytest.approx(1 / 3)


def test_latents_without_paths() -> None:
    assert overlap([graph([[0, 0]]), graph([[1]])]) == 0
    assert overlap([graph([[1, 0]]), graph([[1]])]) == 0
    assert overlap([graph([[1]]), graph([[1]])]) == 0
    assert fan_out([graph([[1, 0]]), graph([[1]])]).tolist() == [1, 0]
    assert fan_out([graph([[1, 1]])]).tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 16, 16, 16)])
def test_a_dense_network_reaches_everything(shape: tuple[int, ...]) -> None:
    network = ConvBackbone(shape, latent_dim=3, channels=(4, 8), hidden=6)
    for part, ends in ((network.encoder, (4, 8, 6, 6)), (network.decoder, (6, 8, 4, 1))):
        graphs = layers(part)
        assert tuple(len(one.pairs) for one in graphs) == ends
        assert all(one.pairs.all() for one in graphs)
        assert all(one.kept == one.total for one in graphs)
        assert dead_channels(graphs) == [0, 0, 0]
    assert fan_out(layers(network.decoder)).tolist() == [1, 1, 1]
    assert overlap(layers(network.decoder)) == 1


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_graph_says_what_can_move(part: str) -> None:
    torch.manual_seed(3)
    network = MLPBackbone((1, 2, 2), 5, (8, 8), (8, 8)) if part == "mlp" else ConvBackbone((2, 8, 8), 5, (3, 4), 6)
    apply_masks(network, lambda pairs: RandomMask(pairs, density=0.25))
    chosen = getattr(network, part)
    chosen = nn.Sequential(*(nn.Identity() if isinstance(module, nn.ReLU) else module for module in chosen))
    x = torch.randn(1, 2, 8, 8) if part == "encoder" else torch.randn(1, 5)
    *_, last = reached(layers(chosen))
    moved = torch.zeros_like(last)
    for index in range(last.shape[1]):
        changed = x.clone()
        changed[:, index] += 1
        difference = (chosen(changed) - chosen(x)).abs()
        moved[:, index] = difference.flatten(2).amax(2)[0] > 1e-7 if difference.dim() > 2 else difference[0] > 1e-7
    assert torch.equal(moved, last)
    assert not last.all()


@pytest.mark.parametrize("layer", [nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_groups_connect_what_they_hold(layer: Callable[..., nn.Module], groups: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(layer(6, 12, 3, padding=1, groups=groups, bias=False))
    x = torch.randn(1, 6, *(4,) * (cast(Tensor, network[0].weight).dim() - 2))
    (graph,) = layers(network)
    for index in range(6):
        changed = x.clone()
        changed[:, index] += 1
        moved = (network(changed) - network(x)).flatten(2).abs().amax(2)[0] > 1e-6
        assert torch.equal(moved, graph.pairs[:, index])
    assert graph.kept == graph.total == 12 * 6 // groups


def test_a_depthwise_network_has_no_dead_channels_but_those_it_cuts() -> None:
    network = nn.Sequential(nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 3, groups=3))
    assert dead_channels(layers(network)) == [0, 0]
    with torch.no_grad():
        cast(Tensor, network[0].weight)[2] = 0
    assert dead_channels(layers(network)) == [1, 0]


def test_steps_that_leave_channels_apart_are_passed_and_others_refused() -> None:
    apart = [nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(2), nn.Dropout2d(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = nn.Sequential(nn.Sequential(nn.Conv2d(2, 4, 3), *apart), nn.Linear(4, 3))
    assert [graph.name for graph in layers(network)] == ["0.0", "1"]
    for other in (nn.GroupNorm(2, 4), nn.LayerNorm(4), nn.PixelShuffle(2), nn.Softmax(1)):
        with pytest.raises(InputError, match=f"step 1 is a {type(other).__name__}, which mixes channels"):
            layers(nn.Sequential(nn.Conv2d(2, 4, 3), other, nn.Conv2d(4, 4, 3)))
    with pytest.raises(InputError, match=r"a ModuleList is no nn\.Sequential"):
        layers(nn.ModuleList([nn.Linear(2, 2)]))
