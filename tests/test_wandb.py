"""The real W&B client against a local stand-in for its server: a sweep, its agent, and what arrives."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import wandb
import yaml

from disentangle_pl.run_state import FINISHED, STOPPED, read_state
from tests.command_line import PAIRS, ROOT, SHARED, TINY, finish, run
from tests.warm_python import warm_python

pytestmark = pytest.mark.any_precision
STUB = SHARED / "tools" / "wandb_stub.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """Serve the stand-in on a free port of this machine."""
    if not STUB.is_file():
        pytest.skip(f"the stand-in for the W&B server is not at {STUB}")
    spec = importlib.util.spec_from_file_location("wandb_stub", STUB)
    assert spec is not None
    assert spec.loader is not None
    stub: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stub)
    served = stub.serve(0, str(tmp_path / "server"))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield served.be
    served.shutdown()
    served.server_close()
    served.be.log.close()


def test_two_agents_make_two_runs_and_send_scores_and_configuration(server: Any, tmp_path: Path) -> None:
    flags = [*TINY, *PAIRS, f"--runs_dir={tmp_path / 'runs'}"]
    sweep = {
        "method": "grid",
        "metric": {"name": "disentanglement/mig", "goal": "maximize"},
        "parameters": {"model.beta": {"values": [2.0]}, "seed_everything": {"values": [3, 4]}},
        "command": ["${env}", warm_python(), "-m", "disentangle_pl", "fit", *flags, "${args}"],
    }
    call = client(server, tmp_path)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    found = re.search(r"wandb agent (\S+)", finish(call("sweep", "sweep.yaml")))
    assert found is not None
    agents = [call("agent", "--count", "1", found[1]) for _ in range(2)]
    said = [finish(agent) for agent in agents]
    assert [made["state"] for made in server.runs.values()] == ["finished"] * 2, said
    made, _ = sorted(server.runs.values(), key=lambda made: str(made["displayName"]))
    assert made["displayName"] == "beta=2 seed=3"
    assert made["config"]["model.beta"]["value"] == 2.0
    assert made["config"]["seed_everything"]["value"] == 3
    assert made["config"]["model.latent_dim"]["value"] == 6
    assert made["config"]["data.pairs.k"]["value"] == 1
    short = {"seed": 3, "beta": 2.0, "latent_dim": 6, "batch_size": 4, "mask": "none", "pairs": "UniformDistinctPairs"}
    assert {name: made["config"][name]["value"] for name in short} == short
    assert made["config"]["disentangle_pl"]["value"] == version("disentangle_pl")
    scored = [row["trainer/global_step"] for row in made["history"] if "val/nll" in row]
    assert scored == [5, 11, 17, 23], "the last step is not doubled"
    assert {"tables/scores", "tables/latents"} <= made["summary"].keys()
    assert made["summary"].keys() >= {"train/loss", "val/nll", "disentanglement/mig", "disentanglement/mig_ceiling"}
    assert {path.name for path in (tmp_path / "runs").iterdir()} == set(server.runs)
    assert all(read_state(tmp_path / "runs" / name).name == FINISHED for name in server.runs)
    assert (tmp_path / "runs" / made["name"] / "scores.tsv").is_file()
    assert server.unknown == []


def client(server: Any, folder: Path) -> Callable[..., subprocess.Popen[str]]:
    """Return what starts the client of W&B as a user who is logged in to the stand-in."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "DISENTANGLE"))},
        "HOME": str(folder),
        "NETRC": str(folder / "netrc"),
        "PYTHONPATH": str(ROOT),
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": "l" * 40,
        "WANDB_ENTITY": "local",
        "WANDB_PROJECT": "t",
        "WANDB_ERROR_REPORTING": "false",
    }

    def call(*args: str) -> subprocess.Popen[str]:
        command = list(args) if args[0] == "make" else [sys.executable, "-m", "wandb", *args]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=folder, env=env, **pipes)

    return call


