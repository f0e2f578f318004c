"""Intervals of scores over rows have the closed form of a mean, and cover what they promise."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import Interval
from disentangle_pl.metrics.jackknife import blocks_left_out, jackknife_intervals

VALUES = np.random.default_rng(0).normal(3, 2, 60)


def of_mean(values: NDArray[np.float64], blocks: int, groups: NDArray[np.int64] | None = None) -> Interval:
    """Return the interval of the mean of values."""

    def measure(rows: NDArray[np.bool_]) -> Mapping[str, float]:
        return {"mean": float(values[rows].mean())}

    stays = blocks_left_out(len(values), groups, blocks=blocks)
    return jackknife_intervals({"mean": float(values.mean())}, measure, stays)["mean"]


def test_the_interval_of_a_mean_is_that_of_student() -> None:
    mean, low, high = of_mean(VALUES, blocks=60)
    error = VALUES.std(ddof=1) / np.sqrt(60)
    assert (mean, high - mean) == pytest.approx((VALUES.mean(), mean - low))
    assert high - mean == pytest.approx(stats.t.ppf(0.975, 59) * error)


def test_the_interval_of_blocks_is_that_of_their_means() -> None:
    _, low, high = of_mean(VALUES, blocks=6)
    means = np.array([VALUES[~rows].mean() for rows in blocks_left_out(60, blocks=6)])
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 5, means.mean(), means.std(ddof=1) / np.sqrt(6)))


def test_blocks_part_the_rows_evenly_and_by_their_seed() -> None:
    stays = np.stack(blocks_left_out(63, blocks=10))
    np.testing.assert_array_equal((~stays).sum(axis=0), 1)
    assert set((~stays).sum(axis=1).tolist()) == {6, 7}
    assert (stays != np.stack(blocks_left_out(63, blocks=10, seed=1))).any()


def test_groups_are_left_out_as_a_whole_and_make_the_interval_honest() -> None:
    people = np.repeat(np.arange(20), 6)
    stays = blocks_left_out(120, people, blocks=10)
    for rows in stays:
        assert len(set(people[~rows])) == 2
        assert not set(people[rows]) & set(people[~rows])
    each = np.random.default_rng(1).normal(size=20)
    apart, together = of_mean(each[people], 20), of_mean(each[people], 20, people)
    assert together[1:] == pytest.approx(stats.t.interval(0.95, 19, each.mean(), each.std(ddof=1) / np.sqrt(20)))
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_intervals_of_a_mean_cover_what_they_promise() -> None:
    random = np.random.default_rng(2)
    intervals = [of_mean(random.exponential(size=100), 10) for _ in range(300)]
    assert np.mean([low <= 1 <= high for _, low, high in intervals]) == pytest.approx(0.95, abs=0.04)


def test_scores_that_some_block_refuses_have_no_interval() -> None:
    def measure(rows: NDArray[np.bool_]) -> Mapping[str, float]:
        return {"always": 1.0} | ({"mostly": 1.0} if rows[0] else {})

    intervals = jackknife_intervals({"always": 1.0, "mostly": 1.0, "never": 1.0}, measure, blocks_left_out(20))
    assert intervals == {"always": Interval(1, 1, 1)}


@pytest.mark.parametrize(("rows", "groups", "blocks"), [(9, None, 10), (9, None, 1), (40, [0, 1], 10), (0, None, 10)])
def test_fewer_rows_or_groups_than_blocks_are_refused(rows: int, groups: list[int] | None, blocks: int) -> None:
    whose = None if groups is None else np.resize(groups, rows)
    with pytest.raises(InputError, match=f"got {blocks} for {rows if groups is None else len(groups)}"):
        blocks_left_out(rows, whose, blocks=blocks)
