"""Which layers of a network are masked."""

from dataclasses import dataclass

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

    Raises:
        InputError: If neither part is masked.
    """

    encoder: bool = True
    decoder: bool = True
    pixels: bool = True
    latents: bool = True

    def __post_init__(self) -> None:
        if not (self.encoder or self.decoder):
            raise InputError("masks on neither encoder nor decoder are none: leave model.mask away instead")

    def apply(self, encoder: nn.Module, decoder: nn.Module, factory: MaskFactory) -> None:
        """Mask the layers of an encoder and a decoder in place.

        Raises:
            InputError: If no layer is left to mask.
        """
        for part, wanted, ends in (
            (encoder, self.encoder, (self.pixels, self.latents)),
            (decoder, self.decoder, (self.latents, self.pixels)),
        ):
            if wanted:
                found = [layer for layer in part.modules() if isinstance(layer, MASKABLE)]
                left_out = [layer for layer, kept in zip((found[0], found[-1]), ends, strict=True) if not kept]
                apply_masks(part, factory, leave=tuple(left_out))
