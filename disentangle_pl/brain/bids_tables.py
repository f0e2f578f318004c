"""What the tables of a BIDS directory know of its scans: ages, times, sexes, sites, diagnoses and scores.

Source: Gorgolewski et al. 2016, The brain imaging data structure, Scientific Data 3:160044, and its
specification 1.9.
"""

import csv
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.cells import DAYS_A_YEAR, CellRules, log_faults, read_times
from disentangle_pl.brain.clocks import in_time, with_years
from disentangle_pl.brain.fields import COLUMNS, KEYS, TRAITS, fields, fill, holds_for_life, tidied, typed
from disentangle_pl.brain.identities import as_scans_write, unlike
from disentangle_pl.brain.sidecars import described
from disentangle_pl.brain.tables import decoded, listing, read_table
from disentangle_pl.brain.waves import by_visit, waves_of
from disentangle_pl.errors import InputError

_CLOCKS = ["scan_time", "time"]


def describe(scans: pd.DataFrame, root: Path, rules: CellRules | None = None) -> pd.DataFrame:
    """Join scans with scans.tsv, sub-*_sessions.tsv, phenotype/*.tsv and participants.tsv, in this order of trust.

    A table with session_id is joined by visit, and so are columns of visits in tables with one row a person (MMSE_W1,
    MMSE_W2). All else of a row a person: sex, site, education and texts hold for every visit, and so does the diagnosis
    unless sessions have their own; an age or a score counts at the first visit only. Every column of numbers is a
    score, except identifiers. What was used, and what could not be, is logged.

    Args:
        scans: participant_id, session_id, path.
        root: The directory that holds the sub-* folders.
        rules: What becomes of cells that are no plain numbers.

    Returns:
        The columns of `read_visits`, unknown cells NaN; visits of a participant in the order of time.

    Raises:
        InputError: If a table cannot be read, lacks its key, or repeats it; in strict mode, if a cell cannot be read.
    """
    rules = rules or CellRules()
    visits = in_time(scans.reindex(columns=[*COLUMNS, *_CLOCKS]))
    visits["scan_time"] = scan_times(visits["path"], rules)
    people: list[tuple[pd.DataFrame, Path]] = []
    for table, path in _tables(root, visits, rules):
        if "session_id" in table.columns:
            visits = _fill_visits(visits, fields(table.drop(columns=KEYS), path, rules), table[KEYS], path)
        else:
            people.append((table, path))
    for table, path in people:
        visits = _fill_waves(visits, table, path, rules)
    visits, remarks = with_years(visits)
    for remark in remarks:
        rank_zero_info(remark)
    visits = in_time(visits)
    for table, path in people:
        rows = table.drop(columns=list(waves_of(map(str, table.columns))))
        visits = _fill_person(visits, table[["participant_id"]].join(fields(rows.iloc[:, 1:], path, rules)))
    return typed(with_years(visits)[0].drop(columns=_CLOCKS))


def scan_times(paths: pd.Series, rules: CellRules) -> pd.Series:
    """Read when scans were taken, from the acq_time of their files in `sub-*[_ses-*]_scans.tsv`.

    Dates that are one day for the scans of several people are none, but what is left where dates were removed.

    Args:
        paths: (N,) of the scans.
        rules: In strict mode, a wrong time is refused.

    Returns:
        (N,) years since 1970, NaN unknown.
    """
    folders = {folder: _acquired(folder) for folder in {Path(path).parent.parent for path in paths}}
    if not any(folders.values()):
        return pd.Series(float("nan"), index=paths.index)
    cells = paths.map(lambda path: folders[Path(path).parent.parent].get(_stem(path)))
    times, faults = read_times(cells.astype("str").where(cells.notna()))
    log_faults("acq_time", faults, Path("scans.tsv"), rules)
    days = (times.dropna() * DAYS_A_YEAR).floordiv(1)
    if (
        len(days) > 1
        and days.nunique() == 1
        and paths[days.index].map(lambda path: Path(path).parents[2]).nunique() > 1
    ):
        rank_zero_info("scans.tsv: the acq_time of all scans are of one day, and so not taken as dates")
        return times.where(times.isna())
    return times


def _acquired(folder: Path) -> dict[str, str]:
    """Return the acq_time by file name of the scans.tsv in a folder."""
    pairs: dict[str, str] = {}
    for path in sorted(folder.glob("sub-*_scans.tsv")):
        try:
            lines = decoded(path).splitlines()
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as a table ({error}): give a .tsv file") from error
        for row in csv.DictReader(lines, delimiter="\t"):
            name, time = ((row.get(column) or "").strip() for column in ("filename", "acq_time"))
            if name and time.lower() not in ("", "n/a"):
                pairs[_stem(name)] = time
    return pairs


def _stem(path: str) -> str:
    return Path(path).name.removesuffix(".gz").removesuffix(".nii")


