import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.dci import (
    completeness,
    completeness_per_factor,
    dci_completeness,
    dci_disentanglement,
    dci_informativeness,
    dci_scores,
    disentanglement,
    disentanglement_per_code,
    fit_probes,
    importance_matrix,
    informativeness_per_factor,
)
from disentangle_pl.metrics.score import Codes, GroundTruth, held_out_rows
from tests.metrics.golden import draw, load, rotate

FACTORS = draw((2, 3), 300)
CODES = perfect_codes(FACTORS, 3)
TEST = held_out_rows(300)
TIES = 0.005


def noisy(codes: Codes) -> NDArray[np.float64]:
    return codes + np.random.default_rng(0).normal(0, 0.3, codes.shape)


def quantities(*columns: NDArray[np.float64]) -> GroundTruth:
    return GroundTruth(np.stack(columns, axis=1), np.zeros(len(columns), dtype=bool))


@pytest.mark.parametrize(
    ("case", "prefix"), [("disentangled", "small_"), ("rotated", "small_"), ("edge_constant_duplicate", "")]
)
def test_equals_the_reference(case: str, prefix: str) -> None:
    golden = load(case, prefix)
    probes = fit_probes(golden.codes, golden.factors)
    matrix = importance_matrix(probes, golden.codes.shape[1])
    np.testing.assert_allclose(matrix, golden.values["dci_importance_matrix"], rtol=0, atol=TIES)
    for name, rows in {"train": (golden.codes, golden.factors), "test": golden.test}.items():
        scores = informativeness_per_factor(probes, *rows)
        expected = golden.values[f"dci_informativeness_{name}_per_factor"]
        np.testing.assert_allclose(scores, expected, rtol=0, atol=TIES)


def test_the_first_factors_of_all_the_rows_equal_the_reference() -> None:
    golden = load("rotated", "")
    matrix = importance_matrix(fit_probes(golden.codes, golden.factors[:, :2]), 10)
    np.testing.assert_allclose(matrix, golden.values["dci_importance_matrix"][:, :2], rtol=0, atol=TIES)


def test_the_four_scores_equal_the_reference() -> None:
    golden = load("edge_constant_duplicate", "")
    scores = dci_scores(golden.codes, golden.factors, test=golden.test)
    expected = [golden.values[f"dci_{name}"] for name in scores._fields]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TIES)


@pytest.mark.parametrize("case", ["disentangled", "rotated"])
@pytest.mark.parametrize("prefix", ["", "small_", "small_dci_seed1_"])
def test_both_sums_of_the_reference_importances(case: str, prefix: str) -> None:
    golden = load(case, "").values
    stem = prefix if "dci" in prefix else f"{prefix}dci_"
    matrix = golden[f"{stem}importance_matrix"]
    assert disentanglement(matrix) == pytest.approx(golden[f"{stem}disentanglement"], abs=1e-12)
    assert completeness(matrix) == pytest.approx(golden[f"{stem}completeness"], abs=1e-12)


@pytest.mark.parametrize("case", ["disentangled", "rotated", "edge_constant_duplicate"])
def test_the_parts_of_the_reference_importances(case: str) -> None:
    golden = load(case, "").values
    matrix = golden["dci_importance_matrix"]
    for parts, name in (
        (disentanglement_per_code(matrix), "disentanglement_per_code"),
        (completeness_per_factor(matrix), "completeness_per_factor"),
    ):
        np.testing.assert_allclose(parts, golden[f"dci_{name}"], rtol=0, atol=1e-12)


def test_closed_form_of_one_exclusive_one_shared_and_one_idle_latent() -> None:
    importance = np.array([[0.5, 0.0], [0.5, 1.0], [0.0, 0.0]])
    third = -(np.log(1 / 3) / 3 + 2 / 3 * np.log(2 / 3)) / np.log(2)
    np.testing.assert_allclose(disentanglement_per_code(importance), [1, 1 - third, 0], atol=1e-9)
    assert disentanglement(importance) == pytest.approx(0.25 + 0.75 * (1 - third))
    assert completeness(importance) == pytest.approx(0.5 * (1 - np.log(2) / np.log(3)) + 0.5)
    assert disentanglement(np.zeros((3, 2))) == 0


