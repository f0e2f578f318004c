"""One process at a time in a folder, also where the file system has no flock, or a machine has died with the lock."""

import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, NamedTuple

NO_FLOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
BEAT = 30.0  # seconds between two signs of life
SILENCE = 600.0  # seconds without one after which a process on another machine counts as dead


class Holder(NamedTuple):
    """Who holds a lock.

    Attributes:
        host: Its machine, or empty.
        pid: Its process, or 0.
        age: Seconds since its last sign of life.
    """

    host: str
    pid: int
    age: float

    def __str__(self) -> str:
        """Name the process, its machine, and its last sign of life if that is long ago."""
        name = f"process {self.pid} on {self.host}" if self.pid else "an unknown process"
        return name if self.age < SILENCE else f"{name}, last sign of life {self.age / 60:.0f} minutes ago"

    @property
    def elsewhere(self) -> bool:
        """Whether it runs on another machine, where this one cannot look for it."""
        return bool(self.host) and self.host != socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the process is there; of one on another machine, whether it gave a sign of life of late."""
        return self.age < SILENCE if self.elsewhere else _is_process(self.pid)


class FolderLock:
    """A lock on a folder, by flock; the operating system returns it when the process dies.

    Where the file system has no flock, a second file, made by exclusive creation, stands for the lock: it is taken from
    a process of this machine that has died, and from nobody else. The lock file names host and process, and its time is
    the last sign of life.

    Args:
        path: The lock file; its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marker = path.with_name(f"{path.name}.held")
        self._descriptor: int | None = None
        self._soft = False
        self._beaten = 0.0
        self._process = os.getpid()

    def __del__(self) -> None:
        if self._process == os.getpid():  # a forked process has a copy of this object, and no lock
            self.release()

    def acquire(self) -> bool:
        """Take the lock if it is free, and say whether that worked.

        Raises:
            OSError: If the lock file cannot be made.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            if error.errno not in NO_FLOCK:
                raise
            self._soft = self._mark()
            return self._soft
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _signature())
        return True

    def beat(self) -> None:
        """Give a sign of life, at most twice a minute."""
        if time.monotonic() - self._beaten > BEAT:
            self._beaten = time.monotonic()
            os.utime(self.marker if self._soft else self.path)

    def release(self) -> None:
        """Let others take the lock."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
        if self._soft:
            self.marker.unlink(missing_ok=True)
            self._soft = False

    def holder(self) -> Holder:
        """Return who holds the lock, as far as the lock file says."""
        return _read_holder(self.marker if self.marker.exists() else self.path)

    def is_held(self) -> bool:
        """Tell whether a process holds the lock."""
        if not self.path.is_file():
            return False
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in NO_FLOCK:
                raise
            return self.marker.exists() and self.holder().alive
        finally:
            os.close(descriptor)
        return False

    def advice(self) -> str:
        """Say who holds the lock, and how to release it if the machine of the holder has died."""
        holder, soft = self.holder(), self.marker.exists()
        if holder.elsewhere or soft:
            dead = holder.host if holder.elsewhere else "that process"
            return f"{holder}: wait for it, or, if {dead} has died, remove {self.marker if soft else self.path}"
        return f"{holder}: wait for it"

    def _mark(self) -> bool:
        for _ in range(2):
            try:
                descriptor = os.open(self.marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            except FileExistsError:
                holder = self.holder()
                if holder.elsewhere or holder.alive or not holder.pid:
                    return False
                self.marker.unlink(missing_ok=True)
                continue
            os.write(descriptor, _signature())
            os.close(descriptor)
            return True
        return False


def _signature() -> bytes:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode()


def _read_holder(path: Path) -> Holder:
    try:
        age = time.time() - path.stat().st_mtime
        record: Any = json.loads(path.read_text())
        return Holder(str(record["host"]), int(record["pid"]), age)
    except (OSError, ValueError, KeyError, TypeError):
        return Holder("", 0, 0.0)


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
