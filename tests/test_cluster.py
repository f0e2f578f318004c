"""Notices, launchers, lost networks and full disks, with processes of their own; Slurm itself is in test_slurm.py."""

import csv
import errno
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest
import torch

from disentangle_pl.callbacks.resume import WholeCheckpoints
from disentangle_pl.cluster import REQUEUE, count_devices, refuse_other_tasks, requeue, take_requeue
from disentangle_pl.errors import InputError, find_full_disk
from disentangle_pl.run_state import FINISHED, PREEMPTED, read_state
from disentangle_pl.runs import classes_first, is_known, is_resumed_sweep_run
from tests.command_line import PAIRS, ROOT, TINY, refused, run, start
from tests.test_wandb import STUB
from tests.warm_python import warm_python

pytestmark = pytest.mark.any_precision  # that a run goes on as if unbroken is shown in both by test_cli.py
STEPS, EPOCHS = 300, 3
LONG = [*TINY, *PAIRS, "--model.aggregation=disentangle_pl.aggregation.AdaGVAE", f"--data.steps_per_epoch={STEPS}"]
LONG += [f"--trainer.max_epochs={EPOCHS}", "--trainer.log_every_n_steps=10"]
DDP = ["--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=2"]


def rows(folder: Path, column: str = "train/loss") -> dict[int, str]:
    """Return a column of a run's numbers by step; no step has two rows."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        found = [(int(row["step"]), row[column]) for row in csv.DictReader(file) if row.get(column)]
    assert len(dict(found)) == len(found)
    return dict(found)


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str], patience: float = 120) -> None:
    """Wait until something is there while a process is at work."""
    deadline = time.monotonic() + patience
    while not there():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"waited in vain: {process.communicate()[0]}")
        time.sleep(0.02)


def hears(process: subprocess.Popen[str]) -> bool:
    """Tell whether a process has a handler for SIGUSR1."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGUSR1 - 1) & 1)


