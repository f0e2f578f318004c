"""The rounds of the lottery ticket: every parameter and the optimiser back to the start, whatever happens between."""

import socket
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.optim import Adam
from torch.optim.lr_scheduler import StepLR

from disentangle_pl.callbacks.resume import ExactResume
from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import density
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.masks.magnitude import MagnitudeMask
from disentangle_pl.masks.placement import Placement
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.factor_vae import FactorVAE
from disentangle_pl.models.vae import VAE
from tests.models.tiny import SETTINGS, sprites, tiny, trainer
from tests.ranks import RANKS, join

RATE = 1e-2
ADAM = partial(Adam, lr=RATE)
ROUNDS = partial(MagnitudeMask, density=0.25, rounds=2, interval=3)


def values(model: VAE) -> dict[str, Tensor]:
    """Copy all parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


class StopAfter(Callback):
    """Ends a training after some batches."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        trainer.should_stop |= args[-1] + 1 >= self.batches


def train(folder: Path, model: VAE, steps: int, **arguments: Any) -> Trainer:
    """Take some steps of a training that is planned for more."""
    run = trainer(folder, limit_val_batches=0, max_steps=60, callbacks=[StopAfter(steps)], **arguments)
    run.fit(model, sprites(8, steps=60))
    return run


@pytest.mark.parametrize("placement", [Placement(), Placement(encoder=False)])
def test_every_parameter_goes_back_and_the_optimiser_forgets(tmp_path: Path, placement: Placement) -> None:
    model = tiny(mask=ROUNDS, placement=placement, optimizer=ADAM)
    first = values(model)
    before = density(model.backbone.decoder)
    run = train(tmp_path, model, 3)
    now = values(model)
    assert all(torch.equal(now[name], value) for name, value in first.items())
    assert density(model.backbone.decoder).kept == pytest.approx(before.total / 2, rel=0.02)
    assert density(model.backbone.encoder).kept == pytest.approx(
        density(model.backbone.encoder).total / (2 if placement.encoder else 1), rel=0.02
    )
    assert len(run.optimizers[0].state) == 0


def test_what_follows_is_a_training_from_the_start(tmp_path: Path) -> None:
    model = tiny(mask=ROUNDS, optimizer=ADAM)
    first = values(model)
    run = train(tmp_path, model, 4)
    optimizer = run.optimizers[0]
    assert {int(state["step"]) for state in optimizer.state.values()} == {1}
    moved = {name: float((value - first[name]).abs().max()) for name, value in values(model).items()}
    assert max(moved.values()) == pytest.approx(RATE, rel=1e-3)  # Adam's first step, whatever the gradient
    assert min(moved.values()) > 0


def test_the_last_round_is_trained_to_the_end(tmp_path: Path) -> None:
    model = tiny(mask=ROUNDS, optimizer=ADAM)
    run = train(tmp_path, model, 11)
    assert {int(state["step"]) for state in run.optimizers[0].state.values()} == {5}
    assert density(model.backbone).kept == pytest.approx(density(model.backbone).total / 4, rel=0.02)


@pytest.mark.parametrize("mask", [partial(ROUNDS, rewind=False), L1Mask, None])
def test_without_rewinding_the_training_goes_on(tmp_path: Path, mask: Any) -> None:
    model = tiny(mask=mask, optimizer=ADAM)
    first = values(model)
    run = train(tmp_path, model, 3)
    assert not all(torch.equal(value, first[name]) for name, value in values(model).items())
    assert {int(state["step"]) for state in run.optimizers[0].state.values()} == {3}
    checkpoint: dict[str, Any] = {}
    model.on_save_checkpoint(checkpoint)
    assert checkpoint["first_parameters"] == {}


def test_accumulated_gradients_count_as_one_step(tmp_path: Path) -> None:
    model = tiny(mask=ROUNDS, optimizer=ADAM)
    first = values(model)
    run = train(tmp_path, model, 6, accumulate_grad_batches=2)
    assert run.global_step == 3
    assert all(torch.equal(value, first[name]) for name, value in values(model).items())


def test_the_discriminator_goes_back_and_the_learning_rates_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = SETTINGS | {"mask": ROUNDS, "optimizer": ADAM}
    model = FactorVAE((1, 16, 16), width=8, depth=1, discriminator_lr=0.3, **settings)
    first = values(model)
    run = train(tmp_path, model, 3)
    assert any(name.startswith("discriminator") for name in first)
    assert all(torch.equal(value, first[name]) for name, value in values(model).items())
    assert [group["lr"] for group in run.optimizers[0].param_groups] == [RATE, 0.3]


def test_first_values_travel_in_a_checkpoint_that_may_hold_no_code(tmp_path: Path) -> None:
    model = tiny(mask=ROUNDS, optimizer=ADAM)
    first = values(model)
    kept: dict[str, Any] = {}
    train(tmp_path, model, 2)
    model.on_save_checkpoint(kept)
    torch.save(kept, tmp_path / "kept")
    other = tiny(mask=ROUNDS, optimizer=ADAM)
    other.on_load_checkpoint(torch.load(tmp_path / "kept", weights_only=True))
    train(tmp_path, other, 3)
    assert all(torch.equal(value, first[name]) for name, value in values(other).items())


