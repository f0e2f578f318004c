"""Encoder and decoder networks, in 2-D and 3-D."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian

LOGVAR_RANGE = (-20.0, 10.0)  # exp stays finite in float16 and the gradient of the KL bounded


class Backbone(nn.Module, ABC):
    """An encoder to a diagonal Gaussian posterior and a decoder back to the parameters of a likelihood.

    Args:
        shape: (C, *S) of one image.
        latent_dim: Number of latents d.
    """

    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, shape: tuple[int, ...], latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise InputError(f"latent_dim must be at least 1, got {latent_dim}")
        self.shape = tuple(shape)
        self.latent_dim = latent_dim

    @abstractmethod
    def moments(self, image: Tensor) -> Tensor:
        """Map images (B, C, *S) to means and log-variances side by side, (B, 2 d)."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Map latents (B, d) to the likelihood's parameters (B, C, *S)."""

    def settings(self, encoder: Sequence[int], decoder: Sequence[int]) -> dict[str, Any]:
        """Return the constructor's arguments, beside shape and latent_dim, for other hidden widths.

        Args:
            encoder: Outputs of every hidden layer of the encoder, from the image on.
            decoder: Outputs of every hidden layer of the decoder, from the latents on; where units become channels, the
                number of channels.

        Raises:
            InputError: If the widths of this kind of network cannot be chosen.
        """
        raise InputError(f"a {type(self).__name__} cannot be built with other widths {encoder} and {decoder}")

    def encode(self, image: Tensor) -> DiagonalGaussian:
        """Map images (B, C, *S) to the posterior (B, d), in float32 whatever the precision of the network."""
        mean, logvar = self.moments(image).float().chunk(2, dim=1)
        return DiagonalGaussian(mean, logvar.clamp(*LOGVAR_RANGE))


class ConvBackbone(Backbone):
    """Strided convolutions, 2-D or 3-D by the length of the image shape.

    The defaults are the network of Locatello et al. 2019 at 64 x 64: kernels of 4 in the first half of the encoder and
    of 2 in the second, of 4 everywhere in the decoder, every stage halving or doubling the resolution, ReLU, Glorot
    uniform weights and zero biases.

    Args:
        shape: (C, H, W) or (C, D, H, W); every size divisible by 2 ** len(channels).
        latent_dim: Number of latents d.
        channels: Output channels of the encoder's stages; the decoder mirrors them.
        hidden: Units of the fully connected layer next to the latents.
        decoder_channels: Input channels of the decoder's stages, in the order of `channels`; None for the same.
        decoder_hidden: Units of the decoder's fully connected layer; None for as many as the encoder's.

    Raises:
        InputError: If the image is not 2-D or 3-D, or cannot be halved once a stage, or a layer would have no unit.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: int,
        channels: Sequence[int] = (32, 32, 64, 64),
        hidden: int = 256,
        decoder_channels: Sequence[int] | None = None,
        decoder_hidden: int | None = None,
    ) -> None:
        super().__init__(shape, latent_dim)
        factor = 2 ** len(channels)
        if len(shape) not in (3, 4) or any(size % factor for size in shape[1:]):
            raise InputError(
                f"a convolutional backbone of {len(channels)} stages needs a 2-D or 3-D image with sizes divisible by "
                f"{factor}, got shape {tuple(shape)}: change the image size or the number of channels"
            )
        volume = len(shape) == 4
        self.layout = torch.channels_last_3d if volume else torch.channels_last
        mirrored = channels if decoder_channels is None else decoder_channels
        units = hidden if decoder_hidden is None else decoder_hidden
        if len(mirrored) != len(channels):
            raise InputError(f"the decoder needs {len(channels)} stages as the encoder has, got {list(mirrored)}")
        _refuse_empty(channels=channels, hidden=(hidden,), decoder_channels=mirrored, decoder_hidden=(units,))
        small = [size // factor for size in shape[1:]]
        bottom = (mirrored[-1], *small)
        self.encoder = nn.Sequential(
            *_down(shape[0], channels, nn.Conv3d if volume else nn.Conv2d),
            nn.Flatten(),
            nn.Linear(channels[-1] * math.prod(small), hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, units),
            nn.ReLU(inplace=True),
            nn.Linear(units, math.prod(bottom)),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, bottom),
            *_up(shape[0], mirrored, nn.ConvTranspose3d if volume else nn.ConvTranspose2d),
        )
        glorot(self)
        self.to(memory_format=self.layout)  # type: ignore[call-overload]  # missing from torch's stubs

    def settings(self, encoder: Sequence[int], decoder: Sequence[int]) -> dict[str, Any]:
        """Return `channels`, `hidden` and the decoder's."""
        *channels, hidden = encoder
        units, *mirrored = decoder
        sizes = {"channels": channels, "hidden": hidden}
        return sizes | {"decoder_channels": mirrored[::-1], "decoder_hidden": units}

    def moments(self, image: Tensor) -> Tensor:
        """Encode (B, C, *S)."""
        moments: Tensor = self.encoder(image.contiguous(memory_format=self.layout))
        return moments

    def decode(self, z: Tensor) -> Tensor:
        """Decode (B, d)."""
        output: Tensor = self.decoder(z)
        return output


