"""What every test starts from: no account, no run id of another test, plots without a screen."""

import signal
import sys
from collections.abc import Iterator

import pytest

from disentangle_pl.runs import RUN_ID


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("WANDB_RUN_ID", "WANDB_API_KEY", "WANDB_SWEEP_PARAM_PATH", "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(RUN_ID, "")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(sys, "argv", ["disentangle-pl"])
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
