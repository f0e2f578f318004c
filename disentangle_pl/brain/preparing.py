"""Fill a folder of prepared scans, scan by scan, so that a kill at any moment loses the scan in hand and no more."""

import errno
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from filelock import FileLock, Timeout
from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import track

from disentangle_pl.brain.contact_sheet import draw_sheets
from disentangle_pl.brain.journal import Journal
from disentangle_pl.brain.prepared import ABOUT, INDEX, JOURNAL
from disentangle_pl.brain.quality import CENTRE, likeness, quality_table
from disentangle_pl.brain.scan_files import write_bytes
from disentangle_pl.brain.store import Store
from disentangle_pl.brain.volumes import RECIPE, Preparation, Prepared, attempts
from disentangle_pl.errors import InputError

QUALITY, LOCK, HASHES = "quality.tsv", ".lock", "contents.json"
PACKAGES = ("disentangle_pl", "nibabel", "nilearn", "numpy", "scipy", "SimpleITK", "torchio")

log = logging.getLogger(__name__)


class StoreContents(NamedTuple):
    """What became of the scans of a table.

    Attributes:
        reused: How many were there.
        skipped: Columns path and reason, of those that cannot be prepared.
        ready: The others, rows of the table, and the column key: what their volumes are made of.
    """

    reused: int
    skipped: pd.DataFrame
    ready: pd.DataFrame


def open_store(folder: Path, preparation: Preparation) -> Store:
    """Open a folder for writing; the caller holds its lock.

    Raises:
        InputError: If it holds volumes of other settings, or something else.
    """
    store = Store(folder, preparation)
    recipe, stored = {"recipe": RECIPE, **preparation.settings}, store.journal.settings
    if stored and stored.get("recipe") != RECIPE:
        raise InputError(
            f"{folder} holds scans prepared by another version of this program (recipe {stored.get('recipe')}, now "
            f"{RECIPE}), which can be trained on, but not added to: give another folder"
        )
    other = [name for name in recipe | stored if stored and stored.get(name) != recipe.get(name)]
    if other:
        differences = "; ".join(f"{name} {_words(stored.get(name))}, not {_words(recipe.get(name))}" for name in other)
        raise InputError(f"{folder} holds scans prepared with {differences}: give another folder, or the same settings")
    if not stored:
        own_files = {LOCK, HASHES}
        if any(path.name not in own_files and path.name != JOURNAL for path in folder.iterdir()):
            raise InputError(f"{folder} holds other files: give a new folder, or one of prepared scans")
        store.journal.write(settings=recipe)
    return store


def make(
    store: Store,
    visits: pd.DataFrame,
    preparation: Preparation,
    jobs: int = 1,
    strict: bool = False,
    stores: Iterable[Path] = (),
) -> StoreContents:
    """Prepare what is missing of a table of scans.

    Args:
        store: Of `open_store`.
        visits: Table of `read_visits` and the column sha256.
        preparation: What to do with each scan.
        jobs: Processes; -1 for one a core.
        strict: Stop at the first scan that cannot be prepared.
        stores: Further folders whose volumes may be copied.

    Raises:
        InputError: In strict mode, if a scan cannot be prepared.
    """
    visits = visits.assign(key=_keys(visits, preparation))
    paths = visits.drop_duplicates("key").set_index("key")["path"]
    _copy(store, _absent(store, paths), stores, preparation)
    reused = int(visits["key"].isin(list(store.places)).sum())
    reasons = _work(store, _groups(store, visits, preparation), preparation, jobs, strict)
    given = visits["key"].map(reasons)
    skipped = pd.DataFrame({"path": visits["path"], "reason": given})[given.notna()].reset_index(drop=True)
    return StoreContents(reused, skipped, visits[given.isna()].reset_index(drop=True))


