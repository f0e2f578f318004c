"""Endless random draws as a data loader: sized, resumable in mid-epoch, and the same under any number of processes."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Draw = Callable[[int, torch.Generator], tuple[Tensor, ...]]


class Draws:
    """Batches drawn by tensor index, never item by item.

    Every process draws the whole global batch from the same generator and keeps its own contiguous rows, so that n
    processes together see what one process with n times the batch would see. The generator goes on from epoch to
    epoch; its state travels in the checkpoint, which makes a resumed run equal to an uninterrupted one.

    Attributes:
        epoch: Batches that are taken of the `steps` of an epoch; the next epoch begins after them.
        repeats: Whether every epoch has the batches of the first one.

    Args:
        draw: Maps (rows, generator) to tensors with that many rows each.
        batch_size: Rows a process and step.
        steps: Steps an epoch.
        seed: Start of the generator.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(self, draw: Draw, batch_size: int, steps: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.draw = draw
        self.total = batch_size * world_size
        self.rows = slice(rank * batch_size, (rank + 1) * batch_size)
        self.steps = self.epoch = steps
        self.repeats = False
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self.position = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for _ in range(self.position, self.epoch):
            if self.repeats and not self.position:
                self.generator.manual_seed(self.seed)
            draws = self.draw(self.total, self.generator)
            # Before the yield: Lightning fetches exactly `epoch` batches and never runs the generator to its end.
            self.position = (self.position + 1) % self.epoch
            yield tuple(tensor[self.rows] for tensor in draws)

    def state(self) -> dict[str, Any]:
        """Return the position in the epoch and the state of the generator."""
        return {"position": self.position, "generator": self.generator.get_state()}

    def take(self, limit: int | float, repeats: bool = False) -> None:
        """Take only some of the batches of every epoch, while the length stays what it is, for those who count.

        Args:
            limit: So many batches, or as a float such a share of them.
            repeats: Whether every epoch has the batches of the first one.
        """
        share = min(limit, self.steps) if isinstance(limit, int) else int(limit * self.steps)
        self.epoch, self.repeats = max(1, share), repeats

    def go_on_from(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.position = state["position"]
        self.generator.set_state(state["generator"])


class Shard:
    """The batches of a fixed list of rows that belong to one process: every world_size-th row, none twice.

    Args:
        index: (N,) rows in order.
        batch_size: Rows a batch.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(self, index: Tensor, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.batches: Sequence[Tensor] = torch.split(index[rank::world_size], batch_size)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter((batch,) for batch in self.batches)
