import numpy as np
import pytest
import torch
from torch import Tensor

from disentangle_pl.studies.volume_reader import Reader, coarse, fit_reader

PEOPLE, VISITS = 30, 2
WHO = np.repeat(np.arange(PEOPLE), VISITS)
TRAIN, HELD_OUT = np.arange(40), np.arange(40, 60)


@pytest.fixture
def cohort() -> tuple[Tensor, np.ndarray]:
    """Volumes of 6 x 6 x 6 whose corner is brighter the larger a, with b that is in no image and c unknown."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, len(WHO)))
    volumes = torch.from_numpy(0.05 * rng.normal(size=(len(WHO), 1, 6, 6, 6))).float()
    volumes[:, :, :3, :3, :3] += torch.from_numpy(a).float().view(-1, 1, 1, 1, 1)
    return volumes, np.stack([3 * a + 10, b, np.full(len(WHO), np.nan), np.ones(len(WHO))], 1)


def read(cohort: tuple[Tensor, np.ndarray]) -> Reader:
    volumes, quantities = cohort
    return fit_reader(lambda rows: volumes[rows], quantities, ("a", "b", "c", "d"), TRAIN, HELD_OUT, WHO)


def test_what_is_in_the_images_can_be_read_off_new_people_and_nothing_else(cohort: tuple[Tensor, np.ndarray]) -> None:
    reader = read(cohort)
    assert reader.names == ("a",)
    assert reader.r2[0] > 0.99
    np.testing.assert_allclose(reader.read(cohort[0][HELD_OUT])[:, 0], cohort[1][HELD_OUT, 0], atol=0.3)


def test_the_judges_are_the_held_out(cohort: tuple[Tensor, np.ndarray]) -> None:
    volumes, quantities = cohort
    quantities[HELD_OUT, 0] = np.random.default_rng(1).permutation(quantities[HELD_OUT, 0])
    reader = read((volumes, quantities))
    assert reader.names == ()
    assert reader.read(volumes[:2]).shape == (2, 0)


def test_large_volumes_are_averaged_down() -> None:
    assert coarse(torch.ones(2, 1, 64, 64, 32)).shape == (2, 32**3)
    assert (coarse(torch.full((1, 1, 64, 64, 64), 0.25)) == 0.25).all()
    assert coarse(torch.rand(1, 1, 6, 7, 8)).shape == (1, 6 * 7 * 8)