def _tables(root: Path, visits: pd.DataFrame, rules: CellRules) -> list[tuple[pd.DataFrame, Path]]:
    """Read the tables of text, sessions first, with the keys of the scans in front."""
    sessions = sorted(root.glob("sub-*/sub-*_sessions.tsv"))
    tables = [(_read_sessions(sessions, visits, rules), Path("sub-*_sessions.tsv"))] if sessions else []
    paths = [*sorted(root.glob("phenotype/*.tsv")), *root.glob("participants.tsv")]
    return [*tables, *((_read_keyed(path, visits), path) for path in paths)]


def _read_sessions(paths: list[Path], visits: pd.DataFrame, rules: CellRules) -> pd.DataFrame:
    """Read the sessions of all participants; together, since what `fields` does costs as much for one as for all."""
    tables = [described(tidied(read_table(path, ["session_id"])), path) for path in paths]
    if rules.strict:
        for path, table in zip(paths, tables, strict=True):
            fields(table, path, rules)
    people = [path.parent.name for path in paths]
    table = pd.concat(tables, keys=people, names=["participant_id"]).reset_index("participant_id")
    return _keyed(table.reset_index(drop=True), visits, paths[0].parent.parent / "sub-*_sessions.tsv")


def _read_keyed(path: Path, visits: pd.DataFrame) -> pd.DataFrame:
    """Read a table of people, or of visits if it has a session_id, with its keys in front."""
    table = described(tidied(read_table(path, ["participant_id"])), path)
    table = _keyed(table.dropna(subset="participant_id"), visits, path)
    _log_people(table, visits, path)
    return table


def _keyed(table: pd.DataFrame, visits: pd.DataFrame, path: Path) -> pd.DataFrame:
    keys = as_scans_write(table, visits)
    for remark in unlike(table, keys):
        rank_zero_info(f"{path.name}: {remark}")
    rows = keys.join(table.drop(columns=keys.columns)).drop_duplicates()
    twice = keys.loc[rows.index][keys.loc[rows.index].duplicated()]
    if len(twice):
        names = [" ".join(row) for row in twice.to_numpy().tolist()]
        path = path.parent / path.name.replace("sub-*", twice["participant_id"].iloc[0])
        visit = "" if "session_id" in keys else ", or name the column of the visit session_id"
        raise InputError(f"{path} has more than one row of {listing(names)}: keep one each{visit}")
    return rows


def _log_people(table: pd.DataFrame, visits: pd.DataFrame, path: Path) -> None:
    """Say whose rows have no scan, and in participants.tsv who with a scan has no row."""
    rows, scanned = table["participant_id"].unique(), visits["participant_id"].unique()
    lacking = [name for name in scanned if name not in set(rows)]
    unused = [name for name in rows if name not in set(scanned)]
    if len(unused) == len(rows):
        rank_zero_info(
            f"{path.name} has nobody with a scan, and is of no use: it has {listing(unused, 3)}, the scans are of "
            f"{listing(lacking, 3)}"
        )
    elif lacking and path.stem == "participants":
        rank_zero_info(f"{path.name}: {len(lacking)} people with scans have no row: {listing(lacking, 3)}")


def _fill_visits(visits: pd.DataFrame, rows: pd.DataFrame, keys: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Fill from a table with one row a visit; what holds for life holds at every visit."""
    table = keys.join(rows)
    unused = len(table) - len(table.merge(visits[KEYS], on=KEYS))
    if unused:
        rank_zero_info(f"{path.name}: {unused} of {len(table)} visits of the tables have no T1-weighted scan")
    visits = fill(visits, table, KEYS)
    always = ["participant_id", *filter(holds_for_life, table.columns)]
    return fill(visits, table[always].groupby("participant_id", as_index=False).first(), ["participant_id"])


def _fill_waves(visits: pd.DataFrame, table: pd.DataFrame, path: Path, rules: CellRules) -> pd.DataFrame:
    """Fill from the columns of visits in a table with one row a person."""
    waves = waves_of(map(str, table.columns))
    if not waves:
        return visits
    rows, remarks = by_visit(table, waves, with_years(visits)[0])
    for remark in remarks:
        rank_zero_info(f"{path.name}: {remark}")
    return _fill_visits(visits, fields(rows.drop(columns=KEYS), path, rules), rows[KEYS], path)


def _fill_person(visits: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Fill from a table with one row a person what is true at each visit."""
    person = visits["participant_id"]
    first = person.map(people.set_index("participant_id")["age"])
    age, years = visits["age"].astype("float64"), visits["years"]
    more = [name for name in people.columns if name not in (*COLUMNS, "time")]
    always = [name for name in more if holds_for_life(name) or people[name].dtype != "float64"]
    always += TRAITS if visits["diagnosis"].isna().all() else ["sex", "site"]
    filled = fill(visits, people[["participant_id", *always]], ["participant_id"])
    filled["age"] = age.fillna(first + years).fillna(first.where(~person.duplicated()))
    once = [name for name in more if name not in always]
    at_first = visits.loc[(years == 0) | (years.isna() & ~person.duplicated()), KEYS]
    scores = at_first.merge(people[["participant_id", *once]], how="left", on="participant_id")
    return fill(filled, scores, KEYS)
