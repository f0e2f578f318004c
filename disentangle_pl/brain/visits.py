"""The one table that everything about brain scans starts from: one row a scan."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args

import pandas as pd
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console
from rich.progress import track

from disentangle_pl.brain.bids import USUAL, is_bids, read_bids
from disentangle_pl.brain.bids_tables import describe
from disentangle_pl.brain.caps import PIPELINES, is_caps, read_caps
from disentangle_pl.brain.cells import CellRules
from disentangle_pl.brain.clocks import in_time, with_years
from disentangle_pl.brain.fields import COLUMNS, TRAITS
from disentangle_pl.brain.image_files import absence
from disentangle_pl.brain.oasis3 import is_oasis3, read_oasis3
from disentangle_pl.brain.placeholders import DICOM, holds_dicom
from disentangle_pl.brain.prepared import is_prepared, read_prepared_visits
from disentangle_pl.brain.rescans import with_rescans
from disentangle_pl.brain.scan_choice import Choice, Suffix
from disentangle_pl.brain.scan_tables import Skipped, read_scan_table
from disentangle_pl.brain.soundness import problem
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.uk_biobank import FIELDS, is_uk_biobank, read_uk_biobank
from disentangle_pl.brain.withdrawals import read_withdrawn, remaining
from disentangle_pl.errors import InputError


class Layout(NamedTuple):
    """A way to lay out scans in folders.

    Attributes:
        name: What users call it.
        recognises: Tells from the contents of a folder whether it is one with scans of the suffix.
        read: Finds the scans that are wanted: participant_id, session_id and path.
    """

    name: str
    recognises: Callable[[Path, Choice], bool]
    read: Callable[[Path, Choice], pd.DataFrame]


LAYOUTS = (
    Layout("CAPS (Clinica)", is_caps, read_caps),
    Layout("OASIS-3", is_oasis3, read_oasis3),
    Layout("BIDS", is_bids, read_bids),
    Layout("UK Biobank", is_uk_biobank, read_uk_biobank),
)


class ScanInventory(NamedTuple):
    """What a source holds.

    Attributes:
        visits: The table of `read_visits`, of the scans that can be used.
        skipped: Columns path and reason, of those that cannot.
        layout: What kind of source it is.
    """

    visits: pd.DataFrame
    skipped: pd.DataFrame
    layout: str


def read_visits(source: Path, withdrawn: Path | None = None, choice: Choice = USUAL) -> pd.DataFrame:
    """Read one row a scan from a folder or a table, every scan of it.

    Args:
        source: A BIDS directory, a CAPS folder of Clinica, OASIS-3 or UK Biobank as downloaded, a folder of
            `disentangle-pl prepare` (which it is shows from the contents), or a .tsv or .csv table (see
            `read_scan_table`).
        withdrawn: People to leave out (see `read_withdrawn`).
        choice: Which scans of a folder are wanted.

    Returns:
        Columns participant_id, session_id, path (absolute), age at the scan in years, years since the participant's
        first visit in `source`, entry_years since entry into the study (float, NaN unknown), sex (M, F), site,
        diagnosis (text, missing unknown), and one float column a score; sorted by participant and time, or session
        where times are not all known (see `in_time`), indexed 0..N-1.

    Raises:
        InputError: If the source is missing, empty or unreadable, lacks a column, repeats a visit, or lists
            files that are not there.
    """
    inventory = find_visits(source, withdrawn=withdrawn, choice=choice)
    if len(inventory.skipped):
        raise InputError(
            f"{len(inventory.skipped)} scans of {source} cannot be used: {listing(reasons(inventory.skipped))}"
        )
    return inventory.visits


def find_visits(
    source: Path,
    check: bool = False,
    strict: bool = False,
    rescans: bool = False,
    bounds: bool = False,
    choice: Choice = USUAL,
    withdrawn: Path | None = None,
) -> ScanInventory:
    """Read one row for each scan that can be used, and tell what is left out.

    Args:
        source: As in `read_visits`.
        check: Also open every scan: is it readable and whole?
        strict: Stop at the first scan that cannot be used, and the first cell of a table that cannot be read.
        rescans: Of a folder, take the further runs of a visit too (see `with_rescans`); a table has what it lists.
        bounds: Take cells such as `89+` at their bound, and `65-70` at its middle; otherwise they are missing.
        choice: Which scans of a folder are wanted.
        withdrawn: People to leave out (see `read_withdrawn`).

    Raises:
        InputError: If the source is missing or unreadable, lacks a column, or has no usable scan; in strict mode, if
            one is not usable, or a cell of a table is not read.
    """
    if withdrawn:
        read_withdrawn(withdrawn)  # a wrong name is said before large tables are read
    if not source.exists():
        raise InputError(f"{source} does not exist: give a folder of scans, or a .tsv or .csv table of scans")
    if choice != USUAL and (is_prepared(source) or not source.is_dir()):
        raise InputError(f"{source} is no folder of scans: --filter and --suffix choose among the files of one")
    if is_prepared(source):
        visits = read_prepared_visits(source)  # the scans themselves may be elsewhere by now
        visits = remaining(visits, withdrawn).reset_index(drop=True)
        return ScanInventory(visits, pd.DataFrame(columns=["path", "reason"]), "a folder of prepared scans")
    rules = CellRules(bounds, strict)
    visits, skipped, layout = _read_folder(source, choice, rules) if source.is_dir() else _read_table(source, rules)
    visits = remaining(visits, withdrawn).reset_index(drop=True)
    if rescans and source.is_dir():
        visits = in_time(with_rescans(visits))
    usable = []
    for path in track(visits["path"], "Opening scans", console=Console(stderr=True), disable=not check, transient=True):
        fault = _fault(path, check)
        usable.append(not fault)
        skipped += [(path, fault)] if fault else []
        if strict and skipped:
            raise InputError(": ".join(skipped[0]))
    left_out = pd.DataFrame(skipped, columns=["path", "reason"])
    if not any(usable):
        raise InputError(f"{source} has no scan that can be used: {listing(reasons(left_out))}")
    return ScanInventory(visits[usable].reset_index(drop=True), left_out, layout)


def reasons(skipped: pd.DataFrame) -> list[str]:
    """Write the rows of `ScanInventory.skipped` as text."""
    return [f"{path}: {reason}" for path, reason in skipped.itertuples(index=False)]


def _read_table(path: Path, rules: CellRules) -> tuple[pd.DataFrame, Skipped, str]:
    visits, skipped = read_scan_table(path, rules)
    visits, remarks = with_years(in_time(visits))
    for remark in remarks:
        rank_zero_info(remark)
    return in_time(_complete(visits)), skipped, "table"


def _read_folder(root: Path, choice: Choice, rules: CellRules) -> tuple[pd.DataFrame, Skipped, str]:
    fitting = [layout for layout in LAYOUTS if layout.recognises(root, choice)]
    if not fitting:
        raise InputError(_nothing(root, choice))
    remark = "".join(f", and its {layout.name} scans are left alone" for layout in fitting[1:])
    rank_zero_info(f"{root} is read as {fitting[0].name}{remark}")
    return _complete(describe(fitting[0].read(root, choice), root, rules)), [], fitting[0].name


def _nothing(root: Path, choice: Choice) -> str:
    suffixes: tuple[Suffix, ...] = get_args(Suffix)
    present = [suffix for suffix in suffixes if any(each.recognises(root, Choice(suffix)) for each in LAYOUTS)]
    if present:
        return f"{root} has no {choice.suffix} scans, but {' and '.join(present)}: choose by --suffix"
    if holds_dicom(root):
        return f"{root} holds DICOM files: {DICOM}"
    return (
        f"{root} has no sub-*/[ses-*/]anat/*_{choice.suffix}.nii[.gz] (BIDS), no [subjects/]sub-*/ses-*/"
        f"{PIPELINES[choice.suffix]} (CAPS), no OAS3*_MR_d* (OASIS-3) and no *_{FIELDS.get(choice.suffix, '20252')}_*_0"
        "[.zip] (UK Biobank): give the root of such a folder, or a table"
    )


def _complete(visits: pd.DataFrame) -> pd.DataFrame:
    """Put the columns in order, and give them their types."""
    scores = [name for name in visits.columns if name not in (*COLUMNS, "time")]
    texts = {name: visits[name].astype(object).where(visits[name].notna(), None) for name in TRAITS}
    numbers = {name: visits[name].astype("float64") for name in ("age", "years", "entry_years")}
    return visits.assign(**numbers, **texts)[[*COLUMNS, *scores]]


def _fault(path: str, check: bool) -> str:
    return absence(Path(path)) or (check and problem(Path(path))) or ""
