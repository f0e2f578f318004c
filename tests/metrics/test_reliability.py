import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.identity import identification, shrinkage, whitened
from disentangle_pl.metrics.intervals import mean_interval
from disentangle_pl.metrics.reliability import agreement, variances, yearly_slopes

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]])


def people(scans: int, n: int) -> NDArray[np.int64]:
    return np.repeat(np.arange(n), scans)


def test_icc_of_the_table_of_shrout_and_fleiss() -> None:
    found = agreement(SHROUT_FLEISS[:, :, None])
    assert found.icc == pytest.approx([0.29], abs=0.005)
    assert found.low == pytest.approx([0.019], abs=0.001)  # as R's psych::ICC and irr::icc print
    assert found.high == pytest.approx([0.761], abs=0.001)


def test_icc_of_many_repeats_is_the_share_of_variance() -> None:
    rng = np.random.default_rng(0)
    n, sd = 4000, np.array([0.0, 0.5, 1.0, 3.0])
    repeats = rng.normal(size=(n, 1, 4)) + sd * rng.normal(size=(n, 2, 4))
    found = agreement(repeats)
    np.testing.assert_allclose(found.icc, 1 / (1 + sd**2), atol=0.04)
    assert (found.low <= 1 / (1 + sd**2)).all()
    assert (1 / (1 + sd**2) <= found.high).all()


def test_a_shift_between_repeats_lowers_the_agreement() -> None:
    x = np.random.default_rng(0).normal(size=(2000, 1, 1))
    shifted = np.concatenate([x, x + 1], axis=1)
    # variance of people 1, of repeats 1/2 (of two values that are 1 apart), no rest
    assert agreement(shifted).icc == pytest.approx([1 / 1.5], abs=0.03)


def test_the_interval_of_the_agreement_covers_the_truth() -> None:
    rng = np.random.default_rng(1)
    repeats = rng.normal(size=(12, 1, 1000)) + rng.normal(size=(12, 2, 1000))
    found = agreement(repeats)
    covered = ((found.low <= 0.5) & (found.high >= 0.5)).mean()
    assert 0.93 <= covered <= 0.99


def test_agreement_is_defined_where_nothing_varies() -> None:
    repeats = np.zeros((5, 2, 3))
    repeats[:, :, 1] = np.arange(5)[:, None]
    repeats[:, :, 2] = 0.1
    found = np.stack(agreement(repeats))
    np.testing.assert_array_equal(found, [[0, 1, 0]] * 3)
    opposite = np.array([[1.0, -1.0], [-1.0, 1.0]])[:, :, None]
    assert np.isfinite(np.stack(agreement(opposite))).all()
    with pytest.raises(InputError, match="two people"):
        agreement(np.zeros((1, 2, 3)))
    with pytest.raises(InputError, match="two repeats"):
        agreement(np.zeros((3, 1, 3)))


def test_variances_of_a_balanced_table_are_the_mean_squares() -> None:
    values = np.array([1.0, 3, 5, 7, 9, 17])[:, None]
    found = variances(values, people(2, 3))
    # means 2, 6, 13 about 7: MSB = 2 (25 + 1 + 36) / 2 = 62; MSW = (2 + 2 + 32) / 3 = 12; (62 - 12) / 2 = 25
    assert found.within == pytest.approx([12])
    assert found.between == pytest.approx([25])


def test_variances_of_one_and_three_scans_by_hand() -> None:
    found = variances(np.array([0.0, 3, 4, 5])[:, None], np.array([0, 1, 1, 1]))
    # means 0 and 4 about 3: MSB = 9 + 3 = 12, MSW = 2 / 2 = 1; size (4 - 10 / 4) / 1 = 1.5
    assert (found.within[0], found.between[0]) == (1, pytest.approx(11 / 1.5))


def test_variances_of_unbalanced_visits_are_unbiased() -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(300), rng.integers(1, 7, 300))
    spread = np.array([2.0, 1.0, 0.0])
    codes = spread * rng.normal(size=(300, 3))[who] + [0.5, 1.0, 1.0] * rng.normal(size=(len(who), 3))
    found = variances(codes, who)
    np.testing.assert_allclose(found.within, [0.25, 1, 1], rtol=0.1)
    np.testing.assert_allclose(found.between, spread**2, rtol=0.25, atol=0.1)
    assert found.between.min() >= 0


def test_variances_need_repeats_and_two_people() -> None:
    with pytest.raises(InputError, match="two people and repeats"):
        variances(np.ones((4, 2)), np.arange(4))
    with pytest.raises(InputError, match="two people and repeats"):
        variances(np.ones((4, 2)), np.zeros(4, int))


def test_slopes_are_those_within_people() -> None:
    years = np.array([0.0, 1, 2, 0, 2, 0, np.nan])
    who = np.array([0, 0, 0, 1, 1, 2, 2])
    offset = np.array([5.0, 5, 5, -9, -9, 3, 3])
    codes = np.stack((offset + 0.5 * np.nan_to_num(years), offset - np.nan_to_num(years), offset), axis=1)
    found = yearly_slopes(codes, who, years)
    np.testing.assert_allclose(found.slope, [0.5, -1, 0], atol=1e-12)
    np.testing.assert_allclose(found.error, 0, atol=1e-12)


