"""MixedSlopes of a random-intercept model against closed forms and statsmodels."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.ageing import Values, mixed_slopes

PEOPLE = 40


def cohort(
    slopes: list[float], spread: float = 1.0, noise: float = 0.3, seed: int = 0
) -> tuple[Values, Values, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Draw people of one to four scans a year apart whose latents age at the given slopes."""
    draws = np.random.default_rng(seed)
    visits = 1 + np.arange(PEOPLE) % 4
    person = np.repeat(np.arange(PEOPLE), visits)
    age = draws.uniform(55, 85, PEOPLE)[person] + np.concatenate([np.arange(n) for n in visits])
    level = draws.normal(0, spread, (PEOPLE, len(slopes)))[person]
    codes = age[:, None] * np.array(slopes) + level + draws.normal(0, noise, (len(age), len(slopes)))
    return codes, age, person


def test_slopes_are_those_of_statsmodels() -> None:
    codes, age, person = cohort([0.0, 0.05, -0.2])
    found = mixed_slopes(codes, age, person, resamples=10)
    for j in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = sm.MixedLM(codes[:, j], np.column_stack((np.ones_like(age), age - age.mean())), person).fit(reml=True)
        assert found.per_year[j] == pytest.approx(fit.params[1], rel=1e-3, abs=1e-5)
        assert found.standard_errors[j] == pytest.approx(fit.bse[1], rel=0.05)


def test_without_noise_the_slope_is_exact_and_so_is_every_resampled_one() -> None:
    codes, age, person = cohort([0.25], spread=0.0, noise=0.0)
    found = mixed_slopes(codes, age, person, resamples=20)
    assert found.per_year[0] == pytest.approx(0.25)
    assert found.resampled == pytest.approx(0.25)
    assert found.people == PEOPLE
    assert found.rows == len(age)


def test_differences_between_people_do_not_hide_what_each_one_does() -> None:
    """With levels that swamp everything, the slope is that within people: the pooled regression of deviations."""
    codes, age, person = cohort([0.1], spread=30.0, noise=0.05)
    mean = [np.bincount(person, values) / np.bincount(person) for values in (age, codes[:, 0])]
    away, moved = age - mean[0][person], codes[:, 0] - mean[1][person]
    within = (away @ moved) / (away @ away)
    assert mixed_slopes(codes, age, person, resamples=1).per_year[0] == pytest.approx(within, abs=1e-4)


def test_a_latent_that_does_not_age_is_found_out_as_often_as_chance_has_it() -> None:
    found = mixed_slopes(*cohort([0.0] * 200, seed=1), resamples=1)
    assert 0.02 < (found.p < 0.05).mean() < 0.09
    assert (found.q >= found.p).all()
    assert not (found.q < 0.05).any()


@pytest.mark.parametrize("ratio", [0.0, 1.0, 30.0])
def test_degrees_of_freedom_are_exact_in_a_balanced_design(ratio: float) -> None:
    """Everybody at the same ages: the slope is that within people, whose error has P (T - 1) - 1 degrees of freedom."""
    people, scans = 5, 4
    person, age = np.repeat(np.arange(people), scans), np.tile(70.0 + np.arange(scans), people)
    draws = np.random.default_rng(3)
    codes = draws.normal(0, ratio**0.5, (people, 20))[person] + draws.normal(size=(people * scans, 20))
    found = mixed_slopes(codes, age, person, resamples=1)
    np.testing.assert_allclose(found.freedom, people * (scans - 1) - 1, rtol=1e-6)
    for j in range(20):
        away = codes[:, j] - np.bincount(person, codes[:, j])[person] / scans
        line = stats.linregress(age - 71.5, away)
        error = line.stderr * ((people * scans - 2) / (people * (scans - 1) - 1)) ** 0.5
        p = 2 * stats.t.sf(abs(line.slope) / error, people * (scans - 1) - 1)
        if found.standard_errors[j] == pytest.approx(error, rel=1e-4):  # else people are estimated not to differ
            assert found.p[j] == pytest.approx(p, rel=1e-3)


def test_between_people_the_degrees_of_freedom_are_those_of_people() -> None:
    """Two scans at one age: the slope is that of a regression of the means of people."""
    person, age = np.repeat(np.arange(6), 2), np.repeat([60.0, 63, 70, 71, 75, 80], 2)
    draws = np.random.default_rng(0)
    codes = draws.normal(0, 3, (6, 4))[person] + draws.normal(0, 0.3, (12, 4))
    found = mixed_slopes(codes, age, person, resamples=1)
    np.testing.assert_allclose(found.freedom, 4, rtol=1e-6)
    lines = [stats.linregress(age[::2], (codes[::2, j] + codes[1::2, j]) / 2) for j in range(4)]
    np.testing.assert_allclose(found.p, [line.pvalue for line in lines], rtol=1e-5)


@pytest.mark.parametrize("people", [4, 6])
def test_a_latent_that_does_not_age_is_found_out_no_more_often_with_few_people(people: int) -> None:
    """A normal approximation is wrong for 17 % and 11 % of them."""
    draws = np.random.default_rng(people)
    person = np.repeat(np.arange(people), 3)
    alarms = []
    for _ in range(4):
        age = draws.uniform(55, 85, people)[person] + np.tile(np.arange(3.0), people)
        codes = draws.normal(size=(people, 50))[person] + draws.normal(size=(len(age), 50))
        alarms.append((mixed_slopes(codes, age, person, resamples=1).p < 0.05).mean())
    assert np.mean(alarms) < 0.07


def test_the_band_of_few_people_is_no_narrower_than_the_interval_of_their_slopes() -> None:
    codes, age, person = cohort([0.0] * 30, seed=5)
    few = person < 6
    found = mixed_slopes(codes[few], age[few], person[few], resamples=1000)
    half = stats.t.ppf(0.975, found.freedom) * found.standard_errors
    assert (np.quantile(np.abs(found.resampled - found.per_year), 0.95, axis=0) >= 0.99 * half).all()


def test_the_band_covers_the_slope_and_is_as_wide_as_the_standard_error_says() -> None:
    codes, age, person = cohort([0.05] * 50, seed=2)
    found = mixed_slopes(codes, age, person, resamples=400)
    low, high = found.band()
    assert ((low < 0.05) & (high > 0.05)).mean() > 0.8
    assert np.median((high - low) / (2 * 1.96 * found.standard_errors)) == pytest.approx(1, abs=0.15)


def test_a_constant_latent_does_not_move() -> None:
    codes, age, person = cohort([0.0], spread=0.0, noise=0.0)
    found = mixed_slopes(codes + 3, age, person, resamples=5)
    assert found.per_year[0] == pytest.approx(0)
    assert found.p[0] == 1


def test_what_gives_no_slope_is_refused() -> None:
    codes, age, person = cohort([0.1])
    with pytest.raises(InputError, match="3 people"):
        mixed_slopes(codes[:3], age[:3], np.array([0, 0, 1]))
    with pytest.raises(InputError, match="somebody with two scans"):
        mixed_slopes(codes, age, np.arange(len(age)))
    with pytest.raises(InputError, match="at 70 years"):
        mixed_slopes(codes, np.full_like(age, 70), person)
