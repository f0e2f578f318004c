"""Collect the codes and factors of a whole evaluation set, on one device or many."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from disentangle_pl.errors import InputError


class CodesAndFactors(Metric):
    """Gather codes and factors batch by batch, so that one encoding pass serves every score.

    Under distributed data parallel `compute` gives every process the rows of all, in the order of the ranks.
    Ranks may hold different numbers of rows, but each needs one batch, if an empty one. Where a sampler pads
    a rank, rows repeat.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    codes: list[Tensor]
    factors: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("codes", default=[], dist_reduce_fx="cat")
        self.add_state("factors", default=[], dist_reduce_fx="cat")

    def update(self, codes: Tensor, factors: Tensor) -> None:
        """Add a batch.

        Args:
            codes: (B, d) posterior means, kept as float32.
            factors: (B, k) classes, kept as int64, or quantities, NaN where missing.

        Raises:
            InputError: If a tensor is not 2-D, the batch sizes differ, or a batch has classes and another quantities.
        """
        if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
            shapes = f"{tuple(codes.shape)} and {tuple(factors.shape)}"
            raise InputError(f"codes and factors of a batch must be (B, d) and (B, k), got {shapes}")
        if any(batch.is_floating_point() != factors.is_floating_point() for batch in self.factors[-1:]):
            raise InputError(f"factors are {self.factors[-1].dtype} in one batch and {factors.dtype} in the next")
        self.codes.append(codes.detach().float())
        self.factors.append(factors.detach() if factors.is_floating_point() else factors.detach().long())

    def compute(self) -> tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float64]]:
        """Return the codes (N, d) float32 and factors (N, k), int64 or float64, of all batches, on the CPU."""
        factors = dim_zero_cat(self.factors).cpu()
        factors = factors.double() if factors.is_floating_point() else factors
        return dim_zero_cat(self.codes).cpu().numpy(), factors.numpy()
