"""What is known of every scan as numbers: age and years, scores of the visits, and the columns of a table of truth."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.cells import CellRules, log_faults, read_numbers
from disentangle_pl.brain.fields import KEYS, is_score, scores_of, tidy
from disentangle_pl.brain.freesurfer import with_keys
from disentangle_pl.brain.identities import as_scans_write
from disentangle_pl.brain.tables import listing, read_table
from disentangle_pl.errors import InputError

DEFAULT = ("age", "years")
SCAN = "scan"


def scan_factors(visits: pd.DataFrame, truth: Path | None = None, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the factors of every scan.

    Args:
        visits: Table of `read_visits`, N rows.
        truth: A .tsv or .csv table of more numbers. Its rows are matched to scans exactly: by a column `scan` (a path,
            absolute or relative to the table's folder) if it has one, else by participant_id and session_id, with or
            without sub- and ses- (see `as_scans_write`: M48 is ses-M048); those of FreeSurfer's asegstats2table by
            their first column (see `with_keys`).
        names: Columns wanted, of the table of truth or of `visits`; where both have a column, that of truth is taken.
            None takes age and years, and beside them every column of numbers of the table of truth.

    Returns:
        (N, k) float64 under the rows of `visits`, NaN where a number is not known; that scans have no row in the table
        of truth is said.

    Raises:
        InputError: If a name is unknown or repeated, or the table cannot be read, lacks its keys, repeats a scan, or
            has none of the scans.
    """
    factors = visits[[*DEFAULT, *scores_of(visits)]].astype("float64")
    more = pd.DataFrame(index=visits.index) if truth is None else _matched(visits, truth)
    factors = factors.assign(**{name: more[name] for name in more.columns})
    chosen = [*DEFAULT, *(name for name in more.columns if name not in DEFAULT)] if names is None else list(names)
    unknown = [name for name in chosen if name not in factors.columns]
    if unknown or len(set(chosen)) < len(chosen) or not chosen:
        raise InputError(
            f"factors {listing(unknown or chosen)} cannot be taken: name each once, of {', '.join(factors.columns)}"
        )
    return factors[chosen]


def _matched(visits: pd.DataFrame, path: Path) -> pd.DataFrame:
    table = with_keys(read_table(path), visits)
    keys = _keys_of_truth(table, path, visits)
    names = _paths(visits["path"]) if SCAN in table.columns else _visit_keys(visits)
    twice = keys[keys.duplicated() & keys.notna()]
    if len(twice):
        raise InputError(f"{path} has more than one row of {listing(twice.tolist(), 3)}: keep one a scan")
    texts = [str(name) for name in table.columns if name not in (*KEYS, SCAN)]
    scores = {name: _numbers(table[name], name, path) for name in texts if is_score(tidy(name), table[name])}
    values = pd.DataFrame(scores, index=table.index).set_axis(pd.Index(keys)).loc[keys.notna().to_numpy()]
    lacking = int((~names.isin(values.index)).sum())
    if lacking == len(visits):
        raise InputError(
            f"{path} has no row of any scan: it has {listing(values.index[:2].tolist())}, the scans are "
            f"{listing(names[:2].tolist())}"
        )
    if lacking:
        rank_zero_info(f"{lacking} of {len(visits)} scans have no row in {path}: their factors are not known")
    return values.reindex(names).set_axis(visits.index)


def _numbers(cells: pd.Series, name: str, path: Path) -> pd.Series:
    values, faults = read_numbers(cells, tidy(name), CellRules())
    log_faults(name, faults, path, CellRules())
    return values


def _keys_of_truth(table: pd.DataFrame, path: Path, visits: pd.DataFrame) -> pd.Series:
    if SCAN in table.columns:
        folder = path.absolute().parent
        return _paths(table[SCAN].map(lambda name: str(folder / name), na_action="ignore"))
    if not set(KEYS) <= set(table.columns):
        raise InputError(f"{path} needs a column {SCAN}, or {' and '.join(KEYS)}: it has {', '.join(table.columns)}")
    return _visit_keys(as_scans_write(table[KEYS], visits)).where(table[KEYS].notna().all(axis=1))


def _visit_keys(table: pd.DataFrame) -> pd.Series:
    return table[KEYS[0]] + " " + table[KEYS[1]]


def _paths(paths: pd.Series) -> pd.Series:
    """Write paths without detours; links of folders are followed, a linked scan keeps its own name."""
    folders = {name: Path(name).parent for name in paths.dropna()}
    real = {folder: folder.resolve() for folder in set(folders.values())}
    return paths.map(lambda name: str(real[folders[name]] / Path(name).name), na_action="ignore")
