"""The C-index by brute force, and Cox regression of people it was not fitted to."""

import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import Plan
from disentangle_pl.metrics.prediction_inputs import columns
from disentangle_pl.metrics.survival import Times, concordance, cox_risks


def brute_force(times: Times, risk: np.ndarray, people: list[int]) -> float:
    right, pairs = 0.0, 0
    for i in people:
        for j in people:
            later = times.years[j] > times.years[i] or (times.years[j] == times.years[i] and not times.event[j])
            if times.event[i] and later:
                pairs += 1
                right += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    return right / pairs


def test_the_c_index_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    times = Times(rng.integers(1, 6, 20).astype(float), (rng.random(20) < 0.5).astype(float))
    risk, folds = rng.integers(0, 5, 20).astype(float), np.zeros(20, np.int64)
    counts = rng.multinomial(20, np.full(20, 0.05), size=3)
    found = concordance(times, risk, folds, np.concatenate((np.ones((1, 20)), counts)))
    assert found[0] == pytest.approx(brute_force(times, risk, list(range(20))))
    drawn = [[i for i, n in enumerate(times_drawn) for _ in range(n)] for times_drawn in counts]
    np.testing.assert_allclose(found[1:], [brute_force(times, risk, people) for people in drawn])
    years = Times(np.arange(1.0, 5), np.ones(4))
    assert concordance(years, -years.years, folds[:4], np.ones((1, 4))) == [1]
    assert concordance(years, np.zeros(4), folds[:4], np.ones((1, 4))) == [0.5]
    apart = np.array([0, 1, 0, 1])
    assert concordance(years, np.array([9.0, 1, 8, 0]), apart, np.ones((1, 4))) == [1], "folds are not compared"
    assert np.isnan(concordance(Times(years.years, np.zeros(4)), np.zeros(4), apart, np.ones((1, 4)))[0])


def test_cox_regression_orders_people_it_has_not_seen() -> None:
    pytest.importorskip("sksurv")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(80, 3))
    onset, end = rng.exponential(np.exp(-1.5 * inputs[:, 0])), rng.exponential(2, 80)
    times = Times(np.minimum(onset, end), (onset < end).astype(float))
    plan = Plan(folds=4, repeats=1)
    for values, low, high in ((inputs, 0.7, 1), (rng.normal(size=(80, 3)), 0.3, 0.65), (np.empty((80, 0)), 0.5, 0.5)):
        risks, folds = cox_risks(columns(values), times, plan)
        assert low <= concordance(times, risks[0], folds[0], np.ones((1, 80)))[0] <= high
    with pytest.raises(InputError, match="one class only"):
        cox_risks(columns(inputs), Times(times.years, np.zeros(80)), plan)
