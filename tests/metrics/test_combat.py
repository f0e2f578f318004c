"""Longitudinal ComBat: against the published recipe, what is known in closed form, and what must not happen."""

import numpy as np
import pytest
from numpy.typing import NDArray

from disentangle_pl.errors import InputError
from disentangle_pl.metrics.combat import Combat, Sites, covered, fit_combat, harmonised, shrunk
from disentangle_pl.metrics.score import Values

# Rows 0, 1, 2, 27, 40 and 53 of `published`, by long_combat(formula="age", ranef="(1|who)") of longcombat-py 0.1.1
# (statsmodels 0.15.0), the port of the authors' longCombat for R.
GOLDEN = np.array(
    [
        [3.89850763, -3.09428005, 1.78895118, 5.64350335],
        [3.11115171, -2.27373384, 0.8651531, 7.26524361],
        [3.73172869, -3.72576894, 0.14204732, 6.30836314],
        [2.96821381, -3.67403245, 1.36512879, 7.87808753],
        [5.05062254, -2.74118639, -2.0364832, 8.17479777],
        [2.71268135, -5.04427028, -0.07147116, 7.28795828],
    ]
)
GOLDEN_LOCATION = [-0.62932599, -0.59141835, -0.70194495, -0.33754639]
GOLDEN_SCALE = [0.63278704, 0.49883547, 0.56337731, 0.76474256]


def published() -> tuple[Values, Sites, Values, NDArray[np.int64]]:
    """Three scans of each of 18 people at three sites, some of whom change site; the oldest are at site b."""
    rng = np.random.default_rng(0)
    people, rows = np.repeat(np.arange(18), 3), np.arange(54)
    place = (people + (rows % 3 == 2) * (people % 4 == 0)) % 3
    age = np.round(60 + people % 7 * 3 + rows % 3 + (place == 1) * 4.0, 3)
    values = 0.05 * age[:, None] * np.array([1, -1, 0, 2.0]) + 0.8 * rng.normal(size=(18, 4))[people]
    values += np.array([0.0, 1.0, -0.5])[place][:, None] * np.array([1, 1.2, 0.8, 1.1])
    values += 0.4 * np.array([1.0, 1.6, 0.7])[place][:, None] * rng.normal(size=(54, 4))
    return np.round(values, 3), np.array(["a", "b", "c"], dtype=object)[place], age[:, None], people


def two_sites(
    people: int, features: int = 6, visits: int = 2, seed: int = 0
) -> tuple[Values, Values, Sites, Values, NDArray[np.int64]]:
    """What is true of scans, what a site of twice the noise and 3 more shows of them, site, age and person.

    Half of the people are at either site; those of site b are 8 years older, and all features fall by 0.1 a year.
    """
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), visits)
    at_b = who % 2 == 1
    age = rng.uniform(60, 80, people)[who] + np.tile(np.arange(visits), people) + 8.0 * at_b
    own = rng.normal(size=(people, features))[who]
    noise = 0.5 * rng.normal(size=(len(who), features))
    true = -0.1 * age[:, None] + own + noise
    seen = np.where(at_b[:, None], -0.1 * age[:, None] + own + 2 * noise + 3.0, true)
    return true, seen, np.where(at_b, "b", "a").astype(object), age[:, None], who


def test_it_is_the_published_recipe() -> None:
    values, sites, age, people = published()
    combat = fit_combat(values, sites, age, people)
    done = harmonised(combat, values, sites, age, people)
    np.testing.assert_allclose(done[[0, 1, 2, 27, 40, 53]], GOLDEN, atol=1e-4)
    np.testing.assert_allclose(combat.location[0], GOLDEN_LOCATION, atol=1e-4)
    np.testing.assert_allclose(combat.scale[0], GOLDEN_SCALE, atol=1e-4)


def test_shifts_and_stretches_of_two_sites_are_recovered() -> None:
    _, seen, sites, age, who = two_sites(600, visits=12)
    combat = fit_combat(seen, sites, age, who)
    shift = combat.spread * (combat.location[1] - combat.location[0])
    np.testing.assert_allclose(shift, 3.0, atol=0.25)  # means of 300 people at either site
    np.testing.assert_allclose(np.sqrt(combat.scale[1] / combat.scale[0]), 2.0, rtol=0.05)
    np.testing.assert_allclose(combat.slopes, -0.1, atol=0.01)
    done = harmonised(combat, seen, sites, age, who)
    within = [(done[sites == name][::2] - done[sites == name][1::2]).std(axis=0) for name in ("a", "b")]
    np.testing.assert_allclose(within[0], within[1], rtol=0.05)


def test_the_effect_of_age_stays_where_sites_differ_in_age() -> None:
    true, seen, sites, age, who = two_sites(400)
    slopes = []
    for covariates in (age, np.empty((len(age), 0))):
        done = harmonised(fit_combat(seen, sites, covariates, who), seen, sites, covariates, who)
        slopes.append(np.polyfit(age[:, 0], done, 1)[0].mean())
    expected = np.polyfit(age[:, 0], true, 1)[0].mean()
    assert slopes[0] == pytest.approx(expected, abs=0.01)
    assert abs(slopes[1]) < 0.8 * abs(expected), "without age as a covariate the older site loses its age"


