import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting import Task, boost
from disentangle_pl.metrics.coarse_boosting import coarse_boost
from disentangle_pl.metrics.coarse_growth import levels_of

RANDOM = np.random.default_rng(0)
CODES: NDArray[np.float64] = RANDOM.normal(size=(3000, 4))
QUANTITY: NDArray[np.float64] = CODES[:, 0] + CODES[:, 1] * CODES[:, 2] + RANDOM.normal(0, 0.3, 3000)


def labels(*quantiles: float) -> NDArray[np.float64]:
    return 2 * np.digitize(QUANTITY, np.quantile(QUANTITY, quantiles)).astype(np.float64) + 1


TARGETS = {"two": labels(0.4), "many": labels(*np.linspace(0.1, 0.9, 9)), "quantity": QUANTITY}


@pytest.mark.parametrize("name", TARGETS)
def test_trees_on_levels_are_near_those_of_every_cut(name: str) -> None:
    task = Task(CODES[:2000], TARGETS[name][:2000], name != "quantity")
    (exact,), (coarse,) = boost([task]), coarse_boost([task])
    np.testing.assert_allclose(coarse.importances, exact.importances, atol=0.06)
    unseen, actual = CODES[2000:], TARGETS[name][2000:]
    errors = [float(np.mean((trees.predict(unseen) - actual) ** 2)) for trees in (exact, coarse)]
    assert 0.7 * errors[0] < errors[1] < 1.05 * errors[0]
    np.testing.assert_array_equal(coarse.classes, exact.classes)


@pytest.mark.parametrize("name", TARGETS)
def test_few_values_are_levels_of_their_own_and_the_trees_the_same(name: str) -> None:
    task = Task(np.round(CODES[:2000] * 8), TARGETS[name][:2000], name != "quantity")
    (exact,), (coarse,) = boost([task]), coarse_boost([task], levels=2)
    np.testing.assert_allclose(coarse.importances, exact.importances, atol=1e-3)
    predictions = exact.predict(CODES * 8), coarse.predict(CODES * 8)
    assert np.mean(np.abs(predictions[0] - predictions[1])) < 0.02


def test_levels_keep_the_order_and_part_the_ends() -> None:
    levels = levels_of(CODES, 10)
    for column, codes, cuts in zip(levels.columns, CODES.T, levels.thresholds, strict=True):
        assert (np.diff(column[np.argsort(codes)].astype(int)) >= 0).all()
        np.testing.assert_array_equal(column, np.searchsorted(cuts, codes.astype(np.float32)))
        counts = np.bincount(column)
        assert counts[0] == counts[1] == counts[-1] == 1
        assert counts.max() <= 300
    np.testing.assert_array_equal(levels.rows, levels.columns.T)


def test_the_number_of_threads_and_the_other_tasks_change_nothing() -> None:
    tasks = [Task(CODES, TARGETS["many"], True), Task(CODES[:1500], QUANTITY[:1500], False)]
    for one, other in zip(coarse_boost(tasks, jobs=1), coarse_boost(tasks, jobs=3), strict=True):
        np.testing.assert_equal(one._asdict(), other._asdict())
    np.testing.assert_equal(coarse_boost(tasks[1:])[0]._asdict(), coarse_boost(tasks)[1]._asdict())


def test_duplicate_latents_share_the_importance() -> None:
    task = Task(np.hstack([CODES[:, :1], CODES[:, :1]]), TARGETS["two"], True)
    assert coarse_boost([task])[0].importances.min() > 0.2


@pytest.mark.parametrize(("codes", "target"), [(np.zeros((50, 2)), np.arange(50) % 3), (CODES, np.full(3000, 7))])
def test_what_does_not_vary_has_no_importance(codes: NDArray[np.float64], target: NDArray[np.int64]) -> None:
    (trees,) = coarse_boost([Task(codes, target.astype(np.float64), True)])
    np.testing.assert_array_equal(trees.importances, 0)
    np.testing.assert_array_equal(trees.predict(codes), target[0])


@pytest.mark.parametrize("levels", [1, 201])
def test_levels_out_of_range_are_refused(levels: int) -> None:
    with pytest.raises(InputError, match=f"2 to 200 levels, got {levels}"):
        coarse_boost([Task(CODES, QUANTITY, False)], levels=levels)
