import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from disentangle_pl.errors import InputError
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.factor_vae import FactorVAE, discriminator
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import SETTINGS, sprites, trainer

SHAPE = (1, 16, 16)
both_conventions = pytest.mark.parametrize("two_batches", [False, True])


def factor(**arguments: Any) -> FactorVAE:
    torch.manual_seed(0)
    return FactorVAE(SHAPE, **(SETTINGS | {"width": 16, "depth": 2} | arguments))


def images(n: int) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(0))


def noise(n: int) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(1))


def terms(model: FactorVAE, n: int) -> dict[str, Tensor]:
    torch.manual_seed(2)
    return model.terms(images(n), noise(n))


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def shuffled(z: Tensor) -> Tensor:
    """Permute every latent in a loop, with the random numbers that the model uses."""
    order = torch.rand(z.shape)
    return torch.stack([column[order[:, i].argsort()] for i, column in enumerate(z.unbind(1))], 1)


def two_backward_passes(model: FactorVAE, n: int) -> dict[str, Tensor | None]:
    """The published update: one backward pass for the VAE, then one for the discriminator, each with its own leaves."""
    x = images(n)
    q = model.encode(x)
    z = q.sample(noise(n))
    half = (n + 1) // 2 if model.two_batches else n
    logits = model.discriminator(z[:half])
    elbo = model.likelihood(model.backbone.decode(z), x).mean() + q.kl().sum(1).mean()
    vae = list(model.backbone.parameters())
    own = torch.autograd.grad(elbo + model.gamma * (logits[:, 0] - logits[:, 1]).mean(), vae)

    torch.manual_seed(2)
    told = model.discriminator(z[:half].detach())
    fooled = model.discriminator(shuffled(z[half:] if model.two_batches else z).detach())
    zeros, ones = torch.zeros(len(told), dtype=torch.long), torch.ones(len(fooled), dtype=torch.long)
    loss = 0.5 * (F.cross_entropy(told, zeros) + F.cross_entropy(fooled, ones))
    other = torch.autograd.grad(loss, list(model.discriminator.parameters()))
    names = [name for name, _ in model.named_parameters()]
    return dict(zip(names, (*own, *other), strict=True))


@both_conventions
@pytest.mark.parametrize("n", [2, 8, 9])
def test_one_backward_pass_gives_the_gradients_of_two(two_batches: bool, n: int) -> None:
    model = factor(gamma=20.0, two_batches=two_batches)
    torch.autograd.backward(terms(model, n)["loss"])
    expected = two_backward_passes(copy.deepcopy(model), n)
    assert [name.split(".")[0] for name in expected][-1] == "discriminator"
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-6)


@both_conventions
def test_the_terms_by_hand(two_batches: bool) -> None:
    model = factor(gamma=3.0, two_batches=two_batches)
    nll, kl = torch.tensor([1.0, 2.0, 6.0]), torch.arange(9.0).view(3, 3)
    z = noise(3)
    q = DiagonalGaussian(z, z)
    torch.manual_seed(2)
    found = model.objective(nll, kl, q, z)
    torch.manual_seed(2)
    told = model.discriminator(z[:2] if two_batches else z)
    fooled = model.discriminator(shuffled(z[2:] if two_batches else z))
    tc = (told[:, 0] - told[:, 1]).mean()
    loss = -0.5 * (told.log_softmax(1)[:, 0].mean() + fooled.log_softmax(1)[:, 1].mean())
    accuracy = 0.5 * ((told.argmax(1) == 0).float().mean() + (fooled.argmax(1) == 1).float().mean())
    expected = {
        "loss": 3 + 12 + 3 * tc + loss,
        "nll": nll.mean(),
        "kl": torch.tensor(12.0),
        "tc": tc,
        "discriminator_loss": loss,
        "discriminator_accuracy": accuracy,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_the_accuracy_is_that_of_the_guesses() -> None:
    model = factor()

    class Sign(nn.Module):
        """Says joint, class 0, where the first latent is positive."""

        def forward(self, z: Tensor) -> Tensor:
            return torch.stack((z[:, 0], -z[:, 0]), 1)

    model.discriminator = Sign()  # type: ignore[assignment]
    z = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0], [-1, 0, 0]])
    found = model.objective(torch.zeros(4), torch.zeros(4, 3), DiagonalGaussian(z, z), z)
    # 3 of 4 are told right; permuted, the same 4 values come again, of which 1 is told right
    assert found["discriminator_accuracy"] == (0.75 + 0.25) / 2
    assert found["tc"] == 1.0


def test_the_two_networks_get_no_gradient_from_the_loss_of_the_other() -> None:
    model = factor()
    found = terms(model, 8)
    vae, adversary = list(model.backbone.parameters()), list(model.discriminator.parameters())

    def reached(term: str, leaves: list[nn.Parameter]) -> bool:
        grads = torch.autograd.grad(found[term], leaves, retain_graph=True, allow_unused=True)
        return any(grad is not None and bool(grad.any()) for grad in grads)

    assert reached("tc", vae)
    assert reached("discriminator_loss", adversary)
    assert not reached("tc", adversary)
    assert not reached("discriminator_loss", vae)


