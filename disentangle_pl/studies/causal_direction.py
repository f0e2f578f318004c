"""Which of two variables is the cause? The direction whose modules adapt faster to an intervention.

Source: Bengio et al., A Meta-Transfer Objective for Learning to Disentangle Causal Mechanisms, ICLR 2020
(arXiv:1901.10912): the categorical experiment with two variables, settings from the authors' code.
"""

from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor
from torch.nn.functional import logsigmoid

from disentangle_pl.errors import InputError


class World(NamedTuple):
    """What makes the data, and what every episode changes.

    Attributes:
        name: For the legend.
        reverse: B is the cause of A instead of A of B.
        cause: Every episode draws a new distribution of the cause.
        effect: Every episode draws the effect from a new distribution that ignores the cause.
    """

    name: str
    reverse: bool = False
    cause: bool = True
    effect: bool = False


CAUSE_CHANGES = World("A causes B, A is changed")
REVERSED = World("B causes A, B is changed", reverse=True)
EFFECT_CHANGES = World("A causes B, B is changed", cause=False, effect=True)
NOTHING_CHANGES = World("A causes B, no change", cause=False)


class Modules(NamedTuple):
    """The two modules of one direction, as logits.

    Attributes:
        cause: (S, N) of the supposed cause.
        effect: (S, N, N) of the supposed effect in the last dimension, given the cause.
    """

    cause: Tensor
    effect: Tensor


def regret(gamma: Tensor, log_likelihood_ab: Tensor, log_likelihood_ba: Tensor) -> Tensor:
    """Return -log[s L_AB + (1 - s) L_BA] in nats, s the sigmoid of gamma, safe for tiny likelihoods.

    Args:
        gamma: (...) structural parameter; s is the belief in A -> B.
        log_likelihood_ab: (...) log L_AB, the online log-likelihood of an episode under A -> B, in nats.
        log_likelihood_ba: (...) log L_BA.

    Source: the meta-learning objective of the paper.
    """
    return -torch.logaddexp(logsigmoid(gamma) + log_likelihood_ab, logsigmoid(-gamma) + log_likelihood_ba)


def regret_gradient(gamma: Tensor, log_likelihood_ab: Tensor, log_likelihood_ba: Tensor) -> Tensor:
    """Return the derivative of the regret to gamma, s(gamma) - s(gamma + log L_AB - log L_BA); shapes as `regret`.

    Source: the paper's closed form.
    """
    return torch.sigmoid(gamma) - torch.sigmoid(gamma + (log_likelihood_ab - log_likelihood_ba))


def fit(joint: Tensor) -> Modules:
    """Return the modules of maximum likelihood for joint probabilities (S, N, N), the cause in the rows."""
    cause = joint.sum(-1)
    return Modules(cause.log(), (joint / cause[..., None]).log())


def log_likelihood(modules: Modules, counts: Tensor) -> Tensor:
    """Return the log-likelihood (S,) in nats of samples given as counts (S, N, N), the cause in the rows."""
    cause = (counts.sum(-1) * modules.cause.log_softmax(-1)).sum(-1)
    return cause + (counts * modules.effect.log_softmax(-1)).sum((-1, -2))


def adapt(modules: Modules, counts: Tensor, rate: float) -> Modules:
    """Take one gradient step on the mean negative log-likelihood of samples given as counts (S, N, N)."""
    causes = counts.sum(-1)
    samples = causes.sum(-1, keepdim=True)
    cause = causes / samples - modules.cause.softmax(-1)
    effect = (counts - causes[..., None] * modules.effect.softmax(-1)) / samples[..., None]
    return Modules(modules.cause + rate * cause, modules.effect + rate * effect)


def online_log_likelihood(modules: Modules, batches: Tensor, rate: float) -> Tensor:
    """Return log L_G = sum_t log p(x_t; theta_t) in nats (S,): every batch is scored, then learned from.

    Args:
        modules: The modules before the change.
        batches: (T, S, N, N) counts of the samples of every batch, the cause in the rows.
        rate: Learning rate of the gradient steps.
    """
    total = torch.zeros_like(batches[0, :, 0, 0])
    for counts in batches:
        total = total + log_likelihood(modules, counts)
        modules = adapt(modules, counts, rate)
    return total


