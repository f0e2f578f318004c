"""Averages of the weights: Lightning's callbacks copy the model, and their runs go on."""

import copy
import io
import pickle
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.optim import Adam

from disentangle_pl.aggregation import AdaGVAE
from disentangle_pl.callbacks.resume import ExactResume, KeepLast
from disentangle_pl.data.pairs import UniformPairs
from disentangle_pl.fit import plain_factory
from disentangle_pl.masks.channel_mask import MaskFactory
from disentangle_pl.masks.gates import HardConcreteMask
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.factor_vae import FactorVAE
from disentangle_pl.models.vae import OptimizerFactory
from tests.callbacks.test_resume import Terminate
from tests.command_line import PAIRS, TINY, run
from tests.models.tiny import SETTINGS, sprites, trainer

AVERAGES: dict[str, Callable[[], Callback]] = {
    "EMAWeightAveraging": partial(EMAWeightAveraging, decay=0.5),
    "StochasticWeightAveraging": partial(StochasticWeightAveraging, swa_lrs=1e-2, swa_epoch_start=2),
}
FLAGS = {
    "EMAWeightAveraging": ["--trainer.callbacks.decay=0.5"],
    "StochasticWeightAveraging": ["--trainer.callbacks.swa_lrs=0.01", "--trainer.callbacks.swa_epoch_start=2"],
}
ALL_AT_ONCE = [
    *PAIRS,
    "--model=FactorVAE",
    "--model.width=8",
    "--model.aggregation=disentangle_pl.aggregation.AdaGVAE",
    "--model.mask=disentangle_pl.masks.gates.HardConcreteMask",
    "--model.mask.speed=3",
    "--model.mask.strength=0",
    "--model.optimizer=torch.optim.Adam",
    "--model.optimizer.fused=true",
    "--trainer.gradient_clip_val=1",
]
LAST = Path("checkpoints", "last.ckpt")
every_average = pytest.mark.parametrize("name", AVERAGES)


def train(folder: Path, name: str, *extra: Callback, epochs: int = 3, checkpoint: Path | None = None) -> FactorVAE:
    """Take 4 steps an epoch with everything that a model may have."""
    seed_everything(0, verbose=False)
    own: dict[str, Any] = {"width": 8, "depth": 2, "aggregation": AdaGVAE(), "optimizer": partial(Adam, lr=1e-2)}
    model = FactorVAE((1, 16, 16), **(SETTINGS | own | {"mask": partial(HardConcreteMask, strength=0.0)}))
    callbacks = [AVERAGES[name](), ExactResume(), KeepLast(), *extra]
    fit = trainer(folder, max_epochs=epochs, callbacks=callbacks)
    fit.fit(model, sprites(8, UniformPairs(), steps=4), ckpt_path=checkpoint, weights_only=False)
    return model


@cache
def unbroken(name: str) -> FactorVAE:
    """Train three epochs in one go."""
    with TemporaryDirectory() as folder:
        return train(Path(folder), name)


def assert_same_weights(one: Any, other: Any) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(other[name], value), name


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@every_average
@pytest.mark.parametrize("steps", [2, 6, 10])
def test_a_terminated_run_goes_on_and_equals_an_unbroken_one(tmp_path: Path, name: str, steps: int) -> None:
    with pytest.raises(SIGTERMException):
        train(tmp_path, name, Terminate(steps))
    resumed = train(tmp_path, name, checkpoint=tmp_path / LAST)
    assert_same_weights(unbroken(name), resumed.state_dict())


def test_a_longer_training_goes_on_from_the_weights_that_were_averaged(tmp_path: Path) -> None:
    train(tmp_path, "EMAWeightAveraging", epochs=2)
    resumed = train(tmp_path, "EMAWeightAveraging", checkpoint=tmp_path / LAST)
    assert_same_weights(unbroken("EMAWeightAveraging"), resumed.state_dict())


@pytest.mark.filterwarnings("ignore:You're using the WeightAveraging callback")
@every_average
def test_the_command_line_averages_and_keeps_what_it_scores(name: str, tmp_path: Path) -> None:
    average = [f"--trainer.callbacks+=lightning.pytorch.callbacks.{name}", *FLAGS[name]]
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    quick = ["--traversals.rows=1", "--reconstructions.images=0", "--report=false", "--sparsity.draw=false"]
    run("fit", *TINY, *ALL_AT_ONCE, *average, *where, *quick)
    scores = (tmp_path / "a" / "scores.tsv").read_text()
    run("validate", *where)
    assert (tmp_path / "a" / "scores.tsv").read_text() == scores
    model = load_model(tmp_path / "a" / LAST)
    assert_same_weights(model, copy.deepcopy(model).state_dict())


def test_the_end_of_a_training_is_written_once(tmp_path: Path) -> None:
    written: list[bool] = []

    class Count(Callback):
        def on_save_checkpoint(self, *args: Any) -> None:
            written.append(True)

    train(tmp_path, "EMAWeightAveraging", Count(), epochs=2)
    assert len(written) == 2
    train(tmp_path, "StochasticWeightAveraging", Count(), epochs=2)
    assert len(written) == 5  # the average comes after the last epoch


def test_what_the_parser_gives_becomes_a_partial_of_the_class() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--optimizer", type=OptimizerFactory)
    parser.add_argument("--mask", type=MaskFactory)
    parsed = parser.parse_args(
        ["--optimizer=torch.optim.Adam", "--optimizer.lr=0.5", "--mask=disentangle_pl.masks.l1.L1Mask"]
    )
    made = parser.instantiate(parsed)
    optimizer = plain_factory(made.optimizer)
    assert (optimizer.func, optimizer.args, optimizer.keywords["lr"]) == (Adam, (), 0.5)
    assert plain_factory(made.mask)((2, 3)).gates().shape == (2, 3)
    assert pickle.load(io.BytesIO(pickle.dumps(optimizer))).keywords == optimizer.keywords
    for other in (Adam, partial(Adam, lr=1.0), 3):
        assert plain_factory(other) is other
