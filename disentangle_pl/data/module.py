"""What a model, a callback and the command line may expect of any data module."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray

from disentangle_pl.data.draws import Draws
from disentangle_pl.errors import InputError


def check_counts(**counts: int) -> None:
    """Refuse settings that count something and are no whole numbers above 0: a file of settings may hold null.

    Raises:
        InputError: If one is.
    """
    wrong = [name for name, count in counts.items() if not isinstance(count, int) or count < 1]
    if wrong:
        raise InputError(f"{wrong[0]} is {counts[wrong[0]]}: give a whole number above 0")


class ImageData(LightningDataModule, ABC):
    """A data module that knows the shape of its images before any image is read.

    Training batches are `Batch(image, factors, changed)` with image (B, C, *S), or (B, G, C, *S) when `group` is G > 1.
    Validation, test and predict batches are always single images (B, C, *S).

    The state of the training draws travels in the checkpoint with the data module. Lightning would restore that of a
    loader only when the checkpoint was taken before its epoch was over.
    """

    def __init__(self) -> None:
        super().__init__()
        self._draws: Draws | None = None
        self._remembered: dict[str, Any] | None = None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(C, *S) of one image; reaches the model through a link of the command line."""

    @property
    @abstractmethod
    def group(self) -> int:
        """How many images form one training example: 1 for single images, 2 for pairs."""

    @property
    @abstractmethod
    def train_size(self) -> int:
        """How many different images there are to train on, from `setup` on."""

    @property
    @abstractmethod
    def factor_names(self) -> tuple[str, ...]:
        """The names of the k columns of `Batch.factors`."""

    @property
    @abstractmethod
    def nuisance(self) -> tuple[str, ...]:
        """The names of factors that are not scored."""

    @property
    def scores_quantities(self) -> bool:
        """Whether the end of a fit scores factors that are quantities; classes are scored always."""
        return False

    def groups(self, part: Literal["val", "test"]) -> NDArray[np.int64] | None:
        """Say whose image every row of the validation or test sample is, from `setup` on, (N,).

        Scores hold out and permute groups, such as the scans of one person, as a whole. None, as here, if every image
        stands for itself.
        """
        return None

    @property
    def people(self) -> dict[str, str] | None:
        """Say who is for training, validation or test (train, val, test), by id, from `setup` on.

        A checkpoint remembers it. None, as here, if every image stands for itself.
        """
        return None

    @property
    def place(self) -> tuple[int, int]:
        """This process and the number of processes; (0, 1) without a trainer."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def resumed(self, draws: Draws) -> Draws:
        """Return the training draws, moved on to where the checkpoint was taken if there is one.

        They are those that the trainer takes, by `limit_train_batches`, and the same in every epoch with
        `overfit_batches`.
        """
        if self.trainer:
            draws.take(self.trainer.limit_train_batches or 1.0, self.trainer.overfit_batches > 0)  # type: ignore[attr-defined]
        if self._remembered is not None:
            draws.go_on_from(self._remembered)
        self._draws, self._remembered = draws, None
        return draws

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the training draws."""
        return {"draws": self._draws.state()} if self._draws else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the state of the training draws until they are made."""
        self._remembered = state_dict.get("draws")
