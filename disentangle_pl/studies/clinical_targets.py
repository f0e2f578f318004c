"""What a clinic would like to know of a scan: scores, diagnoses, conversion, and scores to come."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError
from disentangle_pl.metrics.score import Values

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


Maker = Callable[[str, pd.DataFrame], Target]


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


def make_target(name: str, visits: pd.DataFrame, conversion: float = CONVERSION) -> Target:
    """Make a target of scans.

    Args:
        name: One of `TARGETS`: a score at the scan; age; sex (1 male); cn_ad and cn_mci (1 ill); conversion: of scans
            with mild impairment, whether dementia is diagnosed within `conversion` years (1) or the same person is
            known to be without it after that time, and not healthy again (0); and scores 12 or 24 months later, from
            the visit nearest to that time within 3 months.
        visits: Table of `read_visits`.
        conversion: Years.

    Raises:
        InputError: If the name is unknown, no table has the score, or the target is not known of any scan.
    """
    if name not in TARGETS:
        raise InputError(f"there is no target {name!r}: name some of {', '.join(TARGETS)}")
    made = partial(_conversion, years=conversion)(name, visits) if name == "conversion" else TARGETS[name](name, visits)
    if np.isnan(made.values).all():
        raise InputError(f"{name} is not known of any of the {len(visits)} scans")
    return made


def later(visits: pd.DataFrame, values: Values, years: float) -> Values:
    """Return what the values (N,) of the same person are so many years later; NaN without a visit near that time."""
    table = pd.DataFrame({"who": visits["participant_id"], "at": visits["years"], "value": values}).reset_index()
    pairs = table[["index", "who", "at"]].merge(table[["who", "at", "value"]], on="who", suffixes=("", "_then"))
    pairs["away"] = (pairs["at_then"] - pairs["at"] - years).abs()
    near = pairs[(pairs["away"] <= WINDOW) & pairs["value"].notna()].sort_values(["away", "at_then"])
    found = near.drop_duplicates("index").set_index("index")["value"]
    return found.reindex(visits.index).to_numpy(np.float64)


def _score(name: str, visits: pd.DataFrame) -> Target:
    return Target(name, False, score(visits, name), ("age",) if name == "age" else ())


def _future(name: str, visits: pd.DataFrame, base: str, months: int) -> Target:
    now = score(visits, base)
    values = later(visits, now, months / 12)
    return Target(name, False, np.where(np.isnan(now), np.nan, values), baseline=base)


def _sex(name: str, visits: pd.DataFrame) -> Target:
    male = np.asarray(visits["sex"].map({"F": 0.0, "M": 1.0}), dtype=np.float64)
    return Target(name, True, male, ("sex",))


def _stages(name: str, visits: pd.DataFrame, ill: float) -> Target:
    stage = stages(visits)
    return Target(name, True, np.where(np.isin(stage, (CN, ill)), (stage == ill).astype(np.float64), np.nan))


def _conversion(name: str, visits: pd.DataFrame, years: float = CONVERSION) -> Target:
    stage, at = stages(visits), visits["years"].to_numpy(np.float64)
    people = visits["participant_id"].to_numpy()
    values = np.full(len(visits), np.nan)
    for row in np.flatnonzero(stage == MCI):
        then = (people == people[row]) & (at > at[row])
        soon = then & (at <= at[row] + years + WINDOW)
        if (stage[soon] == AD).any():
            values[row] = 1.0
        elif (then & (at >= at[row] + years - WINDOW) & ~np.isnan(stage)).any() and not (stage[soon] == CN).any():
            values[row] = 0.0
    return Target(name, True, values)


TARGETS: dict[str, Maker] = {
    **dict.fromkeys((*SCORES, "age"), _score),
    "sex": _sex,
    "cn_ad": partial(_stages, ill=AD),
    "cn_mci": partial(_stages, ill=MCI),
    "conversion": _conversion,
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
    "conversion": "MCI: converts",
    **{
        f"{name}_{m}m": f"{title} +{m} mo"
        for m in MONTHS
        for name, title in zip(SCORES, ("MMSE", "CDR-SB", "ADAS13"), strict=True)
    },
}


def made_targets(
    names: Sequence[str], visits: pd.DataFrame, conversion: float = CONVERSION
) -> tuple[list[Target], list[str]]:
    """Make targets; without names, all that can be made, and say why others cannot.

    Raises:
        InputError: If a target that is named cannot be made, or none can.
    """
    if names:
        return [make_target(name, visits, conversion) for name in dict.fromkeys(names)], []
    found, remarks = [], []
    for name in TARGETS:
        try:
            found.append(make_target(name, visits, conversion))
        except InputError as error:
            remarks.append(f"{name}: {error}")
    if not {target.name for target in found} - {"age", "sex"}:
        raise InputError(
            f"the scans' tables have no score and no diagnosis ({listing(list(map(str, visits.columns)), 20)}): join "
            "a clinical table by disentangle-pl scans --clinical, and give what it writes by --data.root"
        )
    return found, remarks
