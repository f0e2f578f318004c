"""An encoder that finds the causal variables: one angle, learned through the regret of adaptation.

Source: Bengio et al., A Meta-Transfer Objective for Learning to Disentangle Causal Mechanisms, ICLR 2020
(arXiv:1901.10912): the experiment with a learned encoder, settings from the authors' code.
"""

import math
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.studies.causal_direction import regret
from disentangle_pl.studies.mixtures import (
    Mixture,
    adapt,
    conditional,
    expert_log_density,
    marginal,
    parts,
    refit,
    rotation,
    turn,
)

DECODER = math.pi / 4
SPREAD = 2.0  # standard deviation of a changed A
SHIFT = 4.0  # its mean lies in (-4, 4)
REACH = 8.0  # mechanism: knots in (-8, 8), values in (-8, 8)


class Trajectories(NamedTuple):
    """What was learned, episode by episode.

    Attributes:
        angle: (episodes, seeds) of the encoder, in radians.
        belief: (episodes, seeds) sigmoid(gamma), the belief that the first encoded variable is the cause.
    """

    angle: Tensor
    belief: Tensor


def adapted_log_likelihood(trained: Mixture, pairs: Tensor, *, refits: int, batches: int, rate: float) -> Tensor:
    """Return log L of first -> second in nats (S,): p(first) refitted, p(second | first) scored online.

    Args:
        trained: The distribution before the change; its exact marginal and conditional are the trained modules.
        pairs: (S, n, 2) samples after the change.
        refits: EM steps of the marginal, on all the samples.
        batches: The samples come in so many batches; each is scored, then the conditional takes a gradient step.
        rate: Learning rate of those steps.
    """
    u, v = pairs.unbind(-1)
    total = parts(refit(marginal(trained), u, refits), u).logsumexp(-1).sum(1)
    experts = conditional(trained)
    for some, other in zip(u.chunk(batches, 1), v.chunk(batches, 1), strict=True):
        total = total + expert_log_density(experts, some, other).sum(1)
        experts = adapt(experts, some, other, rate)
    return total


def orders(
    trained: Mixture, pairs: Tensor, angle: Tensor, *, refits: int, batches: int, rate: float
) -> tuple[Tensor, Tensor]:
    """Return log L in nats (S,) of first -> second and of second -> first encoded variable.

    Args:
        trained: The distribution of the seen pair before the change.
        pairs: (S, n, 2) seen samples after the change.
        angle: (S,) of the encoder, in radians.
        refits: As for `adapted_log_likelihood`, like batches and rate.
        batches: See there.
        rate: See there.
    """
    encoder = rotation(angle)
    mixture, encoded = turn(trained, encoder), pairs @ encoder.mT
    both = Mixture(
        torch.cat([mixture.log_weight, mixture.log_weight]),
        torch.cat([mixture.mean, mixture.mean.flip(-1)]),
        torch.cat([mixture.covariance, mixture.covariance.flip(-1, -2)]),
    )
    both_pairs = torch.cat([encoded, encoded.flip(-1)])
    forward, backward = adapted_log_likelihood(both, both_pairs, refits=refits, batches=batches, rate=rate).chunk(2)
    return forward, backward


def distance(angle: Tensor) -> Tensor:
    """Return how far angles (...) in radians lie from the nearest correct one, in degrees from 0 to 45.

    Correct are -45 degrees (the causal variables), +45 (swapped) and half turns of them (signs flipped). An angle
    that knows nothing is 22.5 degrees away on average.
    """
    return ((torch.rad2deg(angle + DECODER) + 45) % 90 - 45).abs()


def solved(angle: Tensor, belief: Tensor, within: float = 5.0) -> Tensor:
    """Say whether the angle is right to so many degrees, and the encoded A is believed to be the cause.

    Angles and beliefs (...) give booleans (...).
    """
    first_is_a = (angle + DECODER).cos().abs() > math.sqrt(0.5)
    return (distance(angle) < within) & (first_is_a == (belief > 0.5))


