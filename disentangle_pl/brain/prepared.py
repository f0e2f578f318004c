"""A folder of prepared scans: one array and one table, and how they were made."""

import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.progress import track

from disentangle_pl.brain.fields import KEYS
from disentangle_pl.brain.journal import Journal
from disentangle_pl.brain.quality import CENTRE
from disentangle_pl.brain.scan_files import write_bytes
from disentangle_pl.brain.tables import listing
from disentangle_pl.errors import InputError

VOLUMES, INDEX, ABOUT, JOURNAL = "volumes.npy", "index.parquet", "prepared.json", "journal.jsonl"
CHECKED = "volumes.checked.json"
"""Remembers size, time of change and CRC-32 of the volumes that were found to be those that were prepared."""
_INDEX_COLUMNS = ["sha256", "row", *CENTRE]

Volumes = np.memmap[tuple[int, ...], np.dtype[np.float16]]


class PreparedScans(NamedTuple):
    """Scans that are ready.

    Attributes:
        volumes: (N, D, H, W) float16, read-only.
        visits: N rows, the table of `read_visits` that they were made from; row i is volume i.
        crcs: (N,) CRC-32 of the bytes of the volumes.
        centres: (N, 3) the middles of the volumes, in mm (see `CENTRE`).
    """

    volumes: Volumes
    visits: pd.DataFrame
    crcs: pd.Series
    centres: npt.NDArray[np.float64]


def is_prepared(folder: Path) -> bool:
    """Tell whether a folder is one of prepared scans, finished or not."""
    return any((folder / name).is_file() for name in (ABOUT, JOURNAL))


def read_about(folder: Path) -> dict[str, Any]:
    """Read how the scans of a folder were prepared.

    Raises:
        InputError: If the preparation is not finished, or the file is damaged.
    """
    if not (folder / ABOUT).is_file():
        raise InputError(f"{folder} holds a preparation that is not finished: give disentangle-pl prepare once more")
    try:
        about: dict[str, Any] = dict(json.loads((folder / ABOUT).read_text()))
        about["shape"], about["settings"]["size"], about["settings"]["spacing"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(folder, error) from error
    return about


def read_index(folder: Path) -> pd.DataFrame:
    """Read the table of visits that a folder was prepared from, with the columns sha256, row and `CENTRE`.

    Raises:
        InputError: As `read_about`.
    """
    read_about(folder)
    try:
        index = pd.read_parquet(folder / INDEX)
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    columns = index.columns.difference([*KEYS, "path", *_INDEX_COLUMNS])
    texts = index[columns].select_dtypes(exclude="number").columns
    return index.assign(**{name: index[name].astype(object).where(index[name].notna(), None) for name in texts})


def read_prepared_visits(folder: Path) -> pd.DataFrame:
    """Read the table of visits that a folder was prepared from; row i is volume i. The scans need not be there.

    Raises:
        InputError: As `read_about`.
    """
    return read_index(folder).drop(columns=_INDEX_COLUMNS)


def open_prepared(folder: Path) -> PreparedScans:
    """Open prepared scans.

    The first time after a change of the array it is read to the end, and compared with what was prepared.

    Raises:
        InputError: As `read_about`; also if array and table do not belong together, a volume is not the one that was
            prepared, or one has a voxel that is no finite number.
    """
    shape = tuple(read_about(folder)["shape"])
    index = read_index(folder)
    try:
        volumes: Volumes = np.lib.format.open_memmap(folder / VOLUMES, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    if volumes.shape != shape or len(index) != shape[0] or volumes.dtype != np.float16:
        raise _damaged(folder, f"an array {volumes.shape}, a table of {len(index)} rows, and {shape} in {ABOUT}")
    centres = index[list(CENTRE)].to_numpy(np.float64, copy=True)
    return PreparedScans(volumes, index.drop(columns=_INDEX_COLUMNS), _checked(folder, volumes, index), centres)


def _checked(folder: Path, volumes: Volumes, index: pd.DataFrame) -> pd.Series:
    """Return the CRC-32 (N,) of the volumes; each is computed only if the file has changed since."""
    state = (folder / VOLUMES).stat()
    stamp = {"size": state.st_size, "mtime_ns": state.st_mtime_ns}
    try:
        remembered = dict(json.loads((folder / CHECKED).read_text()))
        if {name: remembered[name] for name in stamp} == stamp and len(remembered["crcs"]) == len(index):
            return pd.Series(remembered["crcs"], index=index.index, dtype=np.int64)
    except (OSError, ValueError, TypeError, KeyError):
        pass  # never checked, or torn
    done = Journal(folder / JOURNAL).done
    crcs, wrong = [], []
    rows = list(zip(index["participant_id"], index["session_id"], index["sha256"], strict=True))
    shown = track(rows, "Checking prepared scans", console=Console(stderr=True), transient=True)
    for volume, (who, session, sha256) in zip(volumes, shown, strict=True):
        crcs.append(zlib.crc32(volume.tobytes()))
        if not np.isfinite(volume).all() or (sha256 in done and done[sha256].crc != crcs[-1]):
            wrong.append(f"{who} {session}")
    if wrong:
        raise _damaged(folder, f"{len(wrong)} volumes are not those that were prepared, or hold NaN: {listing(wrong)}")
    with suppress(OSError):  # a folder that is read only is checked every time
        write_bytes(folder / CHECKED, json.dumps({**stamp, "crcs": crcs}).encode())
    return pd.Series(crcs, index=index.index, dtype=np.int64)


def agreed_geometry(
    folder: Path, size: tuple[int, int, int] | None, spacing: float | None
) -> tuple[tuple[int, int, int], float]:
    """Return size and spacing of prepared scans.

    Args:
        folder: Of prepared scans.
        size: Expected voxels, None for any.
        spacing: Expected edge in mm, None for any.

    Raises:
        InputError: If they are others than expected; also as `read_about`.
    """
    settings = read_about(folder)["settings"]
    stored = tuple(settings["size"]), settings["spacing"]
    if (tuple(size) if size else stored[0], spacing or stored[1]) != stored:
        raise InputError(
            f"{folder} holds scans of {list(stored[0])} voxels of {stored[1]} mm, not {list(size or stored[0])} of "
            f"{spacing or stored[1]} mm: give null for size and spacing to take them as they are, or prepare anew"
        )
    return stored


def _damaged(folder: Path, why: object) -> InputError:
    return InputError(
        f"the prepared scans in {folder} are damaged ({why}): give disentangle-pl prepare once more, or delete the "
        "folder if it is in a cache"
    )
