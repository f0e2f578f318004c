"""Every shipped configuration trains two steps through the real command line; every sweep expands and parses."""

import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import yaml

from disentangle_pl.data import dsprites
from tests.command_line import ROOT, run

RECIPES = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))
MODELS = sorted((ROOT / "configs" / "model").glob("*.yaml"))
MASKS = sorted((ROOT / "configs" / "mask").glob("*.yaml"))
PAIRS = sorted((ROOT / "configs" / "pairs").glob("*.yaml"))
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
SHORT = [
    "--trainer.max_steps=2",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--data.steps_per_epoch=2",
    "--data.batch_size=2",
]
FEW = ["--data.eval_size=30", "--disentanglement.dci_rows=0", "--data.resident_mib=0"]


def scans(folder: Path) -> list[str]:
    """Write a BIDS folder of three people with two visits each and return the flags that name it."""
    random = np.random.default_rng(0)
    for subject, session in itertools.product("123", "12"):
        path = folder / f"sub-{subject}" / f"ses-{session}" / "anat" / f"sub-{subject}_ses-{session}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(random.random((16, 16, 16), np.float32), np.diag([6.0, 6, 6, 1])), path)
    return [f"--data.root={folder}", f"--data.cache={folder / 'cache'}"]


def check_run(folder: Path) -> None:
    """Assert that a run left its configuration, checkpoint, numbers and picture."""
    (made,) = folder.iterdir()
    assert {path.name for path in made.iterdir()} >= {"config.yaml", "checkpoints", "metrics.csv", "traversals"}
    assert len(list((made / "traversals").glob("*.png"))) == 1
    assert len(list((made / "reconstructions").glob("*.png"))) == 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_trains(recipe: str, tmp_path: Path) -> None:
    data = scans(tmp_path / "bids") if recipe.startswith("brain") else FEW
    run("fit", f"--config={ROOT / 'configs' / recipe}", *SHORT, *data, f"--runs_dir={tmp_path / 'runs'}")
    check_run(tmp_path / "runs")


@pytest.mark.parametrize("mask", MASKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_fragments_merge(model: Path, mask: Path, tmp_path: Path) -> None:
    parts = [ROOT / "configs" / "data" / "sprites.yaml", PAIRS[0], model, mask]
    small = ["--data.dataset.resolution=16", "--model.latent_dim=4"]
    run("fit", *(f"--config={part}" for part in parts), *SHORT, *FEW, *small, f"--runs_dir={tmp_path}")
    check_run(tmp_path)


@pytest.mark.parametrize("pairs", PAIRS, ids=lambda path: path.stem)
def test_pairs_merge(pairs: Path, tmp_path: Path) -> None:
    parts = [ROOT / "configs" / "data" / "sprites.yaml", pairs, ROOT / "configs" / "model" / "ada_gvae.yaml"]
    small = ["--data.dataset.resolution=16"]
    run("fit", *(f"--config={part}" for part in parts), *SHORT, *FEW, *small, f"--runs_dir={tmp_path}")
    check_run(tmp_path)


def test_volumes_merge(tmp_path: Path) -> None:
    parts = [ROOT / "configs" / "data" / "longitudinal.yaml", ROOT / "configs" / "model" / "ada_ml_vae.yaml"]
    small = ["--data.size=[16,16,16]", "--data.spacing=6", "--model.backbone.channels=[4,8]", *scans(tmp_path / "bids")]
    run("fit", *(f"--config={part}" for part in parts), *SHORT, *small, f"--runs_dir={tmp_path / 'runs'}")
    check_run(tmp_path / "runs")


def test_published_dsprites_config_names_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [ROOT / "configs" / "data" / "dsprites.yaml", ROOT / "configs" / "model" / "vae.yaml"]
    with pytest.raises(SystemExit):
        run("fit", *(f"--config={part}" for part in parts), f"--runs_dir={tmp_path}")
    said = capsys.readouterr().err
    assert "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz" in said
    assert dsprites.__name__.split(".")[0] in said or "github.com" in said
    assert not list(tmp_path.iterdir())


def corners(sweep: dict[str, Any]) -> list[list[str]]:
    """Return the command-line flags of the first and of the last combination, as the W&B agent builds them."""
    keys = sorted(sweep["parameters"])
    choices = [sweep["parameters"][key].get("values", [sweep["parameters"][key].get("value")]) for key in keys]
    return [[f"--{key}={choice[end]}" for key, choice in zip(keys, choices, strict=True)] for end in (0, -1)]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_parses(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    sweep = yaml.safe_load(path.read_text())
    command = sweep["command"]
    assert command[:5] == ["${env}", "${interpreter}", "-m", "disentangle_pl", "fit"]
    assert command[-1] == "${args}"
    for flags in corners(sweep):
        with pytest.raises(SystemExit) as stop:
            run("fit", *command[5:-1], *flags, "--print_config")
        config = yaml.safe_load(capsys.readouterr().out)
        assert stop.value.code in (0, None)
        assert config["seed_everything"] == int(flags[-1].split("=")[1])
