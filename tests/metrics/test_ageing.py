"""MixedSlopes of a random-intercept model against closed forms and statsmodels."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

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
