"""Places on an axis."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from disentangle_pl.studies.axis_scale import NEAREST, SLOT, is_numeric, near_runs, place, ruler, thin


def test_an_axis_is_cut_where_intervals_leave_the_runs_far_behind() -> None:
    axes = Figure().subplots()
    axes.plot([0, 0, 0], [-90, 0.5, 2])
    near_runs(axes, np.array([0.2, 0.6, math.nan]))
    assert axes.get_ylim() == pytest.approx((0.0, 0.8))
    near_runs(axes, np.array([0.4]))
    assert axes.get_ylim() == pytest.approx((0.0, 0.8)), "one run spans nothing"


def test_numbers_lie_as_on_a_ruler() -> None:
    scale = place([1, 2, 5.0])
    assert scale.positions.tolist() == [0, 0.25, 1]
    assert scale.ticks == [(0, "1"), (0.25, "2"), (1, "5")]
    assert not scale.log


def test_numbers_over_more_than_a_decade_and_a_half_lie_by_their_logarithm() -> None:
    assert place([1, 10, 100]).positions == pytest.approx([0, 0.5, 1])
    assert place([1, 10, 100]).log
    assert not place([1, 31]).log
    assert place([1, 32]).log
    assert not place([-1, 100]).log


def test_null_and_zero_have_places_of_their_own() -> None:
    scale = place([None, 1, 3, math.nan])
    assert scale.positions == pytest.approx([0, SLOT, 1, 0])
    assert [label for _, label in scale.ticks] == ["null", "1", "3"]
    scale = place([0, 1, 100, "null"])
    assert scale.positions == pytest.approx([SLOT, 2 * SLOT, 1, 0])
    assert [label for _, label in scale.ticks] == ["null", "0", "1", "100"]
    assert place([0, 1, 4]).positions.tolist() == [0, 0.25, 1]


def test_one_value_lies_in_the_middle() -> None:
    for values in ([3, 3], ["a"], [None, None], [True]):
        assert place(values).positions.tolist() == [0.5] * len(values)
    assert place([3, None]).positions == pytest.approx([SLOT + (1 - SLOT) / 2, 0])


def test_categories_are_spread_evenly_in_the_order_of_their_labels() -> None:
    scale = place(["x.y.B", None, "x.y.A", "x.y.B"])
    assert scale.positions.tolist() == [1, 0, 0.5, 1]
    assert scale.ticks == [(0, "null"), (0.5, "A"), (1, "B")]
    assert place([True, False]).ticks == [(0, "false"), (1, "true")]


def test_equal_labels_of_two_classes_are_two_categories() -> None:
    assert sorted(place(["a.b.C", "x.y.C"]).positions.tolist()) == [0, 1]


def test_many_values_have_few_ticks_none_on_another() -> None:
    for values in (list(range(200)), np.geomspace(1e-5, 1, 99).tolist(), [f"c{i}" for i in range(99)]):
        scale = place(values)
        places = [place for place, _ in scale.ticks]
        assert 2 <= len(places) <= 1 / NEAREST + 1
        assert (places[0], places[-1]) == (0, 1)
        assert np.diff(places).min() >= NEAREST - 1e-9
        assert (scale.positions.min(), scale.positions.max()) == (0, 1)


def test_thinning_keeps_the_topmost() -> None:
    assert thin([(0, "a"), (0.01, "b"), (0.5, "c"), (0.99, "d"), (1, "e")]) == [(0, "a"), (0.5, "c"), (1, "e")]
    assert thin([]) == []


def test_what_counts_as_numbers() -> None:
    assert is_numeric([1, 2.5, None])
    for values in ([], [None], [True, False], ["1"], [1, "a"], [1, math.inf]):
        assert not is_numeric(values)


def test_a_ruler_has_round_ticks_within_its_ends() -> None:
    scale = ruler([0.013, 0.5, 0.97])
    assert scale.positions == pytest.approx([0, (0.5 - 0.013) / (0.97 - 0.013), 1])
    assert [label for _, label in scale.ticks] == ["0.2", "0.4", "0.6", "0.8"]
    assert scale.ticks[0][0] == pytest.approx((0.2 - 0.013) / (0.97 - 0.013))
    assert ruler([0.001, 100]).log is False
    assert ruler([2.0, 2.0]).positions.tolist() == [0.5, 0.5]
