"""The folder of a genome-wide study: who writes to it, with what settings, and what its blocks have told."""

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from disentangle_pl.errors import InputError
from disentangle_pl.genetics.results import Journal

RECIPE = 5
"""Counts changes of the files of blocks, so that no study is continued by another recipe."""


def compare(theirs: dict[str, Any], ours: dict[str, Any], out: Path) -> None:
    """Refuse to go on with a study of other settings."""
    other = [name for name in ours if theirs.get(name) != ours[name]]
    if other:
        raise InputError(
            f"{out} holds a study with other {', '.join(other)}: give --out another folder, or the same settings"
        )


def lines_of(out: Path, settings: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Read the journals of all shards; every block must be done."""
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(out.glob("journal-*-of-*.jsonl")):
        lines = Journal(path).lines
        if lines:
            compare(lines[0], settings, out)
        found |= {line["block"]: line for line in lines[1:]}
    missing = [number for number in range(count) if number not in found]
    if missing:
        raise InputError(
            f"{len(missing)} of {count} blocks are not in {out}, the first is number {missing[0]}: run all shards first"
        )
    return [found[number] for number in range(count)]


def alone(out: Path, shard: tuple[int, int]) -> FileLock:
    """Lock a folder for a shard: a new one, or one of an earlier call."""
    lock = FileLock(out / f".lock-{shard[0]}-of-{shard[1]}", timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(path.name[:1] != "." for path in out.iterdir()) and not any(out.glob("journal-*-of-*.jsonl")):
            raise InputError(f"{out} holds other files: give --out a new folder, or one of this study")
        lock.acquire()
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{out} is no folder that can be written to ({error.strerror}): give another --out") from error
    except Timeout as error:
        raise InputError(f"another process writes this shard of {out}: wait for it, or give another --out") from error
    return lock
