from itertools import islice

import pytest
import torch
from torch import Tensor

from disentangle_pl.data.draws import Draws, Shard

STEPS = 4


def two_columns(rows: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    return torch.randint(10**6, (rows,), generator=generator), torch.rand(rows, 3, generator=generator)


def draws(batch_size: int = 3, seed: int = 0, rank: int = 0, world_size: int = 1) -> Draws:
    return Draws(two_columns, batch_size, STEPS, seed, rank, world_size)


def epoch(loader: Draws) -> list[tuple[Tensor, ...]]:
    """Fetch exactly one epoch and drop the iterator before it ends, as Lightning does."""
    return list(islice(iter(loader), len(loader)))


def same(first: list[tuple[Tensor, ...]], second: list[tuple[Tensor, ...]]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


def test_an_epoch_has_its_steps_of_whole_batches() -> None:
    loader = draws()
    batches = list(loader)
    assert len(loader) == len(batches) == STEPS
    assert all(index.shape == (3,) and values.shape == (3, 3) for index, values in batches)


def test_the_seed_decides_and_epochs_go_on() -> None:
    loader = draws()
    first, second = list(loader), list(loader)
    assert same(first, list(draws()))
    assert not same(first, second)
    assert not same(first, list(draws(seed=1)))


def test_a_consumer_that_stops_after_the_last_batch_gets_every_following_epoch_whole() -> None:
    stopping, exhausting = draws(), draws()
    for _ in range(3):
        assert same(epoch(stopping), list(exhausting))


@pytest.mark.parametrize("taken", range(1, 2 * STEPS + 1))
def test_a_restored_loader_goes_on_with_the_next_batch(taken: int) -> None:
    unbroken = draws()
    expected = [batch for _ in range(4) for batch in epoch(unbroken)]
    killed = draws()
    for done in range(0, taken, STEPS):
        list(islice(iter(killed), min(STEPS, taken - done)))
    state = killed.state()
    list(killed)  # what the killed run did after its checkpoint
    resumed = draws(seed=99)
    resumed.go_on_from(state)
    rest = list(resumed)
    assert len(rest) == STEPS - taken % STEPS
    assert same(rest + epoch(resumed), expected[taken:][: len(rest) + STEPS])


@pytest.mark.parametrize(("limit", "taken"), [(3, 3), (9, STEPS), (0.5, 2), (1.0, STEPS)])
def test_an_epoch_of_some_batches_leaves_the_next_one_whole(limit: float, taken: int) -> None:
    loader, whole = draws(), draws()
    loader.take(limit)
    assert len(loader) == STEPS
    batches = [list(loader) for _ in range(5)]
    assert [len(part) for part in batches] == [taken] * 5
    expected = [batch for _ in range(5) for batch in epoch(whole)]
    assert same([batch for part in batches for batch in part], expected[: 5 * taken])


def test_batches_repeat_every_epoch_also_after_a_restart() -> None:
    loader, plain, resumed = draws(), draws(), draws(seed=0)
    for one in (loader, resumed):
        one.take(2, repeats=True)
    first = list(loader)
    assert same(first, epoch(plain)[:2])
    assert same(first, list(loader))
    next(iter(loader))
    resumed.go_on_from(loader.state())
    assert same(list(resumed), first[1:])
    assert same(list(resumed), first)


def test_two_processes_concatenated_equal_one_with_twice_the_batch() -> None:
    one = draws(batch_size=6)
    ranks = [draws(batch_size=3, rank=rank, world_size=2) for rank in (0, 1)]
    for _ in range(2):
        joined = [
            tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
            for batches in zip(*(epoch(rank) for rank in ranks), strict=True)
        ]
        assert same(joined, epoch(one))
    assert torch.equal(ranks[0].state()["generator"], ranks[1].state()["generator"])


@pytest.mark.parametrize(("rows", "world_size"), [(10, 1), (10, 2), (11, 3), (2, 3)])
def test_shards_cover_every_row_once(rows: int, world_size: int) -> None:
    index = torch.arange(rows) * 7
    shards = [Shard(index, 2, rank, world_size) for rank in range(world_size)]
    batches = [[batch for (batch,) in shard] for shard in shards]
    assert torch.cat([row for part in batches for row in part]).sort().values.tolist() == index.tolist()
    assert [len(shard) for shard in shards] == [len(part) for part in batches]
    assert max(len(batch) for part in batches for batch in part) <= 2
    assert torch.cat(batches[0]).tolist() == index[::world_size].tolist()


def test_a_shard_can_be_read_again() -> None:
    shard = Shard(torch.arange(5), 2)
    assert [batch.tolist() for (batch,) in shard] == [batch.tolist() for (batch,) in shard] == [[0, 1], [2, 3], [4]]
