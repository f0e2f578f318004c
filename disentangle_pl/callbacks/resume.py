"""What a run needs to survive being killed: the random state, and a checkpoint when it is told to stop."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException


class ExactResume(Callback):
    """Keep the state of all random generators in the checkpoint, so that a resumed run equals an unbroken one."""

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generators of torch (CPU, GPUs), NumPy and Python, as tensors and plain numbers."""
        numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - libraries may draw from the global generator
        mersenne = {**numpy["state"], "key": torch.from_numpy(numpy["state"]["key"].astype(np.int64))}
        version, internal, gauss = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "numpy": {**numpy, "state": mersenne},
            "python": [version, list(internal), gauss],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember the state until training starts: much is drawn before that."""
        self._restored = state

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the remembered state; a fresh run starts from its seed, whatever launchers and loggers drew before."""
        if self._restored is None:
            torch.manual_seed(torch.initial_seed() + 1)
            return
        state, self._restored = self._restored, None
        torch.set_rng_state(state["torch"].cpu())
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda"]])
        mersenne = state["numpy"]["state"]
        keys = mersenne["key"].cpu().numpy().astype(np.uint32)
        np.random.set_state({**state["numpy"], "state": {**mersenne, "key": keys}})  # noqa: NPY002
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """On SIGTERM or Ctrl-C write `last.ckpt`, and tell W&B that the run was preempted, not that it finished."""
        if not isinstance(exception, SIGTERMException | KeyboardInterrupt):
            return
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt")
        for logger in trainer.loggers if trainer.is_global_zero else ():
            logger.save()
            if isinstance(logger, WandbLogger):
                logger.experiment.mark_preempting()
                logger.experiment.finish(exit_code=143)
