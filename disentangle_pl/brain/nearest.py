"""Clinical visits joined to scans: the nearest in time, within a window."""

import pandas as pd

from disentangle_pl.brain.clinical import PLANNED, Clinical
from disentangle_pl.brain.clocks import label_years
from disentangle_pl.brain.fields import GAP, fill, holds_for_life, without_run
from disentangle_pl.brain.identities import as_scans_write
from disentangle_pl.brain.mapping import Mapping
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.wide_tables import SESSION
from disentangle_pl.errors import InputError

_ROUNDING = 1e-9
_FAR = 1.0


def join_clinical(
    visits: pd.DataFrame, clinical: Clinical, mapping: Mapping, window: float = 0.5
) -> tuple[pd.DataFrame, list[str]]:
    """Fill what is not known of each scan from the nearest clinical visit of the same participant.

    Time runs from study entry: `entry_years` of a scan against `time` of a row. Where one of them is unknown the two
    ages are compared, and where these are unknown too, `years` of the scan, as if the first scan were at entry; this is
    said. Rows of a wide table that name the session of the scan are no time away from it. Of two rows equally near the
    earlier one is taken; where the table has labels of visits, the row with the label of the scan's session (M012 and
    m12 are the same) comes first, however far. A table without time has one row a participant, which holds for all
    scans. What the scans' own tables say is kept.

    Sex, education and genes hold at every visit, and so need none near. The age at the scan is that of the nearest row
    which has one, however far, moved by the time between.

    Args:
        visits: Table of `read_visits`.
        clinical: Table of `read_clinical`.
        mapping: The mapping it was read with.
        window: Largest distance in years, either way.

    Returns:
        The table with more columns, among them `<table>_gap_years` (float, NaN where no row is near), which is positive
        where the clinical visit came first; and what happened, in sentences.

    Raises:
        InputError: If the window is negative, nobody in the table has a scan, or a table without time repeats a
            participant.
    """
    if not window >= 0:
        raise InputError(f"window {window} must be 0 years or more")
    clinical = clinical._replace(rows=_as_scans_write(clinical.rows, visits, mapping))
    if not mapping.time:
        return _join_people(visits, clinical, mapping)
    visits = _entered(visits, clinical.rows)
    gap = mapping.table + GAP
    pairs = _pairs(visits, clinical.rows)
    within = pairs[(pairs["shift"].abs() <= window + _ROUNDING) | pairs["same_label"]]
    near = within.drop_duplicates("scan")
    matches = near.drop(
        columns=["participant_id", "time", "age", "row", "by_years", "same_label", PLANNED, SESSION], errors="ignore"
    ).rename(columns={"shift": gap})
    aged = pairs.dropna(subset="age").drop_duplicates("scan").set_index("scan")
    ages = (aged["age"] + aged["shift"]).reindex(visits.index)
    unused = len(clinical.rows) - within["row"].nunique()
    remarks = [
        *clinical.remarks,
        f"{mapping.table}: {len(near)} of {len(visits)} scans have a visit within {window:g} years"
        + (f", {near['shift'].abs().median():.2f} years away in the median" if len(near) else ""),
        f"{mapping.table}: {unused} of {len(clinical.rows)} rows have no scan within {window:g} years",
        *_assumed(near["by_years"], mapping),
        *_ages_apart(visits["age"], ages, mapping),
        *_times_apart(visits, pairs[pairs["same_label"]].drop_duplicates("scan"), mapping),
    ]
    always = ["participant_id", *filter(holds_for_life, clinical.rows.columns)]
    people = clinical.rows[always].groupby("participant_id", as_index=False).first()
    filled = fill(visits.assign(scan=visits.index, age=visits["age"].fillna(ages)), matches, ["scan"])
    return fill(filled.drop(columns="scan"), people, ["participant_id"]), remarks


