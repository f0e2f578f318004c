"""The rows of a simulated cohort's tables, one person at a time."""

from datetime import date, timedelta
from typing import Any

import numpy as np

from disentangle_pl.brain.clinic import Scores, dx, finer, fluid_markers, score
from disentangle_pl.brain.phantom import Cohort
from disentangle_pl.brain.progression import Person, Visit
from disentangle_pl.brain.seeds import Stream, draws

Row = dict[str, Any]
START, ENROLMENT = date(2012, 1, 1), 365 * 4  # first day; days over which people join
APART = 30  # days, at most, between the exam and the scan
UNMEASURED, MEASURED = 0.05, 0.03  # share of scans without volumes; sd of the log of what an atlas tool makes of them
ADNIMERGE = [
    "RID",
    "PTID",
    "VISCODE",
    "EXAMDATE",
    "COLPROT",
    "ORIGPROT",
    "SITE",
    "DX_bl",
    "DX",
    "AGE",
    "PTGENDER",
    "PTEDUCAT",
    "APOE4",
    "ABETA",
    "TAU",
    "PTAU",
    "MMSE",
    "CDRSB",
    "ADAS11",
    "ADAS13",
    "FAQ",
    "MOCA",
    "Ventricles",
    "Hippocampus",
    "WholeBrain",
    "Entorhinal",
    "Fusiform",
    "MidTemp",
    "ICV",
    "Years_bl",
    "Month",
]


def alternative_id(person: Person) -> str:
    """Return the person's name as ADNIMERGE has it, 027_S_0074."""
    return f"{person.site:03d}_S_{person.index + 1:04d}"


def participant_row(cohort: Cohort, person: Person) -> Row:
    """Return the line of participants.tsv; age is that at baseline."""
    return {
        "participant_id": person.label,
        "alternative_id_1": alternative_id(person),
        "sex": "M" if person.male else "F",
        "age": person.age,
        "education_level": person.education,
        "apoe4": person.e4,
        "diagnosis_sc": person.diagnosis.name,
        "site": person.site,
        "base_anatomy": cohort.base(person),
    }


def session_row(cohort: Cohort, person: Person, visit: Visit) -> Row:
    """Return the line of a visit in the person's sessions.tsv."""
    scores, rng = _clinic(cohort, person, visit)
    return {
        "session_id": visit.label,
        "acq_time": _day(cohort, person, visit).isoformat(),
        "age": round(person.age + visit.years, 2),
        "years": round(visit.years, 3),
        "diagnosis": dx(person.severity_at(visit.years), rng) or None,
        "MMSE": scores.mmse,
        "cdr_sb": scores.cdr_sb,
        "adas11": scores.adas11,
        "adas13": scores.adas13,
        "FAQ": scores.faq,
        "moca": scores.moca,
    }


def adnimerge_row(cohort: Cohort, person: Person, visit: Visit, truth: Row | None) -> Row:
    """Return the line of a visit in the table like ADNIMERGE.

    AGE is that at baseline, EXAMDATE is not the day of the scan, some markers are text, some cells are empty, and
    there are visits without a scan. Volumes are in cubic millimetres, with the error of a measurement.

    Args:
        cohort: The cohort.
        person: One of its people.
        visit: One of the person's visits.
        truth: Of the scan, None without one.
    """
    scores, rng = _clinic(cohort, person, visit)
    severity = person.severity_at(visit.years)
    named, days, volumes = dx(severity, rng), int(rng.integers(-APART, APART + 1)), _volumes(truth, rng)
    baseline = draws(cohort.settings.seed, Stream.CLINIC, person.index)
    first = finer(person.severity, baseline)
    marks = fluid_markers(person.severity, person.e4, baseline) if visit.month == 0 else ("", "", "")
    return {
        **dict.fromkeys(ADNIMERGE, ""),
        "RID": person.index + 1,
        "PTID": alternative_id(person),
        "VISCODE": f"m{visit.month:02d}" if visit.month else "bl",
        "EXAMDATE": (_day(cohort, person, visit) + timedelta(days=days)).isoformat(),
        "COLPROT": "SIM",
        "ORIGPROT": "SIM",
        "SITE": person.site,
        "DX_bl": first,
        "DX": named,
        "AGE": person.age,
        "PTGENDER": "Male" if person.male else "Female",
        "PTEDUCAT": person.education,
        "APOE4": person.e4,
        **dict(zip(("ABETA", "TAU", "PTAU"), marks, strict=True)),
        **dict(zip(("MMSE", "CDRSB", "ADAS11", "ADAS13", "FAQ", "MOCA"), scores, strict=True)),
        **volumes,
        "Years_bl": round(visit.years, 6),
        "Month": visit.month,
    }


def truth_row(person: Person, visit: Visit, name: str, truth: Row) -> Row:
    """Return the line of a scan in truth.tsv.

    Args:
        person: Who.
        visit: When.
        name: The scan's path below the cohort.
        truth: What is true of it.
    """
    return {
        "participant_id": person.label,
        "session_id": visit.label,
        "scan": name,
        "age": round(person.age + visit.years, 3),
        "years": round(visit.years, 6),
        "male": int(person.male),
        "apoe4": person.e4,
        **truth,
        **_ratios(truth),
    }


def _ratios(truth: Row) -> Row:
    """Return volumes relative to the intracranial one: what is left of them after affine alignment."""
    volumes = {name: value for name, value in truth.items() if name.startswith("ml_") and name != "ml_icv"}
    return {f"ratio_{name.removeprefix('ml_')}": round(value / truth["ml_icv"], 7) for name, value in volumes.items()}


def _clinic(cohort: Cohort, person: Person, visit: Visit) -> tuple[Scores, np.random.Generator]:
    """Draw what both tables say of a visit, and go on with the same numbers."""
    rng = draws(cohort.settings.seed, Stream.CLINIC, person.index, visit.month + 1)
    return score(person.severity_at(visit.years), visit.month == 0, rng), rng


def _day(cohort: Cohort, person: Person, visit: Visit) -> date:
    joined = draws(cohort.settings.seed, Stream.CLINIC, person.index, 0).integers(ENROLMENT)
    return START + timedelta(days=int(joined) + round(visit.years * 365.25))


def _volumes(truth: Row | None, rng: np.random.Generator) -> Row:
    error, gone = np.exp(rng.normal(0, MEASURED, 4)), rng.random() < UNMEASURED
    if truth is None or gone:
        return {}
    fluid = truth["ml_ventricles"] + truth["ml_csf"]
    cells = (truth["ml_ventricles"], truth["ml_hippocampus"], truth["ml_icv"] - fluid, truth["ml_icv"])
    measured = [round(1000 * ml * float(factor)) for ml, factor in zip(cells, error, strict=True)]
    return dict(zip(("Ventricles", "Hippocampus", "WholeBrain", "ICV"), measured, strict=True))
