"""A notice by SIGUSR1 at every moment of a training, and that no moment loses or doubles anything."""

import os
import signal
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim import Adam

from disentangle_pl.aggregation import AdaGVAE
from disentangle_pl.callbacks import preemption
from disentangle_pl.callbacks.preemption import Preemption, stop
from disentangle_pl.callbacks.resume import ExactResume, LeaveAtOnceException
from disentangle_pl.data.pairs import UniformPairs
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.notice import NOTICE
from disentangle_pl.run_state import PREEMPTED, RUNNING, Claim, read_state
from tests.models.tiny import sprites, tiny, trainer

NOBODY: Any = None
Rows = list[tuple[int, dict[str, float]]]
pytestmark = pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")


@pytest.fixture(autouse=True)
def _listening() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGALRM)
    NOTICE.listen()
    NOTICE.forget()
    yield
    NOTICE.forget()
    for number, handler in zip((signal.SIGUSR1, signal.SIGALRM), before, strict=True):
        signal.signal(number, handler)


def tell() -> None:
    """Send this process the notice."""
    os.kill(os.getpid(), signal.SIGUSR1)


class Tell(Callback):
    """Gives notice in a hook at a number of steps, and keeps the numbers of every validation that ends."""

    def __init__(self, hook: str = "", step: int = -1) -> None:
        self.hook, self.step = hook, step
        self.rows: Rows = []

    def _at(self, hook: str, trainer: Trainer) -> None:
        if hook == self.hook and trainer.global_step == self.step:
            tell()

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        self._at("start", trainer)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self._at("batch", trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self._at("validation", trainer)

    def on_validation_epoch_end(self, trainer: Trainer, *args: Any) -> None:
        self._at("scores", trainer)

    def on_validation_end(self, trainer: Trainer, *args: Any) -> None:
        numbers = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        self.rows.append((trainer.global_step, numbers))


def train(folder: Path, tell: Tell, checkpoint: Path | None = None, accumulate: int = 1) -> BetaVAE:
    """Take 12 batches in 3 epochs."""
    NOTICE.forget()
    seed_everything(0, verbose=False)
    model = tiny(aggregation=AdaGVAE(), optimizer=partial(Adam, lr=1e-2))
    callbacks = [ExactResume(), tell, Preemption()]
    settings = {"num_sanity_val_steps": 0, "accumulate_grad_batches": accumulate}
    run = trainer(folder, max_epochs=3, callbacks=callbacks, **settings)
    run.fit(model, sprites(8, UniformPairs(), steps=4), ckpt_path=checkpoint, weights_only=False)
    return model


@cache
def unbroken() -> tuple[BetaVAE, Rows]:
    """Train without a notice; return the model and the numbers of its validations."""
    with TemporaryDirectory() as folder:
        return train(Path(folder), tell := Tell()), tell.rows


@pytest.mark.parametrize(
    ("hook", "step"),
    [("start", 0), ("batch", 2), ("batch", 4), ("batch", 12), ("validation", 4), ("validation", 8), ("scores", 4)],
)
def test_a_run_that_was_told_to_stop_goes_on_and_equals_an_unbroken_one(tmp_path: Path, hook: str, step: int) -> None:
    model, rows = unbroken()
    with pytest.raises(SIGTERMException):
        train(tmp_path, first := Tell(hook, step))
    resumed = train(tmp_path, second := Tell(), tmp_path / "checkpoints" / "last.ckpt")
    assert first.rows + second.rows == rows
    assert len(rows) == 3
    for name, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_gradients_that_are_being_accumulated_are_not_lost(tmp_path: Path) -> None:
    unbroken = train(tmp_path, Tell(), accumulate=2)
    with pytest.raises(SIGTERMException):
        train(tmp_path, Tell("start", 0), accumulate=2)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)
    assert saved["global_step"] == 1
    assert saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["completed"] == 2
    resumed = train(tmp_path, Tell(), tmp_path / "checkpoints" / "last.ckpt", accumulate=2)
    for name, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_scores_that_take_too_long_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Tell):
        def on_validation_epoch_end(self, trainer: Trainer, *args: Any) -> None:
            super().on_validation_epoch_end(trainer, *args)
            time.sleep(5 if trainer.global_step == self.step else 0)

    monkeypatch.setattr(preemption, "PATIENCE", 0.2)
    started = time.monotonic()
    with pytest.raises(LeaveAtOnceException):
        train(tmp_path, Slow("scores", 4))
    assert time.monotonic() - started < 4
    assert not (tmp_path / "checkpoints").exists()


def test_the_scoring_at_the_end_is_left_at_once(tmp_path: Path) -> None:
    class AtTheEnd(Callback):
        def on_fit_end(self, trainer: Trainer, *args: Any) -> None:
            tell()

    seed_everything(0, verbose=False)
    run = trainer(tmp_path, callbacks=[ExactResume(), Preemption(), AtTheEnd()], num_sanity_val_steps=0)
    with pytest.raises(LeaveAtOnceException):
        run.fit(tiny(), sprites(8))
    assert run.global_step == 3
    assert not (tmp_path / "checkpoints").exists()


def test_the_end_of_the_work_in_hand_is_chosen_by_what_it_is() -> None:
    NOTICE.remember()
    tell()
    assert NOTICE.heard
    with pytest.raises(LeaveAtOnceException):
        NOTICE.leave(stop)  # heard before
    NOTICE.forget()
    NOTICE.leave(stop)
    with pytest.raises(LeaveAtOnceException):
        tell()
    NOTICE.forget()
    NOTICE.leave(stop, within=0.1)
    tell()
    NOTICE.remember()  # the work came to its own end in time
    time.sleep(0.3)
    NOTICE.leave(stop, within=0.1)
    with pytest.raises(LeaveAtOnceException):
        time.sleep(2)


def test_a_forked_process_does_not_act() -> None:
    NOTICE.leave(stop)
    child = os.fork()
    if child == 0:
        try:
            tell()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the child must never come back here
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_many_processes_ask_each_other_now_and_then() -> None:
    asked = []

    def reduce(decision: bool, *, all: bool) -> bool:  # noqa: A002
        assert not all
        asked.append(decision)
        return True

    run: Any = SimpleNamespace(
        world_size=2,
        accumulate_grad_batches=1,
        strategy=SimpleNamespace(reduce_boolean_decision=reduce),
        _signal_connector=SimpleNamespace(received_sigterm=False),
    )
    for batch in range(25):
        Preemption().on_train_batch_end(run, NOBODY, NOBODY, NOBODY, batch)
    assert asked == [False] * 3
    assert run._signal_connector.received_sigterm  # another one has heard it


def test_a_failure_after_the_notice_is_a_part_of_the_end(tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    run: Any = SimpleNamespace(loggers=[], is_global_zero=True)
    Preemption(claim).on_exception(run, NOBODY, RuntimeError("connection closed by peer"))
    assert read_state(tmp_path).name == RUNNING
    tell()
    Preemption(claim).on_exception(run, NOBODY, RuntimeError("connection closed by peer"))
    assert read_state(tmp_path).name == PREEMPTED
    claim.release()
