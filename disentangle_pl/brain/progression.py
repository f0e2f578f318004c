"""The people of a simulated cohort: who they are, when they come, and how their brains change.

Volumes are logarithms relative to the volume within the skull, so heads differ in size without differing in atrophy.
Rates follow the literature: the hippocampus loses 4.7 % a year in Alzheimer's disease and 1.4 % in controls (Barnes
et al. 2009, Neurobiology of Aging 30); ventricles grow faster year by year (Leung et al. 2013, Neurology 80).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from disentangle_pl.brain.anatomy import Matrix
from disentangle_pl.brain.clinic import Diagnosis, diagnose
from disentangle_pl.brain.genes import (
    HERITABILITY,
    SEVERITY,
    apoe4_copies,
    causal_variants,
    explained_liability,
    genetic_values,
)
from disentangle_pl.brain.scanner import SCANNERS, SITES
from disentangle_pl.brain.seeds import Stream, draws

# ventricles, cortex, hippocampus, white matter
AGE_EFFECT = np.array([0.025, -0.004, -0.008, -0.003])  # a year from 73, at baseline
SEVERITY_EFFECT = np.array([0.28, -0.055, -0.13, -0.02])
TYPICAL = 0.95  # severity of somebody with the mean volumes of the anatomies
SPREAD = np.array([0.33, 0.05, 0.08, 0.04])  # sd
SLOPES = np.array([[0.035, -0.005, -0.012, -0.004], [0.065, -0.011, -0.03, -0.006], [0.10, -0.02, -0.048, -0.008]])
SEVERITY_SLOPES = np.array([0.02, 0.15, 0.40])  # a year, for CN, MCI and AD
SLOPE_SPREAD = 0.3  # sd of the log of a person's rate
SEVERITY_MEAN, SEVERITY_SCALE = 0.85, 0.85  # severity = mean + scale * liability, never below 0
ICV, SEX_HEAD, HEAD_SPREAD = 1500.0, 0.018, 0.022  # ml; log length, half of men - women; sd
JITTER, MOST_JITTER = 0.05, 0.1  # years: sd and bound
DROP_OUT, SICK_DROP_OUT = 0.10, 0.08  # a year; and for every unit of severity
UNSCANNED, SWITCH = 0.04, 0.08  # shares of later visits without a scan, and on the site's other scanner from then on


@dataclass(frozen=True)
class Person:
    """Somebody, as far as it does not change.

    Attributes:
        index: From 0.
        site: 1 to 8.
        male: Sex.
        age: Years at baseline.
        education: Years.
        e4: APOE e4 alleles.
        severity: At baseline: 0 is healthy, 1 mild impairment, 2 dementia.
        severity_slope: A year.
        log_volumes: (4,) at baseline, relative to the mean of the anatomies.
        slopes: (4,) a year.
        log_icv: Log millilitres within the skull.
        hyperintensity: Load at baseline, see `Change`.
        white: Share by which white matter is brighter.
    """

    index: int
    site: int
    male: bool
    age: float
    education: int
    e4: int
    severity: float
    severity_slope: float
    log_volumes: Matrix
    slopes: Matrix
    log_icv: float
    hyperintensity: float
    white: float

    @property
    def label(self) -> str:
        """BIDS participant_id."""
        return f"sub-SIM{self.site:03d}S{self.index + 1:04d}"

    @property
    def diagnosis(self) -> Diagnosis:
        """At baseline."""
        return diagnose(self.severity)

    def severity_at(self, years: float) -> float:
        """Return the severity so long after baseline."""
        return self.severity + self.severity_slope * years

    def log_volumes_at(self, years: float) -> Matrix:
        """Return the log volumes (4,) so long after baseline, relative to the mean of the anatomies."""
        return self.log_volumes + self.slopes * years


@dataclass(frozen=True)
class Visit:
    """One visit.

    Attributes:
        month: As planned.
        years: Since baseline, as it came.
        scanned: Whether there is a scan.
        scanner: Number of the site's scanner.
    """

    month: int
    years: float
    scanned: bool
    scanner: int

    @property
    def label(self) -> str:
        """BIDS session_id."""
        return f"ses-M{self.month:03d}"


def draw_person(seed: int, index: int, variants: int) -> Person:
    """Draw one person of a cohort.

    Args:
        seed: Of the cohort.
        index: From 0.
        variants: How many the cohort has.
    """
    rng = draws(seed, Stream.PERSON, index)
    genes = genetic_values(seed, variants, index)
    residual = np.sqrt(1 - HERITABILITY) if causal_variants(variants) else 1.0
    liability = genes[SEVERITY] + rng.normal(0, np.sqrt(1 - explained_liability()))
    severity = max(0.0, SEVERITY_MEAN + SEVERITY_SCALE * liability)
    kind = diagnose(severity)
    age = float(np.clip(rng.normal(73, 7), 55, 90))
    male = bool(rng.integers(2))
    static = np.array([genes[name] for name in ("ventricles", "cortex", "hippocampus", "white_matter")])
    own = SPREAD * (static + residual * rng.standard_normal(4))
    head = SEX_HEAD * (1 if male else -1) + HEAD_SPREAD * (genes["head"] + residual * rng.standard_normal())
    rate = np.exp(rng.normal(0, SLOPE_SPREAD, 2))
    return Person(
        index=index,
        site=int(rng.integers(1, SITES + 1)),
        male=male,
        age=round(age, 1),
        education=int(np.clip(np.round(rng.normal(16, 2.7)), 6, 20)),
        e4=apoe4_copies(seed, index),
        severity=severity,
        severity_slope=float(SEVERITY_SLOPES[kind] * rate[0]),
        log_volumes=AGE_EFFECT * (age - 73) + SEVERITY_EFFECT * (severity - TYPICAL) + own,
        slopes=SLOPES[kind] * rate[1],
        log_icv=float(np.log(ICV) + 3 * head),
        hyperintensity=float(-0.15 + 0.03 * (age - 73) + 0.2 * severity + rng.normal(0, 0.4)),
        white=float(rng.normal(0, 0.03)),
    )


def plan_visits(seed: int, person: Person, months: tuple[int, ...]) -> list[Visit]:
    """Draw which of the planned visits a person makes, and when.

    Everybody comes to the first visit and is scanned. Who drops out does not come back; the ill drop out sooner.
    """
    rng = draws(seed, Stream.VISITS, person.index)
    scanner = int(rng.integers(1, SCANNERS + 1))
    visits = [Visit(months[0], 0.0, True, scanner)]
    for before, month in pairwise(months):
        stays, scanned, same, late = rng.random(), rng.random(), rng.random(), rng.normal(0, JITTER)
        hazard = (DROP_OUT + SICK_DROP_OUT * person.severity_at(before / 12)) * (month - before) / 12
        if stays < 1 - np.exp(-hazard):
            break
        scanner = scanner if same >= SWITCH else SCANNERS + 1 - scanner
        years = (month - months[0]) / 12 + float(np.clip(late, -MOST_JITTER, MOST_JITTER))
        visits.append(Visit(month, years, bool(scanned >= UNSCANNED), scanner))
    return visits
