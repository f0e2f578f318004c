"""Back to the start: what the rounds of the lottery ticket need of a whole model and its optimiser."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from disentangle_pl.masks.channel_mask import Masked


class Rewind:
    """Set all parameters of a model back to their first values when its masks ask for it, and the optimiser too.

    First values are those at the start of the training; they travel in the checkpoint. Every process does the same, so
    nothing is communicated. Buffers, among them the masks, stay.

    Args:
        masked: The masked layers of the model.

    Attributes:
        first: Parameters of any shape by name; empty before the training, and for masks that never rewind.

    Source: Frankle & Carbin 2019 (arXiv:1803.03635, section 1: every surviving parameter gets its initial value again).
    """

    def __init__(self, masked: Iterable[Masked]) -> None:
        self._masks = [mask for mask, _ in masked if mask.rewinds]
        self.first: dict[str, Tensor] = {}

    def begin(self, model: nn.Module) -> None:
        """Remember the parameters of a model, unless a checkpoint has brought them."""
        if self._masks and not self.first:
            self.first = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    @torch.no_grad()
    def after_step(self, model: nn.Module, optimizer: Optimizer, step: int) -> None:
        """Go back in place if a mask says so, and forget the moments and step counts of the optimiser.

        Args:
            model: The model.
            optimizer: Its optimiser; learning rates stay as they are.
            step: Steps that the optimiser has made.
        """
        if any(step in mask.rewinds for mask in self._masks):
            for name, parameter in model.named_parameters():
                parameter.copy_(self.first[name])
            optimizer.state.clear()
