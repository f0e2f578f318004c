r"""Proximal steps in the metric of the optimiser, by which a strength is the weight of a penalty in the loss.

An optimiser that steps by :math:`D^{-1} g` for a gradient g measures distances by D. The step that minimises a penalty
:math:`\lambda R` beside the loss is then

.. math::

    \mathrm{prox}(y) = \arg\min_x \tfrac12 (x - y)^\top D (x - y) + \lambda R(x),

and its fixed points are the minima of loss + penalty. By D = 1 / lr it would be another, unweighted penalty that Adam
minimises: Adam divides its gradients by their sizes.

Source: Yun, Lozano & Yang 2021, Adaptive Proximal Gradient Methods for Structured Neural Networks (NeurIPS 2021), eq. 3
and section 3.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from disentangle_pl.errors import InputError

NEWTON_STEPS = 5
TINY = 1e-30


def step_sizes(optimizer: Optimizer, parameter: Tensor) -> Tensor | None:
    r"""Return how far an optimiser goes for a steady gradient of 1: the inverse of its metric.

    Args:
        optimizer: After a step; the learning rate is the one its group of parameters has now.
        parameter: One of its parameters, of any shape.

    Returns:
        Above 0, () or in the shape of the parameter; None before the first step of this parameter.
        Adam and AdamW: :math:`\eta / (\sqrt{\hat v} + \epsilon)`. SGD: :math:`\eta (1 - d) / (1 - \mu)` for a
        momentum :math:`\mu` and its dampening d, which is what a steady gradient adds up to.

    Raises:
        InputError: If the optimiser is another.
    """
    refuse_unknown_metric(optimizer)
    group = group_of(optimizer, parameter)
    rate = torch.as_tensor(group["lr"])
    if isinstance(optimizer, SGD):
        momentum = group["momentum"]
        return rate * (1 - group["dampening"]) / (1 - momentum) if momentum else rate
    state = optimizer.state.get(parameter)
    if not state:
        return None
    squares = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"]
    correction = (1 - group["betas"][1] ** state["step"]) ** 0.5
    sizes: Tensor = rate / squares.sqrt().div_(correction).add_(group["eps"])
    return sizes


def group_of(optimizer: Optimizer, parameter: Tensor) -> dict[str, Any]:
    """Return the group of settings that an optimiser has for a parameter."""
    return next(group for group in optimizer.param_groups if any(parameter is one for one in group["params"]))


def refuse_unknown_metric(optimizer: Optimizer) -> None:
    """Refuse an optimiser in whose metric there is no proximal step.

    Raises:
        InputError: If it is neither SGD nor Adam nor AdamW.
    """
    if not isinstance(optimizer, SGD | Adam):
        raise InputError(
            f"model.mask takes proximal steps, which need the step sizes of SGD, Adam or AdamW, and model.optimizer is "
            f"{type(optimizer).__name__}: choose one of these optimisers, or a mask without proximal steps"
        )


def shrink(values: Tensor, thresholds: Tensor) -> Tensor:
    """Move numbers towards 0 by their thresholds, and not beyond: the proximal step of the L1 norm.

    Args:
        values: Of any shape.
        thresholds: At least 0, (), or in the shape of the values: step sizes times the strength.
    """
    return values.sgn() * (values.abs() - thresholds).clamp_min_(0)


def shrink_kernels(weight: Tensor, thresholds: Tensor) -> Tensor:
    r"""Shorten kernels, the short ones to zero: the proximal step of the sum of their norms.

    With thresholds e = 1 / D times the strength, a kernel y becomes :math:`x_k = y_k \, r / (r + e_k)`, where its new
    norm r solves :math:`\sum_k (y_k / (r + e_k))^2 = 1`; it is zero where :math:`\sum_k (y_k / e_k)^2 \le 1`. Newton's
    method on :math:`1 / \|y / (r + e)\| = 1`, a concave function of r, comes to the root from below and never passes
    it; where all thresholds of a kernel are equal it is there at once, at :math:`r = \|y\| - e`.

    Args:
        weight: Kernels (m, n, *kernel).
        thresholds: At least 0, (), or in the shape of the weight.

    Returns:
        The shortened kernels.

    Source: the secular equation of trust regions, Conn, Gould & Toint 2000, section 7.3.3; Yun, Lozano & Yang 2021,
        section 3.
    """
    if weight.dim() == 2:
        return shrink(weight, thresholds)
    kernels = weight.flatten(2)
    if thresholds.dim() == 0:
        norms = torch.linalg.vector_norm(kernels, dim=2, keepdim=True)
        short: Tensor = kernels * ((norms - thresholds).clamp_min_(0) / norms.clamp_min(TINY))
        return short.view_as(weight)
    each = thresholds.flatten(2).clamp_min(TINY)
    lowest = torch.linalg.vector_norm(kernels, dim=2, keepdim=True) - each.amax(2, keepdim=True)
    norms = torch.maximum(lowest, (kernels.abs() - each).amax(2, keepdim=True)).clamp_min_(0)
    for _ in range(NEWTON_STEPS):
        shares = (norms + each).reciprocal_()
        ratios = kernels * shares
        square = torch.linalg.vecdot(ratios, ratios)
        slope = torch.linalg.vecdot(ratios.square_(), shares).clamp_min_(TINY)
        norms = (norms + (square * (square.sqrt() - 1) / slope)[..., None]).clamp_min_(0)
    short = kernels * (norms / (norms + each))
    return short.view_as(weight)
