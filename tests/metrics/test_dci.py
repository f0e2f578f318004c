import numpy as np
import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.dci import (
    completeness,
    dci_completeness,
    dci_disentanglement,
    dci_informativeness,
    dci_scores,
    disentanglement,
    fit_probes,
    importance_matrix,
)
from tests.metrics.golden import draw, load, rotate

FACTORS = draw((2, 3), 300)
CODES = perfect_codes(FACTORS, 3)


def test_equals_the_reference_bit_for_bit() -> None:
    golden = load("edge_constant_duplicate", "")
    scores = dci_scores(golden.codes, golden.factors, test=golden.test)
    expected = [golden.values[f"dci_{name}"] for name in scores._fields]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_the_stream_through_the_factors_equals_the_reference_bit_for_bit() -> None:
    golden = load("rotated", "small_")
    probes = fit_probes(golden.codes, golden.factors[:, :2])
    expected = golden.values["dci_importance_matrix"][:, :2]
    np.testing.assert_array_equal(importance_matrix(probes, 10), expected)


@pytest.mark.parametrize("case", ["disentangled", "rotated"])
@pytest.mark.parametrize("prefix", ["", "small_", "small_dci_seed1_"])
def test_both_sums_of_the_reference_importances(case: str, prefix: str) -> None:
    golden = load(case, "").values
    stem = prefix if "dci" in prefix else f"{prefix}dci_"
    matrix = golden[f"{stem}importance_matrix"]
    assert disentanglement(matrix) == pytest.approx(golden[f"{stem}disentanglement"], abs=1e-12)
    assert completeness(matrix) == pytest.approx(golden[f"{stem}completeness"], abs=1e-12)


def test_closed_form_of_one_exclusive_one_shared_and_one_idle_latent() -> None:
    importance = np.array([[0.5, 0.0], [0.5, 1.0], [0.0, 0.0]])
    third = -(np.log(1 / 3) / 3 + 2 / 3 * np.log(2 / 3)) / np.log(2)
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
    assert scores.informativeness_test < 0.6


def test_a_rotation_lowers_disentanglement_and_completeness() -> None:
    turned = dci_scores(rotate(CODES), FACTORS)
    assert turned.disentanglement < 0.7
    assert turned.completeness < 0.7


def test_a_duplicate_latent_lowers_completeness_only() -> None:
    scores = dci_scores(np.hstack([CODES, CODES[:, :2]]), FACTORS)
    assert scores.disentanglement == pytest.approx(1, abs=1e-6)
    assert scores.completeness < 0.9


def test_order_and_scale_of_the_latents_hardly_matter() -> None:
    codes = rotate(CODES) + np.random.default_rng(0).normal(0, 0.5, CODES.shape)
    moved = (codes * np.array([0.25, 1.0, 8.0]) + 2)[:, [2, 0, 1]]
    np.testing.assert_allclose(dci_scores(moved, FACTORS), dci_scores(codes, FACTORS), atol=0.03)


def test_the_three_scores_are_the_fields() -> None:
    codes = rotate(CODES)
    single = (
        dci_disentanglement(codes, FACTORS),
        dci_completeness(codes, FACTORS),
        dci_informativeness(codes, FACTORS),
    )
    scores = dci_scores(codes, FACTORS)
    assert single == (scores.disentanglement, scores.completeness, scores.informativeness_test)


def test_parallel_factors_have_their_own_seeds_and_the_first_is_unchanged() -> None:
    alone, beside = (importance_matrix(fit_probes(rotate(CODES), FACTORS, jobs=jobs), 3) for jobs in (1, 2))
    np.testing.assert_array_equal(alone[:, 0], beside[:, 0])
    np.testing.assert_allclose(alone, beside, atol=0.02)


def test_the_global_stream_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)  # noqa: NPY002
    fit_probes(CODES, FACTORS)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(after, before)


def test_a_factor_constant_in_the_rows_fitted_on_has_no_part() -> None:
    factors = np.hstack([FACTORS, np.zeros((300, 1), dtype=int)])
    factors[200:, 2] = 1
    probes = fit_probes(CODES[:200], factors[:200])
    np.testing.assert_array_equal(importance_matrix(probes, 3)[:, 2], 0)
    np.testing.assert_allclose(dci_scores(CODES, factors), 1, atol=1e-6)


def test_a_value_seen_in_the_test_rows_only_counts_as_missed() -> None:
    factors = FACTORS.copy()
    factors[200:, 0] = 5
    assert dci_scores(CODES, factors).informativeness_test == 0.5
