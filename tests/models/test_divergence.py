"""A training that diverges: stopped in one sentence, never scored, never saved."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim import Adam

from disentangle_pl.callbacks.resume import KeepLast
from disentangle_pl.errors import InputError
from disentangle_pl.models.divergence import LAST, Finite, all_finite
from disentangle_pl.run_state import FAILED, read_state
from tests.command_line import TINY, refused
from tests.models.tiny import sprites, tiny, trainer


class Break(Callback):
    """Makes a weight infinite after a number of steps, and counts validations."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.validated = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *args: Any) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                next(pl_module.parameters()).flatten()[0] = float("inf")

    def on_validation_batch_end(self, *args: Any) -> None:
        self.validated += 1


def settings(step: int) -> tuple[Break, dict[str, Any]]:
    broken = Break(step)
    return broken, {"num_sanity_val_steps": 0, "max_epochs": 2, "callbacks": [broken, KeepLast()]}


@pytest.mark.parametrize("step", [5, 6], ids=["seen in the loss", "seen in the weights alone"])
def test_a_diverged_epoch_is_neither_scored_nor_saved(tmp_path: Path, step: int) -> None:
    broken, given = settings(step)
    with pytest.raises(InputError, match="the loss became") as stopped:
        trainer(tmp_path, **given).fit(tiny(), sprites(8, steps=3))
    assert f"the last good checkpoint is {tmp_path / 'checkpoints' / 'last.ckpt'}" in str(stopped.value)
    assert broken.validated == 2  # of the first epoch
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)
    assert saved["global_step"] == 3
    assert all_finite(saved["state_dict"].values())


def test_without_a_validation_the_checkpoint_is_refused(tmp_path: Path) -> None:
    _, given = settings(2)
    with pytest.raises(InputError, match="there is no checkpoint from before"):
        trainer(tmp_path, limit_val_batches=0, **given).fit(tiny(), sprites(8, steps=3))
    assert not (tmp_path / "checkpoints").exists()


def test_one_bad_loss_is_not_forgotten() -> None:
    finite = Finite()
    for loss in (1.0, float("nan"), 2.0):
        finite.see(torch.tensor(loss))
    with pytest.raises(InputError, match="became nan by step 7"):
        finite.check(None, 7)
    finite = Finite()
    finite.see(torch.tensor(3.0))
    finite.check(None, 1, [torch.ones(2), torch.zeros(3, 3)])
    with pytest.raises(InputError, match="by step 1"):
        finite.check(None, 1, [torch.ones(2), torch.tensor([0.0, float("-inf")])])


def test_all_processes_stop_together() -> None:
    answers: list[bool] = []

    def reduce(decision: bool) -> bool:
        answers.append(decision)
        return False  # the other process has diverged

    strategy = SimpleNamespace(reduce_boolean_decision=reduce)
    settings = {"gradient_clip_val": None, "precision": "32-true"}
    other: Any = SimpleNamespace(strategy=strategy, default_root_dir="nowhere", **settings)
    healthy = Finite()
    healthy.see(torch.tensor(1.0))
    with pytest.raises(InputError, match="there is no checkpoint"):
        healthy.check(other, 3)
    assert answers == [True]


def test_a_diverged_run_has_failed_and_keeps_no_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=1e30", "--trainer.log_every_n_steps=5"]
    said = refused(capsys, "fit", *TINY, *wild, "--run_id=a", f"--runs_dir={tmp_path}")
    assert "lower the learning rate" in said
    state = read_state(tmp_path / "a")
    assert state.name == FAILED
    assert "lower the learning rate" in state.message
    table = tmp_path / "a" / "metrics.csv"
    assert not table.exists() or "disentanglement" not in table.read_text()
    assert not (tmp_path / "a" / "checkpoints").exists()


CLIP, EXACT = "trainer.gradient_clip_val=1", "trainer.precision=32-true"


@pytest.mark.parametrize(
    ("precision", "clip", "advice"),
    [
        ("bf16-mixed", None, [CLIP, EXACT]),
        ("bf16-mixed", 1.0, [EXACT]),
        ("32-true", None, [CLIP]),
        ("32-true", 1.0, []),
        ("16-mixed", None, [EXACT]),
    ],
)
def test_only_what_works_is_advised(precision: str, clip: float | None, advice: list[str], tmp_path: Path) -> None:
    diverged = Finite()
    diverged.see(torch.tensor(float("nan")))
    # Lightning makes bf16-mixed of 16-mixed on a CPU, but not of its plugin.
    given: dict[str, Any] = {"plugins": MixedPrecision("16-mixed", "cpu")} if precision == "16-mixed" else {}
    fit = trainer(tmp_path, gradient_clip_val=clip, **(given or {"precision": precision}))
    with pytest.raises(InputError, match="lower the learning rate") as stopped:
        diverged.check(fit, 3)
    assert [words for words in (CLIP, EXACT) if words in str(stopped.value)] == advice


def test_a_diverged_run_goes_on_as_advised(tmp_path: Path) -> None:
    given: dict[str, Any] = {"precision": "bf16-mixed", "max_epochs": 2, "callbacks": [Break(5), KeepLast()]}
    fused = partial(Adam, lr=1e-3, fused=True)
    with pytest.raises(InputError, match=CLIP):
        trainer(tmp_path, **given).fit(tiny(optimizer=fused), sprites(8, steps=3))
    fit = trainer(tmp_path, max_epochs=2, gradient_clip_val=1, precision="32-true", callbacks=[KeepLast()])
    fit.fit(tiny(optimizer=fused), sprites(8, steps=3), ckpt_path=tmp_path / LAST, weights_only=False)
    assert fit.global_step == 6
