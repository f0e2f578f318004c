"""Channel graphs by hand, and against what moves when an input is changed."""

import pytest
import torch
from torch import nn

from disentangle_pl.backbones import ConvBackbone, MLPBackbone
from disentangle_pl.connectivity import Layer, dead_channels, fan_out, layers, overlap, reached
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
