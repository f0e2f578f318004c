"""Training and evaluation on a rehearsed GPU: nothing is on the wrong device, and no step waits without need."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Adam

from disentangle_pl.brain.augmentation import Augmentation
from disentangle_pl.brain.longitudinal import LongitudinalData, ResidentVolumes
from disentangle_pl.callbacks.disentanglement import LogDisentanglement
from disentangle_pl.callbacks.layers import LogLayers
from disentangle_pl.callbacks.reconstructions import LogReconstructions
from disentangle_pl.callbacks.sharing import LogSharing
from disentangle_pl.callbacks.sparsity import LogSparsity
from disentangle_pl.callbacks.traversals import LogTraversals, traverse
from disentangle_pl.data.blocks3d import Blocks3D
from disentangle_pl.data.cars3d import Cars3D
from disentangle_pl.data.dsprites import DSprites
from disentangle_pl.data.factors import FactorDataset, FactorSpace
from disentangle_pl.data.linear_toys import CosineFactors, TurningDirections
from disentangle_pl.data.mpi3d import MPI3D
from disentangle_pl.data.perturbed import Noised, Perturbed
from disentangle_pl.data.random_appearance import NoiseBackground, RandomColour
from disentangle_pl.data.separate_squares import SeparateSquares
from disentangle_pl.data.smallnorb import SmallNORB
from disentangle_pl.data.sprites import Sprites
from disentangle_pl.data.synthetic import ResidentImages, SyntheticData
from disentangle_pl.data.variance_toys import ColourPatch, ColourSize, EvenColourSize
from disentangle_pl.likelihoods import Bernoulli, Gaussian, Likelihood
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.codes import encode
from disentangle_pl.studies.soundness import soundness
from disentangle_pl.studies.through_decoder import decoder_scores
from disentangle_pl.studies.udr_codes import encode_first
from tests.brain.scans import bids
from tests.models.tiny import sprites, trainer
from tests.models.zoo import CONV, ZOO, make, mask
from tests.rehearsal import GPU, WAITS, GpuTensor, rehearsal, waits


@pytest.fixture(autouse=True)
def gpu() -> Iterator[None]:
    with rehearsal():
        yield


# What the rehearsal itself refuses and notes


@pytest.mark.parametrize(
    "misplaced",
    [
        lambda x: x + torch.zeros(3),
        lambda x: torch.zeros(3).add_(x),
        lambda x: torch.tensor(0.0).add_(x.sum()),
        lambda x: torch.stack([x.sum(), torch.tensor(1.0)]),
        lambda x: nn.Linear(3, 2)(x),
        lambda x: nn.Conv1d(1, 1, 2).to(GPU)(torch.zeros(1, 1, 3)),
        lambda x: torch.zeros(3)[x.long()],
        lambda x: x.index_select(0, torch.tensor([0])),
        lambda x: torch.where(x > 0, x, torch.zeros(3)),
        lambda x: torch.randn(3, device=x.device, generator=torch.Generator()),
        lambda x: torch.randn(3, generator=torch.Generator(GPU)),
        lambda x: x.numpy(),
        lambda x: np.asarray(x),
    ],
)
def test_what_a_gpu_refuses_is_refused(misplaced: Callable[[Tensor], Any]) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        misplaced(torch.ones(3, device="cuda"))


@pytest.mark.parametrize(
    ("placed", "count"),
    [
        (lambda x: x + torch.tensor(1.0), 0),
        (lambda x: x * 2 - x.mean(), 0),
        (lambda x: torch.randn(3, device=GPU, generator=torch.Generator(GPU).manual_seed(0)), 0),
        (lambda x: torch.arange(3).to(GPU, non_blocking=True), 0),
        (lambda x: x.masked_fill(x > 0, 0.0), 0),
        (lambda x: x.new_zeros(3).index_fill_(0, x.long(), 1.0), 0),
        (lambda x: x[x.long() - 1], 0),
        (lambda x: x[torch.tensor([0])], 1),
        (lambda x: x[[0, 2]], 1),
        (lambda x: x[x > 0], 1),
        (lambda x: torch.tensor([1.0], device=x.device), 1),
        (lambda x: x.new_tensor([1.0]), 1),
        (lambda x: torch.arange(3).to(x), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.sum().item(), 1),
        (lambda x: float(x.sum()), 1),
        (lambda x: bool((x > 0).all()), 1),
        (lambda x: x.nonzero(), 1),
        (lambda x: f"{x.sum():.1f}", 1),
    ],
)
def test_what_makes_the_cpu_wait_is_counted(placed: Callable[[Tensor], Any], count: int) -> None:
    x = torch.ones(3, device="cuda")
    with waits() as waited:
        placed(x)
    assert waited.total() == count


def test_layers_learn_on_it_as_on_the_cpu() -> None:
    torch.manual_seed(0)
    values, image = [], torch.rand(2, 1, 8, 8)
    layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))
    state = {name: value.clone() for name, value in layers.state_dict().items()}
    for device in (torch.device("cpu"), GPU):
        layers.load_state_dict(state)
        layers.to(device)
        optimizer = Adam(layers.parameters(), lr=0.1, fused=True)
        for _ in range(2):
            loss = layers(image.to(device)).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        values.append(layers.state_dict()["0.weight"].cpu().clone())
    torch.testing.assert_close(*values)


# The package


class CountWaits(Callback):
    """Counts what made the CPU wait from the second step of a training to its fourth."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:
            self.before = WAITS.copy()
            assert isinstance(batch.image, GpuTensor)

    def on_train_batch_end(
        self, trainer: Any, pl_module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        if index == 3:
            self.waited: Counter[str] = WAITS - self.before


def waited_for(model: LightningModule, data: Any, folder: Path, *callbacks: Callback, **settings: Any) -> Counter[str]:
    """Train 5 steps on the GPU, validate, and return what made the CPU wait between two logged steps."""
    count = CountWaits()
    quiet = {"accelerator": "gpu", "log_every_n_steps": 100, "callbacks": [count, *callbacks]}
    run = trainer(folder, **(quiet | settings))
    run.fit(model, data)
    assert {parameter.device for parameter in model.parameters()} == {torch.device("cpu")}
    run.validate(model, data, verbose=False)
    assert all(value.isfinite() for value in run.callback_metrics.values())
    return count.waited


@pytest.mark.parametrize("name", ZOO)
def test_no_step_of_any_model_waits(name: str, tmp_path: Path) -> None:
    fused = {"class_path": "torch.optim.Adam", "init_args": {"lr": 1e-3, "fused": True}}
    assert waited_for(make(name, optimizer=fused), sprites(4, ZOO[name].pairs, steps=5), tmp_path) == {}


MASKS = [
    mask("gates", "BinaryMask"),
    mask("gates", "GumbelMask"),
    mask("gates", "HardConcreteMask", warm_up=2),
    mask("l1", "GroupLassoMask"),
    mask("l1", "L1Mask"),
    mask("l1", "ProximalL1Mask"),
    mask("l1", "WeightL1"),
    mask("magnitude", "MagnitudeMask", density=0.5, rounds=1, interval=1),
    mask("random_mask", "RandomMask", density=0.5),
]


@pytest.mark.parametrize("settings", MASKS, ids=lambda settings: settings["mask"]["class_path"].split(".")[-1])
def test_no_step_of_any_mask_waits(settings: dict[str, Any], tmp_path: Path) -> None:
    model = make("vae", (1, 16, 16), **(CONV | settings))
    assert waited_for(model, sprites(4, steps=5), tmp_path, LogSparsity(draw=False), gradient_clip_val=1.0) == {}


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(), Gaussian(scale=0.5, learned=True)])
def test_no_step_of_any_likelihood_waits(likelihood: Likelihood, tmp_path: Path) -> None:
    model = make("vae", (1, 16, 16), **CONV, likelihood=likelihood)
    assert waited_for(model, sprites(4, steps=5), tmp_path, accumulate_grad_batches=2) == {}


