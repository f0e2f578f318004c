"""What every layer of a network says of its inputs: the outputs after its activation, channel by channel."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import MASKABLE


def activations(network: nn.Sequential, x: Tensor) -> dict[str, Tensor]:
    """Run a feed-forward network and return what each of its layers puts out.

    The mean over space says which features a picture has, and hardly where: a channel that follows a position does so
    through the borders of its maps.

    Args:
        network: Layers, activations and changes of shape, in the order of their use; masked or not.
        x: (B, *) inputs of the network.

    Returns:
        (B, channels) after its activation, averaged over space, for every layer by its name; units that become the
        channels of a map count as these channels, as in `connectivity.layers`.

    Raises:
        InputError: If a layer is not one of the network's steps, as in a residual block.
    """
    outputs: dict[str, Tensor] = {}
    name, layer = "", None
    for step, module in steps(network):
        if isinstance(module, MASKABLE):
            if layer is not None:
                outputs[name] = _pooled(layer, x)
            name, layer = step, module
        x = module(x)
    if layer is not None:
        outputs[name] = _pooled(layer, x)
    return outputs


def steps(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the name and the module of every step of a feed-forward network.

    Raises:
        InputError: If the network, or a step that holds layers, is not an `nn.Sequential`.
    """
    if not isinstance(network, nn.Sequential):
        raise InputError(
            f"only layers that follow one another can be looked into: a {type(network).__name__} is no nn.Sequential"
        )
    # named_children would leave out an activation that is used twice
    for name, module in network._modules.items():
        assert module is not None, "a Sequential runs every step"
        if isinstance(module, MASKABLE) or not any(isinstance(part, MASKABLE) for part in module.modules()):
            yield name, module
        else:
            yield from ((f"{name}.{inner}", part) for inner, part in steps(module))


def _pooled(layer: nn.Module, x: Tensor) -> Tensor:
    # behind a Flatten the units of a channel lie side by side; a Linear before an Unflatten makes channels of its units
    channels = x.shape[1] if isinstance(layer, nn.Linear) else int(layer.out_channels)  # type: ignore[arg-type]
    return torch.reshape(x, (len(x), channels, -1)).mean(2)
