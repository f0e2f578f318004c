import platform

import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.boosting import BoostedTrees, Task, boost
from disentangle_pl.metrics.score import Codes

# Splits of equal worth, which small nodes are full of, are decided by the last bit of a sum
SAME_ROUNDING = platform.machine() in {"x86_64", "AMD64"} and tuple(map(int, sklearn.__version__.split(".")[:2])) >= (
    1,
    9,
)
bit_for_bit = pytest.mark.skipif(not SAME_ROUNDING, reason="scikit-learn rounds otherwise before 1.9 and on other CPUs")


def sample(rows: int = 250, latents: int = 4) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw codes and a quantity that hangs on the first three, product of two included."""
    random = np.random.default_rng(rows)
    codes = random.normal(size=(rows, latents))
    return codes, codes[:, 0] + codes[:, 1] * codes[:, 2] + random.normal(0, 0.3, rows)


def classes(quantity: NDArray[np.float64], *quantiles: float) -> NDArray[np.float64]:
    return np.digitize(quantity, np.quantile(quantity, quantiles)).astype(float)


def fit(codes: Codes, target: NDArray[np.float64], discrete: bool, seed: int = 0) -> BoostedTrees:
    return boost([Task(codes, target, discrete)], seed=seed, jobs=2)[0]


def check_against_scikit_learn(
    codes: NDArray[np.float64], target: NDArray[np.float64], discrete: bool, atol: float = 1e-12, seed: int = 0
) -> None:
    ours = fit(codes, target, discrete, seed)
    make = GradientBoostingClassifier if discrete else GradientBoostingRegressor
    theirs = make(random_state=np.random.RandomState(seed)).fit(codes, target)
    np.testing.assert_allclose(ours.importances, theirs.feature_importances_, rtol=0, atol=atol)
    if atol < 1e-9:
        unseen = np.random.default_rng(9).normal(size=(2000, codes.shape[1]))
        np.testing.assert_array_equal(ours.predict(unseen), theirs.predict(unseen))


@bit_for_bit
@pytest.mark.parametrize("quantiles", [(0.4,), (0.3, 0.5), (0.1, 0.2, 0.4, 0.43, 0.6, 0.9)])
def test_classes_equal_scikit_learn(quantiles: tuple[float, ...]) -> None:
    codes, quantity = sample()
    check_against_scikit_learn(codes, classes(quantity, *quantiles) + 3, discrete=True, seed=1)


@bit_for_bit
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_quantities_equal_scikit_learn(scale: float) -> None:
    codes, quantity = sample(900)
    check_against_scikit_learn(codes, quantity * scale + 2, discrete=False)


@bit_for_bit
@pytest.mark.parametrize("rows", [5, 16])
def test_few_rows_equal_scikit_learn(rows: int) -> None:
    codes, quantity = sample(rows)
    check_against_scikit_learn(codes, quantity, discrete=False)
    check_against_scikit_learn(codes, (np.arange(rows) % 4).astype(float), discrete=True)


@bit_for_bit
def test_duplicate_and_constant_latents_are_chosen_by_the_same_draws_as_in_scikit_learn() -> None:
    codes, quantity = sample()
    codes = np.hstack([np.zeros((250, 1)), codes, codes[:, [0, 1]], np.full((250, 1), 1.5)])
    check_against_scikit_learn(codes, quantity, discrete=False, seed=2)
    check_against_scikit_learn(codes, classes(quantity, 0.3, 0.5), discrete=True, seed=3)


@bit_for_bit
def test_a_step_below_a_ten_millionth_is_no_cut_as_in_scikit_learn() -> None:
    random = np.random.default_rng(0)
    steps = np.where(np.arange(300) % 3, 4e-8, 5e-7)
    steps[250:290] = 4e-8  # more rows than remain above them
    codes = np.stack([random.permutation(steps.cumsum()) for _ in range(3)], axis=1)
    quantity = codes @ [1e4, 3e4, 1e4] + random.normal(0, 0.3, 300)
    check_against_scikit_learn(codes, quantity, discrete=False)
    check_against_scikit_learn(codes, classes(quantity, 0.2, 0.5, 0.7), discrete=True)


@bit_for_bit
def test_latents_that_stand_still_in_some_nodes_equal_scikit_learn() -> None:
    codes, quantity = sample()
    still = np.arange(250) * 1e-10
    codes = np.stack([codes[:, 0], *(np.where(codes[:, j] < 0, still, codes[:, j]) for j in (0, 1, 2)), still], axis=1)
    check_against_scikit_learn(codes, quantity, discrete=False)
    check_against_scikit_learn(codes, classes(quantity, 0.3, 0.5), discrete=True)


@bit_for_bit
def test_tasks_share_one_random_stream() -> None:
    codes, quantity = sample()
    codes = np.hstack([codes, codes])
    targets = [classes(quantity, 0.4), classes(quantity, 0.3, 0.6)]
    stream = np.random.RandomState(5)
    theirs = [GradientBoostingClassifier(random_state=stream).fit(codes, target) for target in targets]
    ours = boost([Task(codes, target, True) for target in targets], seed=5)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.importances, other.feature_importances_, rtol=0, atol=1e-12)


@pytest.mark.parametrize("discrete", [True, False])
def test_shared_values_stay_close_to_scikit_learn(discrete: bool) -> None:
    codes, quantity = sample(400)
    target = classes(quantity, 0.3, 0.7) if discrete else quantity
    check_against_scikit_learn(np.round(codes, 1), target, discrete, atol=0.02)


def test_the_number_of_threads_changes_nothing() -> None:
    codes, quantity = sample(600)
    codes = np.hstack([codes, codes])
    tasks = [
        Task(codes, classes(quantity, *np.linspace(0.05, 0.95, 12)), True),
        Task(codes[:500], quantity[:500], False),
        Task(codes, classes(quantity, 0.3), True),
    ]
    alone, together = boost(tasks, jobs=1), boost(tasks, jobs=5)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_equal(one._asdict(), other._asdict())
    assert not np.array_equal(boost(tasks[:1], seed=1)[0].importances, alone[0].importances)


def test_the_input_is_neither_changed_nor_kept() -> None:
    codes, quantity = sample()
    expected = fit(codes, quantity, discrete=False)
    frozen, single = np.asfortranarray(codes), codes.astype(np.float32)
    frozen.flags.writeable = False
    target = np.repeat(quantity, 2)[::2]
    for variant in (frozen, single):
        copy = variant.copy()
        np.testing.assert_equal(fit(variant, target, discrete=False)._asdict(), expected._asdict())
        np.testing.assert_array_equal(variant, copy)
        np.testing.assert_array_equal(fit(codes, target, False).predict(variant), expected.predict(codes))


def test_one_class_is_always_predicted_and_needs_no_latent() -> None:
    codes, _ = sample()
    trees = fit(codes, np.full(250, 7.0), discrete=True)
    np.testing.assert_array_equal(trees.importances, 0)
    np.testing.assert_array_equal(trees.predict(codes), 7)


def test_constant_codes_predict_the_commonest_class_and_the_mean() -> None:
    codes = np.full((10, 2), 3.0)
    for target in ([0.0] * 6 + [5.0] * 4, [0.0] * 2 + [5.0] * 5 + [9.0] * 3):
        trees = fit(codes, np.array(target), discrete=True)
        np.testing.assert_array_equal(trees.importances, 0)
        np.testing.assert_array_equal(trees.predict(codes), np.median(target))
    np.testing.assert_allclose(fit(codes, np.arange(10.0), discrete=False).predict(codes), 4.5)


def test_a_step_of_one_latent_is_learnt_from_it_alone() -> None:
    codes, _ = sample()
    trees = fit(codes, (codes[:, 2] > 0.5).astype(float), discrete=True)
    np.testing.assert_allclose(trees.importances, [0, 0, 1, 0], atol=1e-12)
    np.testing.assert_array_equal(trees.predict(np.eye(4)), [0, 0, 1, 0])


def test_every_round_learns_a_tenth_of_what_is_left() -> None:
    codes, _ = sample()
    step = np.where(codes[:, 1] > 0.5, 2.0, 1.0)
    ends = np.array([2.0, 1.0])
    expected = ends + 0.9**100 * (step.mean() - ends)
    np.testing.assert_allclose(fit(codes, step, discrete=False).predict(np.eye(4)[1:3]), expected, atol=1e-12)


def test_rows_of_their_own_class_are_all_learnt() -> None:
    codes, _ = sample(12)
    np.testing.assert_array_equal(fit(codes, np.arange(12.0), discrete=True).predict(codes), np.arange(12))


@pytest.mark.parametrize("jobs", [0, -2])
def test_a_number_of_threads_that_makes_no_sense_is_refused(jobs: int) -> None:
    codes, quantity = sample()
    with pytest.raises(InputError, match="jobs"):
        boost([Task(codes, quantity, False)], jobs=jobs)
