"""T1-weighted scans of a BIDS directory, found by their paths.

Source: Gorgolewski et al. 2016, The brain imaging data structure, Scientific Data 3:160044, and its
specification 1.9.
"""

import re
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.tables import listing, natural, numbers, read_table, years_of_dates
from disentangle_pl.errors import InputError

NO_SESSION = "n/a"


def read_bids(root: Path) -> pd.DataFrame:
    """Find one T1-weighted scan a participant and session, and read their ages.

    Scans are `sub-*/[ses-*/]anat/*_T1w.nii[.gz]`; of several in one session the lowest run is taken, and this
    is said. `sub-*/sub-*_sessions.tsv` may give age, years or acq_time of a session. An age in
    participants.tsv is one number a person, so it counts as the age at the first visit.

    Args:
        root: The directory that holds the sub-* folders.

    Returns:
        Columns participant_id, session_id ("n/a" without a session level), path, age and years (float, NaN
        unknown).

    Raises:
        InputError: If there is no scan, or a table is wrong.
    """
    scans = _sorted(find_scans(root))
    sessions = [read_sessions(path) for path in sorted(root.glob("sub-*/sub-*_sessions.tsv"))]
    keys = ["participant_id", "session_id"]
    if sessions:
        scans = scans.merge(pd.concat(sessions), how="left", on=keys, validate="one_to_one")
    else:
        scans = scans.assign(age=float("nan"), years=float("nan"), time=float("nan"))
    person = scans["participant_id"]
    scans["years"] = scans["years"].fillna(since_first(scans["time"], person))
    participants = root / "participants.tsv"
    if participants.is_file():
        first = person.map(read_ages(participants))
        scans["age"] = scans["age"].fillna(first + scans["years"]).fillna(first.where(~person.duplicated()))
    return scans.drop(columns="time")


def find_scans(root: Path) -> pd.DataFrame:
    """Glob the tree for one scan a participant and session.

    Raises:
        InputError: If there is none.
    """
    anat = [*root.glob("sub-*/anat"), *root.glob("sub-*/ses-*/anat")]
    found = {folder: _scans_in(folder) for folder in anat}
    rows = [(*_who(folder), str(paths[0].absolute())) for folder, paths in found.items() if paths]
    if not rows:
        raise InputError(
            f"{root} has no sub-*/[ses-*/]anat/*_T1w.nii[.gz]: give the root of a BIDS directory, or a table"
        )
    several = sorted(paths[0].name for paths in found.values() if len(paths) > 1)
    if several:
        rank_zero_info(f"{len(several)} sessions have several T1-weighted scans; taken: {listing(several)}")
    return pd.DataFrame(rows, columns=["participant_id", "session_id", "path"])


def read_sessions(path: Path) -> pd.DataFrame:
    """Read a participant's sessions.tsv.

    Returns:
        Columns participant_id, session_id, age, years, and time in years since 1970; NaN unknown.

    Raises:
        InputError: If session_id is missing or not unique, or an age or time cannot be read.
    """
    table = read_table(path, ["session_id"])
    session = _labelled(table["session_id"], "ses-")
    _refuse_repeats(session, path)
    return pd.DataFrame(
        {
            "participant_id": path.parent.name,
            "session_id": session,
            "age": numbers(table, "age", path),
            "years": numbers(table, "years", path),
            "time": years_of_dates(table, "acq_time", path),
        }
    )


def read_ages(path: Path) -> pd.Series:
    """Read the ages of participants.tsv, indexed by participant_id.

    Raises:
        InputError: If participant_id is missing or not unique, or an age cannot be read.
    """
    table = read_table(path, ["participant_id"])
    participant = _labelled(table["participant_id"], "sub-")
    _refuse_repeats(participant, path)
    return numbers(table, "age", path).set_axis(participant)


def since_first(clock: pd.Series, participant: pd.Series) -> pd.Series:
    """Subtract from each visit's age or time that of the participant's first visit.

    The first visit is the earliest one if all are dated, and otherwise the first in the order of the
    sessions, since an undated visit may be earlier than all others.
    """
    groups = clock.groupby(participant, sort=False)
    start = groups.transform("min").where(groups.transform("count") == groups.transform("size"))
    in_order = clock.where(~participant.duplicated()).groupby(participant, sort=False).transform("max")
    return clock - start.fillna(in_order)


def _sorted(scans: pd.DataFrame) -> pd.DataFrame:
    return scans.sort_values(["participant_id", "session_id"], key=natural, ignore_index=True)


def _scans_in(folder: Path) -> list[Path]:
    scans = [*folder.glob("[!.]*_T1w.nii"), *folder.glob("[!.]*_T1w.nii.gz")]
    return sorted(scans, key=lambda path: (_run(path), path.name))


def _run(path: Path) -> int:
    run = re.search(r"_run-(\d+)_", path.name)
    return int(run[1]) if run else 0


def _who(anat: Path) -> tuple[str, str]:
    above = anat.parent
    return (above.parent.name, above.name) if above.name.startswith("ses-") else (above.name, NO_SESSION)


def _labelled(names: pd.Series, prefix: str) -> pd.Series:
    return names.fillna("").map(lambda name: prefix + name.removeprefix(prefix))


def _refuse_repeats(names: pd.Series, path: Path) -> None:
    twice = names[names.duplicated()]
    if len(twice):
        raise InputError(f"{path} has more than one row of {listing(list(twice))}: keep one each")
