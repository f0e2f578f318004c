"""The templates of `cluster` on a real Slurm of one node: started, told to stop, requeued, gone on, finished."""

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from disentangle_pl.run_state import FINISHED, PREEMPTED, read_state
from tests.command_line import ROOT, TINY
from tests.slurm import Slurm, why_not
from tests.test_wandb import server  # noqa: F401 - a fixture
from tests.warm_python import warm_python

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "Slurm is here")
STEPS = 400
LONG = [*TINY, f"--data.steps_per_epoch={STEPS}", "--trainer.max_epochs=4", "--trainer.log_every_n_steps=10"]


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """Start a Slurm, and leave nothing of it behind."""
    place = Path(tempfile.mkdtemp(prefix="slurm"))
    there = Slurm(place / "s")
    yield there
    there.stop()
    assert list(place.iterdir()) == []
    shutil.rmtree(place)


def steps(folder: Path) -> list[int]:
    """Return the steps of a run's rows that have a training loss."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row.get("train/loss")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make an environment whose Python has imported the package already.

    Not for processes to which Slurm sends its signals at a requeue: a fork hears of them a moment later.
    """
    programs = tmp_path_factory.mktemp("environment") / "bin"
    programs.mkdir()
    (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
    (programs / "python").symlink_to(warm_python())
    return str(programs.parent)


def stop_and_go_on(slurm: Slurm, job: str, folder: Path, log: Path) -> list[int]:
    """Send SIGUSR1 in mid-training, let the job start again and finish; return the steps written before."""
    slurm.wait_for(lambda: len(steps(folder)) > 45, log)
    slurm.call("scancel", "--signal=USR1", job)
    slurm.wait(job, "PENDING", log=log)
    assert read_state(folder).name == PREEMPTED, log.read_text()
    before = steps(folder)
    slurm.start_now(job, log)
    slurm.wait(job, "COMPLETED", "FAILED", log=log)
    said = log.read_text()
    assert slurm.state(job) == "COMPLETED", said
    assert f"job {job} is requeued" in said.replace("\n", " ")
    assert said.count("Restored all states from the checkpoint") == 1
    assert read_state(folder).name == FINISHED
    assert steps(folder) == list(range(9, 4 * STEPS, 10))
    return before


def test_a_job_is_requeued_and_goes_on(slurm: Slurm, tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    where = f"--runs_dir={tmp_path / 'runs'}"
    job = slurm.submit("job.sbatch", log, *LONG, where, flags=("--ntasks-per-node=1",))
    before = stop_and_go_on(slurm, job, tmp_path / "runs" / f"slurm-{job}", log)
    assert before
    assert len(before) < 4 * STEPS // 10
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [f"slurm-{job}"]


def test_an_agent_starts_two_processes_that_are_requeued_and_go_on_as_one_run(
    slurm: Slurm,
    server: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    log, runs = tmp_path / "agents.log", tmp_path / "runs"
    sweep = yaml.safe_load((ROOT / "cluster" / "sweep_srun.yaml").read_text())
    config = next(part for part in sweep["command"] if part.startswith("--config="))
    at = sweep["command"].index(config)
    own = [*LONG, "--trainer.devices=2", "--trainer.strategy=ddp", f"--runs_dir={runs}"]
    sweep["command"] = [part for part in sweep["command"] if not part.startswith(("--config=", "--trainer."))]
    sweep["command"][at:at] = own
    sweep["parameters"] = {"model.beta": {"values": [2.0]}, "seed_everything": {"values": [3]}}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    wandb = {
        "WANDB_MODE": "online",
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": "l" * 40,
        "WANDB_ENTITY": "local",
        "WANDB_PROJECT": "t",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_DIR": str(tmp_path),
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / "netrc"),
    }
    found = subprocess.run(
        [sys.executable, "-m", "wandb", "sweep", "sweep.yaml"],
        env=slurm.env | wandb,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    name = re.search(r"wandb agent (\S+)", found.stdout + found.stderr)
    assert name is not None, found.stdout + found.stderr
    job = slurm.submit("agents.sbatch", log, name[1], flags=("--ntasks-per-node=2", "--array=7"), **wandb)
    slurm.wait_for(lambda: bool(server.runs), log)
    (run,) = server.runs
    before = stop_and_go_on(slurm, f"{job}_7", runs / run, log)
    (tmp_path / "server.json").write_text(json.dumps(server.runs, default=str))
    assert list(server.runs) == [run]
    assert [path.name for path in runs.iterdir()] == [run]
    made = server.runs[run]
    assert made["state"] == "finished"
    assert (made["config"]["model.beta"]["value"], made["config"]["seed_everything"]["value"]) == (2.0, 3)
    logged = [row["trainer/global_step"] for row in made["history"] if "train/loss" in row]
    assert logged == list(range(9, 4 * STEPS, 10))
    assert max(before) < max(logged)
    assert [row["_step"] for row in made["history"]] == list(range(len(made["history"])))
    assert "left out of its record" in log.read_text()


def test_a_sweep_without_an_account_is_requeued_and_goes_on(slurm: Slurm, environment: str, tmp_path: Path) -> None:
    log, out = tmp_path / "sweep.log", tmp_path / "out"
    sweep = {
        "method": "grid",
        "metric": {"name": "disentanglement/mig", "goal": "maximize"},
        "parameters": {"seed_everything": {"values": [0, 1]}},
        "command": ["${env}", "${interpreter}", "-m", "disentangle_pl", "fit", *LONG, "${args}"],
    }
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(sweep))
    given = [str(tmp_path / "two.yaml"), "--parallel", "2", f"--out={out}"]
    job = slurm.submit("sweep.sbatch", log, *given, flags=("--ntasks-per-node=1",), VENV=environment)
    slurm.wait_for(
        lambda: len(list(out.glob("*/metrics.csv"))) == 2 and min(map(len, map(steps, runs_of(out)))) > 10, log
    )
    slurm.call("scancel", "--batch", "--signal=USR1", job)
    slurm.wait(job, "PENDING", log=log)
    assert {read_state(folder).name for folder in runs_of(out)} == {PREEMPTED}
    slurm.start_now(job, log)
    slurm.wait(job, "COMPLETED", "FAILED", log=log)
    assert slurm.state(job) == "COMPLETED", log.read_text()
    assert {read_state(folder).name for folder in runs_of(out)} == {FINISHED}
    assert len(runs_of(out)) == 2
    assert all(steps(folder) == list(range(9, 4 * STEPS, 10)) for folder in runs_of(out))


def runs_of(out: Path) -> list[Path]:
    """Return the run folders of a sweep."""
    return [path.parent for path in out.glob("*/metrics.csv")]


def test_another_number_of_tasks_is_one_sentence(slurm: Slurm, tmp_path: Path) -> None:
    command = ["srun", "--mem=0", "--ntasks-per-node=2", warm_python(), "-m", "disentangle_pl", "fit", *TINY]
    done = subprocess.run(
        [*command, f"--runs_dir={tmp_path}"], env=slurm.env, cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 2
    assert "Slurm has started 2 processes" in done.stderr
    assert "change --trainer.devices" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