def test_errors_of_slopes_cover_their_spread() -> None:
    rng = np.random.default_rng(0)
    who, years = people(3, 80), np.tile([0.0, 1, 2], 80)
    own = rng.normal(0.3, 0.2, (80, 500))[who]
    found = yearly_slopes(own * years[:, None] + 0.1 * rng.normal(size=(240, 500)), who, years)
    assert found.slope.mean() == pytest.approx(0.3, abs=0.005)
    assert found.error.mean() == pytest.approx(found.slope.std(), rel=0.1)


def test_intervals_of_slopes_are_those_of_student_over_people_with_two_scans() -> None:
    """In a balanced design the slope is the mean of the people's own slopes, and its interval that of this mean."""
    own = np.array([0.1, 0.4, -0.2, 0.6])
    who, years = np.repeat(np.arange(4), 3), np.tile([0.0, 1.0, 2.0], 4)
    found = yearly_slopes((own[who] * years)[:, None], who, years)
    mean, low, high = mean_interval(own)
    np.testing.assert_allclose([found.slope[0], found.low[0], found.high[0]], [mean, low, high])
    once = yearly_slopes(
        np.append(own[who] * years, [5.0, 7.0])[:, None], np.append(who, [8, 9]), np.append(years, [0, 1])
    )
    np.testing.assert_allclose(once, found, err_msg="who was seen once says nothing of change")


@pytest.mark.parametrize("people", [3, 6])
def test_intervals_of_slopes_cover_with_few_people(people: int) -> None:
    rng = np.random.default_rng(people)
    who, years = np.repeat(np.arange(people), 3), np.tile([0.0, 1.0, 2.0], people)
    own = rng.normal(0.3, 0.2, (people, 2000))[who]
    found = yearly_slopes(own * years[:, None] + 0.1 * rng.normal(size=own.shape), who, years)
    assert ((found.low < 0.3) & (found.high > 0.3)).mean() == pytest.approx(0.95, abs=0.015)


def test_slopes_need_time_to_pass() -> None:
    with pytest.raises(InputError, match="known times"):
        yearly_slopes(np.ones((3, 1)), np.zeros(3, int), np.full(3, np.nan))
    with pytest.raises(InputError, match="different known times"):
        yearly_slopes(np.ones((3, 1)), np.zeros(3, int), np.zeros(3))
    one = yearly_slopes(np.array([[1.0], [3.0]]), np.zeros(2, int), np.array([0.0, 1.0]))
    assert one.slope[0] == 2.0
    assert np.isnan([*one.error, *one.low, *one.high]).all(), "one person has no interval"


def test_people_far_apart_are_recognised_in_any_mixture_of_latents() -> None:
    rng = np.random.default_rng(0)
    codes = 10 * rng.normal(size=(30, 4))[people(3, 30)] + rng.normal(size=(90, 4))
    assert identification(codes, people(3, 30)).rate > 0.97
    mixed = codes @ rng.normal(size=(4, 4)) * 7 + 3
    assert identification(mixed, people(3, 30)).rate > 0.97


def test_identification_of_noise_is_chance() -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(100), [1, 2, 4, 5] * 25)
    found = [identification(rng.normal(size=(len(who), 3)), who) for _ in range(20)]
    several = np.repeat([2, 4, 5], np.array([2, 4, 5]) * 25)
    assert found[0].chance == pytest.approx((several - 1).mean() / (len(who) - 1))
    assert found[0].scans == len(several)
    assert np.mean([each.rate for each in found]) == pytest.approx(found[0].chance, abs=0.006)


def test_codes_that_say_nothing_are_at_chance_however_scans_are_ordered() -> None:
    found = identification(np.ones((12, 3)), people(3, 4))
    assert found.rate == pytest.approx(2 / 11)
    assert found.chance == pytest.approx(2 / 11)


def test_a_loud_nuisance_latent_does_not_hide_the_person() -> None:
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=(40, 6))[people(2, 40)] + 0.05 * rng.normal(size=(80, 6))
    codes = np.concatenate([0.01 * quiet, 100 * rng.normal(size=(80, 1))], axis=1)
    assert identification(codes, people(2, 40)).rate > 0.6  # a code in its own units has .05


def test_whitened_codes_have_no_correlation_but_keep_distances_of_few_scans() -> None:
    rng = np.random.default_rng(0)
    white = whitened(rng.normal(size=(50_000, 3)) @ rng.normal(size=(3, 3)))
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(3), atol=0.01)
    assert whitened(np.ones((5, 2))).shape == (5, 0)
    few = 10 * rng.normal(size=(4, 20))[people(2, 4)] + rng.normal(size=(8, 20))
    assert identification(few, people(2, 4)).rate == 1  # whitening by its own covariance would leave 1/7


def test_shrinkage_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for rows, mix in ((8, 0.0), (60, 0.9), (5, 0.5)):
        units = rng.normal(size=(rows, 6)) + mix * rng.normal(size=(rows, 1))
        units -= units.mean(axis=0)
        assert shrinkage(units) == pytest.approx(ledoit_wolf_shrinkage(units, assume_centered=True))


def test_identification_needs_two_people_and_repeats() -> None:
    for who in (np.zeros(4, int), np.arange(4)):
        with pytest.raises(InputError, match="two people and one with two scans"):
            identification(np.random.default_rng(0).normal(size=(4, 2)), who)
