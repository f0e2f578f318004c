"""A strength is the weight of the penalty in the loss: proximal steps end in the minima that mathematics knows."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import ChannelMask, apply_masks, follow_step, kernel_norms, masked_layers
from disentangle_pl.masks.l1 import GroupLassoMask, ProximalL1Mask
from disentangle_pl.masks.placement import Placement
from disentangle_pl.masks.proximal import shrink, shrink_kernels, step_sizes
from tests.models.tiny import tiny

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
OPTIMIZERS: dict[str, OptimizerFactory] = {
    "SGD": partial(SGD, lr=0.1),
    "momentum": partial(SGD, lr=0.02, momentum=0.9),
    "nesterov": partial(SGD, lr=0.02, momentum=0.9, nesterov=True),
    "dampening": partial(SGD, lr=0.1, momentum=0.8, dampening=0.5),
    "Adam": partial(Adam, lr=0.02),
    "amsgrad": partial(Adam, lr=0.02, amsgrad=True),
    "fused": partial(Adam, lr=0.02, fused=True),
    "AdamW": partial(AdamW, lr=0.02, weight_decay=0.0),
    "fused AdamW": partial(AdamW, lr=0.02, weight_decay=0.0, fused=True),
}
PROXIMAL = [ProximalL1Mask, GroupLassoMask]


def fitted(
    kind: Callable[..., ChannelMask], optimizer: OptimizerFactory, target: Tensor, strength: float, scale: float = 1.0
) -> Tensor:
    """Minimise scale (|K' - target|^2 / 2 + strength sum |K'_ij|) from twice the target, and return K'."""
    layer = nn.Conv2d(target.shape[1], target.shape[0], (1, target.shape[3]), bias=False)
    with torch.no_grad():
        layer.weight.copy_(2 * target)
    apply_masks(layer, partial(kind, strength=scale * strength))
    masked, steps = list(masked_layers(layer)), optimizer(layer.parameters())
    for step in range(1, 301):
        steps.zero_grad()
        torch.autograd.backward(scale * 0.5 * (layer.weight - target).square().sum())
        steps.step()
        follow_step(masked, steps, step)
    return layer.weight.detach()


@pytest.mark.parametrize("kind", PROXIMAL)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_comes_to_the_minimum(name: str, kind: Callable[..., ChannelMask]) -> None:
    # min (w - t)^2 / 2 + .3 |w| is at t (1 - .3 / |t|), or at 0 where |t| is below .3
    target = torch.tensor([[0.5, 0.0], [0.6, 0.8], [0.12, -0.16], [-0.3, 0.4]]).view(4, 1, 1, 2)
    expected = torch.tensor([[0.2, 0.0], [0.42, 0.56], [0.0, 0.0], [-0.12, 0.16]]).view(4, 1, 1, 2)
    found = fitted(kind, OPTIMIZERS[name], target, strength=0.3)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    assert kernel_norms(found).flatten()[2] == 0


@pytest.mark.parametrize("kind", PROXIMAL)
def test_a_loss_of_other_units_needs_a_strength_of_other_units(kind: Callable[..., ChannelMask]) -> None:
    target = torch.tensor([[0.6, 0.8], [0.12, -0.16]]).view(2, 1, 1, 2)
    once = fitted(kind, OPTIMIZERS["Adam"], target, strength=0.3)
    torch.testing.assert_close(fitted(kind, OPTIMIZERS["Adam"], target, 0.3, scale=1e4), once, atol=1e-4, rtol=0)
    for strength, expected in ((0.1, 0.9), (0.9, 0.1)):
        norms = kernel_norms(fitted(kind, OPTIMIZERS["Adam"], target, strength)).flatten()
        assert norms[0].item() == pytest.approx(expected, abs=2e-3)


def brute_force(kernel: Tensor, thresholds: Tensor) -> Tensor:
    """Minimise sum_k (x_k - y_k)^2 / (2 e_k) + |x| over a fine line of norms."""
    norms = torch.linspace(0, float(kernel.norm()), 20_001, dtype=torch.float64)[1:, None]
    reached = (kernel / (norms + thresholds)).square().sum(1)  # the norm is right where this is 1
    return kernel * 0 if reached[0] <= 1 else (kernel * norms / (norms + thresholds))[(reached - 1).abs().argmin()]