def test_new_people_change_nothing_of_the_fit_and_get_what_the_site_does() -> None:
    true, seen, sites, age, who = two_sites(600)
    train, test = who < 400, who >= 400
    combat = fit_combat(seen[train], sites[train], age[train], who[train])
    one = harmonised(combat, seen, sites, age, who)
    other = harmonised(combat, np.where(test[:, None], seen + 100 * np.sin(seen), seen), sites, age, who)
    np.testing.assert_array_equal(one[train], other[train])
    gap = one[test & (sites == "b")].mean() - one[test & (sites == "a")].mean()
    expected = true[test & (sites == "b")].mean() - true[test & (sites == "a")].mean()
    assert gap == pytest.approx(expected, abs=0.15)
    again = fit_combat(seen[train].copy(), sites[train], age[train], who[train])
    for part, same in zip(combat, again, strict=True):
        np.testing.assert_array_equal(part, same)


def test_later_scans_do_not_count_for_earlier_ones() -> None:
    _, seen, sites, age, who = two_sites(60, visits=3)
    years = np.tile([0.0, 1.0, 2.0], 60)
    combat = fit_combat(seen, sites, age, who)
    later = np.where((years == 2)[:, None], seen + 5, seen)
    one, other = (harmonised(combat, values, sites, age, who, times=years) for values in (seen, later))
    np.testing.assert_array_equal(one[years < 2], other[years < 2])
    all_scans = [harmonised(combat, values, sites, age, who) for values in (seen, later)]
    assert np.abs(all_scans[0] - all_scans[1])[years == 0].max() > 0.01
    last = years == 2
    np.testing.assert_allclose(one[last], all_scans[0][last], rtol=1e-12, err_msg="the last scan has all before it")


def test_scans_the_fit_does_not_cover_stay_as_they_are() -> None:
    _, seen, sites, age, who = two_sites(40)
    combat = fit_combat(seen, sites, age, who)
    strange, unknown, broken = sites.copy(), age.copy(), seen.copy()
    strange[:2], unknown[2, 0], broken[4, 1] = "z", np.nan, np.nan
    done = harmonised(combat, broken, strange, unknown, who)
    np.testing.assert_array_equal(done[[0, 1, 2, 4]], broken[[0, 1, 2, 4]])
    assert covered(combat, strange, unknown).tolist() == [False, False, False, *([True] * 77)]
    assert np.abs(done[5:] - seen[5:]).min() > 0


def test_features_that_do_not_vary_stay_and_of_one_nothing_is_shrunk() -> None:
    _, seen, sites, age, who = two_sites(60)
    dead = np.column_stack((seen, np.full(len(seen), 7.0)))
    combat = fit_combat(dead, sites, age, who)
    done = harmonised(combat, dead, sites, age, who)
    assert (done[:, -1] == 7).all()
    np.testing.assert_array_equal(done[:, :-1], harmonised(fit_combat(seen, sites, age, who), seen, sites, age, who))
    alone = fit_combat(seen[:, :1], sites, age, who)
    means = [harmonised(alone, seen[:, :1], sites, age, who)[sites == name].mean() for name in ("a", "b")]
    assert means[1] - means[0] == pytest.approx(
        float(alone.slopes[0, 0]) * np.ptp([age[sites == s].mean() for s in "ab"]), abs=0.05
    )


def test_people_with_one_scan_each_are_harmonised_as_before_time_came_in() -> None:
    _, seen, sites, age, who = two_sites(120, visits=1)
    combat = fit_combat(seen, sites, age, who)
    assert not combat.ratio.any()
    design = np.column_stack((sites == "a", sites == "b", age)).astype(float)
    residual = seen - design @ np.linalg.lstsq(design, seen, rcond=None)[0]
    np.testing.assert_allclose(combat.spread, np.sqrt((residual**2).sum(0) / (120 - 3)))


def test_shrinkage_has_its_limits() -> None:
    shift, stretch = np.array([[1.0, 2.0], [-1.0, -2.0]]), np.array([[1.0, 1.5], [0.5, 0.6]])
    many = shrunk(shift, stretch, np.array([10**7, 10**7]))
    np.testing.assert_allclose(many[0], shift, atol=1e-5, err_msg="of many scans the data speak")
    np.testing.assert_allclose(many[1], stretch, rtol=1e-4)
    alike = shrunk(np.ones((1, 3)), np.full((1, 3), 2.0), np.array([4]))
    np.testing.assert_allclose(alike, (np.ones((1, 3)), np.full((1, 3), 2.0)))


def test_columns_in_blocks_are_those_of_a_whole_and_go_to_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    values, sites, age, people = published()

    def done() -> tuple[Combat, Values]:
        combat = fit_combat(values.astype(np.float32), sites, age, people)
        out = np.empty_like(values)
        harmonised(combat, values, sites, age, people, out=out)
        return combat, out

    whole = done()
    monkeypatch.setattr("disentangle_pl.metrics.combat.BLOCK", 3)
    np.testing.assert_allclose(done()[1], whole[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("one site", "needs scans of two sites, and all 54 are of a"),
        ("one person", "needs 2 people of every site, and z has fewer"),
        ("confounded", "3 sites and 2 columns of covariates cannot be told apart by 54 scans"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(fault: str, said: str) -> None:
    values, sites, age, people = published()
    if fault == "one site":
        sites[:] = "a"
    if fault == "one person":
        sites[people == 3] = "z"
    if fault == "confounded":
        age = np.column_stack((age, sites == "b"))
    with pytest.raises(InputError, match=said):
        fit_combat(values, sites, age, people)
