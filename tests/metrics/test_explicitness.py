import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import noise_codes, perfect_codes, rotated_codes
from disentangle_pl.metrics.explicitness import area_under_curve, explicitness, explicitness_per_factor
from disentangle_pl.metrics.score import GroundTruth, held_out_rows
from tests.metrics.golden import CASES, draw, load, rotate

FACTORS = draw((3, 4, 2), 600)
CODES = perfect_codes(FACTORS, 5)
TEST = held_out_rows(600)


@pytest.mark.parametrize(("case", "prefix"), CASES[1:4])
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    for part, rows in (("test", golden.test), ("train", (golden.codes, golden.factors))):
        if prefix or part == "test":
            areas = explicitness_per_factor(golden.codes, golden.factors, test=rows)
            np.testing.assert_allclose(areas, golden.values[f"explicitness_{part}_per_factor"], atol=2e-3)
            assert areas.mean() == pytest.approx(golden.values[f"explicitness_score_{part}"], abs=2e-3)


def test_the_area_is_that_of_scikit_learn_and_ties_count_half() -> None:
    random = np.random.default_rng(0)
    scores, positive = np.round(random.normal(size=(200, 3)), 1), random.random((200, 3)) < [0.1, 0.5, 0.9]
    expected = [roc_auc_score(yes, score) for yes, score in zip(positive.T, scores.T, strict=True)]
    np.testing.assert_allclose(area_under_curve(scores, positive), expected, rtol=1e-12)
    tied = area_under_curve(np.zeros((4, 1)), np.array([[True], [False], [False], [False]]))
    assert tied.tolist() == [0.5]


def test_a_perfect_code_has_one_and_a_rotation_does_not_matter() -> None:
    assert explicitness(CODES, FACTORS) == pytest.approx(1, abs=0.02)
    assert explicitness(rotate(CODES), FACTORS) == pytest.approx(explicitness(CODES, FACTORS), abs=0.01)
    assert explicitness(rotated_codes(FACTORS, 5), FACTORS) == pytest.approx(explicitness(CODES, FACTORS), abs=0.01)


def test_noise_and_zeros_have_a_half() -> None:
    scores = [explicitness(noise_codes(600, 4, seed=seed), FACTORS) for seed in range(10)]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.02)
    assert explicitness(np.zeros_like(CODES), FACTORS) == 0.5
    assert explicitness(np.full_like(CODES, 0.1), FACTORS) == 0.5


def test_scale_order_duplicates_and_dead_latents_hardly_matter() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1, CODES.shape)
    score = explicitness(codes, FACTORS)
    assert 0.6 < score < 0.95
    others = (codes * [1e-4, 9, 1e6, 3, 1] + 4, codes[:, ::-1], np.hstack([codes, np.full((600, 2), 0.1)]))
    for other in others:
        assert explicitness(other, FACTORS) == pytest.approx(score, abs=1e-4)
    assert explicitness(np.hstack([codes, codes]), FACTORS) == pytest.approx(score, abs=0.01)


def test_only_classes_that_were_fitted_on_and_have_both_sides_count() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1, CODES.shape)
    test = codes[400:], FACTORS[400:].copy()
    test[1][test[1][:, 1] == 3, 1] = 9
    areas = explicitness_per_factor(codes[:400], FACTORS[:400], test=test)
    assert np.isfinite(areas).all()
    scores = explicitness_per_factor(codes[:400], FACTORS[:400], test=(codes[400:], FACTORS[400:]))
    np.testing.assert_array_equal(areas[[0, 2]], scores[[0, 2]])
    assert areas[1] != scores[1]


def test_factors_constant_in_one_part_are_left_out() -> None:
    factors = FACTORS.copy()
    factors[~TEST, 0] = 1
    factors[TEST, 1] = 1
    assert np.isnan(explicitness_per_factor(CODES, factors)).tolist() == [True, True, False]
    assert explicitness(CODES, factors) == explicitness_per_factor(CODES, FACTORS)[2]
    with pytest.raises(InputError, match="both in the rows fitted on and in those scored on"):
        explicitness(CODES, factors[:, :2])


def test_missing_rows_are_left_out_for_their_factor_alone() -> None:
    factors = draw((3, 4, 2), 2400)
    codes = perfect_codes(factors, 5) + np.random.default_rng(0).normal(0, 1, (2400, 5))
    hidden = np.random.default_rng(1).random(2400) < 0.5
    values = np.where(hidden[:, None] & [False, True, False], np.nan, factors)
    areas = explicitness_per_factor(codes, GroundTruth(values, np.array([True] * 3)))
    whole = explicitness_per_factor(codes, factors)
    np.testing.assert_array_equal(areas[[0, 2]], whole[[0, 2]])
    assert areas[1] == pytest.approx(whole[1], abs=0.05)
    assert areas[1] != whole[1]


def test_missing_is_not_one_more_class() -> None:
    codes = CODES + np.random.default_rng(0).normal(0, 1, CODES.shape)
    train = np.arange(600) < 400
    known = FACTORS[:, 0] < 2
    truth = GroundTruth(np.where(known, FACTORS[:, 0], np.nan)[:, None], np.array([True]))
    without = codes[known & ~train], FACTORS[known & ~train, :1]
    score = explicitness(codes[train], truth[train], test=(codes[~train], truth[~train]))
    assert score == pytest.approx(
        explicitness(codes[known & train], FACTORS[known & train, :1], test=without), abs=0.002
    )


def test_quantities_are_ranked_by_bins_numbered_alike_in_both_parts() -> None:
    ages = np.random.default_rng(0).uniform(60, 90, (900, 1))
    assert explicitness(ages / 10, ages, bins=4) > 0.9
    assert explicitness(noise_codes(900, 2), ages, bins=4) == pytest.approx(0.5, abs=0.08)
    young = ages[:300] < 70
    part = ages[:300][young[:, 0]]
    assert explicitness(ages / 10, ages, test=(part / 10, part), bins=4) > 0.9
