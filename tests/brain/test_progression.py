"""People, their visits and their scores follow the rules."""

import numpy as np
import pytest

from disentangle_pl.brain.clinic import Diagnosis, diagnose, dx, finer, fluid_markers, score
from disentangle_pl.brain.progression import JITTER, MOST_JITTER, SEVERITY_SCALE, Person, draw_person, plan_visits

MONTHS = (0, 6, 12, 24, 36)


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [draw_person(0, index, 25) for index in range(900)]


def test_all_three_groups_are_there(people: list[Person]) -> None:
    shares = np.bincount([person.diagnosis for person in people], minlength=3) / len(people)
    assert shares == pytest.approx([0.38, 0.36, 0.26], abs=0.06)
    assert len({person.label for person in people}) == len(people)
    assert min(person.severity for person in people) == 0
    assert all(55 <= person.age <= 90 and 6 <= person.education <= 20 for person in people)


def test_apoe_acts_on_severity(people: list[Person]) -> None:
    e4 = np.array([person.e4 for person in people])
    severity = np.array([person.severity for person in people])
    slope = np.polyfit(e4, severity, 1)[0]
    assert slope == pytest.approx(0.55 * SEVERITY_SCALE, abs=0.13)
    frequency = [np.mean([p.e4 for p in people if p.diagnosis == kind]) / 2 for kind in Diagnosis]
    assert frequency[0] < 0.2 < 0.3 < frequency[2]


def test_the_ill_lose_more(people: list[Person]) -> None:
    mean = np.array([np.mean([p.slopes for p in people if p.diagnosis == kind], axis=0) for kind in Diagnosis])
    assert (np.diff(mean[:, 0]) > 0).all()
    assert (np.diff(mean[:, 1:], axis=0) < 0).all()
    assert mean[2] == pytest.approx(np.array([0.10, -0.02, -0.048, -0.008]) * np.exp(0.3**2 / 2), rel=0.1)
    worse = [np.mean([p.severity_slope for p in people if p.diagnosis == kind]) for kind in Diagnosis]
    assert worse[0] < worse[1] < worse[2]
    sick = max(people, key=lambda p: p.severity)
    assert sick.log_volumes_at(2.0)[0] - sick.log_volumes_at(0.0)[0] == pytest.approx(2 * sick.slopes[0])


def test_static_parts_have_the_planned_spread(people: list[Person]) -> None:
    heads = np.array([person.log_icv for person in people]) / 3
    male = np.array([person.male for person in people])
    assert heads[male].mean() - heads[~male].mean() == pytest.approx(0.036, abs=0.006)
    assert heads[male].std() == pytest.approx(0.022, rel=0.15)
    age = np.array([person.age - 73 for person in people])
    severity = np.array([person.severity for person in people])
    rest = np.array([p.log_volumes for p in people]) - np.outer(age, [0.025, -0.004, -0.008, -0.003])
    rest = rest - np.outer(severity, [0.28, -0.055, -0.13, -0.02])
    assert rest.std(0) == pytest.approx([0.33, 0.05, 0.08, 0.04], rel=0.15)


def test_visits(people: list[Person]) -> None:
    plans = [plan_visits(0, person, MONTHS) for person in people]
    for visits in plans:
        assert [visit.month for visit in visits] == list(MONTHS[: len(visits)])
        assert (visits[0].years, visits[0].scanned) == (0.0, True)
        assert all(abs(visit.years - visit.month / 12) <= MOST_JITTER + 1e-9 for visit in visits)
        assert (np.diff([visit.years for visit in visits]) > 0).all()
    jitter = [visit.years - visit.month / 12 for visits in plans for visit in visits[1:]]
    assert np.std(jitter) == pytest.approx(JITTER, rel=0.15)
    stayed = [
        np.mean([len(visits) == 5 for visits, person in zip(plans, people, strict=True) if person.diagnosis == kind])
        for kind in Diagnosis
    ]
    assert 0.9 > stayed[0] > stayed[1] > stayed[2] > 0.2
    later = [visit.scanned for visits in plans for visit in visits[1:]]
    assert np.mean(later) == pytest.approx(0.96, abs=0.015)
    switched = np.mean([len({visit.scanner for visit in visits}) == 2 for visits in plans])
    assert 0.1 < switched < 0.35
    assert {visit.scanner for visits in plans for visit in visits} == {1, 2}


def test_a_person_does_not_depend_on_the_others(people: list[Person]) -> None:
    again = draw_person(0, 321, 25)
    assert again.label == people[321].label
    assert again.severity == people[321].severity
    assert np.array_equal(again.log_volumes, people[321].log_volumes)
    assert draw_person(1, 321, 25).severity != again.severity


@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0, 2.0, 6.0, 30.0])
def test_scores_stay_in_their_ranges(severity: float) -> None:
    rng = np.random.default_rng(0)
    scores = np.array([score(severity, True, rng) for _ in range(300)], dtype=float).T
    for values, most in zip(scores, (30, 18, 70, 85, 30, 30), strict=True):
        assert 0 <= values.min() <= values.max() <= most
    mmse, cdr, adas11, adas13, faq, moca = scores
    assert all(np.array_equal(values, np.round(values)) for values in (mmse, faq, moca, 2 * cdr))
    assert (adas11 <= adas13).all()
    assert np.abs(3 * adas13 - np.round(3 * adas13)).max() < 0.02
    if severity == 0:
        assert (mmse == 30).mean() > 0.4
        assert (cdr == 0).mean() > 0.5
    if severity == 30:
        assert (mmse.max(), cdr.min(), adas13.min()) == (0, 18, 85)


def test_scores_follow_severity() -> None:
    rng = np.random.default_rng(0)
    means = np.array(
        [np.mean(np.array([score(s, True, rng) for _ in range(200)], dtype=float), axis=0) for s in (0.2, 1.0, 2.0)]
    )
    assert (np.diff(means[:, [0, 5]], axis=0) < 0).all()
    assert (np.diff(means[:, 1:5], axis=0) > 0).all()


def test_gaps_and_text_cells() -> None:
    rng = np.random.default_rng(0)
    later = np.array([[cell is None for cell in score(1.0, False, rng)] for _ in range(1000)])
    assert later.mean(0) == pytest.approx(np.full(6, 0.03), abs=0.02)
    named = [dx(1.0, rng) for _ in range(1000)]
    assert set(named) == {"", "MCI"}
    assert named.count("") / 1000 == pytest.approx(0.06, abs=0.025)
    marks = [fluid_markers(0.1, 0, rng) for _ in range(1000)]
    assert any(amyloid == ">1700" for amyloid, _, _ in marks)
    assert any(tau == "<80" for _, tau, _ in marks)
    assert np.mean([amyloid == "" for amyloid, _, _ in marks]) == pytest.approx(0.5, abs=0.06)


def test_diagnoses() -> None:
    assert [diagnose(s) for s in (0.0, 0.59, 0.6, 1.39, 1.4, 9)] == [0, 0, 1, 1, 2, 2]
    rng = np.random.default_rng(0)
    assert [finer(s, rng) for s in (0.7, 1.2, 2.0)] == ["EMCI", "LMCI", "AD"]
    assert {finer(0.1, rng) for _ in range(50)} == {"CN", "SMC"}
