"""How fast masks learn beside the weights, and which pairs matter when none is exactly cut."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import Adam

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, density, effective_density
from disentangle_pl.masks.gates import BinaryMask, GumbelMask, HardConcreteMask
from tests.models.tiny import tiny

GATES = [BinaryMask, GumbelMask, HardConcreteMask]


@pytest.mark.parametrize("factory", GATES)
def test_gates_have_a_learning_rate_of_their_own(factory: Callable[..., ChannelMask]) -> None:
    model = tiny(mask=partial(factory, speed=8.0))
    weights, gates = model.configure_optimizers().param_groups
    assert weights["lr"] == pytest.approx(1e-3)
    assert gates["lr"] == pytest.approx(8e-3)
    assert {id(p) for p in gates["params"]} == {id(p) for mask, _ in model.masks for p in mask.parameters()}
    with pytest.raises(InputError, match="speed"):
        tiny(mask=partial(factory, speed=0.0))


@pytest.mark.parametrize(
    ("factory", "distance"),
    [
        (BinaryMask, 0.5),
        (partial(BinaryMask, start=2.0), 2.0),
        (GumbelMask, 5.0),
        # the middle of a hard concrete gate is 0 where sigmoid(logit) * 1.2 - 0.1 is
        (HardConcreteMask, math.log(9) + math.log(11)),
    ],
)
def test_a_gate_that_cannot_close_in_time_is_told_before(factory: Callable[..., ChannelMask], distance: float) -> None:
    model = tiny(mask=partial(factory, speed=4.0), optimizer=partial(Adam, lr=1e-3))
    mask, optimizer = model.masks[0].mask, model.configure_optimizers()
    needed = distance / 4e-3
    with pytest.warns(UserWarning, match=f"so {needed:,.0f} steps are needed and {math.floor(needed) - 1:,} are made"):
        mask.check(optimizer, math.floor(needed) - 1)
    mask.check(optimizer, math.ceil(needed) + 1)
    plain = tiny(mask=partial(factory, speed=4.0))
    plain.masks[0].mask.check(plain.configure_optimizers(), 1)  # no bound in SGD
    mask.strength = 0.0
    mask.check(optimizer, 1)


def test_the_bound_is_how_far_adam_goes() -> None:
    mask = BinaryMask((3, 3), speed=5.0)
    optimizer = Adam([{"params": list(mask.parameters()), "lr": 5e-2}])
    mask.check(optimizer, 11)
    for _ in range(11):
        mask.logits.grad = torch.rand(3, 3)
        optimizer.step()
    assert mask.logits.min() > -0.1
    assert mask.logits.max() < 0.1


def test_tiny_kernels_do_not_matter_though_they_are_not_cut() -> None:
    convolution, linear = nn.Conv2d(2, 2, 3), nn.Linear(3, 2)
    network = nn.Sequential(convolution, nn.Flatten(), linear)
    with torch.no_grad():
        nn.init.ones_(convolution.weight)[0, 0] = 0.9e-3
        convolution.weight[1, 1] = 1.1e-3
        nn.init.ones_(linear.weight)[0, :2] = torch.tensor([1e-9, 0.0])
    assert density(network) == (9, 10)
    assert effective_density(network) == pytest.approx(7 / 10)
    assert effective_density(network, threshold=0.5) == pytest.approx(6 / 10)


def test_a_layer_that_is_cut_altogether_has_no_pair_that_matters() -> None:
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.weight)
    assert effective_density(layer) == 0