def test_one_column_has_no_shares() -> None:
    with pytest.raises(InputError, match="at least 2"):
        disentanglement(np.ones((3, 1)))


def test_a_perfect_code_has_one() -> None:
    np.testing.assert_allclose(dci_scores(CODES, FACTORS), 1, atol=1e-6)


def test_zeros_have_none_and_guess_the_commonest_value() -> None:
    scores = dci_scores(np.zeros((300, 3)), FACTORS)
    assert scores[:2] == (0, 0)
    held_out = FACTORS[200:]
    commonest = [np.bincount(column).argmax() for column in FACTORS[:200].T]
    assert scores.informativeness_test == pytest.approx(np.mean(held_out == commonest))


def test_a_rotation_lowers_disentanglement_and_completeness() -> None:
    turned = dci_scores(rotate(CODES), FACTORS)
    assert turned.disentanglement < 0.7
    assert turned.completeness < 0.7


def test_a_rotation_lowers_both_for_quantities() -> None:
    truth = quantities(*np.random.default_rng(0).normal(size=(2, 400)))
    straight, turned = dci_scores(truth.values, truth), dci_scores(rotate(truth.values), truth)
    assert min(straight) > 0.95
    assert max(turned[:2]) < 0.2
    assert 0.8 < turned.informativeness_test < straight.informativeness_test


def test_a_duplicate_latent_lowers_completeness_only() -> None:
    scores = dci_scores(np.hstack([CODES, CODES[:, :2]]), FACTORS)
    assert scores.disentanglement == pytest.approx(1, abs=1e-6)
    assert scores.completeness < 0.9


def test_duplicate_latents_share_the_importance_by_chance() -> None:
    codes = noisy(CODES)[:, [0, 0, 1, 1]]
    shares = [importance_matrix(fit_probes(codes, FACTORS, seed=seed), 4) for seed in range(5)]
    np.testing.assert_allclose(np.mean(shares, axis=0)[:2, 0], 0.5, atol=0.2)
    assert np.std(shares, axis=0)[0, 0] > 0


def test_order_and_scale_of_the_latents_hardly_matter() -> None:
    codes = rotate(CODES) + np.random.default_rng(0).normal(0, 0.5, CODES.shape)
    moved = (codes * np.array([0.25, 1.0, 8.0]) + 2)[:, [2, 0, 1]]
    np.testing.assert_allclose(dci_scores(moved, FACTORS), dci_scores(codes, FACTORS), atol=0.03)


def test_the_three_scores_are_the_fields() -> None:
    codes = noisy(rotate(CODES))
    test = codes[:150], FACTORS[:150]
    single = (
        dci_disentanglement(codes, FACTORS, test=test, seed=3),
        dci_completeness(codes, FACTORS, test=test, seed=3),
        dci_informativeness(codes, FACTORS, test=test, seed=3),
    )
    scores = dci_scores(codes, FACTORS, test=test, seed=3)
    assert single == (scores.disentanglement, scores.completeness, scores.informativeness_test)


def test_the_number_of_threads_changes_nothing() -> None:
    codes = noisy(CODES)
    assert dci_scores(codes, FACTORS, jobs=1) == dci_scores(codes, FACTORS, jobs=3) == dci_scores(codes, FACTORS)


def test_no_threads_are_refused() -> None:
    with pytest.raises(InputError, match="jobs"):
        dci_scores(CODES, FACTORS, jobs=0)


def test_the_global_stream_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    fit_probes(CODES, FACTORS)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(after, before)


def test_a_factor_constant_in_the_rows_fitted_on_has_no_part() -> None:
    factors = np.hstack([FACTORS, np.zeros((300, 1), dtype=int)])
    factors[TEST, 2] = 1
    probes = fit_probes(CODES[~TEST], factors[~TEST])
    assert probes[2] is None
    np.testing.assert_array_equal(importance_matrix(probes, 3)[:, 2], 0)
    np.testing.assert_array_equal(np.isnan(informativeness_per_factor(probes, CODES, factors)), [False, False, True])
    turned = rotate(noisy(CODES))
    assert dci_scores(turned, factors) == dci_scores(turned, FACTORS)


