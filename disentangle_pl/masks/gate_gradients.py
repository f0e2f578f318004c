"""Gates with their gradients in few passes over memory: those of a linear layer are as many as its weights."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

from disentangle_pl.masks.channel_mask import kernel_norms, over_kernel

TINY = 1e-12
EDGE = 1e-6  # keeps logarithms of uniform noise finite
aten = torch.ops.aten


def straight_through(logits: Tensor, temperature: float = 1.0, *, noisy: bool = False) -> Tensor:
    """Open the gates whose logit is above 0, with the gradient of sigmoid(logit / temperature).

    Args:
        logits: Of any shape.
        temperature: Above 0.
        noisy: Add logistic noise to the logits first.

    Returns:
        Exactly 0 or 1, in the shape of the logits.

    Source: Bengio et al. 2013 (arXiv:1308.3432); with noise, Jang et al. 2017 (arXiv:1611.01144).
    """
    return cast(Tensor, _StraightThrough.apply(logits, temperature, noisy))  # type: ignore[no-untyped-call]


def stretched_sigmoid(logits: Tensor, temperature: float, low: float, high: float, *, noisy: bool = False) -> Tensor:
    """Return sigmoid(logit / temperature), stretched to (low, high) and clamped to [0, 1].

    Args:
        logits: Of any shape.
        temperature: Above 0.
        low: Below 0.
        high: Above 1.
        noisy: Add logistic noise to the logits first.

    Source: Louizos et al. 2018 (arXiv:1712.01312), eq. 10-12.
    """
    return cast(Tensor, _StretchedSigmoid.apply(logits, temperature, low, high, noisy))  # type: ignore[no-untyped-call]


def resized(weight: Tensor, sizes: Tensor) -> Tensor:
    """Scale every kernel of a weight to a given size, and turn it round where that is negative.

    Args:
        weight: (m, n, *kernel). A kernel of zeros stays one.
        sizes: (m, n).

    Returns:
        K_ij sizes_ij / |K_ij|. The gradient of a kernel is at right angles to it, so that of a single number is 0.

    Source: Salimans & Kingma 2016 (arXiv:1602.07868), eq. 3.
    """
    return cast(Tensor, (_Signs if weight[0, 0].numel() == 1 else _Resized).apply(weight, sizes))  # type: ignore[no-untyped-call]


class _Signs(Function):
    """A kernel of one number has no direction but a sign: what else its gradient held would be rounding."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, sizes: Tensor) -> Tensor:
        signs = weight.sgn()
        ctx.save_for_backward(signs)
        return signs * over_kernel(sizes, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (signs,) = ctx.saved_tensors
        return torch.zeros_like(signs), gradients[0].mul(signs).view(signs.shape[:2])


class _Resized(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, sizes: Tensor) -> Tensor:
        norms = kernel_norms(weight).clamp_min_(TINY)
        ctx.save_for_backward(weight, sizes, norms)
        return weight * over_kernel(sizes / norms, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        weight, sizes, norms = ctx.saved_tensors
        along = torch.linalg.vecdot(gradients[0].flatten(2), weight.flatten(2)).div_(norms)
        across = gradients[0].addcmul(weight, over_kernel(along / norms, weight), value=-1)
        return across.mul_(over_kernel(sizes / norms, weight)), along


class _StraightThrough(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, temperature: float, noisy: bool) -> Tensor:
        sample = _with_noise(logits) if noisy else logits
        ctx.save_for_backward(sample.div(temperature).sigmoid_())
        ctx.temperature = temperature
        return sample.sgn().clamp_(min=0)  # a third of the time of a comparison

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (soft,) = ctx.saved_tensors
        return aten.sigmoid_backward(gradients[0], soft).div_(ctx.temperature), None, None


class _StretchedSigmoid(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, temperature: float, low: float, high: float, noisy: bool) -> Tensor:
        soft = _with_noise(logits).div_(temperature) if noisy else logits.div(temperature)
        ctx.save_for_backward(soft.sigmoid_())
        ctx.temperature, ctx.low, ctx.width = temperature, low, high - low
        return soft.mul(high - low).add_(low).clamp_(0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (soft,) = ctx.saved_tensors
        unclamped = soft.mul(ctx.width).add_(ctx.low)
        inside = aten.hardtanh_backward(gradients[0], unclamped, 0.0, 1.0)
        return aten.sigmoid_backward(inside, soft).mul_(ctx.width / ctx.temperature), None, None, None, None


def _with_noise(logits: Tensor) -> Tensor:
    return torch.rand_like(logits).clamp_(EDGE, 1 - EDGE).logit_().add_(logits)
