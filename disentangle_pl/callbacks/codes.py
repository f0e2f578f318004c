"""Write what `predict` computes: the codes of every image."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console

from disentangle_pl.posterior import DiagonalGaussian


class WriteCodes(Callback):
    """Write `codes.npz` to the run folder: mean (N, d) and logvar (N, d), float32, in the order of the data.

    Under several processes every one writes its own rows, every world_size-th, to `codes-<rank>.npz`.
    """

    def __init__(self) -> None:
        self._posteriors: list[DiagonalGaussian] = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the posteriors of a batch."""
        self._posteriors.append(DiagonalGaussian(outputs.mean.cpu(), outputs.logvar.cpu()))

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them all."""
        mean, logvar = (torch.cat(parts).numpy() for parts in zip(*self._posteriors, strict=True))
        self._posteriors = []
        name = "codes.npz" if trainer.world_size == 1 else f"codes-{trainer.global_rank}.npz"
        path = Path(trainer.default_root_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, mean=mean, logvar=logvar)
        Console().print(f"wrote the codes of {len(mean)} images to {path}", soft_wrap=True)
