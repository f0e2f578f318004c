"""Which channels of a network still reach which: densities, dead channels, and the paths of every latent."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from disentangle_pl.activations import steps
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import MASKABLE, TRANSPOSED, open_pairs

POINTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.Threshold, nn.Tanh, nn.Sigmoid, nn.LogSigmoid),
    *(nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Identity),
)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
BY_CHANNEL = (nn.PReLU, *NORMS)
SHAPES = (
    *(nn.Flatten, nn.Unflatten, nn.Upsample, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)


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
        network: Layers, and steps that leave channels apart, in the order of their use: an `nn.Sequential`.

    Raises:
        InputError: If it is none, or a step may mix channels.
    """
    named = [(name, module) for name, module in separate_steps(network) if isinstance(module, MASKABLE)]
    own = [_own_pairs(module) for _, module in named]
    merged = [_between_channels(module, pairs) for (_, module), pairs in zip(named, own, strict=True)]
    for index, (before, after) in enumerate(pairwise(list(merged))):
        outputs, inputs = len(before), after.shape[1]
        if inputs > outputs:  # flattened: the units of a channel lie side by side
            merged[index + 1] = _merge(merged[index + 1].T, outputs).T
        elif inputs < outputs:
            merged[index] = _merge(merged[index], inputs)
    return [
        Layer(name, graph, int(pairs.sum()), pairs.numel())
        for (name, _), graph, pairs in zip(named, merged, own, strict=True)
    ]


def separate_steps(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the names and modules of the steps of a network, none of which mixes channels but by its weights.

    Raises:
        InputError: If the network is no chain of steps, or one of them may mix channels.
    """
    pairs = list(steps(network))
    for name, module in pairs:
        if not isinstance(module, (*MASKABLE, *POINTWISE, *BY_CHANNEL, *SHAPES)):
            raise InputError(
                f"which channels of this network reach which cannot be told: step {name} is a "
                f"{type(module).__name__}, which mixes channels or is not known; known are linear, convolution and "
                "transposed-convolution layers, BatchNorm, PReLU and other activations of torch.nn, pooling, Upsample, "
                "Dropout, Flatten and Unflatten"
            )
    return pairs


def reached(graphs: Sequence[Layer]) -> Iterator[Tensor]:
    """Yield for every layer which of its outputs each input of the network reaches: (outputs, network inputs) bool."""
    now = torch.eye(graphs[0].pairs.shape[1], dtype=torch.bool, device=graphs[0].pairs.device)
    for graph in graphs:
        now = (graph.pairs.float() @ now.float()) > 0
        yield now


def dead_channels(graphs: Sequence[Layer]) -> list[int]:
    """Count the outputs of every layer but the last that lie on no path from the input to the output of the network."""
    backwards = [Layer(graph.name, graph.pairs.T, 0, 0) for graph in reversed(graphs)]
    forwards = [ahead.any(1) for ahead in reached(graphs)][:-1]
    returns = [back.any(1) for back in reached(backwards)][:-1][::-1]
    return [int((~(ahead & back)).sum()) for ahead, back in zip(forwards, returns, strict=True)]


def fan_out(graphs: Sequence[Layer]) -> Tensor:
    """Return the share of the hidden channels of a decoder that every latent reaches, (d,) in [0, 1]."""
    return _hidden(graphs).float().mean(0)


def overlap(graphs: Sequence[Layer]) -> float:
    """Return the mean Jaccard index of the hidden channels that two latents reach; 1 in a dense decoder.

    Pairs of latents that both reach nothing are left out; 0 if all do, or if there is only one latent.
    """
    hidden = _hidden(graphs).float()
    common = hidden.T @ hidden
    sizes = common.diagonal()
    either = sizes[:, None] + sizes[None, :] - common
    above = torch.triu(torch.ones_like(common, dtype=torch.bool), 1) & (either > 0)
    return float((common[above] / either[above]).mean()) if above.any() else 0.0


def _hidden(graphs: Sequence[Layer]) -> Tensor:
    """Return which hidden channels (all layers but the last, latents) each latent reaches."""
    return torch.cat(list(reached(graphs))[:-1] or [torch.zeros(1, graphs[0].pairs.shape[1], dtype=torch.bool)])


def _own_pairs(module: nn.Module) -> Tensor:
    """Return the pairs of a layer (outputs, inputs) as its weight has them: those of one group side by side."""
    pairs = open_pairs(module.weight.detach())  # type: ignore[operator]
    return pairs.T if isinstance(module, TRANSPOSED) else pairs


def _between_channels(module: nn.Module, pairs: Tensor) -> Tensor:
    groups = 1 if isinstance(module, nn.Linear) else int(module.groups)  # type: ignore[arg-type]
    blocks = pairs.chunk(groups, dim=1 if isinstance(module, TRANSPOSED) else 0)
    if groups == 1:
        return pairs
    whole: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return whole.bool()


def _merge(pairs: Tensor, channels: int) -> Tensor:
    return pairs.reshape(channels, -1, pairs.shape[1]).any(1)
