"""A Slurm of one node for the tests, and the templates of `cluster` submitted to it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command_line import ROOT

HERE = ROOT / "cluster" / "slurm_here.sh"
DAEMONS = ("slurmctld", "slurmd", "munged", "sbatch")
SMALL = ["--nodes=1", "--gpus-per-node=0", "--cpus-per-task=1", "--time=10"]
PATIENCE = 150.0  # seconds, on a machine with other things to do


def why_not() -> str:
    """Say why there can be no Slurm here, or nothing."""
    missing = [name for name in DAEMONS if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "slurmd must be started as root"


class Slurm:
    """A running Slurm.

    Args:
        folder: A new folder for all that it writes.
    """

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        # At most 107 bytes for the path of a socket.
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "WANDB"))}
        self.env = clean | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "SLURM_HERE_PORT": str(port),
            "VENV": sys.prefix,
            "OMP_NUM_THREADS": "1",
            "WANDB_MODE": "disabled",
            "PYTHONPATH": str(ROOT),
            "DISENTANGLE_PL_RUN_ID": "",
            "DISENTANGLE_PL_REQUEUE": "",
        }
        self.call(str(HERE), "start", str(folder))

    def call(self, *command: str, **env: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = subprocess.run(command, env=self.env | env, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, template: str, log: Path, *args: str, flags: tuple[str, ...] = (), **env: str) -> str:
        """Submit a template and return the id of the job; VENV names another environment than that of the tests."""
        options = [*SMALL, *flags, f"--output={log}", "--parsable"]
        return self.call("sbatch", *options, str(ROOT / "cluster" / template), *args, **env).strip()

    def state(self, job: str) -> str:
        """Return PENDING, RUNNING, COMPLETED ... of a job or array element."""
        fields = self.call("scontrol", "show", "job", job).split()
        return next(field.removeprefix("JobState=") for field in fields if field.startswith("JobState="))

    def wait(self, job: str, *states: str, log: Path) -> None:
        """Wait until a job is in one of the states; a job that waits for its turn gets it at once."""
        self.wait_for(lambda: self.state(job) in states, log)

    def start_now(self, job: str, log: Path) -> None:
        """Start a requeued job now, not in the two minutes that Slurm gives its node."""
        self.wait_for(lambda: self.call("sinfo", "--noheader", "--format=%T").strip() == "idle", log)
        time.sleep(4)  # the end of the first start, if it is told late, would be taken for that of the second
        self.call("scontrol", "update", f"JobId={job}", "StartTime=now")

    def stop(self) -> None:
        """End everything."""
        self.call(str(HERE), "stop", str(self.folder))

    def wait_for(self, there: Callable[[], bool], log: Path, patience: float = PATIENCE) -> None:
        """Wait until something is there, and say what is known if it never is."""
        deadline = time.monotonic() + patience
        while not there():
            if time.monotonic() > deadline:
                said = log.read_text() if log.is_file() else "no log"
                daemons = [path.read_text()[-1500:] for path in (self.folder / "log").glob("slurm*.log")]
                pytest.fail("\n".join([f"waited {patience:.0f} s in vain", said, self.call("squeue"), *daemons]))
            time.sleep(0.2)
