import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from disentangle_pl.errors import InputError
from disentangle_pl.studies.mixtures import (
    Experts,
    Marginal,
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
from disentangle_pl.studies.rotation_encoder import (
    Trajectories,
    adapted_log_likelihood,
    distance,
    orders,
    rotation_encoder,
    solved,
)


def degrees(*values: float) -> Tensor:
    return torch.deg2rad(torch.tensor(values, dtype=torch.float64))


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def mixture() -> Mixture:
    root = draw(2, 3, 2, 2)
    covariance = root @ root.mT + 0.5 * torch.eye(2, dtype=torch.float64)
    return Mixture(draw(2, 3).log_softmax(-1), 3 * draw(2, 3, 2), covariance)


def joint_log_density(some: Mixture, pairs: Tensor) -> Tensor:
    family = MixtureSameFamily(Categorical(logits=some.log_weight), MultivariateNormal(some.mean, some.covariance))
    density: Tensor = family.log_prob(pairs.transpose(0, 1))  # type: ignore[no-untyped-call]
    return density.mT


def test_a_quarter_turn_takes_the_first_axis_to_the_second() -> None:
    turned = rotation(degrees(90)) @ torch.tensor([1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(turned, torch.tensor([[0.0, 1.0]], dtype=torch.float64))


@pytest.mark.parametrize("angle", [0.0, 30.0, -90.0, 135.0])
def test_modules_are_exact_at_any_angle(angle: float) -> None:
    matrix, pairs = rotation(degrees(angle, angle)), 2 * draw(2, 50, 2)
    turned, seen = turn(mixture(), matrix), pairs @ matrix.mT
    u, v = seen.unbind(-1)
    factored = parts(marginal(turned), u).logsumexp(-1) + expert_log_density(conditional(turned), u, v)
    torch.testing.assert_close(factored, joint_log_density(mixture(), pairs))


def test_refitting_finds_a_new_mean_and_variance() -> None:
    values = 7 + 0.5 * draw(2, 4000)
    fitted = refit(marginal(mixture()), values, 50)
    weight = fitted.log_weight.exp()
    mean = (weight * fitted.mean).sum(-1)
    variance = (weight * (fitted.log_variance.exp() + fitted.mean.square())).sum(-1) - mean.square()
    torch.testing.assert_close(mean, values.mean(1), atol=1e-3, rtol=0)
    torch.testing.assert_close(variance, values.var(1), atol=0.02, rtol=0)
    torch.testing.assert_close(weight.sum(-1), torch.ones(2, dtype=torch.float64))


def test_refitting_never_lowers_the_likelihood_and_carries_no_gradient() -> None:
    values = (2 * draw(2, 300)).requires_grad_()
    scores = [parts(refit(marginal(mixture()), values, steps), values).logsumexp(-1).sum() for steps in (0, 1, 3, 9)]
    assert (torch.stack(scores).diff() > 0).all()
    assert not refit(marginal(mixture()), values, 1).mean.requires_grad


def test_a_component_that_explains_nothing_stays() -> None:
    far = Marginal(*(torch.tensor([row], dtype=torch.float64) for row in ([-0.7, -0.7], [0.0, 1e4], [0.0, 1.0])))
    fitted = refit(far, draw(1, 50), 1)
    assert fitted.mean[0, 1].item() == pytest.approx(1e4)
    assert fitted.log_variance[0, 1].exp().item() == pytest.approx(math.e, abs=0.02)
    assert fitted.log_weight[0, 1] < -15


def test_an_adaptation_step_is_that_of_a_linear_gaussian() -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    experts = Experts(zero, zero, zero, zero, zero, zero)
    u, v = torch.tensor([[1.0, 2.0]], dtype=torch.float64), torch.tensor([[3.0, 5.0]], dtype=torch.float64)
    adapted = adapt(experts, u, v, rate=0.1)
    assert adapted.intercept.item() == pytest.approx(0.1 * (3 + 5) / 2)
    assert adapted.slope.item() == pytest.approx(0.1 * (1 * 3 + 2 * 5) / 2)
    assert adapted.log_variance.item() == pytest.approx(0.1 * ((9 - 1) / 2 + (25 - 1) / 2) / 2)
    assert adapted.constant.item() == adapted.linear.item() == adapted.quadratic.item() == 0


def test_an_adaptation_step_lets_the_gradient_of_the_angle_through() -> None:
    angle = degrees(10, 10).requires_grad_()
    experts = adapt(conditional(turn(mixture(), rotation(angle))), draw(2, 9), draw(2, 9), rate=0.01)
    (gradient,) = torch.autograd.grad(experts.slope.sum(), angle)
    assert (gradient != 0).all()


def test_conditionals_are_scored_before_they_are_learned() -> None:
    some, pairs = mixture(), 2 * draw(2, 6, 2)
    u, v = pairs.unbind(-1)
    start = conditional(some)
    expected = parts(refit(marginal(some), u, 2), u).logsumexp(-1).sum(1)
    expected = expected + expert_log_density(start, u[:, :3], v[:, :3]).sum(1)
    learned = adapt(start, u[:, :3], v[:, :3], 0.1)
    expected = expected + expert_log_density(learned, u[:, 3:], v[:, 3:]).sum(1)
    torch.testing.assert_close(adapted_log_likelihood(some, pairs, refits=2, batches=2, rate=0.1), expected)


@pytest.mark.parametrize("angle", [0.0, 20.0, -100.0])
def test_untouched_modules_cannot_tell_order_or_angle(angle: float) -> None:
    pairs = 2 * draw(2, 6, 2)
    forward, backward = orders(mixture(), pairs, degrees(angle, angle), refits=0, batches=1, rate=0.1)
    torch.testing.assert_close(forward, joint_log_density(mixture(), pairs).sum(1))
    torch.testing.assert_close(backward, forward)


def test_a_quarter_turn_swaps_the_orders() -> None:
    pairs = 2 * draw(2, 6, 2)
    here = orders(mixture(), pairs, degrees(20, 20), refits=2, batches=2, rate=0.01)
    there = orders(mixture(), pairs, degrees(110, 110), refits=2, batches=2, rate=0.01)
    torch.testing.assert_close(here, there[::-1])


def test_distance_knows_both_solutions_and_their_half_turns() -> None:
    angles = degrees(-45, 45, 135, 225, 0, 90, 40, -60, 22.5)
    assert distance(angles).tolist() == pytest.approx([0, 0, 0, 0, 45, 45, 5, 15, 22.5])


def test_solved_needs_the_angle_and_the_cause() -> None:
    angles, beliefs = degrees(-45, -45, 45, 45, 135, -30), torch.tensor([0.9, 0.1, 0.9, 0.1, 0.9, 0.9])
    assert solved(angles, beliefs).tolist() == [True, False, False, True, True, False]


def short_run(*, change: bool) -> Trajectories:
    return rotation_encoder(
        episodes=100, seeds=10, samples=100, batches=2, refits=3, encoder_rate=0.03, structure_rate=0.03, change=change
    )


def test_the_encoder_finds_the_causal_variables() -> None:
    run = short_run(change=True)
    assert run.angle.shape == run.belief.shape == (100, 10)
    assert solved(run.angle[-1], run.belief[-1], within=10).double().mean() >= 0.5
    assert distance(run.angle[-1]).median() < 5
    assert torch.rad2deg(run.angle[-1].min()) < -40
    assert torch.rad2deg(run.angle[-1].max()) > 40


def test_without_a_change_the_encoder_finds_nothing() -> None:
    assert distance(short_run(change=False).angle[-1]).median() > 20


def test_the_seed_decides() -> None:
    first, again, other = (rotation_encoder(episodes=3, seeds=2, samples=10, seed=seed).angle for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.abs().max() < math.pi / 8


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"seeds": 0}, {"samples": 7}, {"batches": 0}, {"knots": 1}])
def test_wrong_sizes(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least"):
        rotation_encoder(**wrong)  # type: ignore[arg-type]
