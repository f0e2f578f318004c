"""Years between visits: from dates, ages, and the labels of sessions."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.brain.cells import DAYS_A_YEAR
from disentangle_pl.brain.fields import without_run
from disentangle_pl.brain.tables import listing, natural

_LABEL = re.compile(r"(?:ses-)?(?:(?P<baseline>bl|sc|scmri)|(?:M|m)(?P<months>\d{1,3})|d(?P<days>-?\d{1,5}))")
_WORDS = (
    re.compile(r"(pre|bl|base\w*|screen\w*|sc|scmri|init\w*|entry|first)"),
    re.compile(r"(.*)"),
    re.compile(r"(post|fu|follow.*)\d*"),
    re.compile(r"(final|last|end\w*|exit)"),
)
_APART = 1.0
_ROUNDING = 1e-6


class Dated(NamedTuple):
    """When visits were.

    Attributes:
        years: (N,) since the participant's first visit, NaN unknown.
        source: (N,) the clock that told, missing where there is none.
    """

    years: pd.Series
    source: pd.Series


def date_visits(participant: pd.Series, clocks: Mapping[str, pd.Series]) -> Dated:
    """Date visits by several clocks, the most trusted first.

    What the first clock leaves open the next ones fill in, each set by the visits of the person that it has in common
    with those before; so a person of whom nothing is dated by the first is dated by the second alone.

    Args:
        participant: (N,) whose visit; those of a person in the order of their sessions.
        clocks: By name, (N,) float, years since any day, which may be another for each person.
    """
    years = pd.Series(np.nan, index=participant.index)
    source = pd.Series(None, index=participant.index, dtype=object)
    for name, clock in clocks.items():
        offset = (years - clock).groupby(participant, sort=False).transform("median")
        undated = years.groupby(participant, sort=False).transform("count") == 0
        filled = years.isna() & clock.notna() & (undated | offset.notna())
        years = years.where(~filled, clock + offset.fillna(0.0))
        source = source.where(~filled, name)
    return Dated(since_first(years, participant), source)


def clock_remarks(visits: pd.DataFrame, dated: Dated, clocks: Mapping[str, pd.Series]) -> list[str]:
    """Say which clocks dated the visits of how many people with several, and where two clocks contradict each other."""
    participant = visits["participant_id"]
    several = without_run(visits["session_id"]).groupby(participant).transform("nunique") > 1
    people = participant[several].nunique()
    sources = dated.source.where(dated.years.notna(), None)
    counts = {name: participant[several & (sources == name)].nunique() for name in clocks}
    undated = participant[several & dated.years.isna()].nunique()
    phrases = [f"by {name} for {count}" for name, count in counts.items() if count]
    phrases += [f"unknown for {undated}"] if undated else []
    remarks = [f"time between visits of {people} people: {', '.join(phrases)}"] if people else []
    return remarks + [line for name in clocks for line in _contradiction(participant, dated, name, clocks[name])]


def with_years(visits: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Date visits by what is known of them, in this order of trust.

    The acq_time of the scan's file, the years or acq_time of the tables, differences of ages, and the labels of
    sessions; ages come last if all are whole years, since they cannot tell visits of half a year apart.

    Args:
        visits: Columns participant_id, session_id, years and age, and where known scan_time and time (years since any
            day); visits of a person in the order of their sessions.

    Returns:
        The table with years, as far as they were given as they were, and entry_years; and what was used, in sentences.
    """
    person = visits["participant_id"]
    numbers = visits.reindex(columns=["scan_time", "years", "time", "age", "entry_years"]).astype("float64")
    entry = numbers["entry_years"].fillna(entry_years(visits["session_id"]))
    ages, labels = {"ages": numbers["age"]}, {"labels of sessions": entry}
    whole = bool((numbers["age"].dropna() % 1 == 0).all())
    clocks = {"acq_time of scans.tsv": numbers["scan_time"], "years": numbers["years"], "acq_time": numbers["time"]}
    clocks |= {**labels, **ages} if whole else {**ages, **labels}
    dated = date_visits(person, clocks)
    by_file = numbers["scan_time"].notna().groupby(person).transform("any")
    shift = (numbers["years"] - dated.years).where(~by_file).groupby(person, sort=False).transform("median")
    years = dated.years + shift.fillna(0.0)
    return visits.assign(years=years, entry_years=entry), clock_remarks(visits, dated, clocks)


