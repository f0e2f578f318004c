import math
from typing import Any

import pytest
import torch
from torch import nn

from disentangle_pl.backbones import LOGVAR_RANGE, Backbone, ConvBackbone, MLPBackbone
from disentangle_pl.errors import InputError

# By hand, for 64 x 64 grey images and 10 latents: weights and biases of every layer.
ENCODER_2019 = [
    (32 * 1 * 4 * 4, 32),
    (32 * 32 * 4 * 4, 32),
    (64 * 32 * 2 * 2, 64),
    (64 * 64 * 2 * 2, 64),
    (256 * (64 * 4 * 4), 256),
    (20 * 256, 20),
]
DECODER_2019 = [
    (256 * 10, 256),
    (64 * 4 * 4 * 256, 64 * 4 * 4),
    (64 * 64 * 4 * 4, 64),
    (64 * 32 * 4 * 4, 32),
    (32 * 32 * 4 * 4, 32),
    (32 * 1 * 4 * 4, 1),
]


def sizes(module: nn.Module) -> list[tuple[int, int]]:
    """Count the weights and biases of every layer in order."""
    counts = [parameter.numel() for parameter in module.parameters()]
    return list(zip(counts[::2], counts[1::2], strict=True))


def convolutions(module: nn.Module) -> list[tuple[int, ...]]:
    """List inputs, outputs, kernel, stride and padding of every (transposed) convolution."""
    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    layers = [layer for layer in module.modules() if isinstance(layer, kinds)]
    for layer in layers:
        assert len({*layer.kernel_size}) == len({*layer.stride}) == len({*layer.padding}) == 1
    return [
        (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
        for layer in layers
    ]


def test_the_default_network_is_that_of_locatello_2019() -> None:
    network = ConvBackbone((1, 64, 64), latent_dim=10)
    assert convolutions(network.encoder) == [
        (1, 32, 4, 2, 1),
        (32, 32, 4, 2, 1),
        (32, 64, 2, 2, 0),
        (64, 64, 2, 2, 0),
    ]
    assert convolutions(network.decoder) == [
        (64, 64, 4, 2, 1),
        (64, 32, 4, 2, 1),
        (32, 32, 4, 2, 1),
        (32, 1, 4, 2, 1),
    ]
    assert sizes(network.encoder) == ENCODER_2019
    assert sizes(network.decoder) == DECODER_2019
    assert sum(parameter.numel() for parameter in network.parameters()) == 690_517


def test_a_relu_follows_every_layer_but_the_last() -> None:
    network = ConvBackbone((1, 64, 64), latent_dim=10)
    for half in (network.encoder, network.decoder):
        layers = [layer for layer in list(half.modules())[1:] if not isinstance(layer, nn.Flatten | nn.Unflatten)]
        assert [isinstance(layer, nn.ReLU) for layer in layers] == [False, True] * 5 + [False]


def test_weights_start_glorot_uniform_and_biases_at_zero() -> None:
    network = ConvBackbone((1, 64, 64), latent_dim=10)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            area = math.prod(parameter.shape[2:])
            bound = math.sqrt(6 / (sum(parameter.shape[:2]) * area))
            assert parameter.abs().max() <= bound
            assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((1, 64, 64), (32, 32, 64, 64)),
        ((3, 32, 48), (4, 8, 8)),
        ((1, 2, 2), (4,)),
        ((1, 16, 16, 16), (4, 4, 8, 8)),
        ((2, 8, 16, 24), (4, 8, 8)),
    ],
)
def test_images_of_any_size_and_dimension_go_in_and_out(shape: tuple[int, ...], channels: tuple[int, ...]) -> None:
    network = ConvBackbone(shape, latent_dim=3, channels=channels, hidden=16)
    q = network.encode(torch.rand(5, *shape))
    assert q.mean.shape == q.logvar.shape == (5, 3)
    assert network.decode(q.mean).shape == (5, *shape)
    bottom = next(layer for layer in network.encoder.modules() if isinstance(layer, nn.Linear))
    assert bottom.in_features == channels[-1] * math.prod(shape[1:]) // 2 ** (len(channels) * len(shape[1:]))


