import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from disentangle_pl.data.factors import Batch, FactorDataset, FactorSpace
from disentangle_pl.data.pairs import KnownGroups, UniformDistinctPairs, UniformPairs
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import ResidentImages, SyntheticData, render
from disentangle_pl.errors import InputError

GRID = Sprites(16, None, [0, 5], [0, 7], [0, 31], [0, 31], colors=2, supersample=2)


def prepared(**arguments: Any) -> SyntheticData:
    settings: dict[str, Any] = {
        "batch_size": 5,
        "steps_per_epoch": 3,
        "eval_size": 70,
        "eval_batch_size": 32,
    } | arguments
    data = SyntheticData(GRID, **settings)
    data.setup("fit")
    return data


def batches(data: SyntheticData, stage: str = "train") -> list[Batch]:
    """Run the loader of a stage as Lightning does."""
    loaders: dict[str, Callable[[], Iterable[tuple[Tensor, ...]]]] = {
        "train": data.train_dataloader,
        "val": data.val_dataloader,
        "test": data.test_dataloader,
        "predict": data.predict_dataloader,
    }
    return [data.on_after_batch_transfer(batch, 0) for batch in loaders[stage]()]


def resident_of(dataset: FactorDataset, budget: float = math.inf) -> ResidentImages:
    pixels = render(dataset, budget, chunk=7)
    assert pixels is not None
    return ResidentImages(dataset, pixels)


def test_resident_images_equal_rendered_ones_and_are_bytes() -> None:
    resident = resident_of(GRID)
    index = torch.randperm(len(GRID), generator=torch.Generator().manual_seed(0))
    assert torch.equal(resident.images(index), GRID.images(index))
    assert resident.pixels.dtype == torch.uint8
    assert resident.shape == GRID.shape
    assert len(resident) == len(GRID) == 96
    assert torch.equal(resident[5].image, GRID[5].image)


class Ramp(FactorDataset):
    """Twenty images whose pixels go from `low` to `high`; the last one has `last` in a pixel."""

    def __init__(self, low: float, high: float, last: float | None = None) -> None:
        self.shape, self.factors = (1, 2, 2), FactorSpace(["level"], [20])
        self.levels = torch.linspace(low, high, 80).view(20, 1, 2, 2)
        if last is not None:
            self.levels[-1, 0, 0, 0] = last

    def images(self, index: Tensor) -> Tensor:
        return self.levels[index]


NAN = float("nan")
EVERY_RANGE = [(0.0, 2.0), (-1.0, 1.0), (0.5, 0.502), (0.0, 1.0, NAN), (0.0, 1.0, math.inf), (0.0, 255.0)]


@pytest.mark.parametrize("ends", EVERY_RANGE)
def test_images_in_memory_are_those_of_the_data_set_number_for_number(ends: tuple[float, ...]) -> None:
    ramp, index = Ramp(*ends), torch.arange(20)
    kept, rendered = (SyntheticData(ramp, eval_size=20, resident_mib=mib) for mib in (512, 0))
    for data in (kept, rendered):
        data.setup("fit")
        torch.testing.assert_close(data.dataset.images(index), ramp.levels, rtol=0, atol=0, equal_nan=True)
    assert isinstance(kept.dataset, ResidentImages)
    assert rendered.dataset is ramp


def test_what_is_kept_is_what_counts_for_the_memory() -> None:
    black, grey, late = Ramp(0, 0), Ramp(0.5, 0.502), Ramp(0, 0, 0.3)
    for dataset, numbers in ((black, 1), (grey, 4), (late, 4)):
        pixels = render(dataset, 80 * numbers, chunk=7)
        assert pixels is not None
        assert pixels.nbytes == 80 * numbers
        assert torch.equal(ResidentImages(dataset, pixels).images(torch.arange(20)), dataset.levels)
        assert render(dataset, 80 * numbers - 1, chunk=7) is None


def test_the_grid_is_kept_if_it_fits_and_rendered_otherwise() -> None:
    small, large = prepared(), prepared(resident_mib=0)
    assert isinstance(small.dataset, ResidentImages)
    assert large.dataset is GRID
    kept = small.dataset
    small.setup("validate")
    assert small.dataset is kept
    for one, other in zip(batches(small), batches(large), strict=True):
        assert torch.equal(one.image, other.image)


