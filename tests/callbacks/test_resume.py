import io
import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from disentangle_pl.callbacks.resume import ExactResume, SaveWhenStopped, StopWhenDiverged
from disentangle_pl.errors import InputError
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


def test_the_state_is_set_once_and_never_without_a_checkpoint() -> None:
    torch.manual_seed(0)
    fresh = ExactResume()
    before = torch.get_rng_state()
    fresh.on_train_start(NOBODY, NOBODY)
    assert torch.equal(torch.get_rng_state(), before)
    fresh.load_state_dict(ExactResume().state_dict())
    first = draw()
    fresh.on_train_start(NOBODY, NOBODY)
    assert draw() == first
    fresh.on_train_start(NOBODY, NOBODY)
    assert draw() != first


@pytest.mark.parametrize("exception", [SIGTERMException(), KeyboardInterrupt()])
def test_a_stopped_run_leaves_a_checkpoint(tmp_path: Path, exception: BaseException) -> None:
    run = trainer(tmp_path, limit_val_batches=0)
    run.fit(tiny(), sprites(8))
    SaveWhenStopped().on_exception(run, cast(LightningModule, run.model), exception)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_a_broken_run_leaves_the_last_checkpoint_alone(tmp_path: Path) -> None:
    run = trainer(tmp_path, limit_val_batches=0)
    SaveWhenStopped().on_exception(run, NOBODY, ValueError("a bug"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
@pytest.mark.parametrize("wrap", [True, False])
def test_a_diverged_run_ends_with_advice(loss: float, wrap: bool) -> None:
    outputs: Any = {"loss": torch.tensor(loss)} if wrap else torch.tensor(loss)
    run = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    callback = StopWhenDiverged(every_n_steps=2)
    callback.on_train_batch_end(run, NOBODY, outputs, NOBODY, 0)
    with pytest.raises(InputError, match=r"the loss became (nan|inf) by step 0: lower the learning rate"):
        callback.on_train_batch_end(run, NOBODY, outputs, NOBODY, 1)
    callback.on_train_batch_end(run, NOBODY, torch.tensor(1.0), NOBODY, 1)
