"""What one visit is, and further scans of it: what differs between them is the scanner, not the person."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning.pytorch.utilities import rank_zero_info
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from disentangle_pl.brain.cells import DAYS_A_YEAR
from disentangle_pl.brain.fields import without_run

_RUN = re.compile(r"_run-(\d+)(?=_)")
_ROUNDING = 1e-6


def with_rescans(visits: pd.DataFrame) -> pd.DataFrame:
    """Add the further runs of every visit as rows of their own.

    Runs of one scan lie in one folder under names that differ in `run-<number>` only. A further run has the session_id
    of its visit and the number, such as ses-M000_run-2, and all else of the visit: age, years, scores.

    Args:
        visits: Table of `read_visits` with one scan a visit.
    """
    rows = [(row, *run) for row, path in visits["path"].items() for run in further_runs(Path(path))]
    scans = visits.loc[[row for row, *_ in rows]]
    rank_zero_info(f"{len(rows)} further runs of {scans['path'].nunique()} visits are taken too")
    labels = pd.Series([label for _, label, _ in rows], index=scans.index, dtype=object)
    more = scans.assign(path=[path for *_, path in rows], session_id=scans["session_id"] + "_" + labels)
    return pd.concat([visits, more], ignore_index=True) if rows else visits


def further_runs(scan: Path) -> list[tuple[str, str]]:
    """Find the other runs of a scan: pairs of run-<number> and path, by number.

    OASIS-3 has them in folders anat2, anat3 of the session; there the runs are numbered in the order of the folders.
    """
    places, scattered = _folders(scan)
    alike = [path for folder in places for path in folder.glob("[!.]*") if _bare(path) == _bare(scan)]
    if scattered:
        further = [path for path in sorted(alike, key=_by_place) if path != scan]
        return [(f"run-{number}", str(path)) for number, path in enumerate(further, start=2)]
    runs = [
        (int(match[1]), match[0].removeprefix("_"), str(path))
        for path in alike
        if path.name != scan.name and (match := _RUN.search(path.name))
    ]
    return [(label, path) for _, label, path in sorted(runs)]


def visit_numbers(visits: pd.DataFrame) -> "pd.Series[int]":
    """Number the visits of a table of scans; whatever pairs, counts or compares visits asks here what one visit is.

    Scans of a participant are of one visit if their sessions are the same but for the run, or if less than a day lies
    between them. Where all ages are in tenths of a year or coarser, and `years` with them, equal times tell no day, and
    sessions alone decide.

    Args:
        visits: Table of `read_visits`, or a part of one.

    Returns:
        (N,) int64, the same for scans of one visit; it counts within this table.
    """
    person = visits["participant_id"]
    by_session = (
        visits.groupby([person, without_run(visits["session_id"])], sort=False, dropna=False).ngroup().to_numpy()
    )
    by_day = _days(visits)
    ends = (by_session, by_day + len(visits))
    graph = coo_array((np.ones(len(visits)), ends), shape=(2 * len(visits), 2 * len(visits)))
    number = connected_components(graph, directed=False)[1][by_session] if len(visits) else by_session
    return pd.Series(pd.factorize(number)[0], index=visits.index, dtype=np.int64)


def visit_rows(visits: pd.DataFrame) -> "pd.Series[bool]":
    """Tell the first scan of every visit from its rescans: (N,) True for the first."""
    return ~visit_numbers(visits).duplicated()


def _folders(scan: Path) -> tuple[list[Path], bool]:
    """Return where further runs may lie, and whether these are the numbered folders of OASIS-3."""
    inner = scan.parent.name == "NIFTI"
    anat = scan.parent.parent if inner else scan.parent
    if not re.fullmatch(r"anat\d+", anat.name):
        return [scan.parent], False
    return [*anat.parent.glob("anat[0-9]*/NIFTI" if inner else "anat[0-9]*")], True


def _by_place(path: Path) -> tuple[int, int, str]:
    anat = re.search(r"/anat(\d+)/", path.as_posix())
    run = _RUN.search(path.name)
    return int(anat[1]) if anat else 0, int(run[1]) if run else 0, path.name


def _bare(path: Path) -> str:
    return _RUN.sub("", path.name)


def _days(visits: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Number the scans (N,) so that those of a participant share one if less than a day lies from each to the next."""
    if not _tell_days(visits):
        return np.arange(len(visits))
    clock = pd.DataFrame({"person": visits["participant_id"], "days": visits["years"].astype("float64") * DAYS_A_YEAR})
    clock = clock.reset_index(drop=True).sort_values(["person", "days"], kind="stable")
    near = (clock["person"] == clock["person"].shift()) & (clock["days"].diff() < 1 - _ROUNDING)
    return (~near).cumsum().sort_index().to_numpy(np.int64) - 1


def _tell_days(visits: pd.DataFrame) -> bool:
    tenths = 10 * visits.reindex(columns=["age", "years"]).to_numpy(np.float64)
    return bool(np.isnan(tenths[:, 0]).all() or (np.abs(tenths - tenths.round()) > _ROUNDING).any())