def test_one_factor_that_varies_is_too_few() -> None:
    factors = FACTORS.copy()
    factors[~TEST, 1] = 0
    with pytest.raises(InputError, match="needs 2"):
        dci_scores(CODES, factors)


def test_a_value_seen_in_the_test_rows_only_counts_as_missed() -> None:
    factors = FACTORS.copy()
    factors[TEST, 0] = 5
    assert dci_scores(CODES, factors).informativeness_test == 0.5


def test_a_value_absent_from_the_test_rows_changes_nothing_else() -> None:
    kept = FACTORS[200:, 1] != 2
    scores = dci_scores(CODES[:200], FACTORS[:200], test=(CODES[200:][kept], FACTORS[200:][kept]))
    assert scores.informativeness_test == 1


def test_more_classes_than_rows_to_test_and_one_row_a_class() -> None:
    factors = np.stack([np.arange(30), np.arange(30) % 2], axis=1)
    scores = dci_scores(noisy(perfect_codes(factors, 3)), factors)
    assert np.isfinite(scores).all()
    assert scores.informativeness_test <= 0.5


def test_rows_in_which_a_factor_is_missing_are_left_out_for_this_factor() -> None:
    codes, values = noisy(CODES), FACTORS.astype(float)
    values[::3, 1] = np.nan
    truth, there = GroundTruth(values, np.ones(2, dtype=bool)), ~np.isnan(values[:, 1])
    probes = fit_probes(codes, truth)
    np.testing.assert_array_equal(
        importance_matrix(probes[:1], 3), importance_matrix(fit_probes(codes, FACTORS[:, :1]), 3)
    )
    accuracies = informativeness_per_factor(probes, codes, truth)
    kept = informativeness_per_factor(probes, codes[there], FACTORS[there])
    assert accuracies[1] == kept[1] > 0.8
    hidden = quantities(*np.full((2, 300), np.nan))
    assert np.isnan(informativeness_per_factor(probes, codes, hidden)).all()


def test_missing_rows_hold_no_memory_of_other_values() -> None:
    values = FACTORS.astype(float)
    values[::2, 0] = np.nan
    truth = GroundTruth(values, np.ones(2, dtype=bool))
    half = fit_probes(CODES[1::2], FACTORS[1::2, :1], seed=4)
    np.testing.assert_array_equal(
        importance_matrix(fit_probes(CODES, truth, seed=4)[:1], 3), importance_matrix(half, 3)
    )


def test_a_quantity_is_scored_by_the_variance_explained() -> None:
    random = np.random.default_rng(0)
    codes = random.normal(size=(600, 3))
    truth = quantities(codes[:, 0] * 1e3, codes[:, 1] + random.normal(size=600), random.normal(size=600))
    probes = fit_probes(codes[:400], truth[np.arange(400)])
    scores = informativeness_per_factor(probes, codes[400:], truth[np.arange(400, 600)])
    assert scores[0] > 0.98
    assert 0.2 < scores[1] < 0.6
    assert scores[2] == 0
    predicted = probes[1].predict(codes[400:]) if probes[1] else np.empty(0)
    left = np.sum((predicted - truth.values[400:, 1]) ** 2)
    around = np.sum((truth.values[400:, 1] - truth.values[400:, 1].mean()) ** 2)
    assert scores[1] == pytest.approx(1 - left / around)


def test_a_quantity_that_stands_still_in_the_test_rows_has_no_part() -> None:
    codes = np.random.default_rng(0).normal(size=(90, 2))
    values, still = codes.copy(), held_out_rows(90)
    values[still, 1] = 1.0
    scores = dci_scores(codes, values)
    assert scores.informativeness_test > 0.9
    values[still] = np.nan
    with pytest.raises(InputError, match="score on"):
        dci_scores(codes, values)


def test_classes_and_quantities_mix() -> None:
    values = np.stack([FACTORS[:, 0], CODES[:, 1]], axis=1)
    np.testing.assert_allclose(dci_scores(CODES, GroundTruth(values, np.array([True, False]))), 1, atol=1e-3)