def test_a_run_that_wandb_stops_is_not_queued_again(server: Any, tmp_path: Path) -> None:
    flags = [*TINY, "--trainer.max_epochs=100000", f"--runs_dir={tmp_path / 'runs'}"]
    sweep = {
        "method": "grid",
        "parameters": {"seed_everything": {"values": [3]}},
        "command": ["${env}", warm_python(), "-m", "disentangle_pl", "fit", *flags, "${args}"],
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    call = client(server, tmp_path)
    found = re.search(r"wandb agent (\S+)", finish(call("sweep", "sweep.yaml")))
    assert found is not None
    agent = call("agent", "--count", "1", found[1])
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.1)
    (made,) = server.runs.values()
    made["stop"] = True  # as hyperband does, or the button
    said = finish(agent)
    assert (made["state"], made["exitcode"], made["requeue"]) == ("failed", 143, False), said
    assert read_state(tmp_path / "runs" / made["name"]).name == STOPPED
    saved = torch.load(tmp_path / "runs" / made["name"] / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] > 0


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_segments_of_a_resumed_run_are_uploaded_in_their_order(server: Any, tmp_path: Path) -> None:
    write = (
        "import sys, wandb\n"
        "for start in (3, 0):\n"
        "    run = wandb.init(mode='offline', id='a', dir='runs/a', settings=wandb.Settings(console='off'))\n"
        "    for step in range(start, start + 3):\n"
        "        run.log({'trainer/global_step': step})\n"
        "    run.finish()\n"
    )
    (tmp_path / "runs" / "a").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", write], cwd=tmp_path, check=True, timeout=100, capture_output=True)
    segments = sorted((tmp_path / "runs" / "a" / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime)
    for segment, made in zip(segments, ("20260102_000000", "20260101_000000"), strict=True):
        segment.rename(segment.with_name(f"offline-run-{made}-a"))  # found newest first by many file systems
    (tmp_path / "bin" / "bin").mkdir(parents=True)
    (tmp_path / "bin" / ".installed").touch()
    (tmp_path / "bin" / "bin" / "wandb").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wandb "$@"\n')
    (tmp_path / "bin" / "bin" / "wandb").chmod(0o755)
    said = finish(
        client(server, tmp_path)("make", "-f", str(ROOT / "Makefile"), "-o", "bin/.installed", "sync", "VENV=bin")
    )
    (made,) = server.runs.values()
    assert [row["trainer/global_step"] for row in made["history"]] == [0, 1, 2, 3, 4, 5], said


def test_settings_of_wandb_and_an_artifact_with_aliases(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"HOME": str(tmp_path), "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "l" * 40, "WANDB_MODE": "online"}
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    flags = ["--wandb.entity=local", "--wandb.group=g", "--wandb.tags=[x,y]", "--wandb.job_type=trial"]
    flags += ["--wandb.name=mine", "--wandb.log_model=true", "--project=p"]
    watch = ["--checkpoint.monitor=val/nll", "--checkpoint.save_top_k=1", "--trainer.max_epochs=2"]
    wandb.teardown()  # or the settings of an earlier test stay
    run("fit", *TINY, *flags, *watch, f"--runs_dir={tmp_path / 'runs'}", "--run_id=a")
    wandb.teardown()
    made = server.runs["a"]
    assert (made["displayName"], made["groupName"], made["jobType"]) == ("mine", "g", "trial")
    assert made["tags"] == ["x", "y"]
    assert (made["project"], made["entity"]) == ("p", "local")
    nll = made["summary"]["val/nll"]
    assert nll["min"] <= nll["last"]
    assert made["summary"]["disentanglement/mig"]["max"] >= made["summary"]["disentanglement/mig"]["last"]
    models = [one for one in server.artifacts.values() if one["artifactTypeName"] == "model"]
    aliases = [{alias["alias"] for alias in model["aliases"]} for model in models]
    assert any("best" in names for names in aliases)
    assert any("last" in names for names in aliases)


def test_without_a_key_the_run_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    run("fit", *TINY, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=1")
    wandb.finish()  # a process of its own writes the last records
    (kept,) = (tmp_path / "a" / "wandb").glob("offline-run-*-a")
    patience = time.monotonic() + 60
    while (kept / "run-a.wandb").stat().st_size <= 1000 and time.monotonic() < patience:
        time.sleep(0.1)
    assert (kept / "run-a.wandb").stat().st_size > 1000
