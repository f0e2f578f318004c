"""Fused gates are the formulas they stand for, and so are their gradients."""

import pytest
import torch
from torch import Tensor

from disentangle_pl.masks.channel_mask import kernel_norms
from disentangle_pl.masks.gate_gradients import EDGE, resized, straight_through, stretched_sigmoid

LOW, HIGH = -0.1, 1.1


def logits() -> Tensor:
    """Give logits on both sides, some of which end in a clamp."""
    return (6 * torch.randn(40, 30, generator=torch.Generator().manual_seed(0))).requires_grad_()


def noise(like: Tensor) -> Tensor:
    """Draw the logistic noise by its textbook formula, from the same random numbers."""
    uniform = torch.rand_like(like).clamp(EDGE, 1 - EDGE)
    return uniform.log() - (-uniform).log1p()


def slope(gates: Tensor, at: Tensor) -> Tensor:
    """Return the gradient of weighted gates."""
    weights = torch.linspace(-1, 2, gates.numel()).view_as(gates)
    (found,) = torch.autograd.grad((gates * weights).sum(), at)
    return found


@pytest.mark.parametrize("temperature", [1.0, 2 / 3])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_stretched_sigmoid_is_its_formula(temperature: float, noisy: bool) -> None:
    x = logits()
    torch.manual_seed(1)
    fused = stretched_sigmoid(x, temperature, LOW, HIGH, noisy=noisy)
    torch.manual_seed(1)
    drawn = x + noise(x) if noisy else x
    plain = (torch.sigmoid(drawn / temperature) * (HIGH - LOW) + LOW).clamp(0, 1)
    torch.testing.assert_close(fused, plain, atol=1e-6, rtol=0)
    torch.testing.assert_close(slope(fused, x), slope(plain, x), atol=1e-6, rtol=0)
    assert ((fused == 0) | (fused == 1)).any()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_straight_through_gate_is_a_step_with_the_slope_of_a_sigmoid(temperature: float, noisy: bool) -> None:
    x = logits()
    torch.manual_seed(1)
    fused = straight_through(x, temperature, noisy=noisy)
    torch.manual_seed(1)
    drawn = x + noise(x) if noisy else x
    assert torch.equal(fused.detach(), (drawn > 0).float())
    soft = torch.sigmoid(drawn / temperature)
    torch.testing.assert_close(slope(fused, x), slope(soft, x), atol=1e-6, rtol=0)


def test_a_logit_of_zero_is_closed() -> None:
    assert straight_through(torch.tensor([-1e-30, 0.0, 1e-30])).tolist() == [0, 0, 1]


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5, 5), (3, 4, 2, 3, 2)])
def test_norms_of_kernels_do_not_depend_on_the_layout(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight[0, 0] = 0
    last = {2: torch.contiguous_format, 4: torch.channels_last, 5: torch.channels_last_3d}[len(shape)]
    turned = weight.to(memory_format=last).requires_grad_()
    norms = kernel_norms(turned)
    torch.testing.assert_close(norms, weight.reshape(3, 4, -1).square().sum(2).sqrt())
    (found,) = torch.autograd.grad(norms.sum(), turned)
    assert found[0, 0].abs().max() == 0
    assert torch.isfinite(found).all()
    assert turned.is_contiguous(memory_format=last)


@pytest.mark.parametrize("kernel", [(3, 2), (2, 3, 2)])
@pytest.mark.parametrize("last", [False, True])
def test_a_resized_kernel_has_its_size_and_the_gradients_of_the_formula(kernel: tuple[int, ...], last: bool) -> None:
    draws = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 4, *kernel, dtype=torch.float64, generator=draws)
    memory = torch.channels_last if weight.dim() == 4 else torch.channels_last_3d
    weight = (weight.contiguous(memory_format=memory) if last else weight).requires_grad_()
    sizes = torch.randn(5, 4, dtype=torch.float64, generator=draws).requires_grad_()
    found = resized(weight, sizes)
    torch.testing.assert_close(kernel_norms(found), sizes.abs())
    assert torch.autograd.gradcheck(resized, (weight, sizes))


@pytest.mark.parametrize("kernel", [(), (1, 1)])
def test_a_single_number_keeps_its_sign_and_gets_no_gradient(kernel: tuple[int, ...]) -> None:
    weight = torch.tensor([[2.0, -3.0], [0.0, 1e-30]]).view(2, 2, *kernel).requires_grad_()
    sizes = torch.tensor([[5.0, 7.0], [1.0, -4.0]]).requires_grad_()
    found = resized(weight, sizes)
    assert found.flatten().tolist() == [5, -7, 0, -4]
    of_weight, of_sizes = torch.autograd.grad(found.sum(), (weight, sizes))
    assert not of_weight.any()
    assert of_sizes.tolist() == [[1, -1], [0, 1]]


def test_a_kernel_of_zeros_stays_one() -> None:
    weight = torch.zeros(1, 1, 2, 2, requires_grad=True)
    assert not resized(weight, torch.ones(1, 1)).any()
