import math
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.optim import Adam

from disentangle_pl.aggregation import AdaGVAE, AdaMLVAE
from disentangle_pl.backbones import MLPBackbone
from disentangle_pl.data.factors import Batch
from disentangle_pl.errors import InputError
from disentangle_pl.likelihoods import Gaussian
from disentangle_pl.masks.channel_mask import density
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.vae import VAE
from tests.models.tiny import sprites, tiny, trainer

DRAWS = 4000


def images(*size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(0))


def noise(rows: int) -> Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_loss_is_the_nll_plus_beta_times_the_kl(beta: float) -> None:
    model, x, eps = tiny(beta=beta), images(5, 1, 16, 16).round(), noise(5)
    q = model.encode(x)
    posterior = Normal(q.mean, (0.5 * q.logvar).exp())
    logits = model.backbone.decode(q.mean + eps * posterior.scale)
    pixels = -Bernoulli(logits=logits).log_prob(x)  # type: ignore[no-untyped-call]
    nll = pixels.sum((1, 2, 3)).mean()
    kl = kl_divergence(posterior, Normal(0, 1)).sum(1).mean()
    terms = model.terms(x, eps)
    assert set(terms) == {"loss", "nll", "kl"}
    torch.testing.assert_close(terms["nll"], nll)
    torch.testing.assert_close(terms["kl"], kl)
    torch.testing.assert_close(terms["loss"], nll + beta * kl)


def test_with_beta_one_the_loss_bounds_the_evidence() -> None:
    model = tiny(beta=1.0, likelihood=Gaussian(0.5))
    x = images(1, 1, 16, 16).expand(DRAWS, 1, 16, 16)
    with torch.no_grad():
        # log p(x) by importance sampling from the posterior, which the negative loss may not exceed
        q = model.encode(x)
        posterior = Normal(q.mean, (0.5 * q.logvar).exp())
        z = q.sample(noise(DRAWS))
        log_ratio = Normal(0, 1).log_prob(z) - posterior.log_prob(z)  # type: ignore[no-untyped-call]
        log_weights = log_ratio.sum(1) - model.likelihood(model.backbone.decode(z), x)
        evidence = log_weights.logsumexp(0) - math.log(DRAWS)
        loss = model.terms(x, noise(DRAWS))["loss"]
    torch.testing.assert_close(-loss, log_weights.mean(), rtol=1e-5, atol=1e-2)
    assert -loss < evidence


def test_decoding_gives_images() -> None:
    model = tiny()
    decoded = model.decode(noise(2))
    assert decoded.shape == (2, 1, 16, 16)
    torch.testing.assert_close(decoded, model.backbone.decode(noise(2)).sigmoid())


def test_pairs_without_aggregation_are_the_mean_of_two_single_batches() -> None:
    model, pairs, eps = tiny(), images(5, 2, 1, 16, 16), noise(10)
    together = model.terms(pairs, eps)
    apart = [model.terms(pairs[:, i], eps[i::2]) for i in (0, 1)]
    for name, value in together.items():
        torch.testing.assert_close(value, (apart[0][name] + apart[1][name]) / 2)


@pytest.mark.parametrize("kind", [AdaGVAE, AdaMLVAE])
def test_aggregated_pairs_are_decoded_from_the_aggregated_posterior(kind: type[AdaGVAE]) -> None:
    model, pairs, eps = tiny(aggregation=kind()), images(5, 2, 1, 16, 16), noise(10)
    q = model.encode(pairs.flatten(0, 1))
    posterior, shared, _ = kind()(type(q)(q.mean.view(5, 2, 3), q.logvar.view(5, 2, 3)))
    mean, logvar = posterior.mean.view(10, 3), posterior.logvar.view(10, 3)
    assert not torch.equal(mean, q.mean)
    z = mean + eps * (0.5 * logvar).exp()
    grey = Bernoulli(logits=model.backbone.decode(z), validate_args=False)
    nll = -grey.log_prob(pairs.flatten(0, 1))  # type: ignore[no-untyped-call]
    terms = model.terms(pairs, eps)
    torch.testing.assert_close(terms["nll"], nll.sum((1, 2, 3)).mean())
    torch.testing.assert_close(terms["kl"], posterior.kl().sum(-1).mean())
    assert terms["shared"] == shared.sum() / 5


def test_a_pair_of_one_image_twice_gains_nothing_from_aggregation() -> None:
    torch.manual_seed(0)
    plain = tiny()
    torch.manual_seed(0)
    sharing = tiny(aggregation=AdaGVAE())
    pairs = images(5, 1, 1, 16, 16).expand(5, 2, 1, 16, 16)
    terms = sharing.terms(pairs, noise(10))
    assert terms.pop("shared") == 0
    torch.testing.assert_close(terms, plain.terms(pairs, noise(10)))


