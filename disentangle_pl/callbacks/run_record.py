"""Write into the run folder how the run ended."""

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from disentangle_pl.run_state import FAILED, PREEMPTED, Claim


class RunRecord(Callback):
    """Record an interruption or a failure; that a run has finished is recorded once its scores are written.

    Args:
        claim: The claim on the run folder.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write the state `preempted` or `failed`."""
        if isinstance(exception, SIGTERMException | KeyboardInterrupt):
            self.claim.write(PREEMPTED, "told to stop")
        else:
            self.claim.write(FAILED, f"{type(exception).__name__}: {exception}")
