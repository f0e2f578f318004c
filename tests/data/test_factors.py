import numpy as np
import pytest
import torch
from torch import Tensor

from disentangle_pl.data.factors import Batch, FactorDataset, FactorSpace
from disentangle_pl.errors import InputError

SPACE = FactorSpace(("shape", "scale", "fixed", "x"), (3, 6, 1, 5))


class Written(FactorDataset):
    """Writes the factors into the pixels."""

    shape = (1, 1, 4)
    factors = SPACE

    def images(self, index: Tensor) -> Tensor:
        return self.factors.to_factors(index).float().view(-1, *self.shape)


def test_every_grid_point_has_one_index_and_back() -> None:
    index = torch.arange(len(SPACE))
    factors = SPACE.to_factors(index)
    assert len(SPACE) == 90
    assert torch.equal(SPACE.to_index(factors), index)
    assert len(torch.unique(factors, dim=0)) == 90
    assert factors.min() == 0
    assert factors.amax(0).tolist() == [2, 5, 0, 4]


def test_the_order_is_that_of_numpy() -> None:
    index = np.arange(len(SPACE))
    factors = np.stack(np.unravel_index(index, SPACE.sizes), 1)
    np.testing.assert_array_equal(SPACE.to_factors(torch.from_numpy(index)), factors)
    np.testing.assert_array_equal(
        SPACE.to_index(torch.from_numpy(factors)), np.ravel_multi_index(tuple(factors.T), SPACE.sizes)
    )


@pytest.mark.parametrize("batch", [(), (7,), (7, 2), (0,)])
def test_batches_of_any_shape_are_mapped(batch: tuple[int, ...]) -> None:
    index = torch.randint(len(SPACE), batch, generator=torch.Generator().manual_seed(0))
    factors = SPACE.to_factors(index)
    assert factors.shape == (*batch, 4)
    assert torch.equal(SPACE.to_index(factors), index)


def test_draws_are_uniform_and_repeatable() -> None:
    draws = SPACE.sample(90_000, torch.Generator().manual_seed(0))
    counts = SPACE.to_index(draws).bincount(minlength=90)
    assert len(counts) == 90
    assert (counts - 1000).abs().max() < 5 * 1000**0.5
    assert torch.equal(SPACE.sample(90_000, torch.Generator().manual_seed(0)), draws)


def test_a_data_set_gives_single_images_with_their_factors() -> None:
    data = Written()
    assert len(data) == 90
    batch = data[47]
    assert batch.factors.tolist() == batch.image.flatten().tolist() == [1, 3, 0, 2]
    assert batch.image.shape == (1, 1, 4)
    assert batch.changed is None
    assert isinstance(batch, Batch)


def test_a_space_shows_its_factors() -> None:
    assert repr(SPACE) == "FactorSpace(shape=3, scale=6, fixed=1, x=5)"


@pytest.mark.parametrize(
    ("names", "sizes", "message"),
    [
        (("a", "b"), (2,), "one distinct name a size"),
        (("a", "a"), (2, 3), "one distinct name a size"),
        ((), (), "one distinct name a size"),
        (("a", "b"), (2, 0), r"at least one value, got sizes \[2, 0\]"),
        (("a", "b"), (2, -1), "at least one value"),
    ],
)
def test_impossible_spaces_are_refused(names: tuple[str, ...], sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FactorSpace(names, sizes)


def test_the_nuisance_is_some_of_the_factors() -> None:
    assert FactorSpace(("a", "b", "c"), (2, 3, 4), nuisance=["b"]).scored.tolist() == [True, False, True]
    with pytest.raises(InputError, match=r"nuisance \['d'\] must be some of"):
        FactorSpace(("a", "b"), (2, 3), nuisance=["d"])
