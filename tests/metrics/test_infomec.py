import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score
from sklearn.preprocessing import StandardScaler

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import perfect_codes
from disentangle_pl.metrics.infomec import (
    InfoMEC,
    active_latents,
    explained_per_factor,
    infomec,
    normalised_information,
)
from disentangle_pl.metrics.score import Codes, GroundTruth, Labels
from tests.metrics.golden import draw, load, rotate

FACTORS = draw((2, 3, 4), 1200)
CODES = perfect_codes(FACTORS, 5, noise=1e-3)
RANDOM = np.random.default_rng(0)
NOISY = CODES + RANDOM.normal(0, 0.5, CODES.shape)


def recipe(codes: Codes, factors: Labels) -> tuple[float, float, float]:
    """Follow the steps of Hsu et al. 2023 with scikit-learn."""
    k = factors.shape[1]
    scaled = StandardScaler().fit_transform(codes)
    nmi = np.stack([mutual_info_classif(scaled, v, n_neighbors=10, random_state=0) for v in factors.T])
    nmi /= np.array([mutual_info_score(v, v) for v in factors.T])[:, None]
    nmi = nmi[:, np.ptp(codes, axis=0) > np.ptp(codes, axis=0).max() / 20]
    d = nmi.shape[1]
    infom = (np.mean(nmi.max(axis=0) / nmi.sum(axis=0)) - 1 / k) / (1 - 1 / k)
    infoc = (np.mean(nmi.max(axis=1) / nmi.sum(axis=1)) - 1 / d) / (1 - 1 / d)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        losses = np.array([[cross_entropy(x, v) for x in (scaled, np.zeros_like(scaled))] for v in factors.T])
    return infom, infoc, np.mean(1 - losses[:, 0] / losses[:, 1])


def cross_entropy(codes: Codes, factor: Labels) -> float:
    machine = LogisticRegression(C=np.inf, class_weight="balanced").fit(codes, factor)
    return float(log_loss(factor, machine.predict_proba(codes)))


def test_equals_the_recipe_of_the_paper() -> None:
    uneven = np.where(RANDOM.uniform(size=FACTORS.shape) < 0.4, 0, FACTORS)
    codes = uneven @ RANDOM.normal(size=(3, 4)) + RANDOM.normal(0, 0.5, (1200, 4))
    scores = infomec(codes, uneven)
    assert scores[:3] == pytest.approx(recipe(codes, uneven), abs=2e-3)
    assert scores.active == 4


def test_a_perfect_code_has_ones_and_counts_its_latents() -> None:
    assert infomec(CODES, FACTORS)[:3] == pytest.approx((1, 1, 1), abs=0.03)
    assert infomec(CODES, FACTORS).active == 3


def test_zeros_have_zeros() -> None:
    assert infomec(np.zeros_like(CODES), FACTORS) == InfoMEC(0, 0, 0, 0)


def test_one_active_latent_is_not_compact() -> None:
    scores = infomec(CODES[:, [1, 3, 4]], FACTORS)
    assert (scores.active, scores.infoc) == (1, 0)
    assert scores.infom == pytest.approx(1, abs=0.05)


def test_half_a_score_for_one_latent_in_two_that_holds_both_factors() -> None:
    factors = FACTORS[:, :1] ^ np.array([[0, 0]])
    factors[:, 1] = RANDOM.integers(0, 2, len(factors))
    joint = 2 * factors[:, 0] + factors[:, 1]
    codes = np.stack([factors[:, 0], joint / 3], axis=1) + RANDOM.normal(0, 0.01, (len(factors), 2))
    np.testing.assert_allclose(normalised_information(codes, factors), [[1, 0], [1, 1]], atol=0.03)
    assert infomec(codes, factors)[:2] == pytest.approx((0.5, 0.5), abs=0.03)


def test_latents_of_a_small_range_are_pruned() -> None:
    codes = np.stack([np.linspace(0, width, 50) for width in (20, 1, 1.01, -1.5, 0)], axis=1)
    assert active_latents(codes).tolist() == [True, False, True, True, False]


def test_a_rotation_lowers_all_but_explicitness() -> None:
    straight, turned = infomec(NOISY, FACTORS), infomec(rotate(NOISY), FACTORS)
    assert turned.infom < straight.infom - 0.05
    assert turned.infoc < straight.infoc - 0.05
    assert turned.infoe == pytest.approx(straight.infoe, abs=1e-3)


def test_the_perfect_code_of_dsprites_scores_above_its_rotation() -> None:
    straight, turned = (load(case, "small_") for case in ("disentangled", "rotated"))
    high = infomec(straight.codes[:, [0, 1, 2, 9]], straight.factors[:, :3])
    low = infomec(turned.codes, turned.factors[:, :3])
    assert min(high.infom, high.infoc) > 0.9
    assert max(low.infom, low.infoc) < 0.7


def test_explicitness_is_linear() -> None:
    codes = RANDOM.normal(size=(1500, 2))
    crossed = (codes.prod(axis=1) > 0).astype(np.int64)
    factors = np.stack([crossed, codes[:, 0] > 0], axis=1).astype(np.int64)
    assert explained_per_factor(codes, factors) == pytest.approx([0, 1], abs=0.02)


def test_explicitness_of_a_quantity_is_the_explained_variance() -> None:
    codes = RANDOM.normal(size=(5000, 2))
    values = np.stack([codes @ [3.0, 4.0], codes @ [3.0, 4.0] + RANDOM.normal(0, 5, 5000)], axis=1)
    assert explained_per_factor(codes, values) == pytest.approx([1, 0.5], abs=0.03)


def test_a_quantity_is_known_by_itself_as_much_as_a_class() -> None:
    values = np.stack([RANDOM.normal(size=800), FACTORS[:800, 1]], axis=1)
    truth = GroundTruth(values, np.array([False, True]))
    codes = values + np.array([0, 1e-3]) * RANDOM.normal(size=(800, 2))
    np.testing.assert_allclose(normalised_information(codes, truth), np.eye(2), atol=0.03)
    assert infomec(codes, truth)[:2] == pytest.approx((1, 1), abs=0.03)


def test_rows_without_a_factor_are_left_out_for_it() -> None:
    holes = np.where(RANDOM.uniform(size=FACTORS.shape) < 0.3, np.nan, FACTORS)
    there = ~np.isnan(holes[:, 1])
    truth = GroundTruth(holes, np.full(3, True))
    known = normalised_information(NOISY[there], FACTORS[there])[:, 1]
    np.testing.assert_allclose(normalised_information(NOISY, truth)[:, 1], known, atol=1e-9)
    explained = explained_per_factor(NOISY[there], FACTORS[there])[1]
    assert explained_per_factor(NOISY, truth)[1] == pytest.approx(explained, abs=1e-9)


def test_factors_with_one_value_are_left_out() -> None:
    factors = np.hstack([FACTORS, np.full((len(FACTORS), 1), 2)])
    assert infomec(CODES, factors) == infomec(CODES, FACTORS)
    assert np.isnan(explained_per_factor(CODES, factors)).tolist() == [False, False, False, True]
    assert not normalised_information(CODES, factors)[:, 3].any()
    with pytest.raises(InputError, match="needs 2 that vary"):
        infomec(CODES, factors[:, 2:])


def test_neighbours_are_needed() -> None:
    with pytest.raises(InputError, match="neighbours"):
        infomec(CODES, FACTORS, neighbours=0)
