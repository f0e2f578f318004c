import numpy as np
import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.ageing import MixedSlopes
from disentangle_pl.studies.interventions import aged, aged_again, reach_of, swapped, transport, with_values
from tests.studies.linear_brain import linear_brain


def slopes(per_year: list[float], q: list[float]) -> MixedSlopes:
    values = np.array(per_year)
    drawn = values * np.linspace(0.5, 1.5, 101)[:, None]
    return MixedSlopes(values, np.ones_like(values), np.full(len(q), 18.0), np.array(q), np.array(q), drawn, 10, 20)


def test_only_latents_that_age_move_by_the_slopes_and_by_those_of_other_draws() -> None:
    z = torch.tensor([1.0, 2.0, 3.0])
    per_year = slopes([0.1, 0.2, -0.4], [0.001, 0.2, 0.01])
    found = aged(z, per_year, 5.0)
    assert found.tolist() == pytest.approx([1.5, 2.0, 1.0])
    torch.testing.assert_close(aged(found, per_year, -5.0), z)
    again = aged_again(z, per_year, 5.0, 101)
    assert again.shape == (101, 3)
    assert again[0].tolist() == pytest.approx([1.25, 2.0, 2.0])
    assert again[100].tolist() == pytest.approx([1.75, 2.0, 0.0])


def test_latents_are_set_and_swapped_one_by_one() -> None:
    z, other = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([7.0, 8.0, 9.0])
    assert with_values(z, {1: -4.0}).tolist() == [1, -4, 3]
    assert swapped(z, other, [0, 2]).tolist() == [7, 2, 9]
    assert z.tolist() == [1, 2, 3]
    for wrong in (3, -1):
        with pytest.raises(InputError, match=f"no latent {wrong}: the model has 3, from 0 to 2"):
            with_values(z, {wrong: 0.0})
        with pytest.raises(InputError, match=f"no latent {wrong}"):
            swapped(z, other, [wrong])


def test_no_intervention_leaves_the_scan_as_it_is_whatever_the_model_loses() -> None:
    model = linear_brain(loses=0.5)
    x = torch.rand(2, 1, 12, 12, 12, generator=torch.Generator().manual_seed(1))
    z = model.encode(x).mean
    assert torch.equal(transport(model, x, z, z), x)
    moved = transport(model, x, z, z + torch.tensor([0.0, 2.0, 0.0, 0.0]))
    torch.testing.assert_close(moved - x, (2 * model.decode(torch.eye(4)[[1]]) - 1).expand_as(x), atol=1e-6, rtol=0)


def test_distance_is_that_in_standard_deviations_of_the_training_codes() -> None:
    codes = np.random.default_rng(0).normal(size=(5000, 2)) * [1, 10] + [3, -5]
    reach = reach_of(codes)
    away = reach.distance(np.array([[3.0, -5.0], [5.0, -5.0], [3.0, 15.0]]))
    assert away == pytest.approx([0, 2, 2], abs=0.1)
    assert reach.limit == pytest.approx(np.sqrt(9.21), rel=0.05)  # the 99 % quantile of chi-squared with 2 degrees
    assert (reach.distance(codes) > reach.limit).mean() == pytest.approx(0.01, abs=0.001)