class MLPBackbone(Backbone):
    """Fully connected networks: ReLU in the encoder, tanh in the decoder, as in Higgins et al. 2017 on dSprites.

    Args:
        shape: (C, *S) of one image, any number of dimensions.
        latent_dim: Number of latents d.
        encoder_widths: Hidden units of the encoder.
        decoder_widths: Hidden units of the decoder.

    Raises:
        InputError: If a layer would have no unit.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent_dim: int,
        encoder_widths: Sequence[int] = (1200, 1200),
        decoder_widths: Sequence[int] = (1200, 1200, 1200),
    ) -> None:
        super().__init__(shape, latent_dim)
        _refuse_empty(encoder_widths=encoder_widths, decoder_widths=decoder_widths)
        pixels = math.prod(shape)
        self.encoder = nn.Sequential(nn.Flatten(), *_dense((pixels, *encoder_widths, 2 * latent_dim), nn.ReLU))
        self.decoder = nn.Sequential(
            *_dense((latent_dim, *decoder_widths, pixels), nn.Tanh), nn.Unflatten(1, self.shape)
        )
        glorot(self)

    def settings(self, encoder: Sequence[int], decoder: Sequence[int]) -> dict[str, Any]:
        """Return `encoder_widths` and `decoder_widths`."""
        return {"encoder_widths": list(encoder), "decoder_widths": list(decoder)}

    def moments(self, image: Tensor) -> Tensor:
        """Encode (B, C, *S)."""
        moments: Tensor = self.encoder(image)
        return moments

    def decode(self, z: Tensor) -> Tensor:
        """Decode (B, d)."""
        output: Tensor = self.decoder(z)
        return output


def _refuse_empty(**widths: Sequence[int]) -> None:
    for name, numbers in widths.items():
        if any(width < 1 for width in numbers):
            raise InputError(f"{name} must be at least 1 each, got {list(numbers)}")


def _down(inputs: int, channels: Sequence[int], conv: type[nn.Conv2d] | type[nn.Conv3d]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for stage, outputs in enumerate(channels):
        kernel, padding = (4, 1) if 2 * stage < len(channels) else (2, 0)
        layers += [conv(inputs, outputs, kernel, stride=2, padding=padding), nn.ReLU(inplace=True)]
        inputs = outputs
    return layers


def _up(
    outputs: int, channels: Sequence[int], conv: type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]
) -> list[nn.Module]:
    widths = [*reversed(channels), outputs]
    layers: list[nn.Module] = []
    for inputs, width in pairwise(widths):
        layers += [conv(inputs, width, 4, stride=2, padding=1), nn.ReLU(inplace=True)]
    return layers[:-1]


def _dense(widths: Sequence[int], activation: type[nn.Module]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), activation()]
    return layers[:-1]


def glorot(module: nn.Module) -> None:
    """Set the weights of a network to Glorot uniform ones and its biases to zero, in place."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.xavier_uniform_(parameter)
