"""Collect the codes and factors of a whole evaluation set, on one device or many."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from disentangle_pl.errors import InputError


class Collected(NamedTuple):
    """The rows of all batches of all processes.

    Attributes:
        codes: (N, d) float32.
        factors: (N, k), int64 or float64.
        rows: (N,) the numbers of the rows, increasing; 0, 1, ... where none were given.
        groups: (N,) whose row it is; None where that was not given.
    """

    codes: NDArray[np.float32]
    factors: NDArray[np.int64] | NDArray[np.float64]
    rows: NDArray[np.int64]
    groups: NDArray[np.int64] | None


class CodesAndFactors(Metric):
    """Gather codes and factors batch by batch, so that one encoding pass serves every score.

    Under distributed data parallel `compute` gives every process the rows of all: in the order of their numbers and
    each once, so that many processes score what one does, or in the order of the ranks where no numbers are given.
    Ranks may hold different numbers of rows, but each needs one batch, if an empty one.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    codes: list[Tensor]
    factors: list[Tensor]
    rows: list[Tensor]
    groups: list[Tensor]

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for state in ("codes", "factors", "rows", "groups"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, codes: Tensor, factors: Tensor, rows: Tensor | None = None, groups: Tensor | None = None) -> None:
        """Add a batch, of tensors or of arrays.

        Args:
            codes: (B, d) posterior means of any precision, stored as float32.
            factors: (B, k) classes, stored as int64, or quantities, NaN where missing; (B,) is one factor.
            rows: (B,) the numbers of these rows in the evaluation set, where several processes share it.
            groups: (B,) whole numbers: whose row it is, such as a person with several scans.

        Raises:
            InputError: If the codes are not 2-D, the batch sizes differ, or a batch has classes and another quantities.
        """
        codes, factors = torch.as_tensor(codes), torch.as_tensor(factors)
        factors = factors[:, None] if factors.ndim == 1 else factors
        if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
            shapes = f"{tuple(codes.shape)} and {tuple(factors.shape)}"
            raise InputError(f"codes and factors of a batch must be (B, d) and (B, k), got {shapes}")
        if any(batch.is_floating_point() != factors.is_floating_point() for batch in self.factors[-1:]):
            raise InputError(f"factors are {self.factors[-1].dtype} in one batch and {factors.dtype} in the next")
        self.codes.append(codes.detach().float())
        self.factors.append(factors.detach() if factors.is_floating_point() else factors.detach().long())
        for state, numbers in ((self.rows, rows), (self.groups, groups)):
            if numbers is not None:
                state.append(torch.as_tensor(numbers).detach().long())

    def compute(self) -> Any:
        """Return the `Collected` codes and factors of all batches, on the CPU.

        Raises:
            InputError: If there was no batch, or some had numbers of their rows or groups and others not.
        """
        if not len(self.codes):
            name = type(self).__name__
            raise InputError(f"{name} has seen no codes: call update(codes, factors) before compute()")
        codes, factors = dim_zero_cat(self.codes).cpu(), dim_zero_cat(self.factors).cpu()
        factors = factors.double() if factors.is_floating_point() else factors
        rows = dim_zero_cat(self.rows).cpu().numpy() if len(self.rows) else np.arange(len(codes))
        groups = dim_zero_cat(self.groups).cpu().numpy() if len(self.groups) else None
        for words, numbers in (("row numbers", rows), ("groups", groups)):
            if numbers is not None and len(numbers) != len(codes):
                raise InputError(f"{len(numbers)} of {len(codes)} rows have {words}: give every batch its own")
        order, first = np.unique(rows, return_index=True)
        return Collected(codes.numpy()[first], factors.numpy()[first], order, None if groups is None else groups[first])
