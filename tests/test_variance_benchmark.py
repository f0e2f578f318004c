"""The benchmark of variances compares the same numbers."""

import pytest

from benchmarks.variance import WAYS, Taken, grid, peak_memory, row
from disentangle_pl.studies.variance_signal import image_signal


@pytest.mark.parametrize("what", ["moments", "directions"])
def test_both_ways_find_the_same(what: str) -> None:
    signal = image_signal(grid(small=True))
    assert WAYS[f"our {what}"](signal) == pytest.approx(WAYS[f"plain {what}"](signal), rel=1e-9)


def test_ratios_are_of_medians_and_memory_is_the_largest() -> None:
    ours = [Taken(seconds, 300, 50 + seconds, [1.0, 2.0]) for seconds in (1, 2, 9)]
    plain = [Taken(seconds, 900, 700, [1.0, 2.002]) for seconds in (6, 5, 1)]
    assert row("moments", ours, plain) == "| moments | 2.00 | 5.00 | 2.5 | 59 | 700 | 1.0e-03 |"
    assert peak_memory() > 10
