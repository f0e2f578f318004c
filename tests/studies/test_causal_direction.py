import math

import pytest
import torch
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.studies.causal_direction import (
    CAUSE_CHANGES,
    EFFECT_CHANGES,
    NOTHING_CHANGES,
    REVERSED,
    Modules,
    adapt,
    causal_direction,
    fit,
    log_likelihood,
    online_log_likelihood,
    regret,
    regret_gradient,
)


def real(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_regret_is_the_log_of_the_mixed_likelihoods() -> None:
    expected = -math.log(0.75 * 0.2 + 0.25 * 0.05)
    assert regret(real(math.log(3)), real(0.2).log(), real(0.05).log()).item() == pytest.approx(expected)


def test_regret_is_the_negative_log_likelihood_when_the_directions_agree_or_one_is_certain() -> None:
    assert regret(real(-3.0, 0.0, 3.0), real(-7.0), real(-7.0)).tolist() == pytest.approx([7.0] * 3)
    assert regret(real(50.0, -50.0), real(-7.0), real(-9.0)).tolist() == pytest.approx([7.0, 9.0])


def test_gradient_is_that_of_autograd() -> None:
    gamma = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    ab, ba = -20 * random(2, 9)
    regret(gamma, ab, ba).sum().backward()  # type: ignore[no-untyped-call]
    assert gamma.grad is not None
    torch.testing.assert_close(gamma.grad, regret_gradient(gamma.detach(), ab, ba))


def test_gradient_lowers_gamma_only_for_the_worse_direction() -> None:
    assert regret_gradient(real(0.3), real(-5.0), real(-6.0)) < 0
    assert regret_gradient(real(0.3), real(-6.0), real(-5.0)) > 0
    assert regret_gradient(real(0.3), real(-6.0), real(-6.0)) == 0


def test_tiny_likelihoods_neither_overflow_nor_vanish() -> None:
    gamma = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    ab, ba = real(-1e4, -2e4, -1e4), real(-2e4, -1e4, -1e4)
    value = regret(gamma, ab, ba)
    value.sum().backward()  # type: ignore[no-untyped-call]
    assert value.tolist() == pytest.approx([1e4 + math.log(2), 1e4 + math.log(2), 1e4])
    assert gamma.grad is not None
    assert gamma.grad.tolist() == pytest.approx([-0.5, 0.5, 0.0])
    torch.testing.assert_close(gamma.grad, regret_gradient(gamma.detach(), ab, ba))


def test_log_likelihood_by_hand() -> None:
    joint = torch.tensor([[[0.1, 0.3], [0.4, 0.2]]], dtype=torch.float64)
    counts = torch.tensor([[[2.0, 0.0], [1.0, 3.0]]], dtype=torch.float64)
    expected = 2 * math.log(0.1) + math.log(0.4) + 3 * math.log(0.2)
    assert log_likelihood(fit(joint), counts).item() == pytest.approx(expected)
    assert log_likelihood(fit(joint.mT), counts.mT).item() == pytest.approx(expected)


def test_adaptation_step_by_hand() -> None:
    modules = Modules(torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 2, 2, dtype=torch.float64))
    adapted = adapt(modules, torch.tensor([[[3.0, 1.0], [0.0, 0.0]]], dtype=torch.float64), rate=0.1)
    torch.testing.assert_close(adapted.cause, real(0.05, -0.05)[None])
    torch.testing.assert_close(adapted.effect, torch.stack([real(0.025, -0.025), real(0.0, 0.0)])[None])


def test_adaptation_step_is_that_of_autograd() -> None:
    counts = (5 * random(2, 3, 3)).floor()
    leaves = [table.requires_grad_() for table in fit(random(2, 3, 3) / 4.5)]
    (-log_likelihood(Modules(*leaves), counts) / counts.sum((-1, -2))).sum().backward()  # type: ignore[no-untyped-call]
    adapted = adapt(Modules(*leaves), counts, rate=0.1)
    for leaf, table in zip(leaves, adapted, strict=True):
        assert leaf.grad is not None
        torch.testing.assert_close(table, leaf - 0.1 * leaf.grad)


def test_batches_are_scored_before_they_are_learned() -> None:
    modules, batches = fit(random(2, 3, 3) / 4.5), (4 * random(2, 2, 3, 3)).ceil()
    expected = log_likelihood(modules, batches[0]) + log_likelihood(adapt(modules, batches[0], 0.5), batches[1])
    torch.testing.assert_close(online_log_likelihood(modules, batches, 0.5), expected)


def test_the_first_batch_cannot_tell_the_directions_apart() -> None:
    joint, batch = random(4, 3, 3), (4 * random(1, 4, 3, 3)).ceil()
    joint = joint / joint.sum((-1, -2), keepdim=True)
    along, against = online_log_likelihood(fit(joint), batch, 0.1), online_log_likelihood(fit(joint.mT), batch.mT, 0.1)
    torch.testing.assert_close(along, against)


def test_the_cause_is_found() -> None:
    beliefs = causal_direction(CAUSE_CHANGES, episodes=150, structure_rate=0.02)
    assert beliefs.shape == (150, 20)
    assert (beliefs[-1] > 0.9).double().mean() > 0.8
    assert beliefs[0].median() == pytest.approx(0.5, abs=0.1)


def test_the_belief_flips_when_b_is_the_cause() -> None:
    assert (causal_direction(REVERSED, episodes=150, structure_rate=0.02, seed=1)[-1] < 0.1).double().mean() > 0.8
    along, reverse = causal_direction(CAUSE_CHANGES, episodes=20), causal_direction(REVERSED, episodes=20)
    torch.testing.assert_close(reverse, 1 - along)


def test_the_belief_follows_the_effect_when_the_effect_is_changed() -> None:
    assert (causal_direction(EFFECT_CHANGES, episodes=150, structure_rate=0.02)[-1] < 0.2).double().mean() > 0.8


def test_without_a_change_nothing_is_found() -> None:
    belief = causal_direction(NOTHING_CHANGES, episodes=150, structure_rate=0.02)[-1]
    assert belief.mean() == pytest.approx(0.5, abs=0.1)
    assert (belief - 0.5).abs().max() < 0.35


def test_the_seed_decides() -> None:
    first, again, other = (causal_direction(episodes=5, seeds=3, categories=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["categories", "episodes", "seeds", "steps", "batch"])
def test_sizes_that_are_too_small(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be at least"):
        causal_direction(**{name: 0})  # type: ignore[arg-type]
