"""Slopes by a mixed model against statsmodels, and where they come from."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from disentangle_pl.genetics.growth import slopes_of_people


def drawn(seed: int, balanced: bool, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scans = np.full(60, 4) if balanced else rng.integers(1, 7, 60)
    people = np.repeat(np.arange(60) * 3 + 7, scans)
    years = np.concatenate([np.sort(rng.uniform(0, 5, count)) for count in scans])
    effects = rng.multivariate_normal([5, -0.3], [[1, 0.2], [0.2, 0.16]], 60)
    mine = effects[np.repeat(np.arange(60), scans)]
    return mine[:, 0] + mine[:, 1] * years + noise * rng.standard_normal(len(years)), people, years, effects[:, 1]


@pytest.mark.parametrize(("seed", "balanced"), [(0, True), (1, False), (2, False)])
def test_slopes_are_those_of_statsmodels(seed: int, balanced: bool) -> None:
    values, people, years, _ = drawn(seed, balanced)
    who, found = slopes_of_people(np.stack((values, 10 - 3 * values), axis=1), people, years)
    design = sm.add_constant(years)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = sm.MixedLM(values, design, people, exog_re=design).fit(reml=True)
    expected = [fit.fe_params[1] + fit.random_effects[person].iloc[1] for person in who]
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-3)
    np.testing.assert_allclose(found[:, 1], -3 * found[:, 0], atol=1e-4)


def test_they_are_nearer_to_the_truth_than_slopes_of_single_people() -> None:
    values, people, years, truth = drawn(3, False, noise=1.0)
    who, found = slopes_of_people(values[:, None], people, years)
    own = np.array(
        [
            np.polyfit(years[people == person], values[people == person], 1)[0]
            if (people == person).sum() > 1
            else -0.3
            for person in who
        ]
    )
    assert ((found[:, 0] - truth) ** 2).mean() < 0.7 * ((own - truth) ** 2).mean()


def test_lines_without_noise_and_constants_have_their_slopes() -> None:
    people, years = np.repeat(np.arange(8), 3), np.tile([0.0, 1.0, 2.0], 8)
    slopes = np.linspace(-1, 1, 8)
    _, found = slopes_of_people(np.stack((slopes[people] * years + people, np.full(24, 4.0)), axis=1), people, years)
    np.testing.assert_allclose(found[:, 0], slopes, atol=1e-3)
    assert not found[:, 1].any()
