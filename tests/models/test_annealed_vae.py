from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from disentangle_pl.errors import InputError
from disentangle_pl.models.annealed_vae import AnnealedVAE
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import SETTINGS, sprites, trainer

# 2 images, 3 latents: the KL of the images is 1.5 and 4.5, on average 3
KL = torch.tensor([[0.5, 1.0, 0.0], [3.0, 1.0, 0.5]])
NLL = torch.tensor([10.0, 20.0])
Q, Z = DiagonalGaussian(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2, 3)


def annealed(**arguments: Any) -> AnnealedVAE:
    return AnnealedVAE((1, 16, 16), **(SETTINGS | arguments))


@pytest.mark.parametrize(("step", "target"), [(0, 0.0), (10, 1.0), (50, 5.0), (80, 8.0), (200, 8.0)])
def test_the_loss_is_the_nll_plus_gamma_times_the_distance_to_the_capacity(
    step: int, target: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnnealedVAE, "global_step", step)
    model = annealed(gamma=7.0, max_capacity=8.0, annealing_steps=80)
    expected = {"loss": 15 + 7 * abs(3 - target), "nll": 15.0, "kl": 3.0, "capacity": target}
    terms = model.objective(NLL, KL, Q, Z)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected)


@pytest.mark.parametrize(("step", "sign"), [(0, 1.0), (80, -1.0)])
def test_the_capacity_draws_the_kl_from_below_and_from_above(
    step: int, sign: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnnealedVAE, "global_step", step)
    kl = KL.clone().requires_grad_()
    model = annealed(gamma=7.0, max_capacity=8.0, annealing_steps=80)
    torch.autograd.backward(model.objective(NLL, kl, Q, Z)["loss"])
    torch.testing.assert_close(kl.grad, torch.full((2, 3), sign * 7 / 2))


def test_without_capacity_it_is_the_beta_vae() -> None:
    terms = annealed(gamma=4.0, max_capacity=0.0).objective(NLL, KL, Q, Z)
    assert terms["loss"] == 15 + 4 * 3


def test_the_distance_is_that_of_the_mean_over_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = annealed(gamma=7.0, max_capacity=4.0, annealing_steps=1)
    monkeypatch.setattr(AnnealedVAE, "global_step", 1)
    # the other process: KL 5 and 7, so that the mean is 4.5, while each by itself is at a distance of 1 and 2
    monkeypatch.setattr(model, "gather", lambda rows: torch.cat((rows, torch.tensor([5.0, 7.0]))))
    torch.testing.assert_close(model.objective(NLL, KL, Q, Z)["loss"], torch.tensor(15 + 7 * 0.5))


class Capacities(Callback):
    """Remembers the logged capacity of every batch."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.seen.append(trainer.callback_metrics["train/capacity"])


@pytest.mark.parametrize(
    ("accumulate", "expected"), [(1, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]), (2, [0.0, 0.0, 0.5, 0.5, 1.0, 1.0])]
)
def test_the_capacity_grows_with_the_steps_of_the_optimiser(
    accumulate: int, expected: list[float], tmp_path: Path
) -> None:
    model, capacities = annealed(max_capacity=2.0, annealing_steps=4), Capacities()
    settings: dict[str, Any] = {"log_every_n_steps": 1, "accumulate_grad_batches": accumulate}
    trainer(tmp_path, callbacks=[capacities], limit_val_batches=1, **settings).fit(model, sprites(4, steps=6))
    assert [seen.item() for seen in capacities.seen] == expected


@pytest.mark.parametrize("wrong", [{"gamma": -1.0}, {"max_capacity": -0.5}, {"annealing_steps": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="needs gamma >= 0, max_capacity >= 0 and annealing_steps >= 1"):
        annealed(**wrong)
