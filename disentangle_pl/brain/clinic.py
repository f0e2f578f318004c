"""What a memory clinic writes down: diagnosis, scores and markers, each with its ceiling, floor and gaps.

Invented numbers of a plausible size; nothing here is clinical. Directions and ranges follow what is usual in ADNI:
MMSE 0-30 and MOCA 0-30 fall, CDR-SB 0-18 in steps of a half, ADAS11 0-70, ADAS13 0-85 and FAQ 0-30 rise.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

MCI_FROM, DEMENTIA_FROM = 0.6, 1.4  # severity
UNNAMED, UNSCORED = 0.06, 0.03  # shares of visits without diagnosis, and of later visits without a score
PUNCTURED = 0.5  # share of people with markers of the cerebrospinal fluid


class Diagnosis(IntEnum):
    """Cognitively normal, mild cognitive impairment, Alzheimer's dementia."""

    CN = 0
    MCI = 1
    AD = 2


DX = {Diagnosis.CN: "CN", Diagnosis.MCI: "MCI", Diagnosis.AD: "Dementia"}


class Scores(NamedTuple):
    """Scores at one visit; None is missing."""

    mmse: int | None
    cdr_sb: float | None
    adas11: float | None
    adas13: float | None
    faq: int | None
    moca: int | None


def diagnose(severity: float) -> Diagnosis:
    """Name a severity; the ways of going from normal to dementia are along one line."""
    return Diagnosis((severity >= MCI_FROM) + (severity >= DEMENTIA_FROM))


def dx(severity: float, rng: np.random.Generator) -> str:
    """Write the diagnosis of a visit as ADNIMERGE does, or nothing."""
    return "" if rng.random() < UNNAMED else DX[diagnose(severity)]


def finer(severity: float, rng: np.random.Generator) -> str:
    """Write the diagnosis at baseline as ADNIMERGE does: CN, SMC, EMCI, LMCI or AD."""
    kind = diagnose(severity)
    if kind is Diagnosis.CN:
        return "SMC" if rng.random() < 0.2 else "CN"
    if kind is Diagnosis.MCI:
        return "EMCI" if severity < (MCI_FROM + DEMENTIA_FROM) / 2 else "LMCI"
    return "AD"


def score(severity: float, baseline: bool, rng: np.random.Generator) -> Scores:
    """Draw the scores of one visit; at later visits some are missing."""
    noise = rng.standard_normal(6)
    gone = (rng.random(6) < UNSCORED) & (not baseline)
    adas13 = _thirds(9 + 8.5 * severity + 3.5 * noise[2], 85)
    values = (
        int(np.clip(np.round(29.6 - 2.6 * severity**1.15 + noise[0]), 0, 30)),
        float(
            np.clip(np.round(2 * (2.2 * max(0.0, severity - 0.3) + 0.4 * noise[1])) / 2, 0, 18) + 0.0
        ),  # -0.0 is no score
        min(adas13, _thirds(0.66 * adas13 + noise[3], 70)),
        adas13,
        int(np.clip(np.round(6 * (severity - 0.6) + 1.5 * noise[4]), 0, 30)),
        int(np.clip(np.round(26.8 - 3.6 * severity + 1.5 * noise[5]), 0, 30)),
    )
    return Scores(*(None if missing else value for value, missing in zip(values, gone, strict=True)))  # type: ignore[arg-type]


def fluid_markers(severity: float, e4: int, rng: np.random.Generator) -> tuple[str, str, str]:
    """Write amyloid beta, tau and phosphorylated tau in pg/ml, as text where the assay ends (>1700, <80, <8)."""
    abeta, tau, noise = *rng.standard_normal(2), rng.random()
    if noise > PUNCTURED:
        return "", "", ""
    amyloid = 1300 * np.exp(-0.25 * severity - 0.15 * e4 + 0.35 * abeta)
    total = 220 * np.exp(0.22 * severity + 0.35 * tau)
    return _bounded(amyloid, 200, 1700), _bounded(total, 80, 1300), _bounded(0.095 * total, 8, 120)


def _thirds(value: float, most: float) -> float:
    """Round to thirds with two decimals, as ADAS is reported."""
    return float(np.round(np.clip(np.round(3 * value) / 3, 0, most), 2) + 0.0)


def _bounded(value: float, low: float, high: float) -> str:
    if value < low:
        return f"<{low:g}"
    return f">{high:g}" if value > high else f"{value:.1f}"
