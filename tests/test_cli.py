"""What users do to the command line: good runs, wrong input, kills."""

import csv
import importlib.util
import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from wandb.errors import CommError

from disentangle_pl import cli
from disentangle_pl.aggregation import AdaGVAE
from disentangle_pl.errors import one_line
from disentangle_pl.fit import CLI
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.checkpoint import load_model
from tests.command_line import PAIRS, TINY, refused, run, start

QUICK = [*TINY, "--report=false", "--disentanglement.references=false"]
ADA = [*TINY, *PAIRS, "--model.aggregation=disentangle_pl.aggregation.AdaGVAE"]


def rows(folder: Path) -> list[dict[str, str]]:
    """Read the numbers of a run."""
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a run."""
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_fit_leaves_scores_with_floor_and_ceiling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("fit", *ADA, f"--runs_dir={tmp_path}", "--run_id=a")
    said = capsys.readouterr().out
    assert "floor: noise codes" in said
    assert str(tmp_path / "a") in said.replace("\n", "")
    sheet = [line.split("\t") for line in (tmp_path / "a" / "scores.tsv").read_text().splitlines()]
    assert [line[0] for line in sheet] == ["name", "mig", "modularity", "modularity_active", "sap", "active_units"]
    assert sheet[0][1:5] == ["value", "floor", "rotated", "ceiling"]
    assert sheet[0][5:] == ["floor_low", "floor_high", "rotated_low", "rotated_high"]
    assert all(float(line[2]) <= float(line[4]) for line in sheet[1:5])
    last = {key: value for row in rows(tmp_path / "a") for key, value in row.items() if value}
    assert last.keys() >= {"train/nll", "train/kl", "val/loss", "disentanglement/mig", "disentanglement/mig_scale"}
    assert float(last["disentanglement/mig_ceiling"]) == pytest.approx(float(sheet[1][4]))


def test_validate_test_and_predict_find_the_checkpoint_of_a_run(tmp_path: Path) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    run("fit", *TINY, *where)
    before = (tmp_path / "a" / "metrics.csv").read_text()
    spaced = ["--runs_dir", str(tmp_path), "--run_id", "a"]
    run("validate", *spaced)
    scored = (tmp_path / "a" / "scores.json").read_text()
    run("test", *spaced)
    run("predict", *spaced)
    tested = json.loads((tmp_path / "a" / "test" / "scores.json").read_text())
    assert tested["losses"].keys() >= {"test/loss", "test/nll", "test/kl"}
    assert tested["scores"].keys() >= {"mig", "sap"}
    assert (tmp_path / "a" / "test" / "scores.tsv").is_file()
    assert (tmp_path / "a" / "scores.json").read_text() == scored
    codes = np.load(tmp_path / "a" / "codes.npz")
    assert codes["mean"].shape == codes["logvar"].shape == (3 * 6 * 5 * 3, 6)
    assert (tmp_path / "a" / "metrics.csv").read_text() == before


def test_the_final_scores_belong_to_the_last_step(tmp_path: Path) -> None:
    run("fit", *QUICK, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=2")
    found = rows(tmp_path / "a")
    assert [row["step"] for row in found] == [str(step) for step in range(12)]
    assert [row["step"] for row in found if row["val/nll"]] == ["5", "11"]
    assert found[-1]["train/loss"]
    assert found[-1]["epoch"] == "1.0"
    run("fit", *QUICK, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=2")
    assert rows(tmp_path / "a") == found, "nothing is left to train"


def test_a_fast_development_run_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(tmp_path.parent / "netrc"))
    run("fit", *QUICK, "--run_id=a", "--trainer.fast_dev_run=true")
    run("fit", *QUICK, "--trainer.fast_dev_run=2", f"--runs_dir={tmp_path / 'runs'}")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_the_best_checkpoint_is_validated_by_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    watch = ["--checkpoint.monitor=val/nll", "--checkpoint.save_top_k=1", "--checkpoint.filename=kept"]
    run("fit", *QUICK, *where, *watch, "--trainer.max_epochs=2")
    assert (tmp_path / "a" / "checkpoints" / "kept.ckpt").is_file()
    (tmp_path / "a").rename(tmp_path / "moved")
    caplog.clear()
    run("validate", f"--runs_dir={tmp_path}", "--run_id=moved", "--ckpt_path=best")
    assert f"{tmp_path / 'moved' / 'checkpoints' / 'kept.ckpt'}" in caplog.text


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_run_that_began_from_another_says_so_and_then_goes_on_from_its_own(tmp_path: Path) -> None:
    first, second = (tmp_path / name / "checkpoints" / "last.ckpt" for name in "ab")
    run("fit", *QUICK, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=1")
    more = [*QUICK, f"--runs_dir={tmp_path}", "--run_id=b", f"--ckpt_path={first}", "--data.batch_size=8"]
    run("fit", *more, "--trainer.max_epochs=2")
    config = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())
    assert config["ckpt_path"] == str(first)
    assert config["data"]["init_args"]["batch_size"] == 8
    assert torch.load(second, weights_only=True)["global_step"] == 12
    run("fit", *more, "--trainer.max_epochs=3")
    assert [row["step"] for row in rows(tmp_path / "b")] == [str(step) for step in range(6, 18)]


def test_further_loggers_come_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = ["--trainer.logger+=CSVLogger", f"--trainer.logger.save_dir={tmp_path / 'csv'}"]
    run("fit", *QUICK, *theirs, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=1")
    assert rows(tmp_path / "a")
    assert next((tmp_path / "csv").rglob("metrics.csv")).is_file()
    capsys.readouterr()
    if importlib.util.find_spec("tensorboard") is None and importlib.util.find_spec("tensorboardX") is None:
        board = ["--trainer.logger+=TensorBoardLogger", f"--trainer.logger.save_dir={tmp_path / 'board'}"]
        said = refused(capsys, "fit", *QUICK, *board, f"--runs_dir={tmp_path}", "--run_id=b")
        assert "TensorBoardLogger cannot be made" in said
        assert "install" in said
        assert not (tmp_path / "b").exists()


def test_load_model_restores_mask_and_aggregation(tmp_path: Path) -> None:
    mask = ["--model.mask=disentangle_pl.masks.random_mask.RandomMask", "--model.mask.density=0.3"]
    run("fit", *ADA, *mask, f"--runs_dir={tmp_path}", "--run_id=a")
    model = load_model(tmp_path / "a" / "checkpoints" / "last.ckpt")
    assert isinstance(model, BetaVAE)
    assert isinstance(model.aggregation, AdaGVAE)
    assert all(isinstance(gate.mask, RandomMask) for gate in model.masks)
    assert model.masks
    saved = weights(tmp_path / "a")
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())


def test_saved_config_reproduces_the_run(tmp_path: Path) -> None:
    run("fit", *ADA, f"--runs_dir={tmp_path}", "--run_id=a")
    config = yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())
    assert config["model"]["init_args"]["latent_dim"] == 6
    run("fit", f"--config={tmp_path / 'a' / 'config.yaml'}", f"--runs_dir={tmp_path}", "--run_id=b")
    assert all(torch.equal(value, weights(tmp_path / "b")[name]) for name, value in weights(tmp_path / "a").items())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model.betaa=3"], ["betaa", "not accepted"]),
        (["--model=NopeVAE"], ["model", "NopeVAE"]),
        (["--data.dataset.resolution=abc"], ["resolution", "int", "abc"]),
        (["--nope=1"], ["--nope=1"]),
        (["--config=nope.yaml"], ["nope.yaml"]),
        (["--ckpt_path=nope.ckpt"], ["nope.ckpt"]),
        (["--run_id=../x"], ["../x", "--run_id"]),
        (["--model.aggregation=disentangle_pl.aggregation.AdaGVAE"], ["aggregation", "data.pairs"]),
        ([*PAIRS, "--data.pairs.k=4"], ["k=4", "varying"]),
        (["--data.dataset.x_values=[40]"], ["x_values", "31"]),
        (["--model.backbone=ConvBackbone", "--data.dataset.resolution=18"], ["divisible by 16", "18"]),
        (["--model.beta=-1"], ["beta", "-1"]),
        (["--trainer.default_root_dir=elsewhere"], ["default_root_dir", "elsewhere", "--runs_dir", "--run_id"]),
        (["--checkpoint.dirpath=elsewhere"], ["checkpoint.dirpath", "elsewhere", "--runs_dir", "--run_id"]),
        (["--ckpt_path=best"], ["no best checkpoint", "--checkpoint.monitor"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(
    flags: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "fit", *TINY, *flags, f"--runs_dir={tmp_path}")
    assert all(word in said for word in words), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, ["nowhere.tsv"]),
        ("participant_id\tpath\n1\ta.nii\n", ["session_id", "participant_id"]),
        ("participant_id\tsession_id\tpath\n1\t1\ta.nii\n", ["a.nii"]),
    ],
)
def test_wrong_scans_are_one_sentence(
    table: str | None, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("nowhere.tsv" if table is None else "scans.tsv")
    if table is not None:
        path.write_text(table)
    data = ["--data=LongitudinalData", f"--data.root={path}", "--data.size=[16,16,16]", "--data.spacing=6"]
    data += ["--data.batch_size=2", f"--data.cache={tmp_path / 'cache'}", "--model=BetaVAE"]
    said = refused(capsys, "fit", *data, f"--runs_dir={tmp_path / 'runs'}")
    assert all(word in said for word in words), said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "count"), [(["fit", "--model=BetaVAE"], 1), (["predict"], 1), (["--help"], 4), ([], 4)], ids=str
)
def test_only_the_flags_of_this_call_are_made(words: list[str], count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["disentangle-pl", *words])
    assert len(CLI.subcommands()) == count
    assert set(words[:1] if count == 1 else cli.LIGHTNING) == set(CLI.subcommands())


def test_a_mistyped_verb_is_told_all_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "swep", "x.yaml")
    assert "swep" in said
    assert all(verb in said for verb in ("fit", "predict", "sweep", "runs", "evaluate"))


def test_a_verb_without_a_model_says_how_to_name_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "validate", *TINY, f"--runs_dir={tmp_path}")
    assert "--ckpt_path" in said
    assert "--run_id" in said


def test_a_run_does_not_go_on_with_another_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    run("fit", *TINY, *where, "--trainer.max_epochs=1")
    before = (tmp_path / "a" / "config.yaml").read_text()
    said = refused(capsys, "fit", *TINY, *where, "--model.beta=2")
    assert "model.beta=4.0" in said
    assert (tmp_path / "a" / "config.yaml").read_text() == before


def test_a_longer_fit_goes_on_and_equals_an_unbroken_one(tmp_path: Path) -> None:
    run("fit", *ADA, f"--runs_dir={tmp_path}", "--run_id=whole")
    run("fit", *ADA, f"--runs_dir={tmp_path}", "--run_id=cut", "--trainer.max_epochs=2")
    run("fit", *ADA, f"--runs_dir={tmp_path}", "--run_id=cut", "--ckpt_path=last")
    assert_equal_runs(tmp_path / "cut", tmp_path / "whole")


def test_a_run_killed_twice_goes_on_and_equals_an_unbroken_one(tmp_path: Path) -> None:
    long = [*ADA, "--data.steps_per_epoch=150", "--trainer.max_epochs=4", f"--runs_dir={tmp_path}"]
    for stop, code, row in ((signal.SIGKILL, -signal.SIGKILL, 200), (signal.SIGTERM, 143, 350)):
        killed = start("fit", *long, "--run_id=cut")
        table = tmp_path / "cut" / "metrics.csv"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (table.exists() and len(rows(tmp_path / "cut")) > row):
            time.sleep(0.02)
        killed.send_signal(stop)
        killed.communicate(timeout=60)
        assert killed.returncode == code
    run("fit", *long, "--run_id=cut")
    run("fit", *long, "--run_id=whole")
    assert_equal_runs(tmp_path / "cut", tmp_path / "whole")


def assert_equal_runs(one: Path, other: Path) -> None:
    """Assert that two runs have the same weights and the same numbers at the same steps, none twice."""
    mine, theirs = weights(one), weights(other)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    losses = [{row["step"]: row["train/loss"] for row in rows(run) if row["train/loss"]} for run in (one, other)]
    assert losses[0] == losses[1]
    assert len([row for row in rows(one) if row["train/loss"]]) == len(losses[0])


def test_one_line_keeps_the_key_and_the_reason() -> None:
    message = (
        'Parser key "data":\n  Errors:\n    - Parser key "size":\n        Expected a <class \'int\'>. Got value: x'
    )
    assert one_line(message) == "data.size: Expected a <class 'int'>. Got value: x"


def test_an_unreachable_wandb_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable() -> None:
        raise CommError("Run initialization has timed out after 90.0 sec")

    monkeypatch.setattr(cli, "run_lightning", unreachable)
    said = refused(capsys, "fit", *TINY)
    assert "timed out" in said
    assert "WANDB_MODE=offline" in said