def causal_direction(
    world: World = CAUSE_CHANGES,
    *,
    categories: int = 10,
    episodes: int = 500,
    seeds: int = 20,
    steps: int = 2,
    batch: int = 10,
    rate: float = 0.1,
    structure_rate: float = 0.01,
    seed: int = 0,
    progress: bool = False,
) -> Tensor:
    """Learn the belief in A -> B between two categorical variables from how fast the modules adapt.

    Every seed draws one p(cause) and one p(effect | cause) from flat Dirichlet distributions and keeps them. Both
    directions hold the exact maximum-likelihood tables of that distribution and are equally good before the change.
    An episode changes the distribution, scores `steps` batches online, and RMSprop moves gamma down the gradient of
    the regret; the tables are then put back.

    Simplified against the paper: the regret takes the product of all batches of an episode, as the paper defines it,
    where the authors' code adds one regret a batch; 500 episodes instead of 1000. The method assumes that the cause
    is what changes. Worlds that break this are controls: with no change the belief stays undecided, and with a change
    of the effect it names the effect as the cause.

    Args:
        world: What makes the data and what changes.
        categories: Values N of each variable, at least 2.
        episodes: Changes to learn from, each new.
        seeds: Independent problems S, side by side.
        steps: Batches an episode, with a gradient step after each; the first cannot tell the directions apart.
        batch: Samples a batch.
        rate: Learning rate of the modules.
        structure_rate: Learning rate of gamma.
        seed: Seed of all draws.
        progress: Show a progress bar.

    Returns:
        (episodes, seeds) sigmoid(gamma) after every episode; before the first it is 0.5.

    Raises:
        InputError: If a size is too small.

    Source: arXiv:1901.10912; N, rates, batch and steps from the authors' code.
    """
    _refuse(categories=(categories, 2), episodes=(episodes, 1), seeds=(seeds, 1), steps=(steps, 2), batch=(batch, 1))
    generator = torch.Generator().manual_seed(seed)
    cause = _dirichlet(generator, seeds, categories)
    effect = _dirichlet(generator, seeds, categories, categories)
    along, against = fit(_joint(cause, effect)), fit(_joint(cause, effect).mT)
    gamma = torch.zeros(seeds, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.RMSprop([gamma], lr=structure_rate)
    beliefs = []
    for _ in track(range(episodes), world.name, disable=not progress, transient=True):
        new_cause = _dirichlet(generator, seeds, categories) if world.cause else cause
        new_effect = _dirichlet(generator, seeds, 1, categories).expand_as(effect) if world.effect else effect
        batches = _sample(generator, _joint(new_cause, new_effect), steps, batch)
        right = online_log_likelihood(along, batches, rate)
        wrong = online_log_likelihood(against, batches.mT, rate)
        gamma.grad = regret_gradient(gamma.detach(), *((wrong, right) if world.reverse else (right, wrong)))
        optimizer.step()
        beliefs.append(gamma.detach().sigmoid())
    return torch.stack(beliefs)


def _refuse(**sizes: tuple[int, int]) -> None:
    for name, (size, least) in sizes.items():
        if size < least:
            raise InputError(f"{name} must be at least {least}, got {size}")


def _dirichlet(generator: torch.Generator, *shape: int) -> Tensor:
    draws = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
    return draws / draws.sum(-1, keepdim=True)


def _joint(cause: Tensor, effect: Tensor) -> Tensor:
    return cause[..., None] * effect


def _sample(generator: torch.Generator, joint: Tensor, steps: int, batch: int) -> Tensor:
    seeds, values, _ = joint.shape
    pairs = torch.multinomial(joint.flatten(1), steps * batch, replacement=True, generator=generator)
    pairs = pairs.reshape(seeds, steps, batch).transpose(0, 1)
    counts = torch.zeros(steps, seeds, values * values, dtype=torch.float64)
    counts.scatter_add_(2, pairs, torch.ones_like(pairs, dtype=torch.float64))
    return counts.reshape(steps, seeds, values, values)
