"""The processes of a sweep's runs: at most one for each, even when the coordinator was killed."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from disentangle_pl.folder_lock import NO_FLOCK

PATIENCE = 60.0  # seconds for a checkpoint to be written
LOCK = ".process"


class Process:
    """A run's process, in a group of its own; it holds a lock that outlives the coordinator, where there is flock.

    Args:
        command: What to run.
        folder: The run folder; output goes to `output.log` there.
        env: The environment.

    Raises:
        BlockingIOError: If an earlier process of this run is still alive.
        OSError: If the command cannot be started.
    """

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _open_lock(folder)
        try:
            if not _free(lock):
                raise BlockingIOError(f"a process is at work in {folder}")
            with (folder / "output.log").open("ab") as log:
                self._popen = subprocess.Popen(
                    list(command),
                    env=dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock],
                    start_new_session=True,
                )
        finally:
            os.close(lock)  # the child keeps its copy
        self.pid = self._popen.pid
        self.device = env.get("CUDA_VISIBLE_DEVICES", "")
        self.started = time.monotonic()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._popen.poll()

    def stop(self) -> None:
        """Ask the run to write a checkpoint and leave."""
        signal_group(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the run and all its processes at once."""
        signal_group(self.pid, signal.SIGKILL)
        self._popen.wait()


def end_leftover(folder: Path, pid: int | None, patience: float = PATIENCE) -> None:
    """End a process that an earlier, killed coordinator has left at work on a run, after it has saved a checkpoint.

    Without a known process the function waits until the run has ended by itself.

    Args:
        folder: The run folder.
        pid: The process that was written down for the run.
        patience: Seconds between the request and the kill.
    """
    if not (folder / LOCK).is_file():
        return
    lock = _open_lock(folder)

    def ended() -> bool:
        return _free(lock) and not (pid and _works_for(pid, folder.name))

    try:
        if pid is not None and not ended():
            signal_group(pid, signal.SIGTERM)
            deadline = time.monotonic() + patience
            while not ended() and time.monotonic() < deadline:
                time.sleep(0.1)
            if not ended():
                signal_group(pid, signal.SIGKILL)
        while not ended():
            time.sleep(0.1)
    finally:
        os.close(lock)


def signal_group(pid: int, what: signal.Signals) -> None:
    """Send a signal to a process and all its descendants; to nobody if they have gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, what)


def _open_lock(folder: Path) -> int:
    return os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)


def _free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_FLOCK:
            raise
    return True


def _works_for(pid: int, run: str) -> bool:
    """Tell by its environment whether a process is one of a run: without flock nothing else says so."""
    try:
        return f"WANDB_RUN_ID={run}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