def _contradiction(participant: pd.Series, dated: Dated, name: str, clock: pd.Series) -> list[str]:
    """Say of how many people a clock tells another time between visits than that which dated them."""
    common = clock.notna() & dated.years.notna()
    between, used = (
        values - values.groupby(participant, sort=False).transform("first")
        for values in (clock.where(common), dated.years.where(common))
    )
    rows = clock.index[((between - used).abs() > _APART + _ROUNDING) & (dated.source != name)]
    examples = [
        f"{participant[row]} {between[row]:.1f} years by {name}, {used[row]:.1f} by {dated.source[row]}" for row in rows
    ]
    who = participant[rows].nunique()
    return [f"{name} contradict the time between visits of {who} people: {listing(examples, 3)}"] if who else []


def since_first(clock: pd.Series, participant: pd.Series) -> pd.Series:
    """Subtract from each visit's age or time that of the participant's first visit.

    The first visit is the earliest one if all are dated, and otherwise the first in the order of the
    sessions, since an undated visit may be earlier than all others.
    """
    groups = clock.groupby(participant, sort=False)
    start = groups.transform("min").where(groups.transform("count") == groups.transform("size"))
    in_order = clock.where(~participant.duplicated()).groupby(participant, sort=False).transform("max")
    return clock - start.fillna(in_order)


def in_time(visits: pd.DataFrame) -> pd.DataFrame:
    """Sort visits by participant and time, and by the labels of sessions where a person's times are not all known.

    Args:
        visits: Columns participant_id, session_id and years.

    Returns:
        The rows, indexed 0..N-1; sub-2 before sub-10, ses-2 before ses-10, baseline before follow-up before final.
    """
    all_dated = visits["years"].notna().groupby(visits["participant_id"]).transform("all")
    order = pd.DataFrame(
        {
            "person": natural(visits["participant_id"]),
            "years": visits["years"].where(all_dated, 0.0).round(6),
            "word": visits["session_id"].map(_word),
            "label": natural(visits["session_id"]),
        }
    )
    return visits.loc[order.sort_values(list(map(str, order)), kind="stable").index].reset_index(drop=True)


def label_years(labels: pd.Series) -> pd.Series:
    """Read visit labels as years since study entry: bl, m06, M006 and ses-M006 are months, ses-d0757 is days.

    Returns:
        float64, NaN for any other label.
    """
    return labels.map(_years, na_action="ignore").astype("float64")


def phase_years(labels: pd.Series, people: pd.Series) -> pd.Series:
    """Read visit labels of people as `label_years`, and y1, y2, ... of ADNI3 where they count from study entry.

    Those are years since a person's first visit of ADNI3. Who came from an earlier phase, and so has a visit of months
    or one called init, entered before it: how long before, such a label does not tell.

    Args:
        labels: (N,) of all visits of a table.
        people: (N,) whose visits they are.

    Returns:
        float64, NaN for any other label.
    """
    plain = labels.astype("str").str.strip().str.lower().where(labels.notna())
    entered = plain.isin(("bl", "sc", "scmri")).groupby(people, dropna=False).transform("any")
    earlier = plain.str.fullmatch(r"m\d{1,3}|init").astype("boolean").fillna(False).astype(bool)
    new = entered & ~earlier.groupby(people, dropna=False).transform("any")
    years = pd.to_numeric(plain.str.extract(r"^y(\d{1,2})$")[0], errors="coerce").astype("float64")
    return label_years(labels).fillna(years.where(new))


def entry_years(session: pd.Series) -> pd.Series:
    """Read the session labels of Clinica (ses-M006), ADNI (ses-m06, bl) and OASIS-3 (ses-d0757) as years since entry.

    Returns:
        float64, NaN for any other label: ses-1 or ses-m1 may count anything.
    """
    visit = without_run(session)
    clear = visit.str.fullmatch(r"(ses-)?(bl|sc|scmri|[Mm]\d{2,3}|d\d{3,5})").astype(bool)
    return label_years(visit.where(clear))


def _years(label: str) -> float:
    match = _LABEL.fullmatch(label.strip())
    if not match:
        return float("nan")
    if match["baseline"]:
        return 0.0
    return int(match["months"]) / 12 if match["months"] else int(match["days"]) / DAYS_A_YEAR


def _word(label: str) -> int:
    """Rank a session by its word: what comes before, in between, after, and last."""
    bare = re.sub(r"^ses-|_run-\d+$", "", label.lower())
    ranks = [rank for rank, words in enumerate(_WORDS) if words.fullmatch(bare)]
    return max(ranks) if ranks != [0, 1] else 0
