"""Calibration, Brier score and net benefit, by closed forms."""

import numpy as np
import pytest
from scipy.special import expit

from disentangle_pl.metrics.development_size import people_for_classes, people_for_quantity
from disentangle_pl.metrics.probability import (
    brier,
    chance_calibration,
    net_benefit,
    prediction_groups,
    quantity_calibration,
)


def expected_cases(odds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both classes of every scan, weighted by how likely they are: true chances without noise."""
    target = np.repeat([1.0, 0.0], len(odds))
    return target, np.tile(odds, 2), np.concatenate((expit(odds), expit(-odds)))


def test_true_chances_have_slope_1_and_intercept_0() -> None:
    target, odds, weights = expected_cases(np.linspace(-3, 2, 50))
    assert chance_calibration(target, odds, weights) == pytest.approx((0, 1), abs=1e-6)
    assert chance_calibration(target, 2 * odds, weights).slope == pytest.approx(0.5, abs=1e-6)
    assert chance_calibration(target, odds - 1, weights) == pytest.approx((1, 1), abs=1e-6)
    separable = chance_calibration(np.array([0.0, 0, 1, 1]), np.array([-2.0, -1, 1, 2]), np.ones(4))
    assert np.isfinite(separable).all()


def test_quantities_are_calibrated_by_a_line() -> None:
    predicted = np.array([1.0, 2, 3, 4])
    assert quantity_calibration(predicted, predicted, np.ones(4)) == pytest.approx((0, 1))
    assert quantity_calibration(0.5 * predicted + 3, predicted, np.ones(4)) == pytest.approx((1.75, 0.5))
    assert np.isnan(quantity_calibration(predicted, np.ones(4), np.ones(4)).slope)


def test_the_brier_score_is_the_sum_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    chance = rng.choice([0.1, 0.3, 0.5, 0.7, 0.9], 500)
    target, weights = (rng.random(500) < chance**2).astype(float), rng.uniform(0.5, 2, 500)
    found = brier(target, chance, weights, 100)
    assert found.reliability - found.resolution + found.uncertainty == pytest.approx(found.score)
    assert brier(target, target, weights).score == 0
    even = brier(target, np.full(500, weights @ target / weights.sum()), weights)
    assert even.score == pytest.approx(even.uncertainty)
    assert even.resolution == pytest.approx(0)


def test_groups_have_equal_weight_and_do_not_cut_ties() -> None:
    cut = prediction_groups(np.arange(10.0), np.arange(10.0), np.ones(10), 5)
    np.testing.assert_allclose(cut.share, 0.2)
    np.testing.assert_allclose(cut.predicted, [0.5, 2.5, 4.5, 6.5, 8.5])
    assert len(prediction_groups(np.arange(10.0), np.ones(10), np.ones(10)).share) == 1


def test_net_benefit_counts_at_the_odds_of_the_threshold() -> None:
    target, chance = np.array([1.0, 1, 0, 0]), np.array([0.9, 0.3, 0.6, 0.1])
    np.testing.assert_allclose(
        net_benefit(target, chance, np.array([0.2, 0.5]), np.ones(4)), [0.5 - 0.25 * 0.25, 0.25 - 0.25]
    )
    everybody = net_benefit(target, np.ones(4), np.array([0.5, 0.2]), np.ones(4))
    np.testing.assert_allclose(everybody, [0, 0.5 - 0.5 / 4])
    assert (net_benefit(target, np.zeros(4), np.array([0.1, 0.9]), np.ones(4)) == 0).all()


def test_sample_sizes_are_those_of_pmsampsize() -> None:
    """The examples of its manual."""
    assert people_for_classes(24, 0.174, 0.288) == 662
    assert people_for_quantity(25, 0.2) == 918
    assert people_for_classes(8, 0.5) > people_for_classes(4, 0.5)
