"""Write what `predict` computes: the codes of every image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from rich.console import Console


class WriteCodes(BasePredictionWriter):
    """Write `codes.npz` to the run folder: mean (N, d) and logvar (N, d), float32, in the order of the data.

    Under several processes every one writes its own rows, every world_size-th, to `codes-<rank>.npz`.
    """

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")

    def write_on_epoch_end(
        self, trainer: Trainer, pl_module: LightningModule, predictions: Sequence[Any], batch_indices: Sequence[Any]
    ) -> None:
        """Write the posteriors that `predict` returned."""
        name = "codes.npz" if trainer.world_size == 1 else f"codes-{trainer.global_rank}.npz"
        path = Path(trainer.default_root_dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mean, logvar = (torch.cat(parts).cpu().numpy() for parts in zip(*predictions, strict=True))
        np.savez(path, mean=mean, logvar=logvar)
        Console().print(f"wrote the codes of {len(mean)} images to {path}", soft_wrap=True)
