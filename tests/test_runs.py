"""Run ids, resumption and what W&B is told."""

from pathlib import Path

import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.runs import (
    RUN_ID,
    best_checkpoint,
    display_name,
    newest_checkpoint,
    refuse_other_config,
    run_id,
    short_settings,
    swept_values,
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
    spaced = ["--runs_dir", str(tmp_path), "--run_id", "a"]
    for verb in ("validate", "test", "predict"):
        assert with_own_config([verb, *spaced]) == [verb, own, *spaced]
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
    assert swept_values() == {}
    path = tmp_path / "params.yaml"
    path.write_text("model.beta: {value: 2}\nwandb_version: 1\n")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(path))
    assert swept_values()["model.beta"] == 2


def test_settings_have_names_that_wandb_can_filter_by() -> None:
    flat = {
        "seed_everything": 3,
        "model": "disentangle_pl.models.beta_vae.BetaVAE",
        "model.beta": 4.0,
        "model.latent_dim": 6,
        "model.optimizer": "torch.optim.Adam",
        "model.optimizer.lr": 1e-4,
        "model.mask": "disentangle_pl.masks.random_mask.RandomMask",
        "model.mask.density": 0.3,
        "model.aggregation": None,
        "data.pairs": "disentangle_pl.data.pairs.UniformPairs",
        "data.batch_size": 64,
        "data.beta": 9,
        "trainer.precision": "32-true",
        "trainer.callbacks": [1],
        "run_id": None,
    }
    found = short_settings(flat)
    assert found == {
        "seed": 3,
        "beta": 4.0,
        "latent_dim": 6,
        "optimizer": "Adam",
        "lr": 1e-4,
        "mask": "RandomMask",
        "mask_density": 0.3,
        "aggregation": "none",
        "pairs": "UniformPairs",
        "batch_size": 64,
        "precision": "32-true",
    }


def test_the_name_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_NAME", raising=False)
    assert display_name("mine") == "mine"
    path = tmp_path / "params.yaml"
    path.write_text(
        "wandb_version: 1\nmodel: {value: disentangle_pl.models.beta_vae.BetaVAE}\n"
        "model.beta: {value: 0.123456}\nseed_everything: {value: 3}\n_wandb: {value: {}}\n"
    )
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(path))
    assert display_name("x1y2z3") == "model=BetaVAE beta=0.1235 seed=3"
    monkeypatch.setenv("WANDB_NAME", "theirs")
    assert display_name("x1y2z3") == "theirs"


@pytest.mark.parametrize(
    "change", ["trainer.accumulate_grad_batches", "trainer.devices", "trainer.gradient_clip_val", "data.batch_size"]
)
def test_what_makes_other_steps_of_the_same_run_is_refused(tmp_path: Path, change: str) -> None:
    root, key = change.split(".")
    (tmp_path / "config.yaml").write_text(f"{root}: {{{key}: 1, log_every_n_steps: 5}}\ntrainer_: 1\n")
    refuse_other_config(tmp_path, {root: {key: 1, "log_every_n_steps": 5}})
    with pytest.raises(InputError, match=rf"{change}=1 and cannot go on with 2"):
        refuse_other_config(tmp_path, {root: {key: 2, "log_every_n_steps": 5}})


def test_a_longer_training_of_the_same_run_is_none_of_another(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("trainer: {max_epochs: 1}\n")
    refuse_other_config(tmp_path, {"trainer": {"max_epochs": 9}})


def test_the_best_checkpoint_is_found_where_the_folder_lies_now(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no best checkpoint.*--checkpoint.monitor"):
        best_checkpoint(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    state = {"monitor": "val/nll", "best_model_path": "/gone/checkpoints/epoch=3.ckpt"}
    torch.save({"callbacks": {"ModelCheckpoint{'monitor': 'val/nll'}": state}}, tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(InputError, match="no best checkpoint"):
        best_checkpoint(tmp_path)
    (tmp_path / "checkpoints" / "epoch=3.ckpt").touch()
    assert best_checkpoint(tmp_path) == tmp_path / "checkpoints" / "epoch=3.ckpt"