def test_batches_are_images_with_their_factors() -> None:
    data = prepared()
    assert (data.shape, data.group, data.train_size) == ((3, 16, 16), 1, 96)
    assert data.factor_names == ("color", "shape", "scale", "orientation", "x", "y")
    for batch in batches(data):
        assert batch.image.shape == (5, 3, 16, 16)
        assert torch.equal(batch.image, GRID.images(GRID.factors.to_index(batch.factors)))
        assert batch.changed is None


def test_pair_batches_hold_two_images_and_what_changed() -> None:
    data = prepared(pairs=UniformDistinctPairs())
    assert (data.group, data.train_size) == (2, 96)
    for batch in batches(data):
        assert batch.image.shape == (5, 2, 3, 16, 16)
        assert batch.factors.shape == (5, 2, 6)
        assert torch.equal(batch.image[:, 1], GRID.images(GRID.factors.to_index(batch.factors[:, 1])))
        assert batch.changed is not None
        assert torch.equal(batch.factors[:, 0] != batch.factors[:, 1], batch.changed)


def test_group_batches_hold_as_many_images_as_the_group() -> None:
    data = prepared(pairs=KnownGroups(["shape"], 4))
    assert data.group == 4
    for batch in batches(data):
        assert batch.image.shape == (5, 4, 3, 16, 16)
        assert torch.equal(batch.factors[..., 1], batch.factors[:, :1, 1].expand(5, 4))
        assert torch.equal(batch.image[:, 3], GRID.images(GRID.factors.to_index(batch.factors[:, 3])))
        assert batch.changed is not None
        assert batch.changed.tolist() == [[True, False, True, True, True, True]] * 5


@pytest.mark.parametrize("stage", ["val", "test", "predict"])
def test_evaluation_batches_are_single_images_even_when_training_on_pairs(stage: str) -> None:
    evaluated = batches(prepared(pairs=UniformPairs()), stage)
    assert [len(batch.image) for batch in evaluated] == ([32, 32, 32] if stage == "predict" else [32, 32, 6])
    assert all(batch.image.shape[1:] == (3, 16, 16) and batch.changed is None for batch in evaluated)


def test_the_evaluation_sample_is_the_same_for_every_seed_and_the_training_draws_are_not() -> None:
    def factors(seed: int, stage: str) -> Tensor:
        return torch.cat([batch.factors for batch in batches(prepared(seed=seed), stage)])

    for stage in ("val", "test"):
        assert torch.equal(factors(0, stage), factors(1, stage))
    assert not torch.equal(factors(0, "val"), factors(0, "test"))
    assert not torch.equal(factors(0, "train"), factors(1, "train"))
    assert torch.equal(factors(0, "train"), factors(0, "train"))


def test_prediction_visits_every_image_in_order() -> None:
    factors = torch.cat([batch.factors for batch in batches(prepared(), "predict")])
    assert GRID.factors.to_index(factors).tolist() == list(range(len(GRID)))


def test_impossible_pairs_are_refused_before_training() -> None:
    grid = Sprites(16, [0], [0], [0], [0, 1], [0])
    with pytest.raises(InputError, match="has 1: lower k or widen the grid"):
        SyntheticData(grid, UniformPairs())
    with pytest.raises(InputError, match="leaves no factor"):
        SyntheticData(grid, KnownGroups(["x"]))


def test_restored_data_go_on_with_the_next_training_batch() -> None:
    unbroken, killed, resumed = prepared(), prepared(), prepared(seed=9)
    expected = batches(unbroken) + batches(unbroken)
    taken = islice(killed.train_dataloader(), 2)
    assert len(list(taken)) == 2
    resumed.load_state_dict(killed.state_dict())
    loader = resumed.train_dataloader()
    rest = [resumed.on_after_batch_transfer(batch, 0) for epoch in range(2) for batch in loader]
    assert len(rest) == 1 + 3
    first, *_ = rest
    assert torch.equal(first.factors, expected[2].factors)
    assert prepared().state_dict() == {}


def test_a_validation_sample_of_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="eval_size must be at least 2, got 1"):
        SyntheticData(GRID, eval_size=1)