@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("size", [2, 16])
def test_shortened_kernels_are_minima(size: int, spread: float) -> None:
    draws = torch.Generator().manual_seed(size)
    weight = torch.randn(4, 5, 1, size, generator=draws, dtype=torch.float64)
    thresholds = size**0.5 * 10 ** (spread * (torch.rand(weight.shape, generator=draws, dtype=torch.float64) - 0.5))
    found = shrink_kernels(weight, thresholds)
    for kernel, each, short in zip(*(x.reshape(-1, size) for x in (weight, thresholds, found)), strict=True):
        torch.testing.assert_close(short, brute_force(kernel, each), atol=1e-3, rtol=1e-3)
        # and no small change of the kernel lowers what it minimises
        near = short + 1e-3 * torch.randn(50, size, generator=draws, dtype=torch.float64)
        losses = [((x - kernel).square() / (2 * each)).sum(-1) + x.norm(dim=-1) for x in (short, near)]
        assert (losses[1] >= losses[0] - 1e-12).all()


def test_equal_thresholds_are_the_textbook_group_step() -> None:
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    norms = kernel_norms(weight)[..., None, None]
    expected = weight * (1 - 1.7 / norms).clamp_min(0)
    torch.testing.assert_close(shrink_kernels(weight, torch.tensor(1.7)), expected)
    torch.testing.assert_close(shrink_kernels(weight, torch.full_like(weight, 1.7)), expected)
    assert 0 < int((expected == 0).sum()) < expected.numel()


def test_a_weight_that_was_never_used_is_cut_and_nothing_is_nan() -> None:
    weight, thresholds = torch.ones(1, 3, 1, 2), torch.full((1, 3, 1, 2), 0.5)
    thresholds[0, 1] = 1e8  # no gradient so far: Adam divides by its epsilon
    thresholds[0, 2, 0, 0] = 1e8
    weight[0, 0] = 0
    found = shrink_kernels(weight, thresholds)
    assert not found[0, :2].any()
    assert found[0, 2].flatten().tolist() == pytest.approx([0.0, 0.5], abs=1e-6)


def test_numbers_shrink_to_zero_and_not_beyond() -> None:
    thresholds = torch.tensor([0.5, 0.5, 0.5, 3.0])
    assert shrink(torch.tensor([2.0, -2.0, 0.4, -2.0]), thresholds).tolist() == [1.5, -1.5, 0.0, 0.0]


def moved(name: str, steps: int, rate: float | None = None) -> tuple[float, float]:
    """Return how far a steady gradient of 1 moves a number in the last of some steps, and its step size."""
    parameter = nn.Parameter(torch.zeros(()))
    optimizer = OPTIMIZERS[name]([parameter])
    before = 0.0
    for _ in range(steps):
        if rate is not None:
            optimizer.param_groups[0]["lr"] = rate
        before = parameter.item()
        parameter.grad = torch.ones(())
        optimizer.step()
    size = step_sizes(optimizer, parameter)
    assert size is not None
    return before - parameter.item(), size.item()


@pytest.mark.parametrize("rate", [None, 0.003])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_size_is_what_a_steady_gradient_of_one_moves(name: str, rate: float | None) -> None:
    far, size = moved(name, 200, rate)
    assert size == pytest.approx(far, rel=1e-3)
    if "Adam" in name or name == "amsgrad":
        assert moved(name, 1)[1] == pytest.approx(0.02, rel=1e-3)  # with the bias correction of the first step


def test_before_the_first_step_of_a_parameter_there_is_no_metric() -> None:
    layer = nn.Linear(2, 2, bias=False)
    apply_masks(layer, partial(GroupLassoMask, strength=10.0))
    masked, before = list(masked_layers(layer)), layer.weight.detach().clone()
    follow_step(masked, Adam(layer.parameters()), 1)
    assert torch.equal(layer.weight.detach(), before)


@pytest.mark.parametrize("kind", PROXIMAL)
def test_an_optimiser_without_a_known_metric_is_refused(kind: Callable[..., ChannelMask]) -> None:
    layer = nn.Linear(2, 2)
    apply_masks(layer, kind)
    (masked,) = masked_layers(layer)
    optimizer = RMSprop(layer.parameters())
    with pytest.raises(InputError, match=r"SGD, Adam or AdamW, and model\.optimizer is RMSprop"):
        masked.mask.check(optimizer, 10)
    with pytest.raises(InputError, match="RMSprop"):
        follow_step([masked], optimizer, 1)


def test_whole_channels_are_shortened_as_kernels() -> None:
    model = tiny(mask=partial(GroupLassoMask, strength=0.5), placement=Placement(whole_channels=True))
    wide = next(layer for layer in model.masks if layer.weight.shape != layer.raw.shape)
    optimizer = Adam(model.parameters(), lr=1e-2)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    optimizer.step()
    kernels = wide.weight.detach().clone()
    follow_step([wide], optimizer, 1)
    # v_hat is the square of the only gradient
    expected = shrink_kernels(kernels, torch.tensor(0.5 * 1e-2 / 0.25))
    torch.testing.assert_close(wide.weight.detach(), expected, atol=1e-6, rtol=1e-4)
