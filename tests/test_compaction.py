"""A narrowed network computes what the masked one computes."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.backbones import Backbone, ConvBackbone, MLPBackbone
from disentangle_pl.compaction import fold_masks, living, narrow
from disentangle_pl.connectivity import dead_channels, layers
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import apply_masks, masked_layers
from disentangle_pl.masks.random_mask import RandomMask

NETWORKS: dict[str, Callable[[], Backbone]] = {
    "2-D": lambda: ConvBackbone((1, 16, 16), 3, channels=(8, 16), hidden=24),
    "3-D": lambda: ConvBackbone((2, 8, 8, 8), 3, channels=(4, 8), hidden=12),
    "mlp": lambda: MLPBackbone((1, 4, 4), 3, (16, 16), (16, 16, 16)),
}


def sparse(name: str, density: float, biases: bool) -> Backbone:
    """Make a network with random masks, and biases that speak if wanted."""
    torch.manual_seed(1)
    network = NETWORKS[name]()
    apply_masks(network, partial(RandomMask, density=density))
    if biases:
        with torch.no_grad():
            for key, value in network.named_parameters():
                if key.endswith("bias"):
                    value.normal_()
    return network.eval()


def outputs(part: nn.Module, x: Tensor) -> Tensor:
    """Return the output of a part."""
    made: Tensor = part(x)
    return made.detach()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("density", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("biases", [False, True])
def test_a_narrowed_network_computes_the_same(name: str, density: float, biases: bool) -> None:
    network = sparse(name, density, biases)
    inputs = {"encoder": torch.randn(3, *network.shape), "decoder": torch.randn(3, network.latent_dim)}
    before = {part: outputs(getattr(network, part), x) for part, x in inputs.items()}
    fold_masks(network)
    assert not list(masked_layers(network))
    widths = {}
    for part, x in inputs.items():
        whole = getattr(network, part)
        kept = living(whole)
        small = narrow(whole, kept)
        torch.testing.assert_close(outputs(small, x), before[part], atol=1e-5, rtol=0)
        widths[part] = [int(alive.sum()) for alive in kept]
        if not biases:
            assert sum(dead_channels(layers(small))) == 0 or min(widths[part]) == 1
        setattr(network, part, small)
    settings = network.settings(widths["encoder"], widths["decoder"])
    rebuilt = type(network)(network.shape, network.latent_dim, **settings)
    rebuilt.load_state_dict(network.state_dict())
    torch.testing.assert_close(outputs(rebuilt.decoder, inputs["decoder"]), before["decoder"], atol=1e-5, rtol=0)
    if density == 1.0:
        assert widths["encoder"] == [len(layer.pairs) for layer in layers(sparse(name, 1.0, biases).encoder)][:-1]
    elif not biases:
        assert sum(widths["encoder"]) < sum(
            len(layer.pairs) for layer in layers(sparse(name, 1.0, biases).encoder)[:-1]
        )


def test_a_bias_that_speaks_keeps_its_channel_and_a_silent_one_does_not() -> None:
    part = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        part[0].weight.zero_()  # type: ignore[operator]
        part[0].weight[0, 0] = 1  # type: ignore[operator]
        part[0].bias.copy_(torch.tensor([0.0, 2.0, -2.0]))  # type: ignore[operator]
    assert living(part)[0].tolist() == [True, True, False]
    with torch.no_grad():
        part[2].weight[0, 1] = 0  # type: ignore[operator]
    assert living(part)[0].tolist() == [True, False, False]


@pytest.mark.parametrize("transposed", [False, True])
def test_layers_without_bias_are_narrowed_too(transposed: bool) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    part = nn.Sequential(kind(2, 3, 3, bias=False), nn.ReLU(), kind(3, 1, 3, bias=False))
    with torch.no_grad():
        weight = part[0].weight
        (weight.transpose(0, 1) if transposed else weight)[1] = 0  # type: ignore[operator]
    small = narrow(part, living(part))
    x = torch.randn(2, 2, 8, 8)
    assert living(part)[0].tolist() == [True, False, True]
    torch.testing.assert_close(small(x), part(x))


def volumes(conv: Callable[..., nn.Module], norm: Callable[..., nn.Module], pool: nn.Module) -> nn.Sequential:
    """Make a chain of all that keeps channels apart, for images of 8 units a side."""
    first = nn.Sequential(conv(2, 6, 3, padding=1), norm(6), nn.PReLU(6), pool)
    return nn.Sequential(
        *(first, conv(6, 8, 3, padding=1), nn.PReLU(), nn.Dropout(), norm(8, affine=False), pool, nn.Flatten()),
        *(nn.LazyLinear(12), nn.BatchNorm1d(12), nn.Softplus(), nn.Linear(12, 3)),
    )


CHAINS: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "1-D": (lambda: volumes(nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d(2)), (2, 8)),
    "2-D": (lambda: volumes(nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d(2)), (2, 8, 8)),
    "grouped": (
        lambda: nn.Sequential(
            *(nn.Conv2d(2, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU()),
            *(nn.Conv2d(8, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.Conv2d(4, 4, 1, groups=2)),
        ),
        (2, 8, 8),
    ),
    "up": (
        lambda: nn.Sequential(
            *(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Unflatten(1, (4, 4)), nn.BatchNorm1d(4), nn.ReLU()),
            *(nn.ConvTranspose1d(4, 6, 4, 2, 1), nn.PReLU(6), nn.Upsample(scale_factor=2), nn.ConvTranspose1d(6, 1, 3)),
        ),
        (3,),
    ),
}


@pytest.mark.parametrize("density", [0.15, 0.4, 1.0])
@pytest.mark.parametrize("name", CHAINS)
def test_norms_pools_and_groups_are_narrowed_too(name: str, density: float) -> None:
    torch.manual_seed(0)
    make, shape = CHAINS[name]
    network, x = make(), torch.randn(5, *shape)
    network(x)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            assert norm.running_mean is not None
            norm.running_mean.normal_()
            if norm.affine:
                nn.init.zeros_(norm.bias)
                nn.init.zeros_(norm.running_mean)
    apply_masks(network, partial(RandomMask, density=density))
    with torch.no_grad():
        for key, value in network.named_parameters():
            if key.endswith("bias"):
                value.mul_(torch.rand(len(value)) > 0.7)
    before = outputs(network.eval(), x)
    fold_masks(network)
    small = narrow(network, living(network))
    torch.testing.assert_close(outputs(small, x), before, atol=1e-5, rtol=1e-4)
    sizes = [sum(value.numel() for value in part.state_dict().values()) for part in (network, small)]
    assert (sizes[1] < sizes[0]) == (density < 1)


def test_a_norm_whose_groups_mix_channels_is_one_sentence() -> None:
    with pytest.raises(InputError, match="step 1 is a GroupNorm"):
        living(nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3)))
