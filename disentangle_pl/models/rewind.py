"""Back to earlier values: what the rounds of the lottery ticket need of a whole model and its optimiser."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from disentangle_pl.masks.channel_mask import Masked


class Rewind:
    """Set all parameters of a model back to earlier values when its masks ask for it, and the optimiser too.

    These are the values at the start of the training, or after the step that the masks name; they travel in the
    checkpoint. Every process does the same, so
    nothing is communicated. Buffers, among them the masks, stay.

    Args:
        masked: The masked layers of the model.

    Attributes:
        first: Parameters of any shape by name; empty before their step, and for masks that never rewind.

    Source: Frankle & Carbin 2019 (arXiv:1803.03635, section 1: every surviving parameter gets its initial value again);
        to a later step, Frankle et al. 2020 (arXiv:1912.05671).
    """

    def __init__(self, masked: Iterable[Masked]) -> None:
        self._masks = [mask for mask, _ in masked if mask.rewinds]
        self.first: dict[str, Tensor] = {}

    def begin(self, model: nn.Module) -> None:
        """Remember the parameters of a model, unless a checkpoint has brought them."""
        if not self.first:
            self._remember(model, 0)

    @torch.no_grad()
    def after_step(self, model: nn.Module, optimizer: Optimizer, step: int) -> None:
        """Go back in place if a mask says so, and forget the moments and step counts of the optimiser.

        Args:
            model: The model.
            optimizer: Its optimiser; learning rates stay as they are.
            step: Steps that the optimiser has made.
        """
        self._remember(model, step)
        if any(step in mask.rewinds for mask in self._masks):
            for name, parameter in model.named_parameters():
                parameter.copy_(self.first[name])
            optimizer.state.clear()

    def _remember(self, model: nn.Module, step: int) -> None:
        if any(step == mask.rewind_to for mask in self._masks):
            self.first = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