@both_conventions
def test_without_gamma_the_backbone_learns_as_in_the_vae(two_batches: bool) -> None:
    model = factor(gamma=0.0, two_batches=two_batches)
    plain = BetaVAE(SHAPE, **SETTINGS, beta=1.0)
    plain.backbone.load_state_dict(model.backbone.state_dict())
    torch.autograd.backward(terms(model, 6)["loss"])
    torch.autograd.backward(plain.terms(images(6), noise(6))["loss"])
    expected = gradients(plain)
    for name, gradient in gradients(model).items():
        assert name.startswith("discriminator") or torch.equal(gradient, expected[name]), name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "two_batches", "joint", "other"),
    [
        (1, False, [0], [0]),
        (5, False, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        (1, True, [0], [0]),
        (2, True, [0], [1]),
        (5, True, [0, 1, 2], [3, 4]),
        (6, True, [0, 1, 2], [3, 4, 5]),
    ],
)
def test_which_latents_the_discriminator_sees(n: int, two_batches: bool, joint: list[int], other: list[int]) -> None:
    model = factor(two_batches=two_batches)
    seen: list[Tensor] = []
    model.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    z = noise(n)
    loss = model.objective(torch.zeros(n), torch.zeros(n, 3), DiagonalGaussian(z, z), z)["loss"]
    assert loss.isfinite()
    for_tc, told, fooled = seen
    assert torch.equal(for_tc, z[joint])
    assert torch.equal(told, z[joint])
    assert torch.equal(fooled.sort(0).values, z[other].sort(0).values)


def test_the_optimiser_treats_the_discriminator_by_its_own_settings() -> None:
    settings: dict[str, Any] = {"discriminator_lr": 5e-3, "discriminator_betas": [0.4, 0.8]}
    optimizer = partial(Adam, lr=1e-2, weight_decay=0.1)
    model = factor(mask=L1Mask, optimizer=optimizer, **settings)
    weights, told, gates = model.configure_optimizers().param_groups
    assert (weights["lr"], weights["betas"]) == (1e-2, (0.9, 0.999))
    assert (told["lr"], told["betas"]) == (5e-3, (0.4, 0.8))
    assert (weights["weight_decay"], told["weight_decay"], gates["weight_decay"]) == (0.1, 0.1, 0)
    assert set(map(id, told["params"])) == set(map(id, model.discriminator.parameters()))
    every = [id(parameter) for group in (weights, told, gates) for parameter in group["params"]]
    assert len(every) == len(set(every))
    assert set(every) == set(map(id, model.parameters()))


def test_the_discriminator_is_the_published_one() -> None:
    model = FactorVAE(SHAPE, **(SETTINGS | {"latent_dim": 10}))
    ((told, settings),) = model.own_settings
    assert told is model.discriminator
    assert settings == {"lr": 1e-4, "betas": (0.5, 0.9)}
    linear = [tuple(layer.weight.shape) for layer in told.modules() if isinstance(layer, nn.Linear)]
    assert linear == [(1000, 10), *[(1000, 1000)] * 5, (2, 1000)]
    slopes = [layer.negative_slope for layer in told.modules() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.2] * 6


def test_the_discriminator_starts_as_that_of_the_study() -> None:
    torch.manual_seed(0)
    layers = [layer for layer in discriminator(10, 1000, 6) if isinstance(layer, nn.Linear)]
    for layer in layers:
        assert not layer.bias.any()
        limit = (6 / (layer.in_features + layer.out_features)) ** 0.5  # Glorot & Bengio 2010, eq. 16
        assert 0.98 * limit < layer.weight.abs().max().item() <= limit
        assert layer.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.05)


def test_the_discriminator_learns_to_tell_entangled_latents() -> None:
    model = factor(gamma=1.0, discriminator_lr=1e-2, optimizer=Adam)
    optimizer = model.configure_optimizers()
    first = noise(64)[:, :1]
    z = torch.cat((first, first + 0.2 * noise(64)[:, 1:]), 1)
    q = DiagonalGaussian(z, z)
    for _ in range(40):
        found = model.objective(torch.zeros(64), torch.zeros(64, 3), q, z)
        optimizer.zero_grad()
        torch.autograd.backward(found["loss"])
        optimizer.step()
    assert found["discriminator_accuracy"] > 0.8
    assert found["tc"] > 0.5


def test_a_step_moves_both_networks_and_counts_once(tmp_path: Path) -> None:
    model = factor(optimizer=partial(Adam, lr=1e-3))
    before = {name: value.clone() for name, value in model.named_parameters()}
    run = trainer(tmp_path, limit_val_batches=0)
    run.fit(model, sprites(4, steps=1))
    assert run.global_step == 1
    assert all(not torch.equal(value, before[name]) for name, value in model.named_parameters())


@both_conventions
def test_validation_repeats_itself_and_leaves_the_random_numbers_of_training_alone(
    two_batches: bool, tmp_path: Path
) -> None:
    model, data = factor(two_batches=two_batches), sprites(16)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = (trainer(tmp_path).validate(model, data, verbose=False) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_noise_of_a_validation_batch_does_not_tell_its_permutation(number: int) -> None:
    model, seen = factor().eval(), []
    model.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    z = torch.randn(4000, 3, generator=torch.Generator().manual_seed(number))
    model.objective(torch.zeros(1), torch.zeros(1, 3), DiagonalGaussian(z, z), z)
    assert (torch.corrcoef(seen[2].T) - torch.eye(3)).abs().max() < 5 / 4000**0.5


@pytest.mark.parametrize("wrong", [{"gamma": -1.0}, {"width": 0}, {"depth": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="FactorVAE needs gamma >= 0, width >= 1 and depth >= 1, got"):
        factor(**wrong)


def test_one_hidden_layer_is_enough() -> None:
    assert [type(layer) for layer in discriminator(4, 8, 1)] == [nn.Linear, nn.LeakyReLU, nn.Linear]
