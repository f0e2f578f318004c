"""One value a person, and normal ranks."""

import numpy as np
import pytest
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.growth import slopes_of_people
from disentangle_pl.genetics.phenotypes import Summary, inverse_normal, one_value


def test_ranks_become_normal_quantiles() -> None:
    values = np.array([[3.0, 1.0], [1.0, np.nan], [2.0, 1.0], [100.0, 5.0]])
    found = inverse_normal(values)
    quantiles = stats.norm.ppf((np.arange(1, 5) - 0.375) / 4.25)
    np.testing.assert_allclose(found[:, 0], quantiles[[2, 0, 1, 3]])
    tied = stats.norm.ppf((np.array([1.5, np.nan, 1.5, 3]) - 0.375) / 3.25)
    np.testing.assert_allclose(found[:, 1], tied)


@pytest.mark.parametrize(
    ("summary", "expected"),
    [("baseline", [10.0, 5.0, 7.0]), ("mean", [13.0, 5.0, 8.0]), ("slope", [3.0, np.nan, np.nan])],
)
def test_one_value_a_person(summary: Summary, expected: list[float]) -> None:
    values = np.array([13.0, 10.0, 16.0, 5.0, 7.0, 9.0])
    years = np.array([1.0, 0.0, 2.0, 4.0, np.nan, np.nan])
    who, made = one_value(np.stack([values, -values], 1), np.array([4, 4, 4, 2, 8, 8]), years, summary)
    order = [1, 0, 2]
    assert who[order].tolist() == [4, 2, 8]
    np.testing.assert_allclose(made[order], np.stack([expected, -np.array(expected)], 1))


def test_a_slope_needs_two_times() -> None:
    with pytest.raises(InputError, match="ask for baseline or mean"):
        one_value(np.ones((3, 2)), np.array([0, 0, 1]), np.array([1.0, 1.0, 2.0]), "slope")


def test_a_predicted_slope_is_that_of_all_scans_and_of_people_with_two_times() -> None:
    rng = np.random.default_rng(0)
    people, years = np.repeat(np.arange(12), 3), np.tile([0.0, 1.0, 2.5], 12)
    values = rng.standard_normal((36, 2)) + people[:, None] * years[:, None] / 10
    years[:2], years[5] = np.nan, np.nan
    who, made = one_value(values, people, years, "blup")
    known = ~np.isnan(years)
    some, slopes = slopes_of_people(values[known], people[known], years[known])
    assert who.tolist() == some.tolist() == list(range(12))
    assert np.isnan(made[0]).all()
    np.testing.assert_allclose(made[1:], slopes[1:])
    with pytest.raises(InputError, match="not blup"):
        one_value(values[:3], people[:3], years[:3], "blup")
