"""Run ids, resumption and what W&B is told."""

from pathlib import Path

import pytest

from disentangle_pl.errors import InputError
from disentangle_pl.runs import (
    RUN_ID,
    newest_checkpoint,
    run_id,
    swept_keys,
    wandb_offline,
    with_own_config,
)


def test_run_id_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_id("stem", None).startswith("stem-")
    monkeypatch.setenv(RUN_ID, "")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "t")
    assert run_id("stem", None) == "torchrun-t"
    monkeypatch.setenv(RUN_ID, "")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert run_id("stem", None) == "slurm-7"
    monkeypatch.setenv(RUN_ID, "")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "6")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert run_id("stem", None) == "slurm-6-2"
    monkeypatch.setenv("WANDB_RUN_ID", "w")
    assert run_id("stem", None) == "w"
    assert run_id("stem", "mine") == "mine"


def test_run_id_is_exported_for_child_processes() -> None:
    assert run_id("stem", None) == run_id("other", None)


@pytest.mark.parametrize("name", ["../a", "a/b", ".hidden", "a b"])
def test_run_id_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(InputError, match="run id"):
        run_id("stem", name)


def test_verbs_of_a_named_run_use_its_own_configuration(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.yaml").touch()
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    own = f"--config={tmp_path / 'a' / 'config.yaml'}"
    assert with_own_config(["validate", *where]) == ["validate", own, *where]
    for left_alone in (["fit", *where], ["validate", *where, "--config=x"], ["test", f"--runs_dir={tmp_path}"], []):
        assert with_own_config(left_alone) == left_alone


def test_newest_checkpoint(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "last.ckpt"


def test_wandb_is_offline_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE")
    netrc = tmp_path / "netrc"
    netrc.touch()
    monkeypatch.setenv("NETRC", str(netrc))
    assert wandb_offline()
    netrc.write_text("machine wandb.example login user password " + "x" * 40)
    assert wandb_offline()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
    assert not wandb_offline()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_offline()
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert not wandb_offline()


def test_swept_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert swept_keys() == set()
    path = tmp_path / "params.yaml"
    path.write_text("model.beta: {value: 2}\nwandb_version: 1\n")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(path))
    assert "model.beta" in swept_keys()
