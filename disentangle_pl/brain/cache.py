"""All prepared scans in one file, made once for a set of scans and a preparation."""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import Parallel, delayed
from rich.progress import track

from disentangle_pl.brain.tables import listing
from disentangle_pl.brain.volumes import Preparation, attempt, check_scan
from disentangle_pl.errors import InputError

Volumes = np.memmap[tuple[int, ...], np.dtype[np.float16]]

log = logging.getLogger(__name__)


def prepare(visits: pd.DataFrame, preparation: Preparation, cache: Path, jobs: int = 1) -> Volumes:
    """Prepare every scan once, and open the result.

    The file `<key>.npy` is named after the contents of the scans, their order and the preparation: if any of
    them changes, a new file is made beside the old one, and otherwise it is opened at once. `<key>.tsv` tells
    which row is which scan. A killed preparation leaves `<key>.partial`, which is never opened and which the
    next one overwrites. Processes that call this at the same time wait for the first, one file at a time.

    Args:
        visits: Table of `read_visits`, N rows.
        preparation: What to do with each scan.
        cache: Folder, made if need be.
        jobs: Processes; -1 for one a core.

    Returns:
        (N, D, H, W) float16, read-only, in the order of `visits`.

    Raises:
        InputError: If scans cannot be used; the message lists all of them.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "contents.lock"):
        hashes = content_hashes([Path(path) for path in visits["path"]], cache / "contents.json")
    index = visits[["participant_id", "session_id", "path"]].assign(sha256=hashes)
    key = _key(index, preparation)
    target = cache / f"{key}.npy"
    if not target.exists():
        with FileLock(cache / f"{key}.lock"):
            if not target.exists():
                _fill(target, index, preparation, jobs)
    return np.lib.format.open_memmap(target, mode="r")


def content_hashes(paths: list[Path], known_at: Path) -> list[str]:
    """Return the sha256 of each file, read again only if size or time of change differ.

    Args:
        paths: The files.
        known_at: JSON file that remembers size, time of change and hash of every path.

    Raises:
        InputError: If a file cannot be read.
    """
    known = json.loads(known_at.read_text()) if known_at.exists() else {}
    stamps = {str(path): [path.stat().st_size, path.stat().st_mtime_ns] for path in paths}
    new = [path for path, stamp in stamps.items() if known.get(path, [None])[:2] != stamp]
    for path in track(new, "Looking for changed scans", disable=not new, transient=True):
        known[path] = [*stamps[path], _sha256(path)]
    if new:
        with _replacing(known_at) as partial:
            partial.write_text(json.dumps(known))
    return [known[str(path)][2] for path in paths]


def _sha256(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error})") from error


def _key(index: pd.DataFrame, preparation: Preparation) -> str:
    rows = index[["participant_id", "session_id", "sha256"]].to_csv(index=False)
    return hashlib.sha256((preparation.key + rows).encode()).hexdigest()[:20]


def _fill(target: Path, index: pd.DataFrame, preparation: Preparation, jobs: int) -> None:
    paths = [Path(path) for path in index["path"]]
    _refuse([problem for path in paths if (problem := _problem(path))], len(paths))
    with _replacing(target) as partial:
        shape = (len(paths), *preparation.size)
        volumes = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
            delayed(attempt)(row, path, preparation) for row, path in enumerate(paths)
        )
        problems = []
        for row, result in track(work, "Preparing scans", total=len(paths), transient=True):
            if isinstance(result, str):
                log.warning("%s", result)
                problems.append(result)
            else:
                volumes[row] = result
        _refuse(problems, len(paths))
        volumes.flush()
        index.to_csv(target.with_suffix(".tsv"), sep="\t", index_label="row")


def _problem(path: Path) -> str | None:
    try:
        check_scan(path)
    except InputError as error:
        return str(error)
    return None


def _refuse(problems: list[str], n: int) -> None:
    if problems:
        raise InputError(f"{len(problems)} of {n} scans cannot be used: {listing(problems)}")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to, which becomes `target` in one step if all went well."""
    partial = target.with_suffix(".partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
