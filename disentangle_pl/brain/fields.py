"""What the columns of tables of scans mean, whatever their spelling."""

import re
from pathlib import Path

import pandas as pd

from disentangle_pl.brain.cells import (
    CellRules,
    Fault,
    is_numbers,
    log_faults,
    numeric,
    read_numbers,
    read_times,
    read_words,
)

KEYS = ["participant_id", "session_id"]
TRAITS = ["sex", "site", "diagnosis"]
COLUMNS = [*KEYS, "path", "age", "years", "entry_years", *TRAITS]
GAP = "_gap_years"

_SPELLINGS = {
    "sex": ("sex", "gender"),
    "site": ("site", "site_id", "site_name"),
    "diagnosis": ("diagnosis", "dx", "group"),
}
_AGES = ("age", "age_years", "age_in_years", "age_at_scan", "age_at_mri", "age_at_visit", "age_mri", "agemri")
_AGES_IN_MONTHS = ("age_months", "age_in_months")
_SEXES = dict.fromkeys(("m", "male", "man", "boy"), "M") | dict.fromkeys(("f", "female", "woman", "girl"), "F")
_SCORES = {"cdrsb": "cdr_sb", "cdrsum": "cdr_sb", "cdr_sob": "cdr_sb", "cdrtot": "cdr", "cdr_global": "cdr"}
_FOR_LIFE = re.compile("sex|.*(educ|apoe).*")
_IDENTIFIER = re.compile("(.*_)?(id|rid|ptid|eid|iid|fid|uid|uuid|guid|subjid|subid|oasisid|imageid|scanid|pid)")
_GROUPS = tuple(
    re.compile(words, re.IGNORECASE)
    for words in (
        r"ad|dementia|dat|demented|ad[ _-]?dementia|alzheimer('?s)?([ _-]disease)?",
        r"mci|[el]mci|mild cognitive impairment",
        r"cn|nl|nc|hc|controls?|healthy([ _-]controls?)?|normal|cognitively[ _-](normal|unimpaired)|nondemented",
    )
)
_NO_SCORES = {
    *COLUMNS,
    "time",
    "acq_time",
    *_AGES,
    *_AGES_IN_MONTHS,
    *(name for names in _SPELLINGS.values() for name in names),
}


def tidy(name: str) -> str:
    """Return a column name in lower case, with underscores for all that is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def tidied(table: pd.DataFrame) -> pd.DataFrame:
    """Tidy the names of all columns; of several that become the same the first is kept."""
    renamed = table.rename(columns=tidy)
    return renamed.loc[:, ~renamed.columns.duplicated()]


def fields(table: pd.DataFrame, path: Path, rules: CellRules | None = None) -> pd.DataFrame:
    """Read what is known of each row of a table of text.

    Cells that cannot be read, or cannot be true, are missing; how many and which is logged, a line a column.

    Args:
        table: Cells as text.
        path: Where it comes from, for messages.
        rules: What becomes of cells that are no plain numbers.

    Returns:
        Columns age, years, entry_years, time (years since 1970) as float, sex, site and diagnosis as text, and under
        tidy names all other columns: those of numbers (see `is_score`) as float, others as text; row i is row i of
        `table`.

    Raises:
        InputError: In strict mode, if a cell cannot be read.
    """
    table, rules = tidied(table), rules or CellRules()
    columns = {"age": _ages(table, path, rules)}
    for name in ("years", "entry_years"):
        columns[name] = _numbers(_column(table, name), name, path, rules)
    columns["time"], faults = read_times(_column(table, "acq_time"))
    log_faults("acq_time", faults, path, rules)
    for name, spellings in _SPELLINGS.items():
        columns[name], faults = read_words(_first_known(table, spellings))
        log_faults(name, faults, path, rules)
    columns["sex"] = _sexes(columns["sex"], path, rules)
    more = [name for name in table.columns if name not in _NO_SCORES and not name.startswith("unnamed")]
    renamed = table[more].rename(columns=_SCORES)
    renamed = renamed.loc[:, ~renamed.columns.duplicated()]
    scores = {
        name: _numbers(renamed[name], name, path, rules)
        for name in map(str, renamed.columns)
        if is_score(name, renamed[name])
    }
    return pd.DataFrame(columns, index=table.index).join(renamed.assign(**scores))


def without_run(sessions: pd.Series) -> pd.Series:
    """Name the visits of sessions: ses-M000_run-2, a further scan of the same day, becomes ses-M000."""
    return sessions.str.replace(r"_run-\d+$", "", regex=True)


def holds_for_life(name: str) -> bool:
    """Tell whether a column says the same at every visit: sex, education, genes."""
    return _FOR_LIFE.fullmatch(name) is not None


def sexes(cells: pd.Series) -> pd.Series:
    """Write male and female as M and F; anything else stays as it is."""
    return cells.map(lambda cell: _SEXES.get(cell.strip().lower(), cell), na_action="ignore")


def of_group(diagnoses: pd.Series, group: str) -> list[str]:
    """Find the diagnoses that a group means.

    Args:
        diagnoses: (N,) text.
        group: A diagnosis, in any case; where nobody has it, one of the same meaning: AD is the Dementia of ADNI.

    Returns:
        The diagnoses as they are written, none if nobody has one.
    """
    written = sorted(map(str, diagnoses.dropna().unique()))
    same = [name for name in written if name.casefold() == group.casefold()]
    meanings = [words for words in _GROUPS if words.fullmatch(group.strip())]
    return same or [name for name in written if any(words.fullmatch(name.strip()) for words in meanings)]


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Put the columns of `fields` first, then the scores (float64), then texts; columns without any cell go."""
    candidates = [name for name in map(str, table.columns) if name not in _NO_SCORES and table[name].notna().any()]
    scores = [name for name in candidates if not _is_identifier(name) and _all_numbers(table[name])]
    texts = [name for name in candidates if name not in scores]
    fixed = table[[name for name in table.columns if name in _NO_SCORES]]
    return pd.concat([fixed, table[scores].apply(numeric), table[texts].astype(object)], axis=1)


