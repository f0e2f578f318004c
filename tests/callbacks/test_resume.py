import io
import random
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim import Adam

from disentangle_pl.aggregation import AdaGVAE
from disentangle_pl.callbacks.resume import ExactResume, close_loggers, is_preemption
from disentangle_pl.callbacks.run_record import RunRecord
from disentangle_pl.data.pairs import UniformPairs
from disentangle_pl.loggers import WandbRun
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.notice import NOTICE
from disentangle_pl.run_state import FAILED, PREEMPTED, STOPPED, Claim, read_state
from tests.models.tiny import sprites, tiny, trainer

NOBODY: Any = None


def draw() -> list[float]:
    """Draw from every global generator, an odd number of normals so that one is kept back."""
    numpy = np.random.normal(size=3).tolist()  # noqa: NPY002 - the state of the global generator is under test
    return [*torch.rand(3).tolist(), *numpy, random.random(), random.gauss(0, 1)]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """Save and load as a checkpoint that may hold no code."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return cast(dict[str, Any], torch.load(file, weights_only=True))


def test_the_generators_go_on_where_the_checkpoint_was_taken() -> None:
    draw()
    state = through_a_file(ExactResume().state_dict())
    expected = [draw(), draw()]
    resumed = ExactResume()
    resumed.load_state_dict(state)
    draw()  # whatever is drawn between the restoring and the start of the training
    resumed.on_train_start(NOBODY, NOBODY)
    assert [draw(), draw()] == expected


def test_every_process_goes_on_with_the_generator_of_the_gpu_that_drew(monkeypatch: pytest.MonkeyPatch) -> None:
    states, own = [torch.tensor([7], dtype=torch.uint8), torch.tensor([0], dtype=torch.uint8)], 0
    for name in ("is_available", "is_initialized"):
        monkeypatch.setattr(torch.cuda, name, lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(states))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: states[own])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state: states.__setitem__(own, state))
    state = through_a_file(ExactResume().state_dict())
    own, resumed = 1, ExactResume()
    resumed.load_state_dict(state)
    resumed.on_train_start(NOBODY, NOBODY)
    assert [value.item() for value in states] == [7, 7]


def test_a_fresh_run_draws_by_its_seed_alone() -> None:
    draws = []
    for seed, drawn_before in ((0, 0), (0, 5), (1, 0)):
        torch.manual_seed(seed)
        torch.rand(drawn_before)
        ExactResume().on_train_start(NOBODY, NOBODY)
        draws.append(torch.rand(3).tolist())
    assert draws[0] == draws[1] != draws[2]
    torch.manual_seed(0)
    assert torch.rand(3).tolist() != draws[0]  # the numbers that made the weights are not used again


class Terminate(Callback):
    """Sends SIGTERM, as far as Lightning can tell, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.steps:
            trainer._signal_connector.received_sigterm = True


def train(folder: Path, *extra: Callback, checkpoint: Path | None = None) -> BetaVAE:
    """Take 8 steps in 2 epochs."""
    seed_everything(0, verbose=False)
    model = tiny(aggregation=AdaGVAE(), optimizer=partial(Adam, lr=1e-2))
    run = trainer(folder, max_epochs=2, callbacks=[ExactResume(), *extra])
    run.fit(model, sprites(8, UniformPairs(), steps=4), ckpt_path=checkpoint, weights_only=False)
    return model


@cache
def unbroken() -> BetaVAE:
    """Take the 8 steps in one go."""
    with TemporaryDirectory() as folder:
        return train(Path(folder))


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize("steps", [2, 4, 5])
def test_a_terminated_run_goes_on_and_equals_an_unbroken_one(tmp_path: Path, steps: int) -> None:
    whole = unbroken()
    with pytest.raises(SIGTERMException):
        train(tmp_path, Terminate(steps))
    resumed = train(tmp_path, checkpoint=tmp_path / "checkpoints" / "last.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("exception", [SIGTERMException(), KeyboardInterrupt()])
def test_a_stopped_run_leaves_a_checkpoint(tmp_path: Path, exception: BaseException) -> None:
    run = trainer(tmp_path, limit_val_batches=0)
    run.fit(tiny(), sprites(8))
    ExactResume().on_exception(run, cast(LightningModule, run.model), exception)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_a_broken_run_leaves_the_last_checkpoint_alone(tmp_path: Path) -> None:
    run = trainer(tmp_path, limit_val_batches=0)
    ExactResume().on_exception(run, NOBODY, ValueError("a bug"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("exception", "agent", "notice", "state"),
    [
        (SIGTERMException(), False, False, PREEMPTED),
        (SIGTERMException(), True, False, STOPPED),  # hyperband, or a person by the button
        (SIGTERMException(), True, True, PREEMPTED),  # Slurm sends both
        (KeyboardInterrupt(), True, False, STOPPED),
        (KeyboardInterrupt(), False, False, STOPPED),
        (RuntimeError("a peer has gone"), True, True, PREEMPTED),
        (RuntimeError("a bug"), True, False, FAILED),
    ],
)
def test_only_what_shall_go_on_by_itself_is_preempted(
    exception: BaseException,
    agent: bool,
    notice: bool,
    state: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    if agent:
        monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    monkeypatch.setattr(NOTICE, "heard", notice)
    claim = Claim(tmp_path)
    RunRecord(claim).on_exception(NOBODY, NOBODY, exception)
    claim.release()
    assert read_state(tmp_path).name == state
    told: list[Any] = []
    experiment: Any = SimpleNamespace(
        mark_preempting=lambda: told.append("preempting"), finish=lambda exit_code: told.append(exit_code)
    )
    run: Any = SimpleNamespace(loggers=[WandbRun(experiment=experiment)], is_global_zero=True)
    close_loggers(run, preempted=is_preemption(exception))
    assert told == (["preempting", 143] if state == PREEMPTED else [143])
