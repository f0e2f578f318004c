"""Sizes of trials: closed forms and edges."""

import math

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.slowing import person_slopes, trial_size, trial_size_interval


def test_slopes_are_lines_through_the_scans_of_a_person() -> None:
    people = np.array([4, 4, 4, 7, 7, 9, 9, 5])
    years = np.array([0, 1, 2, 0, 2, 0, 0.2, 0])
    measures = np.stack((3 * years + people, np.where(people == 7, -years, years**2)), axis=1)
    found = person_slopes(measures, people, years)
    assert found.people.tolist() == [4, 7]
    np.testing.assert_allclose(found.slopes, [[3, 2], [3, -1]])
    measures[4, 0] = np.nan
    assert person_slopes(measures, people, years).people.tolist() == [4]
    with pytest.raises(InputError, match="scans 3 years apart"):
        person_slopes(measures, people, years, span=3)


def test_the_size_is_that_of_the_formula() -> None:
    """Mean 2, deviation 1: the textbook's 2 (1.96 + 0.84)^2 / (0.25 x 2)^2 is 63 an arm."""
    slopes = np.array([1.0, 2, 3])
    assert trial_size(slopes) == math.ceil(2 * (1.959964 + 0.841621) ** 2 / 0.25)
    assert trial_size(slopes) == 63
    assert trial_size(-slopes) == trial_size(7 * slopes) == 63
    assert trial_size(slopes, ageing=1) == 252, "half the change can be slowed: four times the people"
    assert trial_size(slopes, slowing=0.5) == 16
    assert trial_size(slopes, power=0.9) == 85


def test_edges_are_defined() -> None:
    assert trial_size(np.array([1.0, 1])) == 2
    assert trial_size(np.zeros(3)) == math.inf
    assert trial_size(np.array([-1.0, 1])) == math.inf
    assert trial_size(np.array([1.0, 3]), ageing=2) == math.inf
    for wrong in (np.array([1.0]), np.array([1.0, np.nan])):
        with pytest.raises(InputError, match="finite slopes of two people"):
            trial_size(wrong)
    with pytest.raises(InputError, match="must be shares"):
        trial_size(np.array([1.0, 2]), power=1)


def test_intervals_hold_the_size() -> None:
    rng = np.random.default_rng(0)
    slopes, controls = rng.normal(2, 1, 100), rng.normal(1, 0.5, 100)
    found, draws = trial_size_interval(slopes)
    assert found.low < found.mean == trial_size(slopes) < found.high
    assert len(draws) == 1000
    beyond, _ = trial_size_interval(slopes, controls)
    assert beyond.mean == trial_size(slopes, float(controls.mean())) > 2.5 * found.mean
    flat, _ = trial_size_interval(rng.normal(0, 1, 30))
    assert flat.high > 10 * flat.low
