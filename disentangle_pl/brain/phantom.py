"""Any scan of a simulated cohort, made alone from the cohort's settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch import Tensor

from disentangle_pl.brain.anatomy import Anatomy, Array, Matrix
from disentangle_pl.brain.atrophy import REACH, Calibration, amounts, calibrate, calibrated_fields
from disentangle_pl.brain.cohort_settings import Settings
from disentangle_pl.brain.progression import Person, Visit, draw_person, plan_visits
from disentangle_pl.brain.rendering import Change, Head, make_head, render
from disentangle_pl.brain.scanner import acquire, make_scanner, scan
from disentangle_pl.brain.seeds import Stream, draws

TOWARDS_DISEASE = np.array([1, -1, -1, -1])
ROOM = 0.5  # of `REACH` that is kept for what comes after the first visit
STRETCH = 0.6  # of `REACH` by which the largest changes go beyond it
AGEING, WORSENING = 0.03, 0.2  # load of hyperintensities a year, and a unit of severity


class Shot(NamedTuple):
    """One scan of the plan: who, when, and which of the scans of that day, from 1."""

    person: Person
    visit: Visit
    run: int


class Picture(NamedTuple):
    """A scan (n, n, n), its affine (4, 4), and everything that is true of it."""

    image: Array
    affine: Matrix
    truth: dict[str, float | int | str]


@dataclass(frozen=True)
class Cohort:
    """A simulated cohort, nothing of which is made before it is asked for.

    Attributes:
        settings: What it is made from.
        calibrations: One an anatomy.
    """

    settings: Settings
    calibrations: tuple[Calibration, ...]

    def person(self, index: int) -> Person:
        """Draw one person."""
        return draw_person(self.settings.seed, index, self.settings.snps)

    def visits(self, person: Person) -> list[Visit]:
        """Draw a person's visits."""
        return plan_visits(self.settings.seed, person, self.settings.visits)

    def is_rescanned(self, person: Person) -> bool:
        """Say whether a person has two scans on the first day."""
        return bool(draws(self.settings.seed, Stream.BRAIN, person.index, 1).random() < self.settings.rescans)

    def shots(self, person: Person) -> list[Shot]:
        """List a person's scans."""
        visits = [visit for visit in self.visits(person) if visit.scanned]
        again = [Shot(person, visits[0], 2)] if self.is_rescanned(person) else []
        return [*(Shot(person, visit, 1) for visit in visits), *again]

    def base(self, person: Person) -> int:
        """Choose an anatomy that a person's volumes can be reached from: at random, or else the nearest."""
        away = (person.log_volumes_at(0.0) - self._relative()) * TOWARDS_DISEASE / REACH + (1 - ROOM) / 2
        away = np.abs(away) / ((1 + ROOM) / 2)
        near = np.flatnonzero((away < 1).all(1))
        if not len(near):
            return int(np.argmin((away**2).sum(1)))
        return int(draws(self.settings.seed, Stream.BRAIN, person.index, 2).choice(near))

    def change(self, person: Person, years: float) -> Change:
        """Return how a person's head differs from the anatomy so long after baseline."""
        base = self.base(person)
        severity = person.severity_at(years) - person.severity
        return Change(
            amounts=amounts(self.calibrations[base], bounded(person.log_volumes_at(years) - self._relative()[base])),
            log_scale=(person.log_icv - float(self.calibrations[base].log_volumes[-1])) / 3,
            hyperintensity=person.hyperintensity + AGEING * years + WORSENING * severity,
            white=person.white,
        )

    def head(self, person: Person) -> Head:
        """Make a person's head."""
        base = self.base(person)
        anatomy, fields = _prepared(self.settings, base, self.calibrations[base])
        return make_head(anatomy, fields, draws(self.settings.seed, Stream.BRAIN, person.index))

    def take(self, shot: Shot, head: Head) -> Picture:
        """Make one scan.

        Args:
            shot: One of `shots`.
            head: The person's `head`, which serves for all scans.
        """
        person, visit, run = shot
        scanner = make_scanner(self.settings.seed, person.site, visit.scanner)
        rng = draws(self.settings.seed, Stream.SCAN, person.index, visit.month, run)
        settings = acquire(scanner, rng)
        change = self.change(person, visit.years)
        rendered = render(head, change, settings)
        image = scan(rendered.signal, rendered.mask, settings, rng)
        base = self.base(person)
        truth: dict[str, float | int | str] = {f"ml_{name}": ml for name, ml in rendered.millilitres.items()}
        truth |= {"severity": person.severity_at(visit.years), "wmh_load": change.hyperintensity}
        truth |= {"head_log_scale": change.log_scale, "white_matter_gain": change.white}
        truth |= {"gain": settings.gain, "gamma": settings.gamma, "bias_rms": settings.bias_rms}
        truth |= {"noise": settings.noise, "tesla": scanner.tesla}
        truth = {name: round(float(value), 6) for name, value in truth.items()}
        truth |= {"base_anatomy": base, "scanner": scanner.name, "site": person.site}
        return Picture(image, self._affine(base), truth)

    def _affine(self, base: int) -> Matrix:
        return _prepared(self.settings, base, self.calibrations[base])[0].affine

    def _relative(self) -> Matrix:
        """Log volumes (K, 4) of the anatomies relative to the skull, and to the mean of all anatomies."""
        volumes = np.array([calibration.log_volumes for calibration in self.calibrations])
        relative = volumes[:, :-1] - volumes[:, -1:]
        centred: Matrix = relative - relative.mean(0)
        return centred


def bounded(change: Matrix) -> Matrix:
    """Keep log volumes (4,) within 1.6 times `REACH`, untouched up to once; more stays more."""
    beyond = np.maximum(np.abs(change) - REACH, 0)
    limit = STRETCH * REACH
    soft: Matrix = np.sign(change) * (np.minimum(np.abs(change), REACH) + limit * np.tanh(beyond / limit))
    return soft


def calibrate_base(settings: Settings, base: int) -> Calibration:
    """Calibrate one anatomy of a cohort.

    Raises:
        InputError: If the file of anatomies is wrong.
    """
    return calibrate(settings.anatomy(base))


def by_base(cohort: Cohort, people: Iterable[int]) -> list[int]:
    """Sort people by their anatomy, so that each anatomy is prepared about once a process."""
    return sorted(people, key=lambda index: (cohort.base(cohort.person(index)), index))


@lru_cache(maxsize=1)
def _prepared(settings: Settings, base: int, calibration: Calibration) -> tuple[Anatomy, Tensor]:
    """Return an anatomy and its calibrated fields; the last one is kept."""
    anatomy = settings.anatomy(base)
    return anatomy, calibrated_fields(anatomy, calibration)
