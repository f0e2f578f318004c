"""The arithmetic of the benchmarks; what they measure is not tested."""

import pytest

from benchmarks.compare import interval, table


def test_interval_is_that_of_student() -> None:
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.302653 / 3**0.5, rel=1e-5)  # t(0.975, 2) * sd / sqrt(3)
    assert interval([5.0]) == (5.0, float("inf"))


def test_differences_are_paired_by_seed() -> None:
    def scores(value: float) -> dict[str, dict[str, float]]:
        return {"mig": {"value": value, "floor": 0.0, "ceiling": 0.9}}

    text = table({"a": [scores(0.5), scores(0.7)], "b": [scores(0.1), scores(0.3)]}, [0, 1])
    (row,) = [line for line in text.splitlines() if line.startswith("| mig")]
    assert "**0.400 ± 0.000** [0.400, 0.400]" in row
    assert row.endswith("| 0.000 | 0.900 |")