def is_score(name: str, cells: pd.Series) -> bool:
    """Tell whether a column is a score: of numbers for more than the half, and no identifier."""
    return not _is_identifier(name) and is_numbers(cells, name)


def scores_of(visits: pd.DataFrame) -> list[str]:
    """Name the score columns of a table of `read_visits`: the numbers beyond the fixed ones and distances in time."""
    columns = visits.drop(columns=COLUMNS).select_dtypes("number").columns
    return [name for name in map(str, columns) if not name.endswith(GAP)]


def fill(scans: pd.DataFrame, other: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """Fill what `scans` lacks from the rows of `other` with the same keys, and add its columns.

    Args:
        scans: Any rows.
        other: At most one row a key.
        on: The key columns.
    """
    matches = scans[on].merge(other, how="left", on=on, validate="many_to_one").set_index(scans.index)
    new = [name for name in matches.columns if name not in scans.columns]
    shared = [name for name in matches.columns if name in scans.columns and name not in on]
    filled = {name: _filled(scans[name], matches[name]) for name in shared}
    return scans.assign(**filled).join(matches[new])


def _filled(cells: pd.Series, more: pd.Series) -> pd.Series:
    return more if cells.isna().all() else cells.where(cells.notna(), more)


def _is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None


def _all_numbers(cells: pd.Series) -> bool:
    return bool(numeric(cells).isna().equals(cells.isna()))


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table.columns else pd.Series(None, index=table.index, dtype="str")


def _numbers(cells: pd.Series, name: str, path: Path, rules: CellRules) -> pd.Series:
    values, faults = read_numbers(cells, name, rules)
    log_faults(name, faults, path, rules)
    return values


def _ages(table: pd.DataFrame, path: Path, rules: CellRules) -> pd.Series:
    """Read ages in years, from the first column that has each of them."""
    age = pd.Series(float("nan"), index=table.index)
    for name in (*_AGES, *_AGES_IN_MONTHS):
        if name in table.columns:
            age = age.fillna(_numbers(table[name], name, path, rules) / (1 if name in _AGES else 12))
    return age


def _sexes(cells: pd.Series, path: Path, rules: CellRules) -> pd.Series:
    """Write sexes as M and F; numbers, which nobody has explained, stay only where there is nothing else."""
    letters = sexes(cells)
    numbered = numeric(letters).notna()
    if not numbered.any():
        return letters
    alone = bool(numbered.equals(letters.notna()))
    outcome = "taken as they are" if alone else "missing, beside M and F"
    why = f"with a number and no Levels in {path.stem}.json to say which is which"
    log_faults("sex", [Fault(why, letters[numbered], outcome)], path, rules)
    return letters if alone else letters.where(~numbered)


def _first_known(table: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    cells = pd.Series(None, index=table.index, dtype="str")
    for name in names:
        if name in table.columns:
            cells = cells.where(cells.notna(), table[name].astype("str").where(table[name].notna()))
    return cells
