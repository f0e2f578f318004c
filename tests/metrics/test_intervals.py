import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.intervals import bootstrap_interval


def test_interval_of_many_runs_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap_interval(values.tolist())
    half = 1.96 * values.std() / 400**0.5
    assert interval.mean == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_interval_narrows_with_the_level_and_is_a_point_for_one_run() -> None:
    wide, narrow = (bootstrap_interval([1.0, 2.0, 4.0], level=level) for level in (0.95, 0.5))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high
    assert bootstrap_interval([5.0]) == (5.0, 5.0, 5.0)


@pytest.mark.parametrize(("values", "settings"), [([], {}), ([1.0, np.nan], {}), ([1.0], {"level": 1.0})])
def test_what_has_no_interval_is_refused(values: list[float], settings: dict[str, float]) -> None:
    with pytest.raises(InputError):
        bootstrap_interval(values, **settings)  # type: ignore[arg-type]
