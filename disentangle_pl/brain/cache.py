"""Prepared scans that nobody asked to keep: a folder for each set of scans and preparation, made once."""

import hashlib
import json
from pathlib import Path

import pandas as pd
from rich.progress import track

from disentangle_pl.brain.image_files import opened, size_and_time
from disentangle_pl.brain.nifti import check_scan
from disentangle_pl.brain.prepared import ABOUT, JOURNAL, PreparedScans, open_prepared
from disentangle_pl.brain.preparing import HASHES, alone, finish, make, open_store
from disentangle_pl.brain.scan_files import write_bytes
from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.visits import reasons
from disentangle_pl.brain.volumes import Preparation
from disentangle_pl.errors import InputError


def prepare(visits: pd.DataFrame, preparation: Preparation, cache: Path, jobs: int = 1) -> PreparedScans:
    """Prepare every scan once, and open the result.

    The folder `<key>` is named after the contents of the scans, their order and the preparation: if any of them
    changes, a new folder is made beside the old one, of what the old ones hold already and what is new, and otherwise
    it is opened at once. A killed preparation goes on. Processes that call this at the same time wait for the first.

    Args:
        visits: Table of `read_visits`, N rows.
        preparation: What to do with each scan.
        cache: Folder, made if need be.
        jobs: Processes; -1 for one a core.

    Returns:
        The N scans, in the order of `visits`.

    Raises:
        InputError: If scans cannot be used; the message lists all of them.
    """
    with alone(cache):
        hashes = content_hashes([Path(path) for path in visits["path"]], cache / HASHES)
    hashed = visits[["participant_id", "session_id", "path"]].assign(sha256=hashes)
    folder = cache / _key(hashed, preparation)
    if not (folder / ABOUT).is_file():
        _refuse([fault for path in visits["path"] if (fault := _fault(Path(path)))], len(visits))
        with alone(folder):
            if not (folder / ABOUT).is_file():
                stores = [path.parent for path in sorted(cache.glob(f"*/{JOURNAL}")) if path.parent != folder]
                store = open_store(folder, preparation)
                result = make(store, hashed, preparation, jobs, stores=stores)
                _refuse(reasons(result.skipped), len(visits))
                finish(store, result.ready, preparation)
    return open_prepared(folder)


def content_hashes(paths: list[Path], known_at: Path) -> list[str]:
    """Return the sha256 of each file, read again only if size or time of change differ.

    Args:
        paths: The files.
        known_at: JSON file that remembers size, time of change and hash of every path.

    Raises:
        InputError: If a file cannot be read.
    """
    hashes = json.loads(known_at.read_text()) if known_at.exists() else {}
    stamps = {str(path): [*size_and_time(path)] for path in paths}
    new = [path for path, stamp in stamps.items() if hashes.get(path, [None])[:2] != stamp]
    for path in track(new, "Looking for changed scans", disable=not new, transient=True):
        hashes[path] = [*stamps[path], _sha256(path)]
    if new:
        write_bytes(known_at, json.dumps(hashes).encode())
    return [hashes[str(path)][2] for path in paths]


def _sha256(path: str) -> str:
    try:
        with opened(Path(path)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from error


def _key(hashed: pd.DataFrame, preparation: Preparation) -> str:
    rows = hashed.drop(columns="path").to_csv(index=False)
    return hashlib.sha256((preparation.key + rows).encode()).hexdigest()[:20]


def _fault(path: Path) -> str | None:
    try:
        check_scan(path)
    except InputError as error:
        return str(error)
    return None


def _refuse(problems: list[str], n: int) -> None:
    if problems:
        raise InputError(f"{len(problems)} of {n} scans cannot be used: {listing(problems)}")
