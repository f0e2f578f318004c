"""Learning rates that follow a schedule: its shape, its groups, its steps, and runs that go on."""

import csv
import math
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim import Adam

from disentangle_pl.callbacks.resume import ExactResume
from disentangle_pl.errors import InputError
from disentangle_pl.masks.gates import HardConcreteMask
from disentangle_pl.models.factor_vae import FactorVAE
from disentangle_pl.models.schedule import WarmUpCosine, warm_up_cosine
from tests.callbacks.test_resume import Terminate
from tests.command_line import TINY, refused, run
from tests.models.tiny import SETTINGS, sprites, tiny, trainer

RATES = (1e-2, 5e-3, 3e-2)  # of the weights, the discriminator and masks of speed 3


def factor(schedule: WarmUpCosine) -> FactorVAE:
    optimizer = partial(Adam, lr=1e-2)
    own: dict[str, Any] = {
        "width": 8,
        "depth": 2,
        "discriminator_lr": 5e-3,
        "mask": partial(HardConcreteMask, strength=0.0, speed=3.0),
    }
    return FactorVAE((1, 16, 16), **(SETTINGS | own | {"optimizer": optimizer, "scheduler": schedule}))


class Rates(Callback):
    """Remembers the learning rates of every step."""

    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        self.seen.append([group["lr"] for group in optimizer.param_groups])


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.2), (3, 0.8), (4, 1.0), (9, 0.1 + 0.9 * 0.5), (14, 0.1), (1000, 0.1)],
)
def test_a_rise_then_half_a_cosine(step: int, expected: float) -> None:
    assert warm_up_cosine(step, warm_up=4, total=14, final=0.1) == pytest.approx(expected)


def test_without_a_fall_the_rate_stays_and_no_end_is_needed() -> None:
    factors = WarmUpCosine(warm_up=2, final=1.0).factors(math.inf)
    assert [factors(step) for step in range(4)] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert factors(10**9) == 1


def test_a_schedule_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match="must know when the training ends"):
        tiny(scheduler=WarmUpCosine()).configure_optimizers()
    assert tiny(scheduler=WarmUpCosine(steps=5)).configure_optimizers()["lr_scheduler"]["interval"] == "step"


@pytest.mark.parametrize(
    "wrong", [{"warm_up": -1}, {"final": -0.1}, {"final": 1.5}, {"final": float("nan")}, {"warm_up": 5, "steps": 5}]
)
def test_impossible_schedules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="a schedule"):
        WarmUpCosine(**wrong)


def test_every_group_keeps_its_ratio_and_steps_are_those_of_the_optimiser(tmp_path: Path) -> None:
    rates = Rates()
    settings: dict[str, Any] = {"max_epochs": 2, "accumulate_grad_batches": 2, "limit_val_batches": 0}
    run = trainer(tmp_path, callbacks=[rates], log_every_n_steps=1, **settings)
    run.fit(factor(WarmUpCosine(warm_up=2)), sprites(8, steps=8))
    assert run.global_step == 8
    expected = [[rate * warm_up_cosine(step, 2, 8, 0.0) for rate in RATES] for step in range(8)]
    torch.testing.assert_close(torch.tensor(rates.seen), torch.tensor(expected))


def train(folder: Path, *extra: Callback, checkpoint: Path | None = None) -> tuple[FactorVAE, list[list[float]]]:
    """Take 8 steps in 2 epochs."""
    seed_everything(0, verbose=False)
    model, rates = factor(WarmUpCosine(warm_up=3, final=0.1)), Rates()
    run = trainer(folder, max_epochs=2, limit_val_batches=0, callbacks=[ExactResume(), rates, *extra])
    run.fit(model, sprites(8, steps=4), ckpt_path=checkpoint, weights_only=False)
    return model, rates.seen


@cache
def unbroken() -> tuple[FactorVAE, list[list[float]]]:
    """Take the 8 steps in one go."""
    with TemporaryDirectory() as folder:
        return train(Path(folder))


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.parametrize("steps", [2, 4, 5])
def test_a_terminated_run_goes_on_and_equals_an_unbroken_one(tmp_path: Path, steps: int) -> None:
    model, rates = unbroken()
    with pytest.raises(SIGTERMException):
        train(tmp_path, Terminate(steps))
    resumed, later = train(tmp_path, checkpoint=tmp_path / "checkpoints" / "last.ckpt")
    assert later == rates[steps:]
    for name, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_flags_make_a_schedule_and_the_rate_is_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*TINY, "--model.scheduler=WarmUpCosine", f"--runs_dir={tmp_path}", "--disentanglement.only=[active]"]
    short = ["--trainer.max_epochs=1", "--model.optimizer=torch.optim.Adam", "--model.optimizer.lr=0.5"]
    run("fit", *flags, *short, "--model.scheduler.warm_up=1", "--run_id=a")
    with (tmp_path / "a" / "metrics.csv").open(newline="") as file:
        rates = [float(row["train/lr"]) for row in csv.DictReader(file) if row["train/lr"]]
    assert rates == pytest.approx([0.5 * warm_up_cosine(step, 1, 6, 0.0) for step in range(6)])
    said = refused(capsys, "fit", *flags, "--model.scheduler.final=2", "--run_id=b")
    assert "model.scheduler.final=2" in said
    said = refused(capsys, "fit", *flags, "--trainer.max_epochs=-1", "--trainer.max_time=00:00:01:00", "--run_id=c")
    assert "must know when the training ends" in said


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (["--optimizer=torch.optim.SGD", "--optimizer.lr=0.1"], "--model.optimizer"),
        (["--optimizer.lr=0.1"], "--model.optimizer"),
        (["--lr_scheduler=torch.optim.lr_scheduler.StepLR"], "--model.scheduler"),
    ],
)
def test_flags_that_would_replace_the_groups_are_refused(
    flags: list[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "fit", *TINY, *flags, f"--runs_dir={tmp_path}")
    assert f"give {name}=CLASS" in said
    old = tmp_path / "old.yaml"
    old.write_text(f"{flags[0][2:].split('=')[0].split('.')[0]}: {{class_path: torch.optim.SGD}}")
    assert f"give {name}=CLASS" in refused(capsys, "fit", *TINY, f"--config={old}", f"--runs_dir={tmp_path / 'runs'}")
    assert not (tmp_path / "runs").exists()


def test_configurations_of_older_runs_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "old.yaml"
    old.write_text("optimizer: null\nlr_scheduler: null\n")
    with pytest.raises(SystemExit) as stop:
        run("fit", f"--config={old}", *TINY, "--print_config")
    assert stop.value.code in (0, None)
    with pytest.raises(SystemExit):
        run("fit", "--help")
    assert "--lr_scheduler" not in capsys.readouterr().out
