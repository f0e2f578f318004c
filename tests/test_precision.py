"""The precision of a training: which one is chosen, what it changes, and what it must not change."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch.optim import SGD

from disentangle_pl.aggregation import AdaGVAE
from disentangle_pl.callbacks.codes import WriteCodes
from disentangle_pl.callbacks.layers import LogLayers
from disentangle_pl.callbacks.sharing import LogSharing
from disentangle_pl.data.pairs import UniformPairs
from disentangle_pl.errors import InputError
from disentangle_pl.machine import PRECISION
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.codes import posteriors
from tests.command_line import PAIRS, TINY, refused, run
from tests.models.tiny import sprites, tiny, trainer

ADA = [*TINY, *PAIRS, "--model.aggregation=disentangle_pl.aggregation.AdaGVAE"]
# Written at the end of a fit from the codes or the decoder of the model.
WRITTEN = ["scores.tsv", "information.tsv", "latents.tsv", "traversals", "reconstructions"]


def contents(folder: Path) -> dict[str, bytes]:
    """Read what a run has written, pictures by their folder."""
    files = [path for name in WRITTEN for path in [folder / name, *sorted((folder / name).glob("*"))] if path.is_file()]
    return {str(path.relative_to(folder).parts[0]): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was trained in bf16-mixed."""
    runs = tmp_path_factory.mktemp("runs")
    pictures = ["--traversals.rows=6", "--reconstructions.images=4"]
    where = [f"--runs_dir={runs}", "--run_id=a"]
    run("fit", *ADA, *pictures, "--report=false", "--trainer.precision=bf16-mixed", *where)
    return runs / "a"


def test_scores_and_pictures_do_not_know_the_precision_of_the_training(fitted: Path) -> None:
    written = contents(fitted)
    assert written.keys() == set(WRITTEN)
    run("validate", f"--runs_dir={fitted.parent}", "--run_id=a", "--trainer.precision=32-true")
    again = contents(fitted)
    assert [name for name in WRITTEN if again[name] != written[name]] == []


