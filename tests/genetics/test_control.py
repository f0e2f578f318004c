"""Permuted tests: what is counted, and an interval of lambda that holds when tests are correlated."""

import numpy as np
import pytest
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.control import (
    Control,
    control_of,
    control_table,
    inflation,
    permutations_of,
    permute,
    tally,
    total,
)
from disentangle_pl.genetics.plink import Calls
from disentangle_pl.genetics.significance import MEDIAN_CHI2

BOTH = [[0], [1], [0, 1]]


def test_lambda_of_even_and_of_inflated_p() -> None:
    even = (np.arange(4000) + 0.5) / 4000
    strong = stats.chi2.sf(1.3 * stats.chi2.isf(even, 1), 1)
    found = inflation(tally(np.stack((even, strong), axis=1), BOTH))
    median = np.median(stats.chi2.isf(np.concatenate((even, strong)), 1)) / MEDIAN_CHI2
    np.testing.assert_allclose(found.value, [1, 1.3, median], rtol=2e-3)


def test_counts_add_up_and_leave_out_what_is_unknown() -> None:
    p = np.array([[0.01, 0.6], [np.nan, 1e-9], [0.0005, 1.0]])
    one = tally(p, BOTH)
    assert one.tests.tolist() == [2, 3, 5]
    assert one.low.tolist() == [[2, 1, 0], [1, 1, 1], [3, 2, 1]]
    assert one.sums.tolist() == [[4, 4, 4], [1, 3, 9], [9, 15, 25]]
    two = total([one, one])
    assert (two.draws, two.tests.tolist(), two.sums[2].tolist()) == (2, [4, 6, 10], [18, 30, 50])
    back = control_of(control_table(two, ["a", "b", "all"]))
    for mine, theirs in zip(back, two, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    nothing = inflation(tally(np.full((3, 2), np.nan), BOTH))
    assert nothing.value.tolist() == nothing.low.tolist() == nothing.high.tolist() == [1, 1, 1]


@pytest.mark.parametrize("alike", [1, 50])
def test_the_interval_covers_one_when_tests_of_a_draw_are_alike(alike: int) -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        p = np.repeat(rng.random((30, 100 // alike, 1)), alike, axis=1)
        found = inflation(total([tally(draw, [[0]]) for draw in p]))
        covered.append(found.low[0] <= 1 <= found.high[0])
    assert 0.9 < np.mean(covered) < 0.99


def test_two_draws_have_a_wide_but_finite_interval() -> None:
    draws = [np.full((4, 1), 0.1), np.full((4, 1), 0.9)]
    found = inflation(total([tally(p, [[0]]) for p in draws]))
    assert 0 <= found.low[0] < 0.1
    assert 5 < found.high[0] < 20


def test_one_permutation_is_that_of_people() -> None:
    calls = np.array([[0, 1, 2, 2], [0, 1, 2, 2], [2, 1, 0, 0]], dtype=np.int8)
    seen: list[Calls] = []

    def p_of(drawn: Calls) -> np.ndarray:
        seen.extend(np.split(drawn, len(drawn) // 3))
        return np.full((len(drawn), 1), 0.25)

    found = permute(p_of, calls, [[0]], 20, np.random.default_rng(0))
    assert (found.draws, found.tests.tolist()) == (20, [60])
    assert len({drawn.tobytes() for drawn in seen}) > 5
    for drawn in seen:
        np.testing.assert_array_equal(drawn[0], drawn[1])
        np.testing.assert_array_equal(drawn[0], 2 - drawn[2])
        assert sorted(drawn[0]) == [0, 1, 2, 2]


def test_a_block_gives_at_most_a_hundred_variants() -> None:
    calls = np.repeat(np.arange(100, dtype=np.int8)[:, None], 5, axis=0)
    drawn = permute(lambda some: (some[:, :1] + 0.5) / 200, calls, [[0]], 1, np.random.default_rng(0))
    assert isinstance(drawn, Control)
    assert drawn.bins[0].nonzero()[0].tolist() == list(range(100))


def test_how_many_permutations() -> None:
    assert [permutations_of(None, blocks, 2000, 1) for blocks in (1, 10, 50, 1000)] == [200, 20, 4, 2]
    assert [permutations_of(None, 10, 2000, phenotypes) for phenotypes in (2, 10, 64)] == [20, 4, 2]
    assert permutations_of(None, 3, 10, 2) == 200
    assert permutations_of(7, 1, 2000, 64) == 7
    with pytest.raises(InputError, match="tell no uncertainty"):
        permutations_of(1, 1, 2000, 1)