def test_a_late_rewind_goes_back_to_the_step_it_names(tmp_path: Path) -> None:
    model = tiny(mask=partial(ROUNDS, rewind_to=2), optimizer=ADAM)
    seen: dict[int, dict[str, Tensor]] = {}

    class Watch(Callback):
        """Copies the parameters after every step."""

        def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
            seen[trainer.global_step] = values(model)

    run = trainer(tmp_path, limit_val_batches=0, callbacks=[Watch()])
    run.fit(model, sprites(8, steps=9))
    for step in (3, 6):
        assert all(torch.equal(value, seen[2][name]) for name, value in seen[step].items())
    assert not all(torch.equal(value, seen[2][name]) for name, value in seen[9].items())
    checkpoint: dict[str, Any] = {}
    model.on_save_checkpoint(checkpoint)
    assert all(torch.equal(value, seen[2][name]) for name, value in checkpoint["first_parameters"].items())


@pytest.mark.parametrize(
    ("mask", "steps", "sentence"),
    [
        (ROUNDS, 6, "take 9 steps, and this training has 6: it would end with a network that has gone back"),
        (ROUNDS, 8, "take 9 steps, and this training has 8"),
        (ROUNDS, 5, r"reach the density of 0\.25 after 6 steps, and this training has 5"),
        (partial(ROUNDS, rewind=False), 5, r"reach the density of 0\.25 after 6 steps, and this training has 5"),
    ],
    ids=str,
)
def test_a_training_too_short_for_its_rounds_is_refused(tmp_path: Path, mask: Any, steps: int, sentence: str) -> None:
    model = tiny(mask=mask, optimizer=ADAM)
    first = values(model)
    with pytest.raises(InputError, match=sentence):
        trainer(tmp_path, limit_val_batches=0).fit(model, sprites(8, steps=steps))
    assert all(torch.equal(value, first[name]) for name, value in values(model).items())


@pytest.mark.parametrize(("mask", "steps"), [(ROUNDS, 9), (partial(ROUNDS, rewind=False), 6)])
def test_a_training_that_is_just_long_enough_delivers_its_density(tmp_path: Path, mask: Any, steps: int) -> None:
    model = tiny(mask=mask, optimizer=ADAM)
    trainer(tmp_path, limit_val_batches=0).fit(model, sprites(8, steps=steps))
    assert density(model.backbone).kept == pytest.approx(density(model.backbone).total / 4, rel=0.02)


class Scheduled(BetaVAE):
    """Halves the learning rate at every step."""

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": StepLR(optimizer, 1, 0.5), "interval": "step"}}


def test_a_schedule_goes_on(tmp_path: Path) -> None:
    model = Scheduled((1, 16, 16), **(SETTINGS | {"mask": ROUNDS, "optimizer": ADAM}))
    run = train(tmp_path, model, 4)
    assert run.optimizers[0].param_groups[0]["lr"] == RATE / 16


class Terminate(Callback):
    """Sends SIGTERM, as far as Lightning can tell, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.steps:
            trainer._signal_connector.received_sigterm = True


def begin(folder: Path, *extra: Callback, checkpoint: Path | None = None) -> tuple[BetaVAE, Trainer]:
    """Take 10 steps in 2 epochs, with rewinds after 3 and 6."""
    seed_everything(0 if checkpoint is None else 1, verbose=False)  # other first values, were it not for the checkpoint
    model = tiny(mask=ROUNDS, optimizer=ADAM)
    seed_everything(0, verbose=False)
    run = trainer(folder, max_epochs=2, callbacks=[ExactResume(), *extra])
    run.fit(model, sprites(8, steps=5), ckpt_path=checkpoint, weights_only=False)
    return model, run


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize("steps", [2, 3, 5, 6])
def test_a_killed_run_goes_back_to_where_it_began(tmp_path: Path, steps: int) -> None:
    unbroken, whole = begin(tmp_path)
    with pytest.raises(SIGTERMException):
        begin(tmp_path, Terminate(steps))
    resumed, rest = begin(tmp_path, checkpoint=tmp_path / "checkpoints" / "last.ckpt")
    for name, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    moments, expected = (run.optimizers[0].state_dict()["state"] for run in (rest, whole))
    assert moments.keys() == expected.keys()
    for key, state in expected.items():
        assert all(torch.equal(moments[key][name], value) for name, value in state.items())


def on_one_rank(rank: int, port: int, folder: Path) -> tuple[dict[str, Any], dict[str, Any], set[int]]:
    warnings.simplefilter("ignore")
    join(rank, port)
    seed_everything(0, verbose=False)
    model = tiny(mask=ROUNDS, optimizer=ADAM)
    first = values(model)
    run = train(folder, model, 4, strategy="ddp", devices=2)
    steps = {int(state["step"]) for state in run.optimizers[0].state.values()}
    now = {name: value.numpy() for name, value in model.state_dict().items()}
    return {name: value.numpy() for name, value in first.items()}, now, steps


def test_all_processes_go_back_alike(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with ProcessPoolExecutor(2, mp_context=RANKS) as pool:
        ranks = pool.map(on_one_rank, (0, 1), (port, port), (tmp_path, tmp_path), timeout=120)
        (first, mine, steps), (_, theirs, others) = ranks
    assert steps == others == {1}
    assert all((theirs[name] == value).all() for name, value in mine.items())
    moved = max(abs(mine[name] - value).max() for name, value in first.items())
    assert moved == pytest.approx(RATE, rel=1e-3)
