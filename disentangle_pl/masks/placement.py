"""Which layers of a network are masked."""

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import MASKABLE, MaskFactory, apply_masks


@dataclass(frozen=True)
class Placement:
    """Which layers get a mask.

    Args:
        encoder: Those of the encoder.
        decoder: Those of the decoder.
        pixels: Also the layers next to the image: the first of the encoder and the last of the decoder.
        latents: Also the layers next to the latents: the last of the encoder and the first of the decoder.
        whole_channels: Where convolutions meet a linear layer, gate the weights between a unit and a channel together
            instead of one by one: far fewer gates, and much faster for volumes.

    Raises:
        InputError: If neither part is masked.
    """

    encoder: bool = True
    decoder: bool = True
    pixels: bool = True
    latents: bool = True
    whole_channels: bool = False

    def __post_init__(self) -> None:
        if not (self.encoder or self.decoder):
            raise InputError("masks on neither encoder nor decoder are none: leave model.mask away instead")

    def apply(self, encoder: nn.Module, decoder: nn.Module, factory: MaskFactory) -> None:
        """Mask the layers of an encoder and a decoder in place.

        Raises:
            InputError: If no layer is left to mask.
        """
        left_out = []
        for part, masked, ends in (
            (encoder, self.encoder, (self.pixels, self.latents)),
            (decoder, self.decoder, (self.latents, self.pixels)),
        ):
            layers = [layer for layer in part.modules() if isinstance(layer, MASKABLE)]
            left_out += [
                layer for layer, end in zip((layers[0], layers[-1]), ends, strict=True) if not (masked and end)
            ]
            left_out += [] if masked else layers
        units = units_per_channel(encoder) | units_per_channel(decoder) if self.whole_channels else {}
        apply_masks(nn.ModuleList([encoder, decoder]), factory, tuple(left_out), units)


def units_per_channel(part: nn.Module) -> dict[nn.Module, tuple[int, int]]:
    """Find the linear layers at the border to convolutions.

    Args:
        part: A network whose layers stand in the order of their use.

    Returns:
        The units of one channel among the outputs and among the inputs of each such layer; one of the two is 1.
    """
    units: dict[nn.Module, tuple[int, int]] = {}
    for before, after in pairwise(layer for layer in part.modules() if isinstance(layer, MASKABLE)):
        outputs, inputs = _ends(before)[1], _ends(after)[0]
        if inputs > outputs:
            units[after] = (1, inputs // outputs)
        elif inputs < outputs:
            units[before] = (outputs // inputs, 1)
    return units


def _ends(layer: nn.Module) -> tuple[int, int]:
    """Return the inputs and outputs of a layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels  # type: ignore[return-value]
