"""Every shipped configuration trains two steps in every precision; every sweep expands and parses."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest
import yaml
from lightning.pytorch import Trainer
from PIL import Image

from disentangle_pl.data import cars3d, dsprites, mpi3d, shapes3d, smallnorb
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.fit import CLI
from disentangle_pl.machine import PRECISION
from disentangle_pl.sweeps.command import build_command, own_arguments
from disentangle_pl.sweeps.search import make_search
from disentangle_pl.sweeps.sweep_file import read_sweep
from tests.command_line import ROOT, refused, run

pytestmark = pytest.mark.both_precisions
Train = Callable[..., None]
RECIPES = sorted(path.name for path in (ROOT / "configs").glob("*.yaml"))
MODELS = sorted((ROOT / "configs" / "model").glob("*.yaml"))
MASKS = sorted((ROOT / "configs" / "mask").glob("*.yaml"))
SIDES = sorted((ROOT / "configs" / "volumes").glob("*.yaml"))
SCHEDULERS = sorted((ROOT / "configs" / "scheduler").glob("*.yaml"))
PAIRS = sorted((ROOT / "configs" / "pairs").glob("*.yaml"))
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
TOYS = ("colour_size", "colour_patch", "colour_even", "cosines", "cosines_equal", "turning", "separate_squares")
CHANGED = ("perturbed", "noised", "colour_sprites", "noisy_sprites", "scream_sprites")
OVER_DSPRITES = ("colour_dsprites", "noisy_dsprites", "scream_dsprites")
PICTURED = ("hard_concrete", "weight_l1")  # with gates and without; every mask is drawn in test_sparsity.py
KNOWN_CHANGE = ("known_gvae", "known_ml_vae")  # nobody knows which latents change between two visits
AGE = {name: ["--model.supervision.columns=[0]"] for name in ("match_vae", "rank_vae")} | {
    "labelled_vae": ["--model.supervision.columns=[1]", "--model.supervision.sizes=[6]"]
}
SHORT = [
    "--trainer.max_steps=2",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--data.steps_per_epoch=2",
    "--data.batch_size=2",
    "--traversals.rows=1",
    "--traversals.columns=3",
    "--reconstructions.images=2",
]
FEW = ["--data.eval_size=30", "--disentanglement.sheet=false", "--data.resident_mib=0"]


def scans(folder: Path) -> list[str]:
    """Write a BIDS folder of three people with two visits each and return the flags that name it."""
    random = np.random.default_rng(0)
    for subject, session in itertools.product("123", "12"):
        path = folder / f"sub-{subject}" / f"ses-{session}" / "anat" / f"sub-{subject}_ses-{session}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(random.random((16, 16, 16), np.float32), np.diag([6.0, 6, 6, 1])), path)
    return [f"--data.root={folder}", f"--data.cache={folder / 'cache'}"]


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    """Train two steps in both precisions that a machine may choose; in one of them see what the run leaves."""
    after_fit = CLI.after_fit

    def and_in_full_precision(cli: CLI) -> None:
        after_fit(cli)
        steps = cli.trainer.fit_loop.epoch_loop
        assert cli.trainer.precision == "bf16-mixed"
        full = Trainer(accelerator="cpu", precision="32-true", fast_dev_run=2, limit_val_batches=0, logger=False)
        full.fit(cli.model, cli.datamodule)
        assert full.global_step == steps.global_step

    def fit(folder: Path, *flags: str) -> None:
        monkeypatch.setenv(PRECISION, "bf16-mixed")
        monkeypatch.setattr(CLI, "after_fit", and_in_full_precision)
        run("fit", *flags, f"--runs_dir={folder}")
        (made,) = folder.iterdir()
        assert {path.name for path in made.iterdir()} >= {"config.yaml", "checkpoints", "metrics.csv", "traversals"}
        assert len(list((made / "traversals").glob("*.png"))) == 1
        assert len(list((made / "reconstructions").glob("*.png"))) == 1

    return fit


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_trains(recipe: str, train: Train, tmp_path: Path) -> None:
    data = scans(tmp_path / "bids") if recipe.startswith("brain") else FEW
    train(tmp_path / "runs", f"--config={ROOT / 'configs' / recipe}", *SHORT, *data)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_models_merge(model: Path, train: Train, tmp_path: Path) -> None:
    train(tmp_path / "runs", *small_sprites(PAIRS[0], model))


@pytest.mark.filterwarnings("ignore:no gate of the masks can close in this training")
@pytest.mark.parametrize("mask", MASKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("model", ["ada_gvae", "factor_vae"])
def test_masks_merge(model: str, mask: Path, train: Train, tmp_path: Path) -> None:
    parts = [PAIRS[0], ROOT / "configs" / "model" / f"{model}.yaml", mask]
    quick = ["--model.mask.rounds=1", "--model.mask.interval=1"] if mask.stem == "magnitude" else []
    draw = model == "ada_gvae" and mask.stem in PICTURED
    train(tmp_path / "runs", *small_sprites(*parts), f"--sparsity.draw={draw}", *quick)
    assert len(list(tmp_path.glob("runs/*/sparsity/*.png"))) == draw


@pytest.mark.parametrize("part", [*PAIRS, *SCHEDULERS], ids=lambda path: path.stem)
def test_pairs_and_schedules_merge(part: Path, train: Train, tmp_path: Path) -> None:
    train(tmp_path / "runs", *small_sprites(PAIRS[0], ROOT / "configs" / "model" / "ada_gvae.yaml", part))


def small_sprites(*fragments: Path) -> list[str]:
    """Name small sprites with the fragments merged in order."""
    parts = [ROOT / "configs" / "data" / "sprites.yaml", *fragments]
    small = ["--data.dataset.resolution=16", "--model.latent_dim=6"]
    return [*(f"--config={part}" for part in parts), *SHORT, *FEW, *small, "--report=false"]


@pytest.mark.parametrize("data", [*TOYS, *CHANGED])
def test_toys_of_variance_train(data: str, train: Train, tmp_path: Path) -> None:
    parts = [ROOT / "configs" / "data" / f"{data}.yaml", ROOT / "configs" / "model" / "vae.yaml"]
    small = ["--data.dataset.dataset.resolution=16"] if data in CHANGED else []
    if data.startswith("scream"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / "any.png")
        small.append(f"--data.dataset.picture={tmp_path / 'any.png'}")
    flags = [*(f"--config={part}" for part in parts), *SHORT, *FEW, *small, "--report=false"]
    train(tmp_path / "runs", *flags)


@pytest.mark.parametrize("side", SIDES, ids=lambda path: path.stem)
def test_larger_volumes_merge_and_train(side: Path, train: Train, tmp_path: Path) -> None:
    parts = [ROOT / "configs" / "brain_ada_gvae.yaml", side]
    flags = [*(f"--config={part}" for part in parts), *SHORT, *scans(tmp_path / "bids"), "--data.batch_size=1"]
    train(tmp_path / "runs", *flags, "--model.backbone.hidden=8")


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_volumes_merge(model: Path, train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [ROOT / "configs" / "data" / "longitudinal.yaml", model]
    small = ["--data.size=[16,16,16]", "--data.spacing=6", "--model.backbone.channels=[4,8]", *scans(tmp_path / "bids")]
    flags = [*(f"--config={part}" for part in parts), *SHORT, *small, "--report=false"]
    if model.stem in KNOWN_CHANGE:
        assert "KnownMask" in refused(capsys, "fit", *flags, f"--runs_dir={tmp_path / 'runs'}")
    else:
        train(tmp_path / "runs", *flags, *AGE.get(model.stem, []))


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (dsprites, "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"),
        (cars3d, "nips2015-analogy-data.tar.gz"),
        (shapes3d, "3dshapes.h5"),
        (smallnorb, "smallnorb-5x46789x9x18x6x2x96x96-training-dat.mat.gz"),
        (mpi3d, "mpi3d_real.npz"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_published_data_configs_name_the_file_and_its_source(
    module: ModuleType, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = [ROOT / "configs" / "data" / f"{module.__name__.split('.')[-1]}.yaml", ROOT / "configs/model/vae.yaml"]
    said = refused(capsys, "fit", *(f"--config={part}" for part in parts), f"--runs_dir={tmp_path}")
    assert named in said
    assert module.SOURCE in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", OVER_DSPRITES)
def test_appearances_of_dsprites_name_its_file(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = [ROOT / "configs" / "data" / f"{data}.yaml", ROOT / "configs/model/vae.yaml"]
    assert dsprites.SOURCE in refused(capsys, "fit", *(f"--config={part}" for part in parts), f"--runs_dir={tmp_path}")


def test_only_what_has_an_order_is_ranked() -> None:
    config = yaml.safe_load((ROOT / "configs" / "model" / "rank_vae.yaml").read_text())
    columns = config["model"]["init_args"]["supervision"]["init_args"]["columns"]
    assert [Sprites().factors.names[column] for column in columns] == ["scale", "x", "y"]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_sweep_parses(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCANS", "bids")
    monkeypatch.setenv("BRAIN", "brain")
    sweep = read_sweep(path)
    assert sweep.command[:5] == ("${env}", "${interpreter}", "-m", "disentangle_pl", "fit")
    assert sweep.command.count("${args}") == 1
    assert sweep.name == path.stem.replace("_", "-")
    variants = re.findall(r"^#   (--\S+)", path.read_text(), re.MULTILINE)
    assert bool(variants) == path.stem.startswith(("unsupervised", "weak"))
    search = make_search(sweep)
    place = sweep.command.index("${args}")
    reference = (*sweep.command[:place], *variants, "${args}")
    for command, sample in ((sweep.command, 0), (reference, -1)):
        values = search.values(search.sample(sample))
        arguments = own_arguments(build_command(command, None, values))
        assert arguments is not None
        with pytest.raises(SystemExit) as stop:
            run(*arguments, "--print_config")
        config = yaml.safe_load(capsys.readouterr().out)
        assert stop.value.code in (0, None)
        assert config["seed_everything"] == values["seed_everything"]
