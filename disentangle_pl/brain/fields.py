"""What the columns of tables of scans mean, whatever their spelling."""

import re
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.tables import listing, numbers, years_of_dates
from disentangle_pl.errors import InputError

KEYS = ["participant_id", "session_id"]
TRAITS = ["sex", "site", "diagnosis"]
COLUMNS = [*KEYS, "path", "age", "years", "entry_years", *TRAITS]
GAP = "_gap_years"

_SPELLINGS = {
    "sex": ("sex", "gender"),
    "site": ("site", "site_id", "site_name"),
    "diagnosis": ("diagnosis", "dx", "group"),
}
_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}
_SCORES = {"cdrsb": "cdr_sb", "cdrsum": "cdr_sb", "cdr_sob": "cdr_sb", "cdrtot": "cdr", "cdr_global": "cdr"}
_FOR_LIFE = re.compile("sex|.*(educ|apoe).*")
_NO_SCORES = {*COLUMNS, "time", "acq_time", *(name for names in _SPELLINGS.values() for name in names)}


def tidy(name: str) -> str:
    """Return a column name in lower case, with underscores for all that is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Tidy the names of all columns; of several that become the same the first is kept."""
    renamed = table.rename(columns=tidy)
    return renamed.loc[:, ~renamed.columns.duplicated()]


def fields(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Read what is known of each row of a table of text.

    Args:
        table: Cells as text.
        path: Where it comes from, for messages.

    Returns:
        Columns age, years, entry_years, time (years since 1970) as float, sex, site and diagnosis as text, and all
        other columns as text under tidy names; row i is row i of `table`.

    Raises:
        InputError: If an age or a time cannot be read, or an age is below 0, as some tables code what is missing.
    """
    table = tidied(table)
    known = {
        "age": numbers(table, "age", path),
        "years": numbers(table, "years", path),
        "entry_years": numbers(table, "entry_years", path),
        "time": years_of_dates(table, "acq_time", path),
        **{name: _first_known(table, spellings) for name, spellings in _SPELLINGS.items()},
    }
    unborn = known["age"][known["age"] < 0]
    if len(unborn):
        raise InputError(
            f"{path} has an age of {unborn.iloc[0]:g}: write years from 0 on, and nothing where the age is not known"
        )
    known["sex"] = sexes(known["sex"])
    others = [name for name in table.columns if name not in _NO_SCORES and not name.startswith("unnamed")]
    renamed = table[others].rename(columns=_SCORES)
    return pd.DataFrame(known, index=table.index).join(renamed.loc[:, ~renamed.columns.duplicated()])


def without_run(sessions: pd.Series) -> pd.Series:
    """Name the visits of sessions: ses-M000_run-2, a further scan of the same day, becomes ses-M000."""
    return sessions.str.replace(r"_run-\d+$", "", regex=True)


def holds_for_life(name: str) -> bool:
    """Tell whether a column says the same at every visit: sex, education, genes."""
    return _FOR_LIFE.fullmatch(name) is not None


def sexes(cells: pd.Series) -> pd.Series:
    """Write male and female as M and F; anything else stays as it is."""
    return cells.map(lambda cell: _SEXES.get(cell.strip().lower(), cell), na_action="ignore")


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Make scores of the columns of numbers, beyond those of `fields`; identifiers and columns with text stay text.

    Columns without any cell are dropped. Those that are mostly numbers, and so no scores, are said.

    Returns:
        The columns of `fields` that `table` has, then the scores (float64), then texts.
    """
    others = [name for name in map(str, table.columns) if name not in _NO_SCORES and table[name].notna().any()]
    scores = [name for name in others if is_score(name, table[name])]
    texts = [name for name in others if name not in scores]
    mixed = [f"{name} ({cell!r})" for name in texts for cell in _odd_ones(name, table[name])]
    if mixed:
        rank_zero_info(f"not scores, as not all cells are numbers: {listing(mixed)}; a mapping can say what they mean")
    known = table[[name for name in table.columns if name in _NO_SCORES]]
    return pd.concat([known, table[scores].apply(numeric), table[texts].astype(object)], axis=1)


def is_score(name: str, cells: pd.Series) -> bool:
    """Tell whether a column has numbers only, and is no identifier."""
    return not name.endswith("id") and numeric(cells).isna().equals(cells.isna())


def _odd_ones(name: str, cells: pd.Series) -> list[str]:
    """Return the first cell that is no number of a column that is mostly numbers."""
    values = numeric(cells)
    odd = cells[values.isna() & cells.notna()].tolist()
    return [] if name.endswith("id") or 2 * values.notna().sum() <= cells.notna().sum() else odd[:1]


def numeric(cells: pd.Series) -> pd.Series:
    """Return cells as float64, NaN where they are no finite number."""
    values = pd.to_numeric(cells, errors="coerce").astype("float64")
    return values.where(values.abs() < float("inf"))


def scores_of(visits: pd.DataFrame) -> list[str]:
    """Name the score columns of a table of `read_visits`: the numbers beyond the fixed ones and distances in time."""
    others = visits.drop(columns=COLUMNS).select_dtypes("number").columns
    return [name for name in map(str, others) if not name.endswith(GAP)]


def fill(scans: pd.DataFrame, other: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """Fill what `scans` lacks from the rows of `other` with the same keys, and add its columns.

    Args:
        scans: Any rows.
        other: At most one row a key.
        on: The key columns.
    """
    found = scans[on].merge(other, how="left", on=on, validate="many_to_one").set_index(scans.index)
    new = [name for name in found.columns if name not in scans.columns]
    shared = [name for name in found.columns if name in scans.columns and name not in on]
    filled = {name: _filled(scans[name], found[name]) for name in shared}
    return scans.assign(**filled).join(found[new])


def _filled(cells: pd.Series, others: pd.Series) -> pd.Series:
    return others if cells.isna().all() else cells.where(cells.notna(), others)


def _first_known(table: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    cells = pd.Series(None, index=table.index, dtype="str")
    for name in names:
        if name in table.columns:
            cells = cells.where(cells.notna(), table[name].astype("str").where(table[name].notna()))
    return cells
