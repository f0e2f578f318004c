"""Stop in good order when a scheduler gives notice by SIGUSR1."""

from typing import Any, NoReturn

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from disentangle_pl.callbacks.resume import LeaveAtOnceException, close_loggers
from disentangle_pl.notice import NOTICE
from disentangle_pl.run_state import PREEMPTED, Claim

EVERY = 10  # steps between two questions to the other processes, each of which waits for all of them
PATIENCE = 20.0  # seconds for the scores of a validation before its epoch is given up


def stop() -> NoReturn:
    """End the work in hand as SIGTERM does, without a checkpoint.

    Raises:
        LeaveAtOnceException: Always.
    """
    raise LeaveAtOnceException


class Preemption(Callback):
    """Leave after SIGUSR1: between two batches, with a checkpoint, all processes together.

    Scores within the training may end first if they take at most 20 seconds; after that, and from the end of the
    training on, the process leaves at once, because the last epoch has a checkpoint. `ExactResume` writes the
    checkpoint and closes W&B, as for SIGTERM.

    Args:
        claim: The claim on the run folder, on the first process.
    """

    def __init__(self, claim: Claim | None = None) -> None:
        self.claim = claim

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From now on there is something to save."""
        NOTICE.remember()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave, if any process has heard the notice, once gradients are not being accumulated."""
        steps, within = divmod(batch_idx + 1, trainer.accumulate_grad_batches)
        if within == 0:
            _leave_together(trainer, steps)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave, if any process has heard the notice."""
        _leave_together(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Leave, if any process has heard the notice, a validation within the training: it will begin anew."""
        if trainer.state.fn == TrainerFn.FITTING:
            _leave_together(trainer, batch_idx + 1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the scores at the end of a validation within the training some time: only this process computes them."""
        if trainer.state.fn == TrainerFn.FITTING and trainer.is_global_zero:
            NOTICE.leave(stop, within=PATIENCE)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go back to leaving between batches."""
        if trainer.state.fn == TrainerFn.FITTING:
            NOTICE.remember()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What remains is the scoring of a model that is saved."""
        if trainer.is_global_zero:
            NOTICE.leave(stop)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take any failure after the notice for a part of the end: other processes may have left before this one."""
        NOTICE.remember()
        if not NOTICE.heard:
            return
        if not isinstance(exception, SIGTERMException):
            close_loggers(trainer, preempted=True)
        if self.claim:
            self.claim.write(PREEMPTED, "told to stop")


def _leave_together(trainer: Trainer, batch: int = 1) -> None:
    """Ask all processes, after one batch in ten, whether any has heard the notice; a lone one need not wait for it."""
    if trainer.world_size > 1 and batch % EVERY != 1:
        return
    if trainer.strategy.reduce_boolean_decision(NOTICE.heard, all=False):
        # Lightning then raises between two batches, where a checkpoint loses nothing.
        trainer._signal_connector.received_sigterm = True
