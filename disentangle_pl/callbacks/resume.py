"""What a run needs to survive being killed: the random state, and a checkpoint when it is told to stop."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from disentangle_pl.errors import InputError


class ExactResume(Callback):
    """Keep the state of all random number generators in the checkpoint, so that a resumed run equals an unbroken one."""

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generators of torch (CPU and GPUs), NumPy and Python, as tensors and plain numbers."""
        kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - libraries may draw from the global generator
        version, internal, gauss = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "numpy": [kind, torch.tensor(keys.astype(np.int64)), *rest],
            "python": [version, list(internal), gauss],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember the state until training starts: much is drawn before that."""
        self._restored = state

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the remembered state."""
        if self._restored is None:
            return
        state, self._restored = self._restored, None
        torch.set_rng_state(state["torch"].cpu())
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda"]])
        kind, keys, *rest = state["numpy"]
        np.random.set_state((kind, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))


class SaveWhenStopped(Callback):
    """On SIGTERM or Ctrl-C write `last.ckpt`, and tell W&B that the run was preempted and not that it finished."""

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save on every rank, close W&B on the first."""
        if not isinstance(exception, SIGTERMException | KeyboardInterrupt):
            return
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
        for logger in trainer.loggers if trainer.is_global_zero else ():
            logger.save()
            if isinstance(logger, WandbLogger):
                logger.experiment.mark_preempting()
                logger.experiment.finish(exit_code=143)


class StopWhenDiverged(Callback):
    """End a run whose loss is no longer a number, with advice instead of hours of NaN."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the loss whenever it is logged, so that a GPU is seldom made to wait.

        Raises:
            InputError: If the loss is NaN or infinite.
        """
        if (batch_idx + 1) % trainer.log_every_n_steps:
            return
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor) and not torch.isfinite(loss):
            raise InputError(
                f"the loss became {loss.item()} by step {trainer.global_step}: lower the learning rate or beta, clip "
                "gradients (trainer.gradient_clip_val=1), or train in trainer.precision=32-true"
            )
