"""Which channels of a network still reach which: densities, dead channels, and the paths of every latent."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from disentangle_pl.masks.channel_mask import MASKABLE, open_pairs

TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)


class Layer(NamedTuple):
    """The channel graph of one layer.

    Attributes:
        name: Its name in the network.
        pairs: (outputs, inputs) bool, True where a pair connects; units of one channel at the border between
            convolutions and linear layers count as that channel.
        kept: Channel pairs of the layer's weight that connect, as the weight has them.
        total: Channel pairs of the layer's weight.
    """

    name: str
    pairs: Tensor
    kept: int
    total: int


def layers(network: nn.Module) -> list[Layer]:
    """Return the channel graphs of the layers of a feed-forward network, from its input to its output.

    Args:
        network: Layers in the order of their use, such as an `nn.Sequential`.
    """
    named = [(name, module) for name, module in network.named_modules() if isinstance(module, MASKABLE)]
    graphs = [_graph(module) for _, module in named]
    merged = [graph.bool() for graph in graphs]
    for index, (before, after) in enumerate(pairwise(graphs)):
        outputs, inputs = len(before), after.shape[1]
        if inputs > outputs:  # flattened: the units of a channel lie side by side
            merged[index + 1] = _merge(merged[index + 1].T, outputs).T
        elif inputs < outputs:
            merged[index] = _merge(merged[index], inputs)
    return [
        Layer(name, pairs, int(graph.sum()), graph.numel())
        for (name, _), pairs, graph in zip(named, merged, graphs, strict=True)
    ]


def reached(graphs: Sequence[Layer]) -> Iterator[Tensor]:
    """Yield for every layer which of its outputs each input of the network reaches: (outputs, network inputs) bool."""
    now = torch.eye(graphs[0].pairs.shape[1], dtype=torch.bool, device=graphs[0].pairs.device)
    for graph in graphs:
        now = (graph.pairs.float() @ now.float()) > 0
        yield now


def dead_channels(graphs: Sequence[Layer]) -> list[int]:
    """Count the outputs of every layer but the last that lie on no path from the input to the output of the network."""
    backwards = [Layer(graph.name, graph.pairs.T, 0, 0) for graph in reversed(graphs)]
    forwards = [there.any(1) for there in reached(graphs)][:-1]
    returns = [back.any(1) for back in reached(backwards)][:-1][::-1]
    return [int((~(there & back)).sum()) for there, back in zip(forwards, returns, strict=True)]


def fan_out(graphs: Sequence[Layer]) -> Tensor:
    """Return the share of the hidden channels of a decoder that every latent reaches, (d,) in [0, 1]."""
    return _hidden(graphs).float().mean(0)


def overlap(graphs: Sequence[Layer]) -> float:
    """Return the mean Jaccard index of the hidden channels that two latents reach; 1 in a dense decoder.

    Pairs of latents that both reach nothing are left out; 0 if all do, or if there is only one latent.
    """
    hidden = _hidden(graphs).float()
    both = hidden.T @ hidden
    sizes = both.diagonal()
    either = sizes[:, None] + sizes[None, :] - both
    above = torch.triu(torch.ones_like(both, dtype=torch.bool), 1) & (either > 0)
    return float((both[above] / either[above]).mean()) if above.any() else 0.0


def _hidden(graphs: Sequence[Layer]) -> Tensor:
    """Return which hidden channels (all layers but the last, latents) each latent reaches."""
    return torch.cat(list(reached(graphs))[:-1] or [torch.zeros(1, graphs[0].pairs.shape[1], dtype=torch.bool)])


def _graph(module: nn.Module) -> Tensor:
    pairs = open_pairs(module.weight.detach())  # type: ignore[operator]
    return pairs.T if isinstance(module, TRANSPOSED) else pairs


def _merge(pairs: Tensor, channels: int) -> Tensor:
    return pairs.reshape(channels, -1, pairs.shape[1]).any(1)