def finish(store: Store, visits: pd.DataFrame, preparation: Preparation) -> pd.DataFrame:
    """Write the files that readers take; `prepared.json` goes first and comes last.

    Args:
        store: Holds a volume for every row of `visits`.
        visits: At least one row of `StoreContents.ready`, in the order that the volumes shall have.
        preparation: What made the volumes.

    Returns:
        Table of `quality_table` with participant_id and session_id.
    """
    folder, order = store.folder, visits["key"].tolist()
    (folder / ABOUT).unlink(missing_ok=True)
    rows = store.arrange(order)
    facts = pd.DataFrame([store.facts(key) for key in order])
    quality = quality_table(visits[["participant_id", "session_id"]].join(facts), likeness(rows.volumes))
    index = visits.drop(columns="key").assign(row=range(len(visits)), **{name: facts[name] for name in CENTRE})
    write_bytes(folder / INDEX, index.to_parquet(index=False))
    write_table(folder / QUALITY, quality)
    draw_sheets(folder, quality, rows.volume)
    about = {
        "recipe": RECIPE,
        "key": preparation.key,
        "shape": [len(order), *preparation.size],
        "dtype": "float16",
        "axes": "scan, left to right, posterior to anterior, inferior to superior",
        "settings": preparation.settings,
        "versions": {name: version(name) for name in PACKAGES},
    }
    write_bytes(folder / ABOUT, (json.dumps(about, indent=1) + "\n").encode())
    return quality


def _words(setting: Any) -> str:
    """Write a setting of `Preparation.settings` as text."""
    if isinstance(setting, dict):
        parts = [f"{name} {_words(part)}" for name, part in setting.items() if name != "class"]
        return f"{setting['class']}{' (' + ', '.join(parts) + ')' if parts else ''}"
    if isinstance(setting, list):
        return " ".join(map(_words, setting)) or "none"
    return f"{setting:g}" if isinstance(setting, float) else "none" if setting is None else str(setting)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make a folder, and wait until no other process prepares it; what goes wrong in writing is one sentence.

    Raises:
        InputError: If the folder cannot be written to.
        OSError: If the disk is full; it names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("another process prepares %s: waiting for it", folder)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise InputError(f"{folder} cannot be written to ({error.strerror or error}): what is done stays") from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a .tsv file in one step, `n/a` where a value is missing."""
    write_bytes(path, table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g").encode())


def _absent(store: Store, paths: pd.Series) -> pd.Series:
    return paths[[sha256 not in store.places for sha256 in paths.index]]


def _copy(store: Store, missing: pd.Series, stores: Iterable[Path], preparation: Preparation) -> None:
    for other in stores if len(missing) else ():
        if Journal(other / JOURNAL).settings == store.journal.settings:
            source = Store(other, preparation)
            for sha256 in _absent(store, missing).index.intersection(list(source.places)):
                store.add(sha256, source.content(sha256), source.facts(sha256))


def _keys(visits: pd.DataFrame, preparation: Preparation) -> "pd.Series[str]":
    """Tell what a volume is made of: a scan, and the others of the person, if they are aligned together."""
    if preparation.midspace is None:
        return visits["sha256"]
    people = visits.groupby("participant_id")["sha256"].transform(lambda scans: " ".join(sorted(set(scans))))
    scans_of_people = visits["sha256"] + " of " + people
    return scans_of_people.map(lambda text: hashlib.sha256(text.encode()).hexdigest())


def _groups(store: Store, visits: pd.DataFrame, preparation: Preparation) -> list["pd.Series[str]"]:
    """Return the paths, by key, of what is prepared in one go, in the order of the table."""
    scans_by_key = visits.drop_duplicates("key").set_index("key")
    if preparation.midspace is None:
        return [scans_by_key.loc[[key], "path"] for key in _absent(store, scans_by_key["path"]).index]
    people = [scans["path"] for _, scans in scans_by_key.groupby("participant_id", sort=False)]
    return [scans for scans in people if len(_absent(store, scans))]


def _work(
    store: Store, groups: list["pd.Series[str]"], preparation: Preparation, jobs: int, strict: bool
) -> dict[str, str]:
    """Prepare in the order of the table, whatever the number of processes, and return what is wrong by key."""
    results: Iterable[list[Prepared | str]] = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(attempts)([Path(path) for path in group], preparation) for group in groups
    )
    shown = track(results, "Preparing scans", total=len(groups), console=Console(stderr=True), disable=not groups)
    reasons = {}
    for group, outcomes in zip(groups, shown, strict=True):
        for (key, path), result in zip(group.items(), outcomes, strict=True):
            if isinstance(result, str):
                if strict:
                    raise InputError(f"{path} {result}")
                log.warning("%s %s", path, result)
                reasons[str(key)] = result
            elif key not in store.places:
                store.add(str(key), result.volume.tobytes(), result.facts)
    return reasons