def at_work(folder: Path) -> list[str]:
    """Return the processes that have been started with a folder among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if f"{folder}\0" in (process / "cmdline").read_text():
                found.append(process.name)
    return found


def fake_scontrol(folder: Path, code: int = 0) -> dict[str, str]:
    """Make a scontrol that writes down how it is called, and return the environment that finds it."""
    folder.mkdir(exist_ok=True)
    script = folder / "scontrol"
    script.write_text(f'#!/bin/sh\necho "$@" >> {folder}/called\necho "no such thing" >&2\nexit {code}\n')
    script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "12", REQUEUE: ""}


def test_a_notice_stops_a_run_that_goes_on_and_equals_an_unbroken_one(tmp_path: Path) -> None:
    env = fake_scontrol(tmp_path / "bin")
    told = start("fit", *LONG, f"--runs_dir={tmp_path}", "--run_id=cut", **env)
    wait_for(lambda: len(rows(tmp_path / "cut")) > 40, told)
    told.send_signal(signal.SIGUSR1)
    said, _ = told.communicate(timeout=60)
    assert told.returncode == 143, said
    assert read_state(tmp_path / "cut").name == PREEMPTED
    assert (tmp_path / "bin" / "called").read_text() == "requeue 12\n"
    assert "job 12 is requeued" in said
    run("fit", *LONG, f"--runs_dir={tmp_path}", "--run_id=cut")
    assert read_state(tmp_path / "cut").name == FINISHED
    run("fit", *LONG, f"--runs_dir={tmp_path}", "--run_id=whole")
    for column in ("train/loss", "val/loss"):
        assert rows(tmp_path / "cut", column) == rows(tmp_path / "whole", column)
    assert list(rows(tmp_path / "cut")) == list(range(9, EPOCHS * STEPS, 10))


def test_a_notice_during_the_imports_is_heard(tmp_path: Path) -> None:
    env = fake_scontrol(tmp_path / "bin")
    told = start("fit", *LONG, f"--runs_dir={tmp_path / 'runs'}", python=sys.executable, **env)
    wait_for(lambda: hears(told), told)
    told.send_signal(signal.SIGUSR1)
    said, _ = told.communicate(timeout=60)
    assert told.returncode == 143, said
    assert "Traceback" not in said
    assert (tmp_path / "bin" / "called").read_text() == "requeue 12\n"
    assert not (tmp_path / "runs").exists()


def test_two_processes_stop_together_go_on_under_torchrun_and_equal_one_alone(tmp_path: Path) -> None:
    sgd = ["--data.steps_per_epoch=120", "--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=1e-4"]
    alone = [*LONG, *sgd, f"--runs_dir={tmp_path}"]
    short = [*alone, *DDP, "--run_id=a"]
    told = start("fit", *short, OMP_NUM_THREADS="1")
    wait_for(lambda: len(rows(tmp_path / "a")) > 8, told)
    assert len(at_work(tmp_path)) == 2
    told.send_signal(signal.SIGUSR1)  # to the first process alone
    said, _ = told.communicate(timeout=60)
    assert told.returncode == 143, said
    assert read_state(tmp_path / "a").name == PREEMPTED
    assert at_work(tmp_path) == []
    before = len(rows(tmp_path / "a"))
    assert before < EPOCHS * 120 // 10
    command = [warm_python(), "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "disentangle_pl", "fit"]
    done = subprocess.run(
        [*command, *short],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "Restored all states" in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert read_state(tmp_path / "a").name == FINISHED
    assert list(rows(tmp_path / "a")) == list(range(9, EPOCHS * 120, 10))
    assert (tmp_path / "a" / "scores.tsv").is_file()
    run("fit", *alone, "--run_id=one")
    two, one = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("a", "one")
    )
    assert all(torch.allclose(value, one[name], atol=1e-5) for name, value in two.items())
    first, second = (pd.read_csv(tmp_path / name / "scores.tsv", sep="\t", index_col="name") for name in ("a", "one"))
    pd.testing.assert_frame_equal(first, second, atol=0.02, rtol=0)  # the same rows, split alike


@pytest.mark.parametrize(
    ("devices", "count"), [(2, 2), ("3", 3), ([0, 5], 2), ("0,1", 2), ("0,", 1), ("auto", 1), (-1, 1), ("-1", 1)]
)
def test_devices_are_counted(devices: object, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert count_devices(devices, "cpu") == count
    assert count_devices(devices, "gpu") == (4 if str(devices) in ("auto", "-1") else count)


STEP = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_STEP_ID": "0"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("env", "devices", "nodes", "words"),
    [
        (STEP, 4, 2, ["Slurm has started 4", "are 8", "--trainer.devices", "--ntasks-per-node"]),
        (STEP, 1, 1, ["Slurm has started 4", "are 1"]),
        (STEP | {"SLURM_STEP_ID": None}, 2, 2, ["has 1 task", "srun", "--ntasks-per-node=2"]),
        (STEP | {"SLURM_NTASKS_PER_NODE": None}, 4, 1, ["--ntasks alone", "--ntasks-per-node=4"]),
        (TORCHRUN, 1, 1, ["torchrun has started 2", "--nproc-per-node"]),
        (STEP, 2, 2, []),
        (STEP | {"SLURM_STEP_ID": None}, 1, 1, []),
        (STEP | {"SLURM_JOB_NAME": "bash"}, 8, 1, []),
        (TORCHRUN, 2, 1, []),
        ({}, 8, 3, []),
    ],
)
def test_another_number_of_processes_than_started_is_refused(
    env: dict[str, str | None], devices: int, nodes: int, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*STEP, *TORCHRUN, "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    if not words:
        refuse_other_tasks(devices, nodes)
        return
    with pytest.raises(InputError) as refusal:
        refuse_other_tasks(devices, nodes)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_an_array_element_is_requeued_and_a_refusal_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env = fake_scontrol(tmp_path) | {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    requeue()
    assert (tmp_path / "called").read_text() == "requeue 7_3\n"
    fake_scontrol(tmp_path, code=1)
    requeue()
    assert "7_3 could not be requeued (no such thing): submit it with --requeue" in capsys.readouterr().err
    (tmp_path / "scontrol").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    requeue()
    assert "could not be requeued" in capsys.readouterr().err


def test_one_process_of_a_job_may_requeue_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv(REQUEUE, "")
    assert take_requeue()
    assert not take_requeue()  # as a process that this one starts
    monkeypatch.setenv(REQUEUE, "")
    monkeypatch.setenv("SLURM_JOB_NAME", "interactive")
    assert not take_requeue()
    monkeypatch.delenv("SLURM_JOB_NAME")
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.setenv(REQUEUE, "")
    assert not take_requeue()


def test_a_record_of_a_resumed_run_becomes_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    monkeypatch.setenv("WANDB_RUN_ID", "r")
    where = f"--runs_dir={tmp_path}"
    assert not is_resumed_sweep_run(["fit", where])
    assert is_resumed_sweep_run(["fit", where, "--_wandb={}"])
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    assert not is_resumed_sweep_run(["fit", where])
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "config.yaml").touch()
    assert is_resumed_sweep_run(["fit", where])
    roots = {"model", "runs_dir"}
    kept = [
        word for word in ("fit", "--model.beta=1", "--nope.a=2", "--model.mask=None", where) if is_known(word, roots)
    ]
    assert kept == ["fit", "--model.beta=1", where]
    assert classes_first(["fit", "--model.beta=1", "--model=A", "--config=c", "--model.beta=2"]) == [
        "fit",
        "--config=c",
        "--model=A",
        "--model.beta=1",
        "--model.beta=2",
    ]
    assert classes_first(["fit", "--model.beta", "1", "--data=A"]) == ["fit", "--model.beta", "1", "--data=A"]


def test_a_resumed_sweep_run_takes_its_whole_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = f"--runs_dir={tmp_path}"
    run("fit", *TINY, where, "--run_id=r", "--trainer.max_epochs=1")
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    monkeypatch.setenv("WANDB_RUN_ID", "r")
    monkeypatch.setattr(sys, "argv", ["disentangle-pl"])
    record = ["--model.beta=4.0", "--model=disentangle_pl.models.beta_vae.BetaVAE", "--model.mask=None"]
    record += ["--_wandb={}", "--optimizer=torch.optim.Adam"]  # the short name of a setting
    run("fit", *TINY, where, *record, "--gone=1")
    assert "left out of its record: --model.mask --_wandb --optimizer --gone" in capsys.readouterr().out
    assert read_state(tmp_path / "r").name == FINISHED
    assert max(rows(tmp_path / "r")) == 4 * 6 - 1


def test_a_full_disk_leaves_the_good_checkpoint(tmp_path: Path) -> None:
    place = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"good": 1}, place)
    Path(f"{place}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as full:
        WholeCheckpoints().save_checkpoint({"good": torch.zeros(100_000)}, place)
    assert full.value.filename == str(place)
    assert torch.load(place) == {"good": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert find_full_disk(full.value) is full.value
    assert find_full_disk(OSError(errno.EACCES, "no")) is None
    wrapped = RuntimeError("while saving")
    wrapped.__context__ = full.value
    assert find_full_disk(wrapped) is full.value


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can only be mounted by root")
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        where = [f"--runs_dir={disk}", "--run_id=a", "--traversals.every_n_epochs=1000"]
        run("fit", *TINY, *where, "--trainer.max_epochs=1")
        good = (disk / "a" / "checkpoints" / "last.ckpt").read_bytes()
        (disk / "filler").write_bytes(bytes(max(0, os.statvfs(disk).f_bavail * 4096 - 8192)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run("fit", *TINY, *where)
        said = capsys.readouterr().err
        assert stop.value.code == 74
        del stop  # and with it the claim on the folder, as if the process had ended
        gc.collect()
        assert "the disk is full" in said
        assert "Traceback" not in said
        assert (disk / "a" / "checkpoints" / "last.ckpt").read_bytes() == good
        (disk / "filler").unlink()
        run("fit", *TINY, *where)
        assert list(rows(disk / "a")) == list(range(4 * 6))
        assert read_state(disk / "a").name == FINISHED
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def wandb_env(url: str, home: Path) -> dict[str, str]:
    """Return the environment of a user who is logged in to a server."""
    return {
        "HOME": str(home),
        "NETRC": str(home / "netrc"),
        "PYTHONPATH": str(ROOT),
        "WANDB_MODE": "online",
        "WANDB_BASE_URL": url,
        "WANDB_API_KEY": "l" * 40,
        "WANDB_ENTITY": "local",
        "WANDB_PROJECT": "t",
        "WANDB_ERROR_REPORTING": "false",
        "DISENTANGLE_PL_RUN_ID": "",
    }


@pytest.mark.skipif(not STUB.is_file(), reason=f"the stand-in for the W&B server is not at {STUB}")
def test_a_network_that_dies_costs_no_number_and_little_time(tmp_path: Path) -> None:
    stub = subprocess.Popen(
        [sys.executable, str(STUB), "--port=0", f"--dir={tmp_path / 'server'}"], stdout=subprocess.PIPE, text=True
    )
    assert stub.stdout is not None
    env = wandb_env(stub.stdout.readline().strip(), tmp_path) | {"WANDB_FINISH_TIMEOUT": "3"}
    online = start("fit", *LONG, f"--runs_dir={tmp_path}", "--run_id=a", **env)
    try:
        wait_for(lambda: len(rows(tmp_path / "a")) > 3, online)
    finally:
        stub.kill()
        stub.communicate()
    said, _ = online.communicate(timeout=100)
    assert online.returncode == 0, said
    assert read_state(tmp_path / "a").name == FINISHED
    assert list(rows(tmp_path / "a")) == list(range(9, EPOCHS * STEPS, 10))
    (kept,) = (tmp_path / "a" / "wandb").glob("run-*-a")
    assert f"wandb sync {kept}" in said.replace("\n", "")
    assert (kept / "run-a.wandb").stat().st_size > 1000


def test_processes_that_torchrun_has_not_started_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    said = refused(capsys, "fit", *TINY, f"--runs_dir={tmp_path}")
    assert "--trainer.devices" in said
    assert not list(tmp_path.iterdir())
