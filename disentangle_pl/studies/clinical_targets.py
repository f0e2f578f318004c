"""What a clinic would like to know of a scan: scores, diagnoses, conversion, and scores to come."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_ahead import AHEAD, visits_around

CN, MCI, AD = 0.0, 1.0, 2.0
STAGES = {
    **dict.fromkeys(("cn", "nc", "nl", "hc", "normal", "control", "smc"), CN),
    **dict.fromkeys(("mci", "emci", "lmci"), MCI),
    **dict.fromkeys(("ad", "dementia", "alzheimer"), AD),
}
SCORES = ("mmse", "cdr_sb", "adas13")
MONTHS = (12, 24)
WINDOW = 0.25  # years around a date within which a visit counts as at it
CONVERSION = 2.0
CONVERTS = "conversion"


class Target(NamedTuple):
    """What is to be predicted of N scans.

    Attributes:
        name: As the command line takes it.
        discrete: Classes 0 and 1, or a quantity.
        values: (N,) NaN where it is not known.
        omit: Covariates that would give it away.
        baseline: The score at the scan, which those of the future have to beat; None for targets of the present.
    """

    name: str
    discrete: bool
    values: Values
    omit: tuple[str, ...] = ()
    baseline: str | None = None


class Told(NamedTuple):
    """What tables tell of N scans.

    Attributes:
        visits: Table of the scans.
        around: Of `visits_around`, all visits of their people.
    """

    visits: pd.DataFrame
    around: pd.DataFrame


Maker = Callable[[str, Told], Target]


def stages(visits: pd.DataFrame) -> Values:
    """Return 0 for healthy, 1 for mild impairment and 2 for dementia (N,); NaN for what else is written."""
    words = visits["diagnosis"].astype("str").str.strip().str.casefold()
    return np.asarray(words.map(STAGES), dtype=np.float64)


def score(visits: pd.DataFrame, name: str) -> Values:
    """Return a score of the scans' tables (N,).

    Raises:
        InputError: If no table has it.
    """
    if name not in visits.columns or not visits[name].notna().any():
        raise InputError(
            f"no table of the scans has {name}: join one by disentangle-pl scans --clinical, and give what it writes"
        )
    return visits[name].to_numpy(np.float64)


def make_target(
    name: str, visits: pd.DataFrame, conversion: float = CONVERSION, around: pd.DataFrame | None = None
) -> Target:
    """Make a target of scans.

    Args:
        name: One of `TARGETS`: a score at the scan; age; sex (1 male); cn_ad and cn_mci (1 ill); conversion: of scans
            with mild impairment, whether dementia is diagnosed within `conversion` years (1) or the same person is
            known to be without it after that time, and not healthy again (0); and scores 12 or 24 months later, from
            the visit nearest to that time within 3 months.
        visits: Table of `read_visits`.
        conversion: Years.
        around: Of `visits_around`; None for the visits that were scanned.

    Raises:
        InputError: If the name is unknown, no table has the score, or the target is not known of any scan.
    """
    if name not in TARGETS:
        raise InputError(f"there is no target {name!r}: name some of {', '.join(TARGETS)}")
    told = Told(visits, visits_around(visits)[0] if around is None else around)
    made = _conversion(name, told, conversion) if name == CONVERTS else TARGETS[name](name, told)
    if np.isnan(made.values).all():
        raise InputError(f"{name} is not known of any of the {len(visits)} scans")
    return made


def later(told: Told, name: str, years: float) -> Values:
    """Return a score of the same person so many years after each scan (N,); NaN without a visit near that time."""
    away = (told.around[AHEAD] - years).abs()
    near = told.around.assign(away=away)[(away <= WINDOW) & told.around[name].notna()]
    first = near.sort_values(["away", AHEAD], kind="stable").drop_duplicates("scan").set_index("scan")[name]
    return first.reindex(range(len(told.visits))).to_numpy(np.float64)


def _score(name: str, told: Told) -> Target:
    return Target(name, False, score(told.visits, name), ("age",) if name == "age" else ())


def _future(name: str, told: Told, base: str, months: int) -> Target:
    now = score(told.visits, base)
    return Target(name, False, np.where(np.isnan(now), np.nan, later(told, base, months / 12)), baseline=base)


def _sex(name: str, told: Told) -> Target:
    male = np.asarray(told.visits["sex"].map({"F": 0.0, "M": 1.0}), dtype=np.float64)
    return Target(name, True, male, ("sex",))


def _stages(name: str, told: Told, ill: float) -> Target:
    stage = stages(told.visits)
    return Target(name, True, np.where(np.isin(stage, (CN, ill)), (stage == ill).astype(np.float64), np.nan))


def _conversion(name: str, told: Told, years: float = CONVERSION) -> Target:
    then, ahead = stages(told.around), told.around[AHEAD].to_numpy(np.float64)
    soon = (ahead > 0) & (ahead <= years + WINDOW)
    seen = (ahead > 0) & (ahead >= years - WINDOW) & ~np.isnan(then)
    scans, which = np.arange(len(told.visits)), told.around["scan"]
    ill, well, there = (np.isin(scans, which[some]) for some in (soon & (then == AD), soon & (then == CN), seen))
    values = np.where(ill, 1.0, np.where(there & ~well, 0.0, np.nan))
    return Target(name, True, np.where(stages(told.visits) == MCI, values, np.nan))


def conversion_times(visits: pd.DataFrame, around: pd.DataFrame) -> tuple[Values, Values]:
    """Return years (N,) from scans with mild impairment to the first visit with dementia, and if there was one (N,).

    Without one the years are those to the last visit with a diagnosis, where the time is censored. They are NaN of
    other scans, and of those without a later diagnosis.

    Args:
        visits: Table of the N scans.
        around: Of `visits_around`.
    """
    later_on = around.assign(stage=stages(around))[around[AHEAD] > 0].dropna(subset=["stage"])
    last = later_on.groupby("scan")[AHEAD].max()
    first = later_on[later_on["stage"] == AD].groupby("scan")[AHEAD].min()
    rows = pd.RangeIndex(len(visits))
    years = first.reindex(rows).fillna(last.reindex(rows)).to_numpy(np.float64)
    years = np.where(stages(visits) == MCI, years, np.nan)
    return years, np.where(np.isnan(years), np.nan, np.isin(rows, first.index).astype(np.float64))


TARGETS: dict[str, Maker] = {
    **dict.fromkeys((*SCORES, "age"), _score),
    "sex": _sex,
    "cn_ad": partial(_stages, ill=AD),
    "cn_mci": partial(_stages, ill=MCI),
    CONVERTS: _conversion,
    **{f"{name}_{months}m": partial(_future, base=name, months=months) for months in MONTHS for name in SCORES},
}
TITLES = {
    "mmse": "MMSE",
    "cdr_sb": "CDR-SB",
    "adas13": "ADAS13",
    "age": "age",
    "sex": "sex",
    "cn_ad": "CN or AD",
    "cn_mci": "CN or MCI",
    CONVERTS: "MCI: converts",
    **{
        f"{name}_{m}m": f"{title} +{m} mo"
        for m in MONTHS
        for name, title in zip(SCORES, ("MMSE", "CDR-SB", "ADAS13"), strict=True)
    },
}


def made_targets(
    names: Sequence[str], visits: pd.DataFrame, conversion: float = CONVERSION, around: pd.DataFrame | None = None
) -> tuple[list[Target], list[str]]:
    """Make targets; without names, all that can be made, and say why others cannot.

    Raises:
        InputError: If a target that is named cannot be made, or none can.
    """
    if names:
        return [make_target(name, visits, conversion, around) for name in dict.fromkeys(names)], []
    found, remarks = [], []
    for name in TARGETS:
        try:
            found.append(make_target(name, visits, conversion, around))
        except InputError as error:
            remarks.append(f"{name}: {error}")
    if not {target.name for target in found} - {"age", "sex"}:
        raise InputError(
            f"the scans' tables have no score and no diagnosis ({listing(list(map(str, visits.columns)), 20)}): join "
            "a clinical table by disentangle-pl scans --clinical, and give what it writes by --data.root"
        )
    return found, remarks