def rotation_encoder(
    *,
    episodes: int = 500,
    seeds: int = 20,
    change: bool = True,
    samples: int = 200,
    batches: int = 5,
    refits: int = 5,
    knots: int = 8,
    rate: float = 0.001,
    encoder_rate: float = 0.01,
    structure_rate: float = 0.01,
    seed: int = 0,
    progress: bool = False,
) -> Trajectories:
    """Learn the angle that undoes a rotation by 45 degrees of a cause A and its effect B.

    Every seed draws a mechanism: a mixture of Gaussians along a random broken line through `knots` points, A roughly
    of mean 0 and standard deviation 2. Only the rotated pair is seen. The encoder turns it by an angle that starts at
    0, midway between both solutions; an episode draws A from a Gaussian with a mean uniform in (-4, 4), B from the
    mechanism, and Adam moves the angle and gamma down the regret. Without a change, A keeps its distribution: a
    control, in which the regret is nearly flat in expectation because the modules fit the trained pair at any angle.

    Simplified against the paper: the mechanism is a mixture of linear pieces instead of a spline; modules are not
    networks trained at every episode but the exact marginal and conditional at the present angle, so the gradient of
    the angle also passes through the conditional before its steps; 200 samples and 500 episodes instead of 1000 and
    1000; gamma learns at 0.01 instead of 0.001; the regret is of the product over the samples, where the authors' code
    mixes mean losses. As there the marginal is refitted by EM on the samples it is scored on and only the conditional
    adapts by gradient steps; unlike there, its samples come in batches, scored before they are learned from. Two
    things to know: with `rate` 0 the result is much the same, so what counts is which conditional survives the change;
    and some mechanisms hold a wrong angle that is locally best, where an encoder stays.

    Args:
        episodes: Changes to learn from, each new.
        seeds: Independent mechanisms S, side by side.
        change: Every episode changes p(A); False is the control.
        samples: Samples n an episode, a multiple of batches.
        batches: Gradient steps of the conditional.
        refits: EM steps of the marginal.
        knots: Components K of the mechanism, at least 2.
        rate: Learning rate of the conditional.
        encoder_rate: Learning rate of the angle.
        structure_rate: Learning rate of gamma.
        seed: Seed of all draws.
        progress: Show a progress bar.

    Returns:
        Angles and beliefs after every episode.

    Raises:
        InputError: If a size is too small, or the samples do not make whole batches.

    Source: arXiv:1901.10912; rates, range of the changes and decoder from the authors' code.
    """
    if min(episodes, seeds, samples, batches, refits, knots - 1) < 1 or samples % batches:
        raise InputError(
            "episodes, seeds, samples, batches and refits must be at least 1, knots at least 2, and samples a multiple "
            f"of batches; got {episodes}, {seeds}, {samples}, {batches}, {refits}, {knots}"
        )
    generator = torch.Generator().manual_seed(seed)
    truth = _mechanism(generator, seeds, knots)
    decoder = rotation(torch.full((seeds,), DECODER, dtype=torch.float64))
    trained = turn(truth, decoder)
    angle = torch.zeros(seeds, dtype=torch.float64, requires_grad=True)
    gamma = torch.zeros(seeds, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam(
        [{"params": [angle], "lr": encoder_rate}, {"params": [gamma], "lr": structure_rate}], lr=encoder_rate
    )
    angles, beliefs = [], []
    name = "encoder, A is changed" if change else "encoder, no change"
    for _ in track(range(episodes), name, disable=not progress, transient=True):
        pairs = _sample(generator, truth, samples, change) @ decoder.mT
        optimizer.zero_grad()
        scores = orders(trained, pairs, angle, refits=refits, batches=batches, rate=rate)
        regret(gamma, *scores).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        angles.append(angle.detach().clone())
        beliefs.append(gamma.detach().sigmoid())
    return Trajectories(torch.stack(angles), torch.stack(beliefs))


def _mechanism(generator: torch.Generator, seeds: int, knots: int) -> Mixture:
    cause = torch.linspace(-REACH, REACH, knots, dtype=torch.float64).repeat(seeds, 1)
    effect = (2 * torch.rand(seeds, knots, generator=generator, dtype=torch.float64) - 1) * REACH
    gap = 2 * REACH / (knots - 1)
    slope = torch.gradient(effect, spacing=gap, dim=1)[0]
    spread = torch.full_like(slope, (gap / 2) ** 2)
    rows = [torch.stack([spread, slope * spread], -1), torch.stack([slope * spread, slope**2 * spread + 1], -1)]
    log_weight = (-0.5 * cause.square() / (SPREAD**2 - min((gap / 2) ** 2, 3.0))).log_softmax(-1)
    return Mixture(log_weight, torch.stack([cause, effect], -1), torch.stack(rows, -2))


def _sample(generator: torch.Generator, truth: Mixture, samples: int, change: bool) -> Tensor:
    seeds = len(truth.mean)
    normal = torch.randn(2, seeds, samples, generator=generator, dtype=torch.float64)
    cause = marginal(truth)
    if change:
        centre = (2 * torch.rand(seeds, 1, generator=generator, dtype=torch.float64) - 1) * SHIFT
        a = centre + SPREAD * normal[0]
    else:
        piece = torch.multinomial(cause.log_weight.exp(), samples, replacement=True, generator=generator)
        a = cause.mean.gather(1, piece) + (0.5 * cause.log_variance.gather(1, piece)).exp() * normal[0]
    gate = parts(cause, a).softmax(-1).flatten(0, 1)
    piece = torch.multinomial(gate, 1, generator=generator).reshape(seeds, samples)
    experts = conditional(truth)
    b = experts.intercept.gather(1, piece) + experts.slope.gather(1, piece) * a
    return torch.stack([a, b + (0.5 * experts.log_variance.gather(1, piece)).exp() * normal[1]], -1)
