"""A Python that has imported the package already, for tests in which other programs start it anew.

The imports take ten seconds of a processor, which here one process spends once for all tests. `warm_python` names a
program that takes the arguments of `python`: what `-m` of one of MODULES would run, a fork of that process runs, with
the arguments, environment, folder and standard files of the caller; so it does with the code of `-u -c`, by which the
processes among which tests are divided begin. The program hands its signals on to the fork, ends
as the fork ends, and if it is killed, so is the fork. Everything else the real Python does. The process that forks has
started no thread and run nothing, so that a fork is what a new process would be.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = "WARM_PYTHON"  # names the folder of this session in the environment
MODULES = ("disentangle_pl", "torch.distributed.run", "sphinx")
# W&B first: its import looks through all modules that are there, again and again
IMPORTED = ("wandb", "disentangle_pl.cli", "disentangle_pl.verbs", "torch.distributed.run", "sphinx.application")
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
LARGEST = 2**18  # bytes of arguments and environment


class Fork(NamedTuple):
    """A fork at work.

    Attributes:
        pid: Its process.
        end: A file descriptor that is ready when it has ended.
        caller: The connection to the program whose work it does.
    """

    pid: int
    end: int
    caller: socket.socket


def make_program() -> Path:
    """Write the program into a new folder, to which FOLDER points from now on, and return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {__file__} {folder}/socket {sys.executable} "$0" "$@"\n')
    program.chmod(0o755)
    os.environ[FOLDER] = str(folder)
    return folder


@cache
def warm_python() -> str:
    """Return the path of the program; the first call of a session starts the process that forks."""
    folder = Path(os.environ[FOLDER])
    # Where it cannot bind, another worker of this session has started it.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, suppress(OSError):
        listener.bind(f"{folder}/socket")
        listener.listen(64)
        of_tests = ("WANDB", "SLURM", "DISENTANGLE", "TORCHELASTIC")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(of_tests)}
        listener.set_inheritable(True)
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", __file__, str(listener.fileno()), str(_session())],
            clean | {"PYTHONPATH": str(Path(__file__).parents[1])},
            file_actions=[(os.POSIX_SPAWN_OPEN, file, os.devnull, os.O_RDWR, 0) for file in (0, 1)],
            setsid=True,
        )
    return str(folder / "python")


def _session() -> int:
    """Return the process at whose end no test is left."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def ask(address: str, python: str, program: str, *args: str) -> None:
    """Let a fork do the work of this process, or Python itself if it is other work."""
    if args[:2] != ("-u", "-c") and (args[:1] != ("-m",) or args[1] not in MODULES):
        os.execv(python, [python, *args])
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(address)
        call = {"program": program, "args": args, "folder": str(Path.cwd()), "env": dict(os.environ)}
        socket.send_fds(server, [json.dumps(call).encode()], [0, 1, 2])
        for number in SIGNALS:
            signal.signal(number, lambda number, frame: server.send(bytes([number])))
        code = int(server.recv(8) or 1)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def serve(listener: socket.socket, session: int) -> tuple[bytes, list[int]] | None:
    """Fork for every caller until the session has ended.

    Returns:
        Within a fork: what its caller has sent, and three standard files; None at the end.
    """
    with selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        ready.register(os.pidfd_open(session), selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fd not in ready.get_map():
                    continue  # its fork has ended meanwhile
                if isinstance(key.data, Fork):
                    _attend(ready, key.data, key.fd)
                    continue
                if key.fileobj is not listener:
                    return None
                caller, _ = listener.accept()
                call, files, _, _ = socket.recv_fds(caller, LARGEST, 3)
                pid = os.fork() if call else -1
                if pid == 0:
                    caller.close()
                    for each in list(ready.get_map().values()):
                        each.fileobj.close() if isinstance(each.fileobj, socket.socket) else os.close(each.fd)
                    return call, files
                for file in files:
                    os.close(file)
                if pid > 0:
                    os.setpgid(pid, pid)
                    fork = Fork(pid, os.pidfd_open(pid), caller)
                    ready.register(caller, selectors.EVENT_READ, fork)
                    ready.register(fork.end, selectors.EVENT_READ, fork)


def _attend(ready: selectors.BaseSelector, fork: Fork, place: int) -> None:
    if place == fork.end:
        _, status = os.waitpid(fork.pid, 0)
        with suppress(OSError):  # the caller has gone
            fork.caller.send(str(os.waitstatus_to_exitcode(status)).encode())
        with suppress(KeyError):
            ready.unregister(fork.caller)
        ready.unregister(fork.end)
        os.close(fork.end)
        fork.caller.close()
        return
    with suppress(ProcessLookupError, BlockingIOError):
        number = fork.caller.recv(1, socket.MSG_DONTWAIT)
        if number:
            os.kill(fork.pid, number[0])
        else:
            ready.unregister(fork.caller)
            os.killpg(fork.pid, signal.SIGKILL)


def work(call: bytes, files: list[int]) -> None:
    """Do in this process, a fork, what a caller has been started for."""
    given: dict[str, Any] = json.loads(call)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    media = import_module("wandb.sdk.data_types._private").MEDIA_TMP  # a folder that would end with the first fork
    media._finalizer.detach()
    media.__init__("wandb-media")
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["env"])
    assert isinstance(sys.stdout, TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    option, module, *args = given["args"]
    if option == "-u":
        sys.argv = ["-c"]
        exec(args[0], {"__name__": "__main__"})  # noqa: S102
        return
    sys.executable = given["program"]
    sys.argv = [module, *args]
    named = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [given["folder"], *named, *sys.path[1:]]
    ranks = import_module("lightning.fabric.utilities.rank_zero")
    ranks.rank_zero_only.rank = ranks._get_rank() or 0  # which the import has taken from the environment
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Be the program, or the process that forks."""
    if len(sys.argv) > 3:
        ask(*sys.argv[1:])
    file, session = map(int, sys.argv[1:])
    with socket.socket(fileno=file) as listener:
        for name in IMPORTED:
            import_module(name)
        gc.collect()
        gc.freeze()
        fork = serve(listener, session)
    if fork:
        work(*fork)


if __name__ == "__main__":
    main()
