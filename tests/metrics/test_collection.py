import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, distributed

from disentangle_pl.errors import InputError
from disentangle_pl.metrics import SAP
from disentangle_pl.metrics.collection import CodesAndFactors, Collected
from tests.ranks import RANKS

ROWS = torch.arange(12)
CUTS = (6, 7, 12)
REPEATED = torch.cat([ROWS, ROWS[:1]])  # a sampler pads the rank that has one row fewer


def batch(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Give codes and factors that tell which row they come from."""
    return torch.stack([rows / 4, -rows, rows**2], 1), torch.stack([rows, rows % 3], 1)


class OfRank(NamedTuple):
    """What a process has after all have met."""

    cut: list[Collected]
    dealt: list[Collected]
    score: Tensor


def score_in_order(batches: Iterable[Tensor]) -> tuple[Collected, Tensor]:
    """Collect and score batches of rows that tell their numbers, and whose they are."""
    collection, metric = CodesAndFactors(), SAP()
    for part in batches:
        for each in (collection, metric):
            each.update(*batch(part), part, part // 2)
    return collection.compute(), metric.compute()


def collect_on_one_rank(rank: int, folder: Path) -> OfRank:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    patience = timedelta(seconds=60)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, timeout=patience, rank=rank, world_size=2)
    collected, dealt = [], []
    for cut in CUTS:
        collection = CodesAndFactors()
        for part in ROWS.tensor_split((cut,))[rank].chunk(2):
            collection.update(*batch(part))
        collected.append(collection.compute())
    for rows in (ROWS[:7], REPEATED):
        in_order, score = score_in_order(torch.split(rows[rank::2], 4))
        dealt.append(in_order)
    distributed.destroy_process_group()
    return OfRank(collected, dealt, score)


def test_collects_batches_in_order_on_the_cpu() -> None:
    collection = CodesAndFactors()
    for part in ROWS.tensor_split((5, 10)):
        codes, factors = batch(part)
        collection.update(codes.double().requires_grad_(), factors.int())
    collected = collection.compute()
    np.testing.assert_array_equal(collected[0], batch(ROWS)[0])
    np.testing.assert_array_equal(collected[1], batch(ROWS)[1])
    assert [array.dtype for array in collected[:2]] == [np.float32, np.int64]
    np.testing.assert_array_equal(collected.rows, np.arange(12))
    assert collected.groups is None


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


def test_two_processes_collect_the_rows_of_one(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=RANKS) as pool:
        ranks = list(pool.map(collect_on_one_rank, (0, 1), (tmp_path, tmp_path)))
    for codes, factors, _, _ in ranks[0].cut + ranks[1].cut:
        np.testing.assert_array_equal(codes, batch(ROWS)[0])
        np.testing.assert_array_equal(factors, batch(ROWS)[1])
    assert len(ranks[0].cut) == len(ranks[1].cut) == len(CUTS)
    for rows, *dealt in zip((ROWS[:7], ROWS), ranks[0].dealt, ranks[1].dealt, strict=True):
        one, score = score_in_order(torch.split(rows, 5))
        for each in dealt:
            for array, expected in zip(each, one, strict=True):
                np.testing.assert_array_equal(array, expected)
    assert ranks[0].score == ranks[1].score == score


def test_rows_come_in_the_order_of_their_numbers_and_once() -> None:
    collection = CodesAndFactors()
    for rows in (torch.tensor([4, 2, 0]), torch.tensor([3, 1, 4, 0])):
        collection.update(*batch(rows), rows + 10, rows // 2)
    codes, factors, rows, groups = collection.compute()
    np.testing.assert_array_equal(codes, batch(ROWS[:5])[0])
    np.testing.assert_array_equal(factors, batch(ROWS[:5])[1])
    assert (rows.tolist(), groups.tolist()) == ([10, 11, 12, 13, 14], [0, 0, 1, 1, 2])


def test_one_factor_comes_in_a_row() -> None:
    collection = CodesAndFactors()
    collection.update(batch(ROWS)[0], ROWS % 3)
    np.testing.assert_array_equal(collection.compute().factors, (ROWS % 3)[:, None])


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_nothing_collected_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"CodesAndFactors has seen no codes: call update\(codes, factors\)"):
        CodesAndFactors().compute()
    collection = CodesAndFactors()
    collection.update(*batch(ROWS), groups=ROWS)
    collection.update(*batch(ROWS))
    with pytest.raises(InputError, match="12 of 24 rows have groups"):
        collection.compute()


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