def test_evaluate_finds_the_scores_of_the_fit(fitted: Path, tmp_path: Path) -> None:
    run("evaluate", str(fitted / "checkpoints" / "last.ckpt"), f"--out={tmp_path}", "--quick=true")
    own, other = (
        json.loads((folder / "scores.json").read_text())["scores"] for folder in (fitted, tmp_path / fitted.name)
    )
    assert own.keys() <= other.keys()
    for name, numbers in own.items():
        assert other[name] == pytest.approx(numbers, abs=1e-6), name


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_nothing_in_an_evaluation_is_cast(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    model, data = tiny(aggregation=AdaGVAE()), sprites(8, UniformPairs())
    for part in (model.backbone.encoder, model.backbone.decoder):
        *_, layer = part.children()  # what is cast is the work of every layer, so one tells
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    monkeypatch.setattr(LogLayers, "_score", lambda self, trainer: {})
    callbacks = [LogLayers(enabled=True), LogSharing(groups=20), WriteCodes()]
    run = trainer(tmp_path, precision="bf16-mixed", callbacks=callbacks)
    getattr(run, verb)(model, data)
    assert len(seen) > 1
    assert set(seen) == {torch.float32}
    seen.clear()
    run.fit(model, data)
    assert set(seen) == {torch.bfloat16, torch.float32}  # of training and of validation


def test_predictions_are_those_of_evaluate(tmp_path: Path) -> None:
    model, data = tiny(), sprites(8)
    trainer(tmp_path, precision="bf16-mixed", callbacks=[WriteCodes()]).predict(model, data)
    loader = data.predict_dataloader()
    q, _, _ = posteriors(model, data, loader)
    with np.load(tmp_path / "codes.npz") as codes:
        np.testing.assert_array_equal(codes["mean"], q.mean)
        np.testing.assert_array_equal(codes["logvar"], q.logvar)


def flat(model: BetaVAE) -> torch.Tensor:
    return torch.cat([weight.detach().reshape(-1) for weight in model.parameters()])


def move(folder: Path, precision: str | None, clip: str, fused: bool, **more: Any) -> torch.Tensor:
    """Return how far one step of size 1 with gradients clipped to .1 moves every weight, flat."""
    torch.manual_seed(0)
    model = tiny(optimizer=partial(SGD, lr=1.0, fused=fused))
    before = flat(model)
    settings: dict[str, Any] = {"gradient_clip_val": 0.1, "gradient_clip_algorithm": clip, "limit_val_batches": 0}
    trainer(folder, max_steps=1, precision=precision, **settings, **more).fit(model, sprites(8))
    return flat(model) - before


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_whatever_the_precision_and_the_steps(
    tmp_path: Path, precision: str, fused: bool
) -> None:
    assert move(tmp_path, precision, "norm", fused).norm() == pytest.approx(0.1, rel=1e-4)
    by_value = move(tmp_path, precision, "value", fused).abs()
    assert by_value.max() == pytest.approx(0.1, rel=1e-5)
    assert by_value.norm() > 0.2


def test_scaled_gradients_of_a_fused_optimiser_cannot_be_clipped(tmp_path: Path) -> None:
    # a scale at which the first step does not overflow, which would skip it
    half = {"plugins": MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=8.0))}
    assert move(tmp_path, None, "norm", fused=False, **half).norm() == pytest.approx(0.1, rel=1e-3)
    with pytest.raises(InputError, match=r"model\.optimizer\.fused=false"):
        move(tmp_path, None, "norm", fused=True, **half)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--trainer.precision=bf16-true"], "trainer.precision=bf16-true would keep the weights"),
        (["--trainer.precision=16-true"], "trainer.precision=16-true would keep the weights"),
        (["--trainer.precision=64-true"], "give 32-true or bf16-mixed"),
        (["--trainer.precision=16-mixed"], "trainer.precision=16-mixed needs a GPU"),
        (["--trainer.precision=16"], "trainer.precision=16 needs a GPU"),
        (["--trainer.barebones=true"], "trainer.barebones leaves no numbers, no checkpoint"),
        (["--seed_everything=true"], "seed_everything is True: give a whole number"),
        (["--seed_everything=false"], "seed_everything is False: give a whole number"),
    ],
)
def test_what_no_run_can_be_is_one_sentence(
    flags: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(capsys, "fit", *TINY, *flags, f"--runs_dir={tmp_path}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "timer",
    [
        ["--trainer.max_time=00:00:00:01"],
        ["--trainer.callbacks+=Timer", "--trainer.callbacks.duration=00:00:00:01"],
    ],
)
def test_a_training_ends_when_its_time_is_over(timer: list[str], tmp_path: Path) -> None:
    where = [*TINY, f"--runs_dir={tmp_path}", "--run_id=a", "--report=false", "--disentanglement.only=[active]"]
    run("fit", *where, "--trainer.max_epochs=-1", *timer)
    assert load_model(tmp_path / "a" / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_variable_chooses_the_precision(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, precision)
    seen: list[torch.dtype] = []

    def see(self: Any, z: torch.Tensor) -> torch.Tensor:
        output = self.decoder(z)
        seen.append(output.dtype)
        return output  # type: ignore[no-any-return]

    monkeypatch.setattr("disentangle_pl.backbones.MLPBackbone.decode", see)
    run("fit", *TINY, "--trainer.fast_dev_run=1", f"--runs_dir={tmp_path}")
    assert seen[0] == (torch.bfloat16 if precision == "bf16-mixed" else torch.float32)


def test_another_value_of_the_variable_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PRECISION, "fast")
    said = refused(capsys, "fit", *TINY, f"--runs_dir={tmp_path}")
    assert f"{PRECISION} is 'fast': set it to bf16-mixed or 32-true" in said
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_of_a_mixed_training_is_whole(fitted: Path) -> None:
    weights = load_model(fitted / "checkpoints" / "last.ckpt").state_dict()
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
