"""The real command line, in this process or in one of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from disentangle_pl.cli import main
from tests.warm_python import warm_python

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
TINY = [
    "--data=SyntheticData",
    "--data.dataset=disentangle_pl.data.sprites.Sprites",
    "--data.dataset.resolution=16",
    "--data.dataset.orientation_values=[0]",
    "--data.dataset.x_values=[0,8,16,24,31]",
    "--data.dataset.y_values=[0,16,31]",
    "--data.batch_size=4",
    "--data.eval_size=40",
    "--data.steps_per_epoch=6",
    "--trainer.max_epochs=4",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--disentanglement.sheet=false",
    "--traversals.rows=1",
    "--traversals.columns=3",
    "--reconstructions.images=2",
    "--model=BetaVAE",
    "--model.latent_dim=6",
    "--model.backbone=disentangle_pl.backbones.MLPBackbone",
    "--model.backbone.encoder_widths=[16]",
    "--model.backbone.decoder_widths=[16]",
]
PAIRS = ["--data.pairs=disentangle_pl.data.pairs.UniformDistinctPairs", "--data.pairs.k=1"]


def run(*args: str) -> None:
    """Run the command line in this process."""
    main(list(args))


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run a command line that must end with exit code 2, and return what it said: one line and no traceback."""
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    said = capsys.readouterr().err
    errors = [line for line in said.splitlines() if line.startswith("disentangle-pl: error: ")]
    assert stop.value.code == 2
    assert len(errors) == 1
    assert "Traceback" not in said
    return errors[0]


def start(*args: str, python: str | None = None, **env: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own, by a Python that has imported it already unless one is given."""
    return subprocess.Popen(
        [python or warm_python(), "-m", "disentangle_pl", *args],
        cwd=ROOT,
        env={**os.environ, "WANDB_MODE": "disabled", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must succeed and return what it printed."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said
