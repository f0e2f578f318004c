from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.collection import CodesAndFactors

ROWS = torch.arange(12)
CUTS = (6, 7, 12)
Collected: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64] | NDArray[np.float64]]


def batch(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Give codes and factors that tell which row they come from."""
    return torch.stack([rows / 4, -rows, rows**2], 1), torch.stack([rows, rows % 3], 1)


def collect_on_one_rank(rank: int, folder: Path) -> list[Collected]:
    patience = timedelta(seconds=60)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, timeout=patience, rank=rank, world_size=2)
    collected = []
    for cut in CUTS:
        collection = CodesAndFactors()
        for part in ROWS.tensor_split((cut,))[rank].chunk(2):
            collection.update(*batch(part))
        collected.append(collection.compute())
    distributed.destroy_process_group()
    return collected


def test_collects_batches_in_order_on_the_cpu() -> None:
    collection = CodesAndFactors()
    for part in ROWS.tensor_split((5, 10)):
        codes, factors = batch(part)
        collection.update(codes.double().requires_grad_(), factors.int())
    collected = collection.compute()
    np.testing.assert_array_equal(collected[0], batch(ROWS)[0])
    np.testing.assert_array_equal(collected[1], batch(ROWS)[1])
    assert [array.dtype for array in collected] == [np.float32, np.int64]


def test_quantities_keep_their_gaps() -> None:
    collection = CodesAndFactors()
    ages = torch.tensor([[61.25], [float("nan")], [80.5]])
    for part in ages.tensor_split((2,)):
        collection.update(torch.zeros(len(part), 2), part)
    factors = collection.compute()[1]
    assert factors.dtype == np.float64
    np.testing.assert_array_equal(factors, ages.double())


def test_classes_in_one_batch_and_quantities_in_the_next_are_refused() -> None:
    collection = CodesAndFactors()
    collection.update(*batch(ROWS))
    with pytest.raises(InputError, match=r"int64 in one batch and torch\.float32 in the next"):
        collection.update(torch.zeros(3, 2), torch.zeros(3, 2))


def test_reset_forgets() -> None:
    collection = CodesAndFactors()
    collection.update(*batch(ROWS))
    collection.reset()
    collection.update(*batch(ROWS[:2]))
    assert len(collection.compute()[0]) == 2


def test_two_processes_collect_the_rows_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        ranks = list(pool.map(collect_on_one_rank, (0, 1), (tmp_path, tmp_path)))
    for codes, factors in ranks[0] + ranks[1]:
        np.testing.assert_array_equal(codes, batch(ROWS)[0])
        np.testing.assert_array_equal(factors, batch(ROWS)[1])
    assert len(ranks[0]) == len(ranks[1]) == len(CUTS)


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (torch.zeros(3), torch.zeros(3, 1, dtype=torch.long), r"\(B, d\)"),
        (torch.zeros(3, 2), torch.zeros(2, 1, dtype=torch.long), r"\(2, 1\)"),
    ],
)
def test_batches_that_do_not_pair_up_are_refused(codes: Tensor, factors: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CodesAndFactors().update(codes, factors)