def published(kind: type[FactorDataset], sizes: tuple[int, ...], **parts: Any) -> FactorDataset:
    """Make a data set of a file without the file."""
    data = kind.__new__(kind)
    data.factors = FactorSpace([f"f{k}" for k in range(len(sizes))], sizes)
    vars(data).update(parts)
    return data


PIXELS = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3)).astype(np.uint8)
BYTES = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).contiguous()
SETS: dict[str, Callable[[], FactorDataset]] = {
    "blocks": lambda: Blocks3D(8, scale_values=[0], orientation_values=[0, 3], supersample=1),
    "cars": lambda: published(Cars3D, (3, 4), shape=(3, 64, 64), _pixels=BYTES),
    "colour even": lambda: EvenColourSize(positions=4),
    "colour patch": lambda: ColourPatch(positions=1),
    "colour size": lambda: ColourSize(positions=4),
    "cosines": lambda: CosineFactors(),
    "dsprites": lambda: published(DSprites, (3, 4), shape=(1, 64, 64), _packed=BYTES[:, 0, :8].flatten(1)),
    "noised": lambda: Noised(Sprites(16)),
    "perturbed": lambda: Perturbed(Sprites(16), pair=["x", "y"]),
    "random colour": lambda: RandomColour(Sprites(16)),
    "random noise": lambda: NoiseBackground(Sprites(16)),
    "resident": lambda: ResidentImages(SeparateSquares(1), SeparateSquares(1).images(torch.arange(16))),
    "smallnorb": lambda: published(SmallNORB, (3, 4), shape=(1, 64, 64), _pixels=BYTES[:, :1]),
    "sprites": lambda: Sprites(16, supersample=2),
    "sprites in colour": lambda: Sprites(16, colors=4),
    "squares": lambda: SeparateSquares(),
    "turning": lambda: TurningDirections(),
}


