"""Clinical visits joined to scans: the nearest in time, within a window."""

import pandas as pd

from disentangle_pl.brain.clinical import Clinical
from disentangle_pl.brain.fields import GAP, fill
from disentangle_pl.brain.mapping import Mapping
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError

_ROUNDING = 1e-9
_FAR = 1.0


def join_clinical(
    visits: pd.DataFrame, clinical: Clinical, mapping: Mapping, window: float = 0.5
) -> tuple[pd.DataFrame, list[str]]:
    """Fill what is not known of each scan from the nearest clinical visit of the same participant.

    Time runs from study entry: `entry_years` of a scan against `time` of a row. Where one of them is unknown the two
    ages are compared, and where these are unknown too, `years` of the scan, as if the first scan were at entry; this is
    said. Of two rows equally near the earlier one is taken. A table without time has one row a participant, which holds
    for all scans. What the scans' own tables say is kept. The age at the scan is that of the row, moved by the time
    between.

    Args:
        visits: Table of `read_visits`.
        clinical: Table of `read_clinical`.
        mapping: The mapping it was read with.
        window: Largest distance in years, either way.

    Returns:
        The table with more columns, among them `<table>_gap_years` (float, NaN where no row is near), which is positive
        where the clinical visit came first; and what happened, in sentences.

    Raises:
        InputError: If the window is negative, or a table without time repeats a participant.
    """
    if not window >= 0:
        raise InputError(f"window {window} must be 0 years or more")
    if not mapping.time:
        return _join_people(visits, clinical, mapping)
    gap = mapping.table + GAP
    near, pairs = _nearest(visits, clinical.rows, window)
    found = near.drop(columns=["participant_id", "time", "by_years"]).rename(columns={"shift": gap})
    found["age"] = near["age"] + near["shift"]
    unused = len(clinical.rows) - pairs
    remarks = [
        *clinical.remarks,
        f"{mapping.table}: {len(near)} of {len(visits)} scans have a visit within {window:g} years"
        + (f", {near['shift'].abs().median():.2f} years away in the median" if len(near) else ""),
        f"{mapping.table}: {unused} of {len(clinical.rows)} rows have no scan within {window:g} years",
        *_assumed(near["by_years"], mapping),
        *_ages_apart(visits["age"], found.set_index("scan")["age"], mapping),
    ]
    filled = fill(visits.assign(scan=visits.index), found, ["scan"])
    return filled.drop(columns="scan").assign(**({} if gap in filled else {gap: float("nan")})), remarks


def _nearest(visits: pd.DataFrame, rows: pd.DataFrame, window: float) -> tuple[pd.DataFrame, int]:
    """Return the nearest row of each scan that has one (columns scan, shift), and how many rows have a scan near."""
    scans = visits[["participant_id", "entry_years", "years"]].assign(scan_age=visits["age"], scan=visits.index)
    both = scans.merge(rows.assign(row=rows.index), on="participant_id")
    shift = (both["entry_years"] - both["time"]).fillna(both["scan_age"] - both["age"])
    both["by_years"] = shift.isna()
    both["shift"] = shift.fillna(both["years"] - both["time"])
    both["distance"] = both["shift"].abs()
    both = both[both["distance"] <= window + _ROUNDING].sort_values(["scan", "distance", "time"])
    best = both.drop_duplicates("scan").drop(columns=["entry_years", "years", "scan_age", "row", "distance"])
    return best, int(both["row"].nunique())


def _join_people(visits: pd.DataFrame, clinical: Clinical, mapping: Mapping) -> tuple[pd.DataFrame, list[str]]:
    rows = clinical.rows.drop(columns="time")
    twice = rows.loc[rows["participant_id"].duplicated(), "participant_id"].unique().tolist()
    if twice:
        raise InputError(
            f"{mapping.table} has several rows of {listing(twice)}: name the column of time in the mapping, or keep one"
        )
    people = visits["participant_id"]
    remarks = [
        *clinical.remarks,
        f"{mapping.table}: {people.isin(rows['participant_id']).sum()} of {len(visits)} scans are of people in it",
        f"{mapping.table}: {(~rows['participant_id'].isin(people)).sum()} of {len(rows)} people have no scan",
    ]
    age = people.map(rows.set_index("participant_id")["age"])
    if mapping.age and mapping.age.at == "entry":
        age = age + visits["entry_years"].fillna(visits["years"])
        remarks += _assumed(visits["age"].isna() & age.notna() & visits["entry_years"].isna(), mapping)
    remarks += _ages_apart(visits["age"], age, mapping)
    aged = visits.assign(age=visits["age"].fillna(age))
    return fill(aged, rows.drop(columns="age"), ["participant_id"]), remarks


def _assumed(by_years: "pd.Series[bool]", mapping: Mapping) -> list[str]:
    count = int(by_years.sum())
    said = f"{count} scans have neither an age nor a time since study entry: the first scan counts as entry"
    return [f"{mapping.table}: {said}"] if count else []


def _ages_apart(given: pd.Series, found: pd.Series, mapping: Mapping) -> list[str]:
    apart = int(((given - found.reindex(given.index)).abs() > _FAR).sum())
    said = f"{apart} scans have an age more than {_FAR:g} year off that of their own tables, which is kept"
    return [f"{mapping.table}: {said}"] if apart else []
