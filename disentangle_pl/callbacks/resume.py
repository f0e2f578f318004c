"""What a run needs to survive being killed: the random state, and a checkpoint when it is told to stop."""

import hashlib
import io
import os
import random
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from disentangle_pl.errors import InputError
from disentangle_pl.models.divergence import LAST
from disentangle_pl.notice import NOTICE

DAMAGED = "the checkpoint {path} is damaged ({fault}): remove it to go on from an older one, or to start anew"
PARTS: dict[str, type] = {"state_dict": dict, "epoch": int, "global_step": int, "loops": dict, "optimizer_states": list}


class LeaveAtOnceException(SIGTERMException):
    """Raised where nothing can be saved, or is worth it: before the training, in a validation, after the training."""


class ExactResume(Callback):
    """Keep the state of all random generators in the checkpoint, so that a resumed run equals an unbroken one."""

    def __init__(self) -> None:
        self._restored: dict[str, Any] | None = None
        self._validating = False

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the generators of torch (CPU and GPU), NumPy and Python, as tensors and plain numbers."""
        numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - libraries may draw from the global generator
        mersenne = {**numpy["state"], "key": torch.from_numpy(numpy["state"]["key"].astype(np.int64))}
        version, internal, gauss = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            # of the GPU of this process alone: all draw the same, and no process draws on the GPU of another
            "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],  # type: ignore[no-untyped-call]
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
        if state["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda"][0].cpu())
        mersenne = state["numpy"]["state"]
        keys = mersenne["key"].cpu().numpy().astype(np.uint32)
        np.random.set_state({**state["numpy"], "state": {**mersenne, "key": keys}})  # noqa: NPY002
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that a validation within the training has begun."""
        self._validating = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that it is over."""
        self._validating = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let a validation that is cut short begin anew: what it has seen is in no checkpoint."""
        if self._validating:
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            begun, ended = progress["total"]["ready"], progress["total"]["ready"] - 1
            # Lightning goes back to a validation only when it was cut within a batch.
            progress["total"] = {"ready": begun, "started": begun, "processed": ended, "completed": ended}
            progress["current"] = dict.fromkeys(progress["current"], 0)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """On SIGTERM or Ctrl-C write `last.ckpt`, and tell W&B that the run was preempted or stopped, not finished.

        Before and after the training the last checkpoint stays, and so it does when the weights are not finite.
        """
        if not is_stop(exception):
            return
        at_once = isinstance(exception, LeaveAtOnceException) or trainer.sanity_checking
        if trainer.state.fn == TrainerFn.FITTING and not at_once:
            with suppress(InputError):
                trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST, weights_only=False)
        children = _release_children(trainer)
        for child in children if at_once else ():
            child.kill()  # it waits for what this process will never send
        close_loggers(trainer, preempted=is_preemption(exception))
        for child in children:
            _see_off(child)


class KeepLast(Callback):
    """Write `last.ckpt` at the end of every epoch, and at the end of the training if the weights have changed since.

    Lightning's ModelCheckpoint does so only in epochs in which it also writes another checkpoint, such as a better one,
    and at the end of the training always, when an average of the weights has already replaced those that a longer
    training goes on from.
    """

    def __init__(self) -> None:
        self._weights = ""  # digest of those in the checkpoint that is written last

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember which weights are written: those of an average, if a callback before this one put it there."""
        self._weights = _digest(checkpoint["state_dict"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoint that a killed run goes on from."""
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST, weights_only=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the weights that will be scored if they are others, as after StochasticWeightAveraging."""
        if not self._weights or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if trainer.strategy.broadcast(self._weights != _digest(pl_module.state_dict())):
            trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST, weights_only=False)


def _digest(weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for weight in weights.values():
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class WholeCheckpoints(TorchCheckpointIO):
    """Write a checkpoint beside its place and move it there, so that a full disk or a kill leaves the one before.

    One that cannot be read, or lacks what a run goes on from, is refused by its name.

    Args:
        weights_alone: Read what needs no more than the weights: to validate, test or predict.
    """

    def __init__(self, weights_alone: bool = False) -> None:
        super().__init__()
        self.parts = {"state_dict": dict} if weights_alone else PARTS

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            InputError: If it is damaged.
            UnpicklingError: If it may hold code.
        """
        try:
            checkpoint = super().load_checkpoint(path, *args, **kwargs)
        except UnpicklingError:
            raise
        except Exception as error:  # there is no end to the ways in which broken bytes fail
            fault = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise InputError(DAMAGED.format(path=path, fault=fault)) from error
        fault = _fault(checkpoint, self.parts)
        if fault:
            raise InputError(DAMAGED.format(path=path, fault=fault))
        return checkpoint

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Save a checkpoint, whole or not at all.

        Raises:
            OSError: If it cannot be written; it names the path.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        place = Path(path)
        draft = place.with_name(f"{place.name}.tmp")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(place)) from error


def _fault(checkpoint: Any, parts: Mapping[str, type]) -> str:
    """Say what a checkpoint lacks, or holds in a form that no run writes; empty if all is there."""
    for part, kind in parts.items():
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(part), kind):
            return f"it has no {part}"
    weights = checkpoint["state_dict"].values()
    if not all(isinstance(weight, torch.Tensor) for weight in weights):
        return "a weight is no tensor"
    if not all(weight.isfinite().all() for weight in weights):
        return "a weight is NaN or infinite"
    return ""


def is_stop(exception: BaseException) -> bool:
    """Tell whether somebody outside has ended the run: SIGTERM, a notice by SIGUSR1, or Ctrl-C."""
    return isinstance(exception, SIGTERMException | KeyboardInterrupt)


def is_preemption(exception: BaseException) -> bool:
    """Tell whether a run that is ended from outside shall go on by itself once there is room again.

    A notice always says so, and so does SIGTERM. But the agent of a W&B sweep sends SIGTERM to what hyperband or a
    person stops for good, and W&B itself interrupts as Ctrl-C does: as preempted such a run would be queued again.
    """
    return NOTICE.heard or (isinstance(exception, SIGTERMException) and "WANDB_SWEEP_ID" not in os.environ)


def close_loggers(trainer: Trainer, preempted: bool) -> None:
    """Write the last numbers of a run, and tell W&B how it ended."""
    for logger in trainer.loggers if trainer.is_global_zero else ():
        logger.save()
        if isinstance(logger, WandbLogger):
            if preempted:
                logger.experiment.mark_preempting()
            finish_wandb(logger, 143)


def finish_wandb(logger: WandbLogger, code: int = 0) -> None:
    """Close the W&B run, and say what to do if its server does not take everything within WANDB_FINISH_TIMEOUT."""
    run = logger.experiment
    try:
        run.finish(exit_code=code)
    except TimeoutError:
        folder = Path(run.settings.sync_dir)
        print(f"W&B did not answer in time; nothing is lost, upload the run later: wandb sync {folder}", flush=True)


def _release_children(trainer: Trainer) -> list[subprocess.Popen[bytes]]:
    """Take the processes that Lightning started from its watchman, who would kill this one when they leave first."""
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return []
    children = [*launcher.procs]
    launcher.procs.clear()
    return children


def _see_off(child: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
