"""Tables of measures by FreeSurfer (asegstats2table, aparcstats2table), under the keys of scans.

Source: https://surfer.nmr.mgh.harvard.edu/fswiki/asegstats2table; Reuter et al. 2012, Within-subject template
estimation, NeuroImage 61:1402-1418, for the ids of its longitudinal stream.
"""

import re

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.fields import KEYS
from disentangle_pl.brain.tables import listing

_HEADING = re.compile(r"Measure:\w+|[lr]h\.\S+")
_LONG = re.compile(r"\.long\..*")
_ELSEWHERE = (
    (re.compile(r"(OAS3\d{4})_[A-Za-z0-9]+_(d\d{4,5})"), r"\1_\2"),
    (re.compile(r"(\d+)_20\d{3}_(\d+)_0"), r"\1_\2"),
)
"""Ids of OASIS-3 (OAS30001_Freesurfer53_d0129) and UK Biobank (1000001_20263_2_0) as person and session."""


def with_keys(table: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Give a table of FreeSurfer the participant_id and session_id of scans; any other table stays as it is.

    The first column is `Measure:volume` or the like and holds the names of FreeSurfer's folders, alone or with a path:
    sub-01_ses-02, or sub-01_ses-02.long.sub-01 of the longitudinal stream, which is taken where a scan has either. An
    id of a person alone is that of the only scan of the person.

    Args:
        table: Cells as text.
        visits: Table of `read_visits`.

    Returns:
        The rows with the keys of their scans in place of the first column; of a row without a scan participant_id is
        its id.
    """
    if not len(table.columns) or not _HEADING.fullmatch(str(table.columns[0]).strip()):
        return table
    ids = table[table.columns[0]]
    names = ids.map(_name, na_action="ignore")
    scans = _scans(visits)
    rows = names.map(scans).reindex(table.index)
    keys = visits[KEYS].reindex(rows).set_axis(table.index)
    keyed = table.drop(columns=table.columns[0]).assign(
        participant_id=keys["participant_id"].where(rows.notna(), ids), session_id=keys["session_id"].fillna("n/a")
    )
    longitudinal = ids.str.contains(_LONG).fillna(False).astype(bool)
    second = rows.notna() & ~longitudinal & rows.isin(rows[longitudinal])
    people = visits["participant_id"].str.removeprefix("sub-")
    vague = ids[rows.isna() & names.isin(people[people.duplicated()])].unique().tolist()
    for count, remark in (
        (int(second.sum()), f"{second.sum()} rows of {ids.name} are left out for those of the longitudinal stream"),
        (
            len(vague),
            f"{len(vague)} ids of {ids.name} are of people with several scans and tell none: {listing(vague, 3)}",
        ),
    ):
        if count:
            rank_zero_info(remark)
    return keyed[~second]


def _scans(visits: pd.DataFrame) -> dict[str, int]:
    """Return the row of every scan by the name that an id ought to have."""
    people = visits["participant_id"].str.removeprefix("sub-")
    sessions = visits["session_id"].astype("str").str.removeprefix("ses-")
    by_visit = {f"{person}_{session}": row for row, person, session in zip(visits.index, people, sessions, strict=True)}
    alone = people[~people.duplicated(keep=False)]
    return {**{str(person): row for row, person in alone.items()}, **by_visit}


def _name(identity: str) -> str:
    name = _LONG.sub("", identity.strip().rstrip("/").rpartition("/")[2]).removesuffix("_T1w")
    for pattern, template in _ELSEWHERE:
        if match := pattern.fullmatch(name):
            return match.expand(template)
    return name.removeprefix("sub-").replace("_ses-", "_")
