"""Children forked from a parent that has imported everything: a call of the command line without the 10 s of imports.

The parent neither trains nor starts threads of torch, so that a child is what a fresh process would be.
"""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MEMORY = 6 * 2**30
"""Bytes of memory beyond those of the parent that a child may ask for: a header that promises more is to be refused."""
NOBODY = 65534
KILLED = -signal.SIGKILL


class Ended(NamedTuple):
    """How a child ended.

    Attributes:
        code: Its exit code, or minus the signal.
        hung: Whether it was killed because its time was up.
        said: Standard output and standard error.
        seconds: How long it took, without the time for which others had the processor.
    """

    code: int
    hung: bool
    said: str
    seconds: float


def call(work: Callable[[], None], folder: Path, log: Path, limit: float, powerless: bool = False) -> Ended:
    """Run a function in a forked child, in a folder, and wait for it.

    Args:
        work: The function; SystemExit is its exit code, and any other exception a traceback and 1.
        folder: Where the child works; its home and its temporary files lie in it.
        log: Where it says what it says.
        limit: Seconds until it, and what it has started, is killed.
        powerless: Give up the rights of root, to whom no file is closed.
    """
    pid = start(work, folder, log, powerless)
    code, seconds = await_end(pid, limit)
    if code is None:
        kill(pid)
    return Ended(KILLED if code is None else code, code is None, log.read_text(errors="replace"), seconds)


def start(work: Callable[[], None], folder: Path, log: Path, powerless: bool = False) -> int:
    """Fork a child that runs a function in a process group of its own, and return its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _child(work, folder, log, powerless)
    return pid


def await_end(pid: int, limit: float) -> tuple[int | None, float]:
    """Wait for a child and return its exit code, or None when the time is up, and the seconds that it has had.

    The time for which it was ready to run, and others had the processor, does not count.
    """
    began, seconds = time.monotonic(), 0.0
    while seconds < limit:
        seconds = max(seconds, time.monotonic() - began - queued(pid))
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), seconds
        time.sleep(0.005)
    return None, seconds


def queued(pid: int) -> float:
    """Return the seconds for which a process has waited for a processor."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def kill(pid: int) -> None:
    """Kill a child and what it has started, by SIGKILL."""
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _child(work: Callable[[], None], folder: Path, log: Path, powerless: bool) -> None:
    code: int | None = None
    try:
        os.setsid()
        _settle(folder, log)
        if powerless and os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        if code is None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if code is None else code)


def _settle(folder: Path, log: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), 1)
    os.dup2(1, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(folder)
    os.environ |= {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "tmp")}
    os.environ |= {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY, own + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
