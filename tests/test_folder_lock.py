"""Locks of folders: with flock, without it, and of machines that have died."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.folder_lock import SILENCE, FolderLock
from disentangle_pl.run_state import CRASHED, RUNNING, Claim, read_state
from disentangle_pl.sweeps.processes import Process, end_leftover

DEAD = 2**22 + 1  # beyond the largest process id of Linux


@pytest.fixture(params=[None, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=["flock", "lockd", "fuse", "none"])
def flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """Take flock away from the file system, in one of the ways that there are."""
    code: int | None = request.param
    if code is not None:
        monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
    return code


def held_by(folder: Path, host: str, pid: int, age: float = 0.0) -> None:
    """Leave the marker of a process on a file system without flock."""
    marker = folder / ".lock.held"
    marker.write_text(json.dumps({"host": host, "pid": pid}))
    (folder / ".lock").touch()
    os.utime(marker, (time.time() - age, time.time() - age))


def test_one_process_at_a_time_works_in_a_run_folder(flock: int | None, tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    assert read_state(tmp_path).name == RUNNING
    with pytest.raises(InputError, match=rf"another process is at work in .*process {os.getpid()} on .*--run_id"):
        Claim(tmp_path)
    claim.release()
    assert read_state(tmp_path).name == CRASHED, "it says running, and nobody is at work"
    Claim(tmp_path).release()
    assert not (tmp_path / ".lock.held").exists()


def test_a_lock_ends_with_its_object(tmp_path: Path) -> None:
    assert FolderLock(tmp_path / ".lock").acquire()
    assert not FolderLock(tmp_path / ".lock").is_held()


@pytest.mark.parametrize("flock", [errno.ENOLCK], indirect=True)
def test_without_flock_the_lock_of_a_dead_process_of_this_machine_is_taken(flock: int, tmp_path: Path) -> None:
    held_by(tmp_path, os.uname().nodename, DEAD)
    assert not FolderLock(tmp_path / ".lock").is_held()
    assert FolderLock(tmp_path / ".lock").acquire()


@pytest.mark.parametrize("flock", [errno.ENOLCK], indirect=True)
def test_the_lock_of_a_dead_machine_can_be_told_and_released(flock: int, tmp_path: Path) -> None:
    held_by(tmp_path, "node7", 12)
    assert FolderLock(tmp_path / ".lock").is_held()
    held_by(tmp_path, "node7", 12, age=SILENCE + 60)
    assert not FolderLock(tmp_path / ".lock").is_held()
    with pytest.raises(InputError) as refusal:
        Claim(tmp_path)
    said = str(refusal.value)
    assert "process 12 on node7, last sign of life 11 minutes ago" in said
    assert f"if node7 has died, remove {tmp_path / '.lock.held'}" in said
    (tmp_path / ".lock.held").unlink()
    Claim(tmp_path).release()


def test_a_sign_of_life_moves_the_time_of_the_lock(flock: int | None, tmp_path: Path) -> None:
    claim = Claim(tmp_path)
    file = tmp_path / (".lock.held" if flock else ".lock")
    os.utime(file, (0, 0))
    claim.beat()
    assert time.time() - file.stat().st_mtime < 60
    os.utime(file, (0, 0))
    claim.beat()  # not again so soon
    assert file.stat().st_mtime == 0
    claim.release()


@pytest.mark.parametrize("flock", [None, errno.ENOLCK], indirect=True)
def test_a_process_that_a_sweep_has_left_behind_is_ended(flock: int | None, tmp_path: Path) -> None:
    env = os.environ | {"WANDB_RUN_ID": tmp_path.name}
    process = Process([sys.executable, "-S", "-c", "import time; time.sleep(60)"], tmp_path, env)
    deadline = time.monotonic() + 20
    while b"sleep" not in Path(f"/proc/{process.pid}/cmdline").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    end_leftover(tmp_path, process.pid, patience=5)
    deadline = time.monotonic() + 5  # its memory is gone before the system calls it ended
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is not None


@pytest.mark.parametrize("flock", [errno.ENOLCK], indirect=True)
def test_without_flock_a_process_of_something_else_is_left_alone(flock: int, tmp_path: Path) -> None:
    (tmp_path / ".process").touch()
    other = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
    end_leftover(tmp_path, other.pid, patience=0.1)
    assert other.poll() is None
    other.kill()
    other.wait()
