"""Weight decay beside masks: without a strength, every kind trains as the dense network does."""

from collections.abc import Callable
from functools import partial
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from disentangle_pl.masks.channel_mask import ChannelMask, follow_step
from disentangle_pl.masks.gates import BinaryMask, GumbelMask, HardConcreteMask
from disentangle_pl.masks.l1 import GroupLassoMask, L1Mask, ProximalL1Mask, WeightL1
from disentangle_pl.masks.magnitude import MagnitudeMask
from disentangle_pl.masks.placement import Placement
from disentangle_pl.masks.random_mask import RandomMask
from tests.models.tiny import tiny

OptimizerFactory = Callable[..., Optimizer]
WHOLE: list[Callable[..., ChannelMask]] = [
    partial(GroupLassoMask, strength=0.0),
    partial(WeightL1, strength=0.0),
    MagnitudeMask,
]
CLOSE = [partial(ProximalL1Mask, strength=0.0), partial(L1Mask, strength=0.0)]
GATES = [
    partial(HardConcreteMask, strength=0.0, dropped=0.01),
    partial(BinaryMask, strength=0.0),
    partial(GumbelMask, strength=0.0),
]
DENSE = partial(RandomMask, density=1.0)
STEPS = 200
optimisers = pytest.mark.parametrize(
    "optimizer", [partial(SGD, lr=0.1), partial(Adam, lr=0.02), partial(AdamW, lr=0.02)]
)
decays = pytest.mark.parametrize("decay", [0.0, 1e-4, 1e-2])


def trained(kind: Callable[..., ChannelMask], optimizer: OptimizerFactory, decay: float) -> tuple[Tensor, Tensor]:
    """Pull kernels towards fixed ones with the groups of a model, and return them on the way and in evaluation."""
    torch.manual_seed(0)
    model = tiny(mask=kind, placement=Placement(decoder=False), optimizer=partial(optimizer, weight_decay=decay))
    layer = model.masks[0].layer
    target = 0.5 * torch.randn(cast(Tensor, layer.weight).shape, generator=torch.Generator().manual_seed(1))
    target[0, 0] = 0.0
    made, path = model.configure_optimizers(), []
    for step in range(1, STEPS + 1):
        weight = cast(Tensor, layer.weight)
        path.append(weight.detach().clone())
        made.zero_grad()
        torch.autograd.backward(0.5 * (weight - target).square().sum())
        made.step()
        follow_step(model.masks[:1], made, step)
    layer.eval()
    return torch.stack(path), cast(Tensor, layer.weight).detach()


@optimisers
@decays
def test_kinds_that_leave_the_weight_alone_are_the_dense_layer(optimizer: OptimizerFactory, decay: float) -> None:
    path, end = trained(DENSE, optimizer, decay)
    for kind in WHOLE:
        torch.testing.assert_close(trained(kind, optimizer, decay)[1], end)
    assert (path[-1] - path[0]).norm() > 1


@optimisers
@decays
@pytest.mark.parametrize("kind", CLOSE + GATES, ids=str)
def test_kinds_with_a_scale_or_gates_end_where_the_dense_layer_ends(
    kind: Callable[..., ChannelMask], optimizer: OptimizerFactory, decay: float
) -> None:
    _, dense = trained(DENSE, optimizer, decay)
    _, end = trained(kind, optimizer, decay)
    assert (end - dense).norm() < 0.01 * dense.norm()


@optimisers
def test_directions_keep_their_norm_and_sizes_decay(optimizer: OptimizerFactory) -> None:
    model = tiny(mask=ProximalL1Mask, optimizer=partial(optimizer, weight_decay=0.1))
    mask, _ = model.masks[1]
    assert isinstance(mask, ProximalL1Mask)
    raw, sizes = model.masks[1].raw.detach().clone(), mask.mask.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    model.configure_optimizers().step()
    assert torch.equal(model.masks[1].raw, raw)
    assert (mask.mask.detach() < sizes).all()