def _as_scans_write(rows: pd.DataFrame, visits: pd.DataFrame, mapping: Mapping) -> pd.DataFrame:
    """Write participants as the scans do, with or without the sub- of BIDS."""
    people = as_scans_write(rows[["participant_id"]], visits)["participant_id"]
    if not people.isin(visits["participant_id"]).any():
        table, scanned = rows["participant_id"].unique().tolist(), visits["participant_id"].unique().tolist()
        raise InputError(
            f"{mapping.table} has nobody with a scan: it has {listing(table, 3)}, the scans are of "
            f"{listing(scanned, 3)}; check the pattern and template of participant in the mapping"
        )
    return rows.assign(participant_id=people)


def _entered(visits: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Fill the years since study entry of scans whose session a table names."""
    if "session_id" not in rows.columns:
        return visits
    keyed = rows.assign(entry_years=rows["time"])[["participant_id", "session_id", "entry_years"]]
    own = visits[["participant_id"]].assign(session_id=without_run(visits["session_id"]))
    entered = own.merge(keyed, how="left", on=["participant_id", "session_id"]).set_index(visits.index)["entry_years"]
    return visits.assign(entry_years=visits["entry_years"].fillna(entered))


def _pairs(visits: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return every scan (column scan) with every row of its participant and the time between (shift), nearest first."""
    scans = visits[["participant_id", "entry_years", "years"]].assign(
        scan_age=visits["age"], scan=visits.index, label=label_years(without_run(visits["session_id"].astype("str")))
    )
    pairs = scans.merge(rows.assign(row=rows.index), on="participant_id")
    shift = (pairs["entry_years"] - pairs["time"]).fillna(pairs["scan_age"] - pairs["age"])
    if "session_id" in rows.columns:
        own = without_run(visits["session_id"]).loc[pairs["scan"]].set_axis(pairs.index)
        shift = shift.mask(own == pairs["session_id"], 0.0)
    pairs["by_years"] = shift.isna()
    pairs["shift"] = shift.fillna(pairs["years"] - pairs["time"])
    planned = pairs[PLANNED] if PLANNED in pairs.columns else pd.Series(float("nan"), index=pairs.index)
    pairs["same_label"] = (pairs["label"] - planned).abs() < _ROUNDING
    timed = pairs.dropna(subset="shift").assign(distance=pairs["shift"].abs().where(~pairs["same_label"], -1.0))
    timed = timed.sort_values(["scan", "distance", "time"])
    return timed.drop(columns=["entry_years", "years", "scan_age", "distance", "label"])


def _join_people(visits: pd.DataFrame, clinical: Clinical, mapping: Mapping) -> tuple[pd.DataFrame, list[str]]:
    rows = clinical.rows.drop(columns=["time", PLANNED], errors="ignore")
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
    remark = f"{count} scans have neither an age nor a time since study entry: the first scan counts as entry"
    return [f"{mapping.table}: {remark}"] if count else []


def _times_apart(visits: pd.DataFrame, same: pd.DataFrame, mapping: Mapping) -> list[str]:
    """Say where scans and rows of the same labels lie at other distances from the first of them: one has a wrong date.

    Args:
        visits: Table of N scans.
        same: The row (`time`) of the label of a scan (`scan`), at most one a scan.
        mapping: Of the rows.
    """
    scans = visits.loc[same["scan"]].assign(time=same["time"].to_numpy()).dropna(subset=["years", "time"])
    since = scans[["years", "time"]] - scans.groupby("participant_id")[["years", "time"]].transform("first")
    wrong = (since["years"] - since["time"]).abs() > _FAR
    apart = scans.assign(**since)[wrong]
    columns = (apart[name] for name in ("participant_id", "session_id", "years", "time"))
    examples = [
        f"{who} {session} {years:.1f} years after the first, {time:.1f} by {mapping.table}"
        for who, session, years, time in zip(*columns, strict=True)
    ]
    who = apart["participant_id"].nunique()
    remark = f"dates contradict those of the scans of {who} people, whose labels are followed: {listing(examples, 3)}"
    return [f"{mapping.table}: {remark}"] if examples else []


def _ages_apart(given: pd.Series, ages: pd.Series, mapping: Mapping) -> list[str]:
    apart = int(((given - ages).abs() > _FAR).sum())
    remark = f"{apart} scans have an age more than {_FAR:g} year off that of their own tables, which is kept"
    return [f"{mapping.table}: {remark}"] if apart else []
