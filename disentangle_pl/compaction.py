"""Remove from a sparse network what cannot act: dead channels, and the masks themselves."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from disentangle_pl.connectivity import BY_CHANNEL, NORMS, POINTWISE, layers, separate_steps
from disentangle_pl.masks.channel_mask import MASKABLE, TRANSPOSED


def fold_masks(network: nn.Module) -> None:
    """Put the masked weights in the place of weights and masks, in place and for good, in evaluation mode."""
    network.eval()
    for layer in network.modules():
        if isinstance(layer, MASKABLE) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def living(part: nn.Sequential) -> list[Tensor]:
    """Tell which hidden channels of a feed-forward network can act.

    A channel acts if something reaches it, or its bias alone lets it speak, and if it reaches the output. Channels on
    either side of a grouped convolution all stay, so that its groups stay alike.

    Args:
        part: Layers, activations, steps by channel and changes of shape, in the order of their use; its masks are
            folded.

    Returns:
        (channels,) bool for every layer but the last; at least one channel of a layer lives.

    Raises:
        InputError: If a step may mix channels.
    """
    graphs = layers(part)
    speaks, acting = torch.ones(graphs[0].pairs.shape[1], dtype=torch.bool), []
    chains = _chains(part)
    for graph, chain in zip(graphs, chains, strict=True):
        alone = (_constant(chain) != 0).reshape(len(graph.pairs), -1).any(1)
        speaks = (graph.pairs & speaks).any(1) | alone
        acting.append(speaks)
    heard, listened = torch.ones(len(graphs[-1].pairs), dtype=torch.bool), []
    for graph in reversed(graphs[1:]):
        heard = graph.pairs[heard].any(0)
        listened.append(heard)
    masks = [speaks & heard for speaks, heard in zip(acting[:-1], reversed(listened), strict=True)]
    grouped = [_is_grouped(layer) for layer, *_ in chains]
    for alive, here, next_one in zip(masks, grouped, grouped[1:], strict=False):
        alive[0] |= not alive.any()
        alive |= here or next_one
    return masks


def narrow(part: nn.Sequential, masks: Sequence[Tensor]) -> nn.Sequential:
    """Return a copy of a network that has the living channels only.

    Args:
        part: The network.
        masks: As `living` tells.
    """
    graphs = layers(part)
    ends = [torch.ones(graphs[0].pairs.shape[1]).bool(), *masks, torch.ones(len(graphs[-1].pairs)).bool()]
    between = iter(list(pairwise(ends)))
    outputs = ends[0]

    def rebuilt(steps: nn.Sequential) -> nn.Sequential:
        nonlocal outputs
        modules: list[nn.Module] = []
        for module in steps:
            if isinstance(module, nn.Sequential):
                modules.append(rebuilt(module))
            elif isinstance(module, MASKABLE):
                inputs, outputs = next(between)
                modules.append(_narrowed(module, inputs, outputs))
            elif isinstance(module, BY_CHANNEL):
                modules.append(_narrowed_by_channel(module, outputs))
            elif isinstance(module, nn.Unflatten) and module.unflattened_size[0] == len(outputs):
                size = (int(outputs.sum()), *module.unflattened_size[1:])
                modules.append(nn.Unflatten(1, size))
            else:
                modules.append(deepcopy(module))
        return nn.Sequential(*modules)

    return rebuilt(part)


def _narrowed_by_channel(step: Any, channels: Tensor) -> nn.Module:
    """Return a copy of a BatchNorm or PReLU with the living channels (or units of channels) only."""
    small: nn.Module = deepcopy(step)
    tensors = {name: value for name, value in step.state_dict().items() if value.dim() and value.numel() > 1}
    for name, value in tensors.items():
        rows = value[channels.repeat_interleave(len(value) // len(channels))].clone()
        setattr(small, name, nn.Parameter(rows) if name in dict(step.named_parameters()) else rows)
        setattr(small, "num_features" if isinstance(step, NORMS) else "num_parameters", len(rows))
    return small


def _narrowed(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> nn.Module:
    if _is_grouped(layer):
        return deepcopy(layer)
    weight = layer.weight.detach()  # type: ignore[operator]
    turned = isinstance(layer, TRANSPOSED)
    rows, columns = (inputs, outputs) if turned else (outputs, inputs)
    rows, columns = (
        alive.repeat_interleave(size // len(alive))
        for alive, size in zip((rows, columns), weight.shape[:2], strict=True)
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


def _chains(part: nn.Sequential) -> list[list[nn.Module]]:
    """Return every layer with weights and the steps that follow it."""
    chains: list[list[nn.Module]] = []
    for _, module in separate_steps(part):
        if isinstance(module, MASKABLE):
            chains.append([module])
        elif chains:
            chains[-1].append(module)
    return chains


def _constant(chain: Sequence[Any]) -> Tensor:
    """Return what the outputs (units,) of a layer are after the steps that follow it if nothing reaches it."""
    layer, *after = chain
    value = _bias(layer)
    for step in after:
        if isinstance(step, NORMS):
            value = _normalised(step, value.reshape(step.num_features, -1))
        elif isinstance(step, nn.PReLU):
            value = step(value.reshape(1, step.num_parameters, -1))
        elif isinstance(step, POINTWISE):
            value = step(value)
    return value.detach().flatten()


def _normalised(norm: Any, constant: Tensor) -> Tensor:
    """Return what a BatchNorm makes of constant channels (channels, units) in evaluation."""
    if norm.running_mean is None:  # by the batch: a constant is its own mean
        normal = torch.zeros_like(constant)
    else:
        normal = (constant - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
    return normal * norm.weight[:, None] + norm.bias[:, None] if norm.affine else normal


def _is_grouped(layer: Any) -> bool:
    return not isinstance(layer, nn.Linear) and layer.groups > 1


def _bias(layer: Any) -> Tensor:
    """Return the bias (outputs,) of a layer: 0 where it has none."""
    if layer.bias is None:
        return torch.zeros(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)
    bias: Tensor = layer.bias.detach().clone()
    return bias
