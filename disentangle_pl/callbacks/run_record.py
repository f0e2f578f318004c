"""Write into the run folder how the run ended, and meanwhile that it is alive."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from disentangle_pl.callbacks.resume import is_preemption, is_stop
from disentangle_pl.run_state import FAILED, PREEMPTED, STOPPED, Claim


class RunRecord(Callback):
    """Record an interruption or a failure; that a run has finished is recorded once its scores are written.

    Args:
        claim: The claim on the run folder.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Give a sign of life."""
        self.claim.beat()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Give a sign of life."""
        self.claim.beat()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the state `preempted`, `stopped` or `failed`."""
        if is_preemption(exception):
            self.claim.write(PREEMPTED, "told to stop")
        elif is_stop(exception):
            self.claim.write(STOPPED, "told to stop")
        else:
            self.claim.write(FAILED, f"{type(exception).__name__}: {exception}")