def test_aggregation_without_pairs_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.pairs"):
        tiny(aggregation=AdaGVAE()).terms(images(4, 1, 16, 16))


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(InputError, match="beta must not be negative, got -1"):
        tiny(beta=-1.0)


def test_a_vae_without_an_objective_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="objective"):
        VAE((1, 16, 16))  # type: ignore[abstract]


def test_the_mask_penalty_enters_with_its_strength_and_is_logged_without(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, Tensor] = {}
    monkeypatch.setattr(BetaVAE, "log_dict", lambda self, values, **_: logged.update(values))
    model = tiny(mask=partial(L1Mask, strength=0.25))
    entries = sum(masked.mask.penalty(masked.weight).item() for masked in model.masks)
    assert entries == density(model).total > 0
    batch = Batch(images(4, 1, 16, 16), torch.zeros(4, 1))
    torch.manual_seed(0)
    loss = model.training_step(batch, 0)
    torch.manual_seed(0)
    plain = model.terms(batch.image)
    torch.testing.assert_close(loss, plain["loss"] + 0.25 * entries)
    assert set(logged) == {"train/loss", "train/nll", "train/kl", "train/mask_penalty"}
    torch.testing.assert_close(logged["train/loss"], loss.detach())
    torch.testing.assert_close(logged["train/nll"], plain["nll"].detach())
    assert logged["train/mask_penalty"] == entries


def test_masks_are_spared_from_weight_decay_and_no_parameter_is_forgotten() -> None:
    model = tiny(mask=L1Mask, likelihood=Gaussian(), optimizer=partial(Adam, lr=1e-3, weight_decay=0.1))
    weights, gates = model.configure_optimizers().param_groups
    assert (weights["weight_decay"], gates["weight_decay"]) == (0.1, 0)
    assert {id(gate) for gate in gates["params"]} == {id(p) for masked in model.masks for p in masked.mask.parameters()}
    optimised = {id(parameter) for parameter in weights["params"] + gates["params"]}
    assert optimised == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert len(tiny(mask=RandomMask).configure_optimizers().param_groups) == 1


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((1, 8, 16, 12), {}),
        ((1, 8, 16, 12), {"mask": L1Mask, "aggregation": AdaGVAE(), "likelihood": Gaussian(learned=True)}),
        ((3, 16, 16), {"mask": partial(RandomMask, density=0.3)}),
        ((1, 5, 7), {"backbone": partial(MLPBackbone, encoder_widths=(8,), decoder_widths=(8,)), "mask": L1Mask}),
    ],
)
def test_every_parameter_of_a_composed_model_gets_a_gradient(
    shape: tuple[int, ...], arguments: dict[str, object]
) -> None:
    model = tiny(shape, **arguments)
    torch.autograd.backward(model.terms(images(4, 2, *shape))["loss"])
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_training_lowers_the_loss_and_writes_nothing(tmp_path: Path) -> None:
    seed_everything(0, verbose=False)
    model, data = tiny(beta=1.0, optimizer=partial(Adam, lr=1e-2)), sprites(16, steps=15)
    validation = trainer(tmp_path)
    before = validation.validate(model, data, verbose=False)[0]
    trainer(tmp_path, limit_val_batches=0).fit(model, data)
    after = validation.validate(model, data, verbose=False)[0]
    assert set(after) == {"val/loss", "val/nll", "val/kl", "val/mse"}
    assert after["val/loss"] < 0.8 * before["val/loss"]
    assert list(tmp_path.iterdir()) == []


def test_validation_repeats_itself_and_leaves_the_random_numbers_of_training_alone(tmp_path: Path) -> None:
    model, data = tiny(), sprites(16)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = (trainer(tmp_path).validate(model, data, verbose=False) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_prediction_gives_the_posterior_of_every_image_in_order(tmp_path: Path) -> None:
    model, data = tiny(), sprites(16)
    posteriors = trainer(tmp_path).predict(model, data)
    assert posteriors is not None
    with torch.no_grad():
        expected = model.encode(data.dataset.images(torch.arange(48))).mean
    torch.testing.assert_close(torch.cat([q.mean for q in posteriors]), expected)  # type: ignore[union-attr]


def test_a_diverged_run_ends_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny()
    monkeypatch.setattr(model, "terms", lambda image, **known: {"loss": torch.tensor(float("nan"))})
    monkeypatch.setattr(model, "log_dict", lambda *args, **kwargs: None)
    with pytest.raises(InputError, match=r"the loss became nan by step 0: lower the learning rate"):
        model.training_step(Batch(torch.zeros(2, 1, 8, 8), torch.zeros(2, 1)), 0)