@pytest.mark.parametrize("name", SETS)
def test_images_are_those_of_the_cpu_and_no_batch_but_the_first_waits(name: str) -> None:
    data = SyntheticData(SETS[name](), resident_mib=0)
    index = data.draw(7, torch.Generator().manual_seed(0))[0]
    expected = data.on_after_batch_transfer((index,), 0)
    moved = (index.to(GPU),)
    data.on_after_batch_transfer(moved, 0)
    with waits() as waited:
        found = data.on_after_batch_transfer(moved, 0)
    assert waited == {}
    assert found.image.device == found.factors.device == GPU
    assert torch.equal(found.factors.cpu(), expected.factors)
    torch.testing.assert_close(found.image.cpu(), expected.image)


def test_images_of_a_file_come_to_the_device_of_the_index() -> None:
    data = published(MPI3D, (3, 4), shape=(3, 64, 64), _pixels=PIXELS)
    index = torch.tensor([3, 1, 1], device=GPU)
    assert data.images(index).device == GPU
    assert torch.equal((data.images(index) * 255).round().byte().cpu(), BYTES[[3, 1, 1]])


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bids(tmp_path_factory.mktemp("cohort"), {f"{i:03d}": 2 for i in range(12)})


def test_no_step_on_augmented_pairs_of_scans_waits(cohort: Path, tmp_path: Path) -> None:
    change = Augmentation(gain=0.1, gamma=0.1, bias=0.1, noise=0.1)
    settings: dict[str, Any] = {"cache": str(cohort / "cache"), "augmentation": change, "steps_per_epoch": 5}
    scans = LongitudinalData(str(cohort), (8, 8, 8), 2.0, 4, **settings)
    model = make("ada gvae", (1, 8, 8, 8), likelihood=Gaussian())
    assert waited_for(model, scans, tmp_path) == {}


def test_augmented_scans_are_those_of_the_cpu() -> None:
    change = Augmentation(gain=0.1, gamma=0.1, bias=0.1)
    image, normals, seeds = torch.rand(2, 2, 1, 4, 5, 6), torch.randn(2, 2, 21), torch.arange(2)
    expected = change(image, normals, seeds)
    torch.testing.assert_close(change(image.to(GPU), normals.to(GPU), seeds).cpu(), expected)
    rows: Any = np.random.default_rng(0).random((4, 3, 3, 3)).astype(np.float16)
    for mib in (1, 0):
        images = ResidentVolumes(rows, mib).images(torch.tensor([[2, 0]], device=GPU))
        assert torch.equal(images[0, :, 0].cpu(), torch.from_numpy(rows[[2, 0]]).float())


def test_every_callback_works_on_it(tmp_path: Path) -> None:
    pairs = ZOO["ada gvae symmetric"].pairs
    model = make("ada gvae symmetric", **mask("l1", "L1Mask"))
    shown = (LogReconstructions(), LogTraversals(), LogLayers(enabled=True, rows=32), LogSparsity(), LogSharing(64))
    waited_for(model, sprites(4, pairs, steps=5), tmp_path, LogDisentanglement(only=["mig"], references=False), *shown)
    for kind in ("reconstructions", "traversals", "layers", "sparsity"):
        assert list((tmp_path / kind).glob("*.png")), kind
    assert trainer(tmp_path, accelerator="gpu").predict(model, sprites(4))


def test_what_evaluation_asks_of_a_model_works_on_it() -> None:
    model, data = make("ada gvae").eval(), sprites(4)
    images = torch.rand(3, 1, 16, 16)
    found = []
    for device in (torch.device("cpu"), GPU):
        model.to(device)
        q = DiagonalGaussian(*(moment.detach() for moment in model.encode(images.to(device))))
        rows = traverse(model, q, chosen=[2, 0], start=q.mean[0])
        shift = torch.tensor([0.1, 0, 0, 0, 0, 0], device=device)
        sound = soundness(model, images.to(device), shift)
        table = encode(model, data)._replace(kl=np.ones(6))
        scores = decoder_scores(model, table, pairs=20, points=2)
        found.append((rows.images.cpu(), tuple(sound), table.codes, scores, encode_first(model, data, 20).codes))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_batch_without_a_trainer_is_refused_on_the_wrong_device() -> None:
    with pytest.raises(RuntimeError, match="same device"):
        make("vae").to(GPU).terms(torch.rand(2, 1, 16, 16))
