"""Settings of runs and sweeps, and how a table is written."""

import csv
from collections.abc import Sequence
from pathlib import Path

MLP = [
    "--model=BetaVAE",
    "--model.latent_dim=4",
    "--model.backbone=disentangle_pl.backbones.MLPBackbone",
    "--model.backbone.encoder_widths=[8]",
    "--model.backbone.decoder_widths=[8]",
]
QUIET = [
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--disentanglement.sheet=false",
    "--data.batch_size=4",
    "--data.steps_per_epoch=3",
]
SPRITES = {
    "class_path": "disentangle_pl.data.sprites.Sprites",
    "init_args": {"resolution": 16, "orientation_values": [0], "x_values": [0, 16, 31], "y_values": [0, 31]},
}
CONFIG = {
    "seed_everything": 3,
    "trainer": {
        "max_epochs": 2,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "accelerator": "cpu",
    },
    "disentanglement": {"sheet": False},
    "data": {
        "class_path": "SyntheticData",
        "init_args": {"dataset": SPRITES, "batch_size": 4, "eval_size": 40, "steps_per_epoch": 3},
    },
    "model": {
        "class_path": "BetaVAE",
        "init_args": {
            "latent_dim": 4,
            "beta": 2.0,
            "backbone": {
                "class_path": "disentangle_pl.backbones.MLPBackbone",
                "init_args": {"encoder_widths": [8], "decoder_widths": [8]},
            },
        },
    },
}
SWEEP = {
    "method": "grid",
    "metric": {"name": "val/nll", "goal": "minimize"},
    "parameters": {"model.beta": {"values": [0.5, 1.0]}, "seed_everything": {"values": [0, 1]}},
    "command": ["${env}", "${interpreter}", "-m", "disentangle_pl", "fit", "--config=in/config.yaml", "${args}"],
}


def rows_of(path: Path, separator: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([header, *rows])
