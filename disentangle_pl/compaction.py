"""Remove from a sparse network what cannot act: dead channels, and the masks themselves."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from disentangle_pl.connectivity import TRANSPOSED, layers
from disentangle_pl.masks.channel_mask import MASKABLE


def fold_masks(network: nn.Module) -> None:
    """Put the masked weights in the place of weights and masks, in place and for good, in evaluation mode."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, MASKABLE) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def living(part: nn.Sequential) -> list[Tensor]:
    """Tell which hidden channels of a feed-forward network can act.

    A channel acts if something reaches it, or its bias alone lets it speak, and if it reaches the output.

    Args:
        part: Layers, activations and changes of shape, in the order of their use; its masks are folded.

    Returns:
        (channels,) bool for every layer but the last; at least one channel of a layer lives.
    """
    graphs = layers(part)
    speaks, acting = torch.ones(graphs[0].pairs.shape[1], dtype=torch.bool), []
    for graph, (layer, activation) in zip(graphs, _with_activation(part), strict=True):
        alone = (activation(_bias(layer)) != 0).reshape(len(graph.pairs), -1).any(1)
        speaks = (graph.pairs & speaks).any(1) | alone
        acting.append(speaks)
    heard, listened = torch.ones(len(graphs[-1].pairs), dtype=torch.bool), []
    for graph in reversed(graphs[1:]):
        heard = graph.pairs[heard].any(0)
        listened.append(heard)
    kept = [speaks & heard for speaks, heard in zip(acting[:-1], reversed(listened), strict=True)]
    for alive in kept:
        alive[0] |= not alive.any()
    return kept


def narrow(part: nn.Sequential, kept: Sequence[Tensor]) -> nn.Sequential:
    """Return a copy of a network that has the living channels only.

    Args:
        part: The network.
        kept: As `living` tells.
    """
    graphs = layers(part)
    ends = [torch.ones(graphs[0].pairs.shape[1]).bool(), *kept, torch.ones(len(graphs[-1].pairs)).bool()]
    between = iter(list(pairwise(ends)))
    made: list[nn.Module] = []
    outputs = ends[0]
    for module in part:
        if isinstance(module, MASKABLE):
            inputs, outputs = next(between)
            made.append(_narrowed(module, inputs, outputs))
        elif isinstance(module, nn.Unflatten) and module.unflattened_size[0] == len(outputs):
            size = (int(outputs.sum()), *module.unflattened_size[1:])
            made.append(nn.Unflatten(1, size))
        else:
            made.append(deepcopy(module))
    return nn.Sequential(*made)


def _narrowed(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> nn.Module:
    weight = layer.weight.detach()  # type: ignore[operator]
    turned = isinstance(layer, TRANSPOSED)
    rows, columns = (inputs, outputs) if turned else (outputs, inputs)
    rows, columns = (
        kept.repeat_interleave(size // len(kept)) for kept, size in zip((rows, columns), weight.shape[:2], strict=True)
    )
    small = deepcopy(layer)
    small.weight = nn.Parameter(weight[rows][:, columns].clone())
    bias = columns if turned else rows
    if layer.bias is not None:
        small.bias = nn.Parameter(_bias(layer)[bias].clone())
    names = ("in_features", "out_features") if isinstance(layer, nn.Linear) else ("in_channels", "out_channels")
    sizes = (columns, rows) if not turned else (rows, columns)
    for name, size in zip(names, sizes, strict=True):
        setattr(small, name, int(size.sum()))
    return small


def _with_activation(part: nn.Sequential) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Yield every layer with weights and the activation that follows it."""
    modules = [module for module in part if not isinstance(module, nn.Flatten | nn.Unflatten)]
    for module, after in zip(modules, [*modules[1:], nn.Identity()], strict=True):
        if isinstance(module, MASKABLE):
            yield module, nn.Identity() if isinstance(after, MASKABLE) else after


def _bias(layer: Any) -> Tensor:
    """Return the bias (outputs,) of a layer: 0 where it has none."""
    if layer.bias is None:
        return torch.zeros(layer.weight.shape[1 if isinstance(layer, TRANSPOSED) else 0])
    bias: Tensor = layer.bias.detach().clone()
    return bias
