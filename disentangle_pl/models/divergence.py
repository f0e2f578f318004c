"""Stop a training whose loss or weights are no longer finite, and keep the last checkpoint that is good."""

from collections.abc import Iterable
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from disentangle_pl.errors import InputError

LAST = Path("checkpoints", "last.ckpt")  # in a run folder


class Finite:
    """Whether all losses so far are finite; a loss is read off its device only when somebody asks."""

    def __init__(self) -> None:
        self._so_far: Tensor | None = None
        self._last: Tensor | None = None

    def see(self, loss: Tensor) -> None:
        """Take note of a loss ()."""
        self._last = loss.detach()
        now = self._last.isfinite()
        self._so_far = now if self._so_far is None else self._so_far & now

    def check(self, trainer: Trainer | None, step: int, weights: Iterable[Tensor] = ()) -> None:
        """Stop the training on all processes together if a loss of any of them, or a weight, is NaN or infinite.

        Args:
            trainer: The trainer, None without one.
            step: The number of steps taken.
            weights: Floating tensors of any shape to look at as well.

        Raises:
            InputError: If so; it says what to change and names the last good checkpoint.
        """
        finite = (self._so_far is None or bool(self._so_far)) and all_finite(weights)
        if trainer is not None:
            finite = trainer.strategy.reduce_boolean_decision(finite)
        if not finite:
            last = float("nan") if self._last is None or self._last.isfinite() else self._last.item()
            raise InputError(DIVERGED.format(loss=last, step=step, cure=_cure(trainer), good=_last_good(trainer)))


def all_finite(weights: Iterable[Tensor]) -> bool:
    """Tell whether no number in tensors of any shape is NaN or infinite, with one look at their device."""
    finite = [weight.detach().isfinite().all() for weight in weights]
    return not finite or bool(torch.stack(finite).all())


def _last_good(trainer: Trainer | None) -> str:
    last = Path(trainer.default_root_dir) / LAST if trainer is not None else None
    return f"the last good checkpoint is {last}" if last and last.is_file() else "there is no checkpoint from before"


def _cure(trainer: Trainer | None) -> str:
    """Say what this trainer has not been asked for yet, as the end of a list."""
    if trainer is None:
        return ""
    cures = []
    if not trainer.gradient_clip_val and trainer.precision != "16-mixed":
        cures.append("clip gradients (trainer.gradient_clip_val=1)")
    if trainer.precision != "32-true":
        cures.append("train in trainer.precision=32-true")
    return "".join(f", or {cure}" for cure in cures)


DIVERGED = (
    "the loss became {loss} by step {step}: lower the learning rate or the weights of the objective in a new run"
    "{cure}; {good}"
)
