import numpy as np
import pytest
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.chance import permuted_rows
from disentangle_pl.metrics.correlation import (
    bootstrap_correlations,
    correlations,
    follows,
    ranked,
    weighted_correlations,
)
from disentangle_pl.metrics.score import ground_truth


def test_correlations_are_those_of_scipy_over_the_rows_that_are_known() -> None:
    rng = np.random.default_rng(0)
    codes, factors = 1e3 + rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    factors[:, 0] += codes[:, 1]
    factors[5:15, 0] = np.nan
    there = ~np.isnan(factors)
    found, ranks = correlations(codes, factors), correlations(*ranked(codes, factors))
    for i in range(3):
        for j in range(2):
            x, y = codes[there[:, j], i], factors[there[:, j], j]
            assert found[i, j] == pytest.approx(stats.pearsonr(x, y).statistic)
            if j:  # ranks of the codes are those among all rows
                assert ranks[i, j] == pytest.approx(stats.spearmanr(x, y).statistic)


def test_dead_latents_constant_and_unknown_factors_correlate_with_nothing() -> None:
    rng = np.random.default_rng(0)
    codes = np.stack((rng.normal(size=20), np.full(20, 0.1)), axis=1)
    unknown = np.full(20, np.nan)
    unknown[:2] = 1, 2
    factors = np.stack((rng.normal(size=20), np.full(20, 7.3), unknown), axis=1)
    found = correlations(codes, factors)
    assert found[0, 0] != 0
    assert not found[1].any()
    assert not found[:, 1:].any()
    assert np.isfinite(bootstrap_correlations(codes, factors, np.arange(20), resamples=50)).all()


def test_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    codes, factors, times = rng.normal(size=(12, 2)), rng.normal(size=(12, 2)), rng.integers(0, 4, 12)
    weighted = weighted_correlations(codes, ground_truth(factors), times[None].astype(float))[0]
    np.testing.assert_allclose(weighted, correlations(codes.repeat(times, 0), factors.repeat(times, 0)))


def test_intervals_over_people_are_wider_than_over_scans() -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(25), 8)
    person = rng.normal(size=(25, 2))
    values = person[who] + 0.1 * rng.normal(size=(200, 2))
    codes, factors = values[:, :1], values[:, 1:]
    over_people = bootstrap_correlations(codes, factors, who).std()
    over_scans = bootstrap_correlations(codes, factors, np.arange(200)).std()
    assert over_people == pytest.approx(1 / np.sqrt(25), rel=0.3)
    assert over_scans < 0.5 * over_people
    with pytest.raises(InputError, match="two of them"):
        bootstrap_correlations(codes, factors, np.zeros(200, int))


def test_permuted_rows_keep_scans_of_a_person_together() -> None:
    who = np.array([7, 7, 7, 2, 2, 5])
    rows = permuted_rows(who, seed=1)
    for name in set(who.tolist()):
        (other,) = set(who[rows[who == name]].tolist())
        wanted = np.flatnonzero(who == other)
        np.testing.assert_array_equal(rows[who == name], np.resize(wanted, (who == name).sum()))
    taken = [frozenset(who[permuted_rows(who, seed=seed)].tolist()) for seed in range(5)]
    assert all(others == {2, 5, 7} for others in taken)


def test_the_factor_that_is_followed_and_its_lead() -> None:
    best = follows(np.array([[0.1, 0.9, 0.3], [0.5, 0.5, 0.0]]))
    assert best.factor.tolist() == [1, 0]
    np.testing.assert_allclose(best.strength, [0.9, 0.5])
    np.testing.assert_allclose(best.gap, [0.6, 0.0])
    assert follows(np.array([[0.4]])).gap.tolist() == [0.4]
