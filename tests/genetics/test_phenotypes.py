"""One value a person, and normal ranks."""

import numpy as np
import pytest
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.growth import slopes_of_people
from disentangle_pl.genetics.phenotypes import one_value
from disentangle_pl.genetics.traits import Summary, inverse_normal, traits_of


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


def test_two_values_are_cases_and_controls() -> None:
    nan = np.nan
    values = np.array([[1, 0, 0, 3.5, 1], [2, 1, 1, 7, 2], [2, 0, 2, 3.5, 3], [nan, nan, nan, nan, 4], [1, 1, 2, 7, 5]])
    found = traits_of(["a", "b", "c", "d", "e"], values, ranks=True)
    assert found.cases.tolist() == [True, True, True, True, False]
    expected = [[0, 0, nan, 0], [1, 1, 0, 1], [1, 0, 1, 0], [nan, nan, nan, nan], [0, 1, 1, 1]]
    np.testing.assert_array_equal(found.values[:, :4], expected)
    np.testing.assert_array_equal(found.values[:, 4:], inverse_normal(values[:, 4:]))
    assert "a is a case/control phenotype" in found.remarks[0]
    assert "2 cases (2) and 2 controls (1)" in found.remarks[0]
    assert found.remarks[2].endswith("and 1 people with 0, who count as missing")
    assert len(found.remarks) == 5, "and every value of so few people is a heavy tie"


def test_heavy_ties_are_told() -> None:
    values = np.concatenate((np.zeros(30), np.arange(70.0)))[:, None]
    (said,) = traits_of(["drinks"], values, ranks=True).remarks
    assert said.startswith("**31 % of the people have one value (0) of drinks**; ranks do not make that normal")
    assert traits_of(["z"], np.arange(50.0)[:, None], ranks=False).remarks == []
