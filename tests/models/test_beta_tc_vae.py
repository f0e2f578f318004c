import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal
from torch.utils.data import DataLoader

from disentangle_pl.data.factors import Batch
from disentangle_pl.errors import InputError
from disentangle_pl.losses import stratified_log_weights
from disentangle_pl.models.beta_tc_vae import BetaTCVAE
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import SETTINGS, sprites, trainer

SHAPE = (1, 16, 16)
SIZE = 50
both_estimators = pytest.mark.parametrize("stratified", [False, True])


def tcvae(**arguments: Any) -> BetaTCVAE:
    torch.manual_seed(0)
    return BetaTCVAE(SHAPE, **(SETTINGS | arguments))


def draw(n: int) -> tuple[DiagonalGaussian, Tensor]:
    mean, logvar, noise = torch.randn(3, n, 3, generator=torch.Generator().manual_seed(0))
    q = DiagonalGaussian(mean, logvar)
    return q, q.sample(noise)


def by_hand(q: DiagonalGaussian, z: Tensor, size: int, stratified: bool) -> float:
    """The total correlation of a batch in plain loops over densities."""
    n = len(z)
    normal = Normal(q.mean, (0.5 * q.logvar).exp())
    weights = stratified_log_weights(n, size).exp() if stratified else torch.full((n, n), 1 / (size * n))
    total = 0.0
    for i in range(n):
        densities = normal.log_prob(z[i]).exp()  # type: ignore[no-untyped-call]  # q(z_i|x_j), j first
        total += math.log(sum(weights[i, j].item() * densities[j].prod().item() for j in range(n)))
        for latent in range(z.shape[1]):
            total -= math.log(sum(weights[i, j].item() * densities[j, latent].item() for j in range(n)))
    return total / n


@both_estimators
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_loss_weighs_the_total_correlation_alone(stratified: bool, n: int) -> None:
    q, z = draw(n)
    nll, kl = torch.arange(n).float(), q.kl()
    found = tcvae(beta=6.0, stratified=stratified, dataset_size=SIZE).objective(nll, kl, q, z)
    tc = by_hand(q, z, SIZE, stratified)
    assert found["tc"].item() == pytest.approx(tc, rel=1e-4, abs=1e-5)
    assert found["loss"].item() == pytest.approx((nll.mean() + kl.sum(1).mean() + 5 * tc).item(), rel=1e-4)
    assert set(found) == {"loss", "nll", "kl", "tc", "tc_gaussian"}
    torch.testing.assert_close(found["kl"], kl.sum(1).mean())
    torch.testing.assert_close(found["nll"], nll.mean())


@both_estimators
def test_the_logged_total_correlation_is_that_of_the_latents_and_moves_nothing(stratified: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    mean = (0.99 * torch.randn(64, 10, generator=generator)).requires_grad_()
    q = DiagonalGaussian(mean, torch.full((64, 10), math.log(1 - 0.99**2)))
    z = q.sample(torch.randn(64, 10, generator=generator))
    found = tcvae(stratified=stratified, dataset_size=737_280).objective(torch.zeros(64), q.kl(), q, z)
    assert abs(found["tc_gaussian"].item()) < 0.15
    assert abs(found["tc"].item()) > (1 if stratified else 100)
    assert not found["tc_gaussian"].requires_grad


@both_estimators
def test_with_beta_one_it_is_the_vae(stratified: bool) -> None:
    model = tcvae(beta=1.0, stratified=stratified, dataset_size=SIZE)
    plain = BetaVAE(SHAPE, **SETTINGS, beta=1.0)
    plain.load_state_dict(model.state_dict())
    image = torch.rand(5, *SHAPE)
    noise = torch.randn(5, 3)
    found, expected = model.terms(image, noise), plain.terms(image, noise)
    assert torch.equal(found["loss"], expected["loss"])
    torch.autograd.backward([found["loss"], expected["loss"]])
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)


def test_the_size_of_the_data_set_shifts_weighted_sampling_by_a_constant() -> None:
    q, z = draw(6)
    small, large = (tcvae(dataset_size=n).objective(torch.zeros(6), q.kl(), q, z)["tc"] for n in (10, 1000))
    torch.testing.assert_close(large - small, torch.tensor(2 * math.log(100)))


def test_the_statistics_are_those_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    (q, z), n = draw(8), 4
    model = tcvae(dataset_size=SIZE, stratified=True)
    everywhere = {rows[:n].sum().item(): rows for rows in (*q, z)}
    monkeypatch.setattr(model, "gather", lambda rows: everywhere[rows.sum().item()])
    own = DiagonalGaussian(q.mean[:n], q.logvar[:n])
    found = model.objective(torch.zeros(n), own.kl(), own, z[:n])
    assert found["tc"].item() == pytest.approx(by_hand(q, z, SIZE, True), rel=1e-4)


@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_the_data_tell_the_number_of_training_images(stage: str, tmp_path: Path) -> None:
    model, given, data = tcvae(), tcvae(dataset_size=7), sprites(4, steps=1)
    for one in (model, given):
        run = trainer(tmp_path, limit_val_batches=1)
        run.fit(one, data) if stage == "fit" else run.validate(one, data, verbose=False)
    assert model.dataset_size == 48
    assert given.dataset_size == 7


def test_data_that_do_not_tell_their_size_are_refused_for_training_only(tmp_path: Path) -> None:
    batches = [Batch(torch.rand(4, *SHAPE), torch.zeros(4, 1))]
    loader: DataLoader[Batch] = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    run = trainer(tmp_path)
    with pytest.raises(InputError, match=r"number of training images: set model\.dataset_size"):
        run.fit(tcvae(), loader, loader)
    model = tcvae()
    (found,) = trainer(tmp_path).validate(model, loader, verbose=False)
    assert model.dataset_size is None
    assert math.isfinite(found["val/tc"])


@pytest.mark.parametrize("wrong", [{"beta": -1.0}, {"dataset_size": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="beta must not be negative nor dataset_size below 1"):
        tcvae(**wrong)
