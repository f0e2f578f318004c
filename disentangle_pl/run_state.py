"""What a run folder says of its run: whether somebody is at work in it, and how it ended."""

import json
import os
import socket
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from disentangle_pl.errors import InputError
from disentangle_pl.folder_lock import FolderLock

RUNNING, FINISHED, FAILED, CRASHED, UNKNOWN = "running", "finished", "failed", "crashed", "unknown"
PREEMPTED, STOPPED = "preempted", "stopped"
LOCK = ".lock"
STATE = "state.json"


class State(NamedTuple):
    """How a run stands.

    Attributes:
        name: `running`, `finished`, `failed`, `preempted` (a scheduler took its place; a checkpoint was written),
            `stopped` (by its sweep, by W&B or by Ctrl-C; likewise), `crashed` (its process has gone without a word), or
            `unknown` (the folder has no readable state).
        message: Why it failed, or empty.
        seconds: Wall-clock seconds of the last process that worked on it, or NaN.
    """

    name: str
    message: str = ""
    seconds: float = float("nan")


class Claim:
    """The right to work in a run folder, for one process at a time; the operating system returns it when that dies.

    Args:
        folder: The run folder; made if need be.

    Raises:
        InputError: If another process is at work in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder / LOCK)
        self._started = time.time()
        if not self._lock.acquire():
            raise InputError(
                f"another process is at work in {folder}, {self._lock.advice()}, or choose another --run_id"
            )
        self.write(RUNNING)

    def write(self, state: str, message: str = "") -> None:
        """Write the state of the run, whole or not at all.

        Args:
            state: One of the names of `State`.
            message: Why, in one sentence.
        """
        record = {
            "state": state,
            "message": message,
            "seconds": round(time.time() - self._started, 1),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("disentangle_pl"),
        }
        draft = self.folder / f"{STATE}.tmp"
        draft.write_text(json.dumps(record))
        draft.replace(self.folder / STATE)

    def beat(self) -> None:
        """Give a sign of life to processes on other machines."""
        self._lock.beat()

    def release(self) -> None:
        """Let other processes work in the folder."""
        self._lock.release()


def read_state(folder: Path) -> State:
    """Read how a run stands; a run that says it is running, though no process is at work in it, has crashed."""
    record = _record(folder)
    name = str(record.get("state", UNKNOWN))
    if name == RUNNING and not is_claimed(folder):
        name = CRASHED
    return State(name, str(record.get("message", "")), float(record.get("seconds", "nan")))


def is_claimed(folder: Path) -> bool:
    """Tell whether a process is at work in a run folder."""
    return FolderLock(folder / LOCK).is_held()


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / STATE).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
