"""Probes of frozen codes: closed forms, references, and the leaks that must not happen."""

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.prediction import (
    Plan,
    Predicted,
    ProbeTarget,
    boosted,
    cross_validated,
    linear,
    transferred,
)
from disentangle_pl.metrics.prediction_folds import check_folds, fewest_people, person_folds, person_weights
from disentangle_pl.metrics.prediction_inputs import beside, columns, principal_components, remembered, without
from disentangle_pl.metrics.prediction_metrics import (
    CLASSES,
    Outcome,
    auc,
    balanced_accuracy,
    mean_absolute_error,
    pearson,
    r2,
)
from disentangle_pl.metrics.prediction_probes import balanced, logistic_path, ridge_path
from disentangle_pl.metrics.prediction_scores import (
    Scored,
    difference,
    not_below_chance,
    refitted_intervals,
    resampled_people,
    scored,
)
from disentangle_pl.metrics.score import Values

QUICK = Plan(folds=5, inner=3, repeats=2)


def targets(target: Values, people: NDArray[np.int64], discrete: bool) -> ProbeTarget:
    return ProbeTarget(target.astype(np.float64), discrete, people, person_weights(people))


def cohort(people: int = 40, visits: int = 3, width: int = 12, seed: int = 0) -> tuple[Values, NDArray[np.int64]]:
    """Codes that say who somebody is, and little of the visit."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), visits)
    return rng.normal(size=(people, width))[who] + 0.1 * rng.normal(size=(len(who), width)), who


def main_score(inputs: Values, what: ProbeTarget, plan: Plan = QUICK) -> float:
    found = scored(what, cross_validated(columns(inputs), what, linear, plan), what.weights[None])
    return next(iter(found.values())).value


def test_ridge_and_logistic_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(60, 5)) * [1, 2, 3, 4, 0], rng.uniform(0.5, 2, 60)
    y, label = x[:, 0] - x[:, 2] + rng.normal(size=60), (x[:, 1] + rng.normal(size=60) > 1).astype(float)
    penalties = np.array([1e-2, 1.0, 30.0])
    share = weights / weights.sum()
    centre = share @ x
    units = (x - centre) / np.where(np.arange(5) < 4, np.sqrt(share @ (x - centre) ** 2), 1)
    theirs = [Ridge(alpha).fit(units, y, share).predict(units) for alpha in penalties]
    np.testing.assert_allclose(ridge_path(x, y, weights, penalties).values(x), theirs, atol=1e-9)
    even = balanced(label, weights)
    fits = [LogisticRegression(C=1 / alpha, tol=1e-10).fit(units, label, even) for alpha in penalties]
    odds = [fit.decision_function(units) for fit in fits]
    np.testing.assert_allclose(logistic_path(x, label, weights, penalties).values(x), odds, atol=1e-3)
    assert even.sum() == pytest.approx(1)
    assert even[label == 1].sum() == pytest.approx(0.5)


def test_probes_without_inputs_say_the_mean_and_even_odds() -> None:
    nothing, weights = np.empty((6, 0)), np.array([1.0, 1, 1, 1, 2, 2])
    target = np.array([0.0, 0, 0, 0, 1, 1])
    np.testing.assert_allclose(ridge_path(nothing, target, weights).values(nothing), 0.5)
    np.testing.assert_allclose(logistic_path(nothing, target, weights).values(nothing), 0, atol=1e-12)


def test_an_infinite_penalty_uses_no_input() -> None:
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(30, 3)), (np.arange(30) % 2).astype(np.float64)
    endless = np.array([1.0, np.inf])
    assert np.ptp(ridge_path(x, label, np.ones(30), endless).values(x), axis=1)[1] == 0
    odds = logistic_path(x, label, np.ones(30), endless).values(x)
    assert np.ptp(odds[0]) > 0
    assert not odds[1].any()
    noise = targets(label, np.arange(30), discrete=True)
    said = cross_validated(columns(rng.normal(size=(30, 3))), noise, linear, Plan(folds=3, repeats=4)).values
    assert (said == 0).any(), "inner folds see that there is nothing to learn"


def test_rivals_below_chance_count_as_chance() -> None:
    draws = np.array([0.2, 0.6, np.nan])
    lifted = not_below_chance({"auc": Scored(0.3, draws), "mae": Scored(3.0, draws)})
    assert lifted["auc"].value == 0.5
    np.testing.assert_array_equal(lifted["auc"].draws[:2], [0.5, 0.6])
    assert lifted["mae"].value == 3


def test_separable_classes_have_finite_odds() -> None:
    x = np.array([[-1.0], [-2], [1], [2]])
    odds = logistic_path(x, np.array([0.0, 0, 1, 1]), np.ones(4)).values(x)[:-1]
    assert np.isfinite(odds).all()
    assert (odds[:, 2:] > 0).all()
    assert (odds[:, :2] < 0).all()


@pytest.mark.parametrize("discrete", [False, True])
def test_folds_keep_people_whole_and_are_alike(discrete: bool) -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(23), rng.integers(1, 4, 23))
    target = (np.arange(23) < 6).astype(float)[who] if discrete else rng.normal(size=23)[who]
    for seed in range(5):
        folds = person_folds(who, target, 5, discrete=discrete, seed=seed)
        check_folds(folds, who)
        sizes = np.bincount([folds[who == person][0] for person in range(23)])
        assert sizes.max() - sizes.min() <= 1
        if discrete:
            ill = np.bincount(folds[np.unique(who[target == 1], return_index=True)[1]], minlength=5)
            assert set(np.bincount([folds[who == person][0] for person in range(6)], minlength=5)) == {1, 2}, ill
    first, second = (person_folds(who, target, 5, discrete=discrete, seed=seed) for seed in (0, 1))
    together = (first[:, None] == first) != (second[:, None] == second)
    assert together.any(), "another seed puts others together"


def test_a_visit_split_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 people have scans in more than one fold: split by person"):
        check_folds(np.array([0, 1, 1]), np.array([7, 7, 8]))
    codes, who = cohort()
    what = targets(codes[:, 0], who, discrete=False)
    with pytest.raises(InputError, match="split by person"):
        transferred(columns(codes), what, linear, np.arange(60), np.arange(60, 120) - 1)


def test_people_count_alike() -> None:
    weights = person_weights(np.array([3, 3, 3, 5]))
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2])


def test_random_labels_of_people_are_predicted_by_a_visit_split_only() -> None:
    """The leak of Wen et al. 2020: codes know who somebody is, so seen people are recognised."""
    honest, leaky = [], []
    for seed in range(4):
        codes, who = cohort(width=30, seed=seed)
        label = np.random.default_rng(seed).permutation(np.arange(40) % 2).astype(float)[who]
        honest.append(main_score(codes, targets(label, who, discrete=True)))
        leaky.append(main_score(codes, targets(label, np.arange(len(who)), discrete=True)))
    assert min(leaky) > 0.8
    assert 0.3 < np.mean(honest) < 0.65


def test_what_codes_know_is_found_and_noise_is_not() -> None:
    codes, who = cohort(people=60)
    rng = np.random.default_rng(1)
    quantity = targets(2 * codes[:, 0] + rng.normal(size=len(who)), who, discrete=False)
    label = targets((codes[:, 1] > 0).astype(float)[np.arange(len(who)) // 3 * 3], who, discrete=True)
    assert main_score(codes, quantity) > 0.6
    assert main_score(codes, label) > 0.9
    noise = rng.normal(size=codes.shape)
    assert -0.15 < main_score(noise, quantity) < 0.1
    assert 0.3 < main_score(noise, label) < 0.65
    assert main_score(codes[:, :0], quantity) == pytest.approx(0, abs=1e-12)
    assert main_score(codes[:, :0], label) == 0.5


def test_the_penalty_is_chosen_by_inner_folds() -> None:
    rng = np.random.default_rng(0)
    who = np.arange(40)
    wide = rng.normal(size=(40, 35))
    strong = targets(wide @ rng.normal(size=35), who, discrete=False)
    weak = targets(rng.normal(size=40), who, discrete=False)
    assert main_score(wide, strong) > 0.3, "a weak penalty fits what has no noise"
    assert main_score(wide, weak) > -0.35, "a strong one keeps from fitting noise"
    unpenalised = 1 - np.mean((Ridge(1e-8).fit(wide[:32], weak.target[:32]).predict(wide[32:]) - weak.target[32:]) ** 2)
    assert unpenalised < -1


def test_repeats_differ_and_seeds_repeat() -> None:
    codes, who = cohort()
    what = targets(codes[:, 0] + codes[:, 3], who, discrete=False)
    first, again = (cross_validated(columns(codes), what, linear, QUICK) for _ in range(2))
    np.testing.assert_array_equal(first.values, again.values)
    assert np.abs(first.values[0] - first.values[1]).max() > 0
    other = cross_validated(columns(codes), what, linear, QUICK._replace(seed=5))
    assert np.abs(first.values - other.values).max() > 0


def test_components_are_those_of_the_training_rows() -> None:
    images = np.random.default_rng(0).normal(size=(30, 200)) + 5
    train = np.arange(3, 25)
    found = principal_components(images @ images.T, 4)(train)
    theirs = PCA(4, svd_solver="full").fit(images[train]).transform(images)
    np.testing.assert_allclose(np.abs(found), np.abs(theirs), atol=1e-8)
    assert principal_components(images @ images.T, 99)(train).shape[1] == len(train) - 1
    changed = images.copy()
    changed[0] *= 9
    np.testing.assert_allclose(principal_components(changed @ changed.T, 4)(train)[train], found[train], atol=1e-8)


def test_components_of_many_rows_are_found_by_iteration_and_kept() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(90, 40)) * np.arange(40, 0, -1)
    train = np.arange(10, 85)
    products = images @ images.T
    found = principal_components(products, 3)(train)
    theirs = PCA(3, svd_solver="full").fit(images[train]).transform(images)
    np.testing.assert_allclose(np.abs(found), np.abs(theirs), atol=1e-6)
    np.testing.assert_array_equal(found, principal_components(products, 3)(train))
    assert principal_components(np.zeros((90, 90)), 3)(train).shape == (90, 0)
    kept = remembered(principal_components(products, 3), most=2)
    first = kept(train)
    assert kept(train.copy()) is first
    np.testing.assert_array_equal(kept(train[1:]), principal_components(products, 3)(train[1:]))
    assert kept(train) is first
    kept(train[2:])
    assert kept(train) is not first, "the oldest is let go"


def test_confounds_are_taken_from_controls_in_training() -> None:
    rng = np.random.default_rng(0)
    age, ill = rng.uniform(60, 80, 50), np.arange(50) % 2 == 1
    codes = np.column_stack((0.1 * age + 3 * ill, rng.normal(size=50)))
    train = np.arange(40)
    rest = without(columns(codes), age[:, None], ~ill)(train)
    np.testing.assert_allclose(rest[:, 0], 3.0 * ill, atol=1e-9)
    with pytest.raises(InputError, match="2 are too few for 1 confounds"):
        without(columns(codes), age[:, None], np.arange(50) < 2)(train)
    both = beside(columns(codes), columns(age[:, None]))(train)
    assert both.shape == (50, 3)


def test_scores_agree_with_their_definitions() -> None:
    rng = np.random.default_rng(0)
    label, odds, weights = rng.integers(0, 2, 50).astype(float), rng.normal(size=50).round(1), rng.uniform(1, 2, 50)
    outcome = Outcome(label, odds, np.zeros(50))
    assert auc(outcome, weights[None])[0] == pytest.approx(roc_auc_score(label, odds, sample_weight=weights))
    known = odds != 0
    ours = balanced_accuracy(Outcome(label[known], odds[known], odds[known] * 0), weights[None, known])[0]
    theirs = balanced_accuracy_score(label[known], odds[known] > 0, sample_weight=weights[known])
    assert ours == pytest.approx(theirs)
    assert auc(Outcome(label, np.zeros(50), np.zeros(50)), weights[None])[0] == 0.5
    assert np.isnan(auc(outcome, weights[None] * label)[0])
    target, said = rng.normal(size=50), rng.normal(size=50)
    quantity = Outcome(target, said, np.full(50, 0.3))
    assert r2(quantity, np.ones((1, 50)))[0] == pytest.approx(
        1 - ((target - said) ** 2).sum() / ((target - 0.3) ** 2).sum()
    )
    assert pearson(quantity, np.ones((1, 50)))[0] == pytest.approx(np.corrcoef(target, said)[0, 1])
    assert mean_absolute_error(quantity, np.ones((1, 50)))[0] == pytest.approx(np.abs(target - said).mean())


def test_training_means_count_for_nothing() -> None:
    """Training means are low where targets are high, which is no knowledge, and no ignorance either."""
    target = np.arange(10.0)
    means = -target
    outcome = Outcome(target, means, means)
    one = np.ones((1, 10))
    assert (r2(outcome, one)[0], pearson(outcome, one)[0]) == (0, 0)


def test_people_are_drawn_whole_and_classes_stay() -> None:
    who = np.repeat(np.arange(10), 2)
    what = targets((np.arange(10) < 3).astype(float)[who], who, discrete=True)
    drawn = resampled_people(what, draws=50)
    np.testing.assert_array_equal(drawn[:, ::2], drawn[:, 1::2])
    np.testing.assert_allclose(drawn @ what.target, 6)
    np.testing.assert_array_equal(drawn, resampled_people(what._replace(weights=what.weights), draws=50))


def test_intervals_cover_and_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    who = np.arange(200)
    truth = rng.normal(size=200)
    what = targets(truth, who, discrete=False)
    drawn = resampled_people(what)
    base = np.zeros((1, 200))
    good, worse = (scored(what, Predicted((truth + s * rng.normal(size=200))[None], base), drawn) for s in (0.5, 0.6))
    low, high = good["r2"].interval()[1:]
    assert low < 0.75 < high
    assert difference(good["r2"], good["r2"]) == (0, 0, 0)
    apart = difference(good["r2"], worse["r2"])
    unpaired = good["r2"].interval().high - worse["r2"].interval().low
    assert apart.low < apart.mean < apart.high < unpaired


def test_training_people_predict_others() -> None:
    codes, who = cohort(people=60)
    what = targets(codes[:, 0], who, discrete=False)
    train, test = np.flatnonzero(who < 40), np.flatnonzero(who >= 40)
    found = transferred(columns(codes), what, linear, train, test, QUICK)
    assert found.values.shape == (1, 60)
    assert (
        scored(
            what._replace(**{k: v[test] for k, v in what._asdict().items() if k != "discrete"}), found, np.ones((1, 60))
        )["r2"].value
        > 0.95
    )
    assert np.ptp(found.base) == 0


def test_trees_find_what_lines_cannot() -> None:
    rng = np.random.default_rng(0)
    codes, who = rng.normal(size=(150, 3)), np.arange(150)
    bent = targets(np.abs(codes[:, 0]), who, discrete=False)
    crossed = targets((codes[:, 0] * codes[:, 1] > 0).astype(float), who, discrete=True)
    plan = Plan(folds=3, repeats=1)
    for what, least in ((bent, 0.6), (crossed, 0.8)):
        trees, line = (
            next(iter(scored(what, cross_validated(columns(codes), what, probe, plan), what.weights[None]).values()))
            for probe in (boosted, linear)
        )
        assert trees.value > least > line.value + 0.15
    assert np.ptp(boosted(columns(codes[:, :0]), bent, who, 3, 0)) == 0


def test_wrong_input_is_one_sentence() -> None:
    codes, who = cohort(people=8)
    fit = partial(cross_validated, columns(codes), probe=linear, plan=Plan(folds=5))
    with pytest.raises(InputError, match="NaN or infinity in columns \\[0\\]"):
        columns(np.array([[np.nan, 1]]))
    with pytest.raises(InputError, match="one class only"):
        fit(targets=targets(np.ones(24), who, discrete=True))
    with pytest.raises(InputError, match="one value only"):
        fit(targets=targets(np.ones(24), who, discrete=False))
    with pytest.raises(InputError, match="2 people of the smaller class cannot be cut into 5 folds"):
        fit(targets=targets((who < 2).astype(float), who, discrete=True))
    with pytest.raises(InputError, match="8 people cannot be cut into 9 folds"):
        cross_validated(columns(codes), targets(codes[:, 0], who, discrete=False), linear, Plan(folds=9))
    with pytest.raises(InputError, match="do not fill them in"):
        fit(targets=targets(np.where(who == 1, np.nan, 1.0), who, discrete=False))
    with pytest.raises(InputError, match="one class only"):
        fewest_people(who, np.zeros(24), discrete=True)
    alone = targets(np.array([0.0, 1, 0, 1]), np.arange(4), discrete=True)
    with pytest.raises(InputError, match="auc is not defined"):
        scored(alone._replace(target=np.ones(4)), Predicted(np.ones((1, 4)), np.zeros((1, 4))), np.ones((1, 4)))
    assert list(CLASSES) == ["auc", "balanced_accuracy"]


def test_refitted_intervals_are_wider_where_training_matters_and_leave_folds_alone() -> None:
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(40, 8))
    targets = ProbeTarget(0.4 * seen[:, :4].sum(axis=1) + rng.normal(size=40), False, np.arange(40), np.ones(40))
    plan, without = Plan(repeats=1), np.arange(40) < 4
    fewer = cross_validated(columns(seen), targets, linear, plan, without)
    assert np.isnan(fewer.values[0, :4]).all()
    assert np.isfinite(fewer.values[0, 4:]).all()
    simple = scored(targets, cross_validated(columns(seen), targets, linear, plan), resampled_people(targets))
    refitted = refitted_intervals(columns(seen), targets, linear, plan)
    assert set(refitted) == set(simple)
    assert refitted["r2"].mean == pytest.approx(simple["r2"].value)
    wide, narrow = (interval.high - interval.low for interval in (refitted["r2"], simple["r2"].interval()))
    assert wide > narrow