def test_a_3d_network_convolves_along_three_axes() -> None:
    network = ConvBackbone((1, 16, 16, 16), latent_dim=3, channels=(4, 8))
    assert [layer.weight.shape for layer in network.modules() if isinstance(layer, nn.Conv3d)] == [
        (4, 1, 4, 4, 4),
        (8, 4, 2, 2, 2),
    ]
    assert [layer.weight.shape for layer in network.modules() if isinstance(layer, nn.ConvTranspose3d)] == [
        (8, 4, 4, 4, 4),
        (4, 1, 4, 4, 4),
    ]


@pytest.mark.parametrize("shape", [(1, 60, 64), (1, 64, 72), (1, 16, 16, 24), (64,), (1, 64), (1, 16, 16, 16, 16)])
def test_shapes_that_cannot_be_halved_at_every_stage_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="divisible by 16, got shape"):
        ConvBackbone(shape, latent_dim=3)


@pytest.mark.parametrize("kind", [ConvBackbone, MLPBackbone])
def test_a_network_without_latents_is_refused(kind: type[ConvBackbone]) -> None:
    with pytest.raises(InputError, match="latent_dim must be at least 1, got 0"):
        kind((1, 64, 64), 0)


class Echo(Backbone):
    """Gives the image as moments."""

    def moments(self, image: torch.Tensor) -> torch.Tensor:
        return image.flatten(1)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z


def test_log_variances_are_kept_where_their_exponential_is_safe() -> None:
    low, high = LOGVAR_RANGE
    q = Echo((1, 6), 3).encode(torch.tensor([[[1e6, -1e6, 0.0, 1e6, -1e6, 0.5]]]))
    assert q.mean.tolist() == [[1e6, -1e6, 0]]
    assert q.logvar.tolist() == [[high, low, 0.5]]
    assert torch.tensor(high).exp().half().isfinite()
    assert (torch.tensor(low).exp() > 0).all()


@pytest.mark.parametrize("network", [ConvBackbone((1, 16, 16), 3), MLPBackbone((1, 16, 16), 3, (8,), (8,))])
def test_posteriors_are_float32_in_a_bfloat16_network(network: Backbone) -> None:
    image = torch.rand(2, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        q = network.encode(image)
        assert network.decode(q.mean).dtype == torch.bfloat16
    assert q.mean.dtype == q.logvar.dtype == torch.float32
    torch.testing.assert_close(q.mean, network.encode(image).mean, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (2, 4, 5, 6), (9,)])
def test_the_mlp_has_the_layers_of_higgins_2017_at_any_shape(shape: tuple[int, ...]) -> None:
    network = MLPBackbone(shape, latent_dim=10)
    pixels = math.prod(shape)
    widths = [(pixels, 1200), (1200, 1200), (1200, 20), (10, 1200), (1200, 1200), (1200, 1200), (1200, pixels)]
    linear = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == widths
    kinds = [type(layer) for layer in network.modules() if isinstance(layer, nn.ReLU | nn.Tanh)]
    assert kinds == [nn.ReLU] * 2 + [nn.Tanh] * 3
    q = network.encode(torch.rand(4, *shape))
    assert q.mean.shape == (4, 10)
    assert network.decode(q.mean).shape == (4, *shape)


@pytest.mark.parametrize("name", ["encoder_widths", "decoder_widths"])
@pytest.mark.parametrize("width", [0, -3])
def test_layers_without_units_are_refused(name: str, width: int) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least 1 each, got"):
        MLPBackbone((1, 8, 8), 2, **{name: [8, width]})


@pytest.mark.parametrize("given", [{"channels": [4, 0]}, {"hidden": 0}, {"decoder_channels": [4, -1]}])
def test_stages_without_channels_are_refused(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InputError, match=f"{name} must be at least 1 each, got"):
        ConvBackbone((1, 8, 8), 2, **({"channels": [4, 4]} | given))
