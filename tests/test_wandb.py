"""The real W&B client against a local stand-in for its server: a sweep, its agent, and what arrives."""

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import wandb
import yaml

from tests.command_line import PAIRS, ROOT, SHARED, TINY, run

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


def test_sweep_agent_sends_scores_and_configuration(server: Any, tmp_path: Path) -> None:
    flags = [*TINY, *PAIRS, f"--runs_dir={tmp_path / 'runs'}"]
    sweep = {
        "method": "grid",
        "metric": {"name": "disentanglement/mig", "goal": "maximize"},
        "parameters": {"model.beta": {"values": [2.0]}, "seed_everything": {"values": [3]}},
        "command": ["${env}", sys.executable, "-m", "disentangle_pl", "fit", *flags, "${args}"],
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "DISENTANGLE"))},
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / "netrc"),
        "PYTHONPATH": str(ROOT),
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": "l" * 40,
        "WANDB_ENTITY": "local",
        "WANDB_PROJECT": "t",
        "WANDB_ERROR_REPORTING": "false",
    }

    def call_wandb(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "wandb", *args], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    found = re.search(r"wandb agent (\S+)", call_wandb("sweep", "sweep.yaml"))
    assert found is not None
    said = call_wandb("agent", "--count", "1", found[1])
    (made,) = server.runs.values()
    assert made["state"] == "finished", said
    assert made["config"]["model.beta"]["value"] == 2.0
    assert made["config"]["seed_everything"]["value"] == 3
    assert made["config"]["model.latent_dim"]["value"] == 6
    assert made["config"]["data.pairs.k"]["value"] == 1
    assert made["summary"].keys() >= {"train/loss", "val/nll", "disentanglement/mig", "disentanglement/mig_ceiling"}
    assert (tmp_path / "runs" / made["name"] / "scores.tsv").is_file()
    assert server.unknown == []


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
