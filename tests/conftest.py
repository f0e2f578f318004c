"""What every test starts from: no account, no run id of another test, plots without a screen."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from disentangle_pl.callbacks import score_table
from disentangle_pl.runs import RUN_ID


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, _cache: Path) -> Iterator[None]:
    monkeypatch.setattr(score_table, "references_folder", lambda: _cache)
    for name in ("WANDB_RUN_ID", "WANDB_API_KEY", "WANDB_SWEEP_PARAM_PATH", "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(RUN_ID, "")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(sys, "argv", ["disentangle-pl"])
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(autouse=True)
def _same_draws_in_any_order() -> None:
    torch.manual_seed(0)
