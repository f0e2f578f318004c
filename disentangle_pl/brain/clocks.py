"""Years between visits: from dates, ages, and the labels of sessions."""

import re

import pandas as pd

from disentangle_pl.brain.fields import without_run

DAYS_A_YEAR = 365.25

_LABEL = re.compile(r"(?:ses-)?(?:(?P<baseline>bl|sc|scmri)|(?:M|m)(?P<months>\d{1,3})|d(?P<days>-?\d{1,5}))")


def since_first(clock: pd.Series, participant: pd.Series) -> pd.Series:
    """Subtract from each visit's age or time that of the participant's first visit.

    The first visit is the earliest one if all are dated, and otherwise the first in the order of the
    sessions, since an undated visit may be earlier than all others.
    """
    groups = clock.groupby(participant, sort=False)
    start = groups.transform("min").where(groups.transform("count") == groups.transform("size"))
    in_order = clock.where(~participant.duplicated()).groupby(participant, sort=False).transform("max")
    return clock - start.fillna(in_order)


def label_years(labels: pd.Series) -> pd.Series:
    """Read visit labels as years since study entry: bl, m06, M006 and ses-M006 are months, ses-d0757 is days.

    Returns:
        float64, NaN for any other label.
    """
    return labels.map(_years, na_action="ignore").astype("float64")


def entry_years(session: pd.Series) -> pd.Series:
    """Read the session labels of Clinica (ses-M006) and OASIS-3 (ses-d0757) as years since study entry.

    Returns:
        float64, NaN for any other label: ses-1 or m12 may count anything.
    """
    visit = without_run(session)
    clear = visit.str.fullmatch(r"ses-(M\d{2,3}|d\d{4,5})").astype(bool)
    return label_years(visit.where(clear))


def _years(label: str) -> float:
    found = _LABEL.fullmatch(label.strip())
    if not found:
        return float("nan")
    if found["baseline"]:
        return 0.0
    return int(found["months"]) / 12 if found["months"] else int(found["days"]) / DAYS_A_YEAR
