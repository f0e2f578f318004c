"""Further scans of the same visit: what differs between them is the scanner, not the person."""

import re
from pathlib import Path

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info

from disentangle_pl.brain.fields import without_run

_RUN = re.compile(r"_run-(\d+)(?=_)")


def with_rescans(visits: pd.DataFrame) -> pd.DataFrame:
    """Add the further runs of every visit as rows of their own.

    Runs of one scan lie in one folder under names that differ in `run-<number>` only. A further run has the session_id
    of its visit and the number, such as ses-M000_run-2, and all else of the visit: age, years, scores.

    Args:
        visits: Table of `read_visits` with one scan a visit.
    """
    rows = [(row, *run) for row, path in visits["path"].items() for run in further_runs(Path(path))]
    found = visits.loc[[row for row, *_ in rows]]
    rank_zero_info(f"{len(rows)} further runs of {found['path'].nunique()} visits are taken too")
    labels = pd.Series([label for _, label, _ in rows], index=found.index, dtype=object)
    more = found.assign(path=[path for *_, path in rows], session_id=found["session_id"] + "_" + labels)
    return pd.concat([visits, more], ignore_index=True) if rows else visits


def further_runs(scan: Path) -> list[tuple[str, str]]:
    """Find the other runs of a scan: pairs of run-<number> and path, by number."""
    alike = [path for path in scan.parent.glob("[!.]*") if path.name != scan.name and _bare(path) == _bare(scan)]
    runs = [
        (int(found[1]), found[0].removeprefix("_"), str(path)) for path in alike if (found := _RUN.search(path.name))
    ]
    return [(label, path) for _, label, path in sorted(runs)]


def visit_rows(visits: pd.DataFrame) -> "pd.Series[bool]":
    """Tell the first scan of every visit from its rescans: (N,) True for the first."""
    return ~pd.Series(without_run(visits["session_id"]) != visits["session_id"], index=visits.index)


def _bare(path: Path) -> str:
    return _RUN.sub("", path.name)
