"""`disentangle-pl prepare`: a folder of scans as one file that trains fast, and how good the scans are."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from disentangle_pl.brain.bids import USUAL
from disentangle_pl.brain.cache import content_hashes
from disentangle_pl.brain.contact_sheet import FIRST_PAGE
from disentangle_pl.brain.duplicates import copied, copies
from disentangle_pl.brain.preparing import HASHES, alone, finish, make, open_store, write_table
from disentangle_pl.brain.scan_choice import Choice
from disentangle_pl.brain.visits import find_visits, reasons
from disentangle_pl.brain.volumes import SHEAR, Preparation
from disentangle_pl.errors import InputError
from disentangle_pl.studies.prepare_histogram import with_histogram
from disentangle_pl.studies.scan_summary import most

LEFT_OUT = "left_out.tsv"
APART = 1.0
"""Millimetres by which qform and sform may put a corner of a scan apart without a word."""
CUT = 0.02
"""Share of a scan's foreground that may be lost by the crop without a word."""


def report_prepared(
    source: Path,
    out: Path,
    preparation: Preparation,
    jobs: int = 1,
    strict: bool = False,
    bounds: bool = False,
    choice: Choice = USUAL,
    withdrawn: Path | None = None,
    histogram: bool = False,
    split_file: Path | None = None,
) -> pd.DataFrame:
    """Prepare scans into a folder, and say what became of them.

    What is done stays, whatever happens: the same call goes on, and one with more scans prepares only those.

    Args:
        source: A folder of scans, or a table of them (see `read_visits`).
        out: The folder, new or of an earlier call with the same settings.
        preparation: What to do with each scan.
        jobs: Processes; -1 for one a core.
        strict: Stop at the first scan that cannot be prepared, instead of leaving it out, and at the first cell of a
            table that cannot be read.
        bounds: Take cells such as `89+` at their bound, as in `find_visits`.
        choice: Which scans of a folder are wanted.
        withdrawn: People to leave out, also of what an earlier call has prepared (see `read_withdrawn`).
        histogram: Map intensities to a standard histogram that is learnt from training people (see `with_histogram`).
        split_file: Who these are; None splits by a hash.

    Returns:
        The table of `quality_table`, with participant_id and session_id.

    Raises:
        InputError: If the source is wrong or has no scan that can be prepared, or `out` cannot be used; in strict mode,
            if a scan cannot be prepared.
    """
    if jobs == 0 or jobs < -1:
        raise InputError(f"jobs is {jobs}: give the number of processes, or -1 for one a core")
    found = find_visits(source, check=True, strict=strict, bounds=bounds, choice=choice, withdrawn=withdrawn)
    print(f"{source} is read as {found.layout}")
    with alone(out):
        if histogram:
            preparation = with_histogram(found.visits, out, preparation, split_file, jobs, withdrawn)
        store = open_store(out, preparation)
        hashes = content_hashes([Path(path) for path in found.visits["path"]], out / HASHES)
        made = make(store, found.visits.assign(sha256=hashes), preparation, jobs, strict)
        images = store.images(made.ready["key"])
        again = copies(made.ready["participant_id"], images)
        ready = made.ready[~again].reset_index(drop=True)
        left_out = pd.concat([found.skipped, made.skipped, copied(made.ready, images)], ignore_index=True)
        if ready.empty:
            raise InputError(f"{source} has no scan that can be prepared: {reasons(left_out)[0]}")
        quality = finish(store, ready, preparation)
        _write_left_out(left_out, out)
    print(f"{len(ready)} scans of {ready['participant_id'].nunique()} people, {made.reused} of them from earlier calls")
    for line in (*_remarks(quality, left_out), *_shared(ready, images[~again].reset_index(drop=True))):
        print(line)
    size = "x".join(map(str, preparation.size))
    print(f"written: {out}, volumes of {size} voxels of {preparation.spacing:g} mm; look at {out / FIRST_PAGE}")
    return quality


def _shared(visits: pd.DataFrame, images: pd.Series) -> list[str]:
    several = visits[images.duplicated(keep=False) & images.notna()]
    head = f"the same image of several people, {len(several)} scans, who must be in one part of a split:"
    return _section(head, several["path"].tolist()) if len(several) else []


def _write_left_out(left_out: pd.DataFrame, out: Path) -> None:
    if len(left_out):
        write_table(out / LEFT_OUT, left_out)
    else:
        (out / LEFT_OUT).unlink(missing_ok=True)


def _remarks(quality: pd.DataFrame, left_out: pd.DataFrame) -> list[str]:
    scans = quality.to_dict("records")
    odd = [f"{_name(row)}: r {row['correlation']:.2f}, z {row['z']:.1f}" for row in scans if row["outlier"]]
    cut = [f"{_name(row)}: {row['cut_off']:.0%}" for row in scans if row["cut_off"] > CUT]
    sheared = [f"{_name(row)}: {row['shear']:.1f} degrees" for row in scans if row["shear"] >= SHEAR]
    apart = [f"{_name(row)}: {row['qform_mm']:.1f} mm" for row in scans if row["qform_mm"] > APART]
    return [
        *_section(f"left out, {len(left_out)} scans:", reasons(left_out)),
        *_section(f"unlike the mean of all, {len(odd)} scans, which stay in:", odd),
        *_section(f"cut by the crop, {len(cut)} scans (share of what is not background):", cut),
        *_section(f"sheared axes, {len(sheared)} scans, resampled along those of the scanner unless aligned:", sheared),
        *_section(f"qform and sform put the scan in different places, {len(apart)} scans; the sform is taken:", apart),
    ]


def _name(row: dict[Hashable, Any]) -> str:
    return f"{row['participant_id']} {row['session_id']}"


def _section(head: str, lines: list[str]) -> list[str]:
    return [head, *(f"  {line}" for line in most(lines))] if lines else []
