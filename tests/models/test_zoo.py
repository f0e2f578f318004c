"""What holds for every model, whatever its objective, aggregation or supervision."""

import socket
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import __version__ as version
from lightning.pytorch import seed_everything
from numpy.typing import NDArray
from torch import Tensor

from disentangle_pl.backbones import LOGVAR_RANGE
from disentangle_pl.callbacks.resume import ExactResume
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from disentangle_pl.posterior import DiagonalGaussian
from tests.models.tiny import sprites, trainer
from tests.models.zoo import CONV, MEANS, PLAIN, VOLUME, ZOO, config, make, mask
from tests.ranks import RANKS, join

every_model = pytest.mark.parametrize("name", ZOO)
INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"
States = dict[str, dict[str, NDArray[np.float32]]]


def batch(name: str, size: int, shape: tuple[int, ...] = PLAIN) -> dict[str, Tensor]:
    """Images with factors, and noise for them, in the form that a model takes."""
    generator, group = torch.Generator().manual_seed(0), ZOO[name].group
    several = (group,) if group > 1 else ()
    factors = torch.randint(2, (size, *several, 5), generator=generator)
    return {
        "image": torch.rand(size, *several, *shape, generator=generator),
        "noise": torch.randn(size * group, 6, generator=generator),
        "factors": factors,
        "changed": factors.view(size, group, 5).float().std(1, correction=0) > 0,
    }


def gradients(model: VAE, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of every weight for one batch."""
    model.zero_grad()
    torch.autograd.backward(model.terms(**inputs)["loss"])
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@every_model
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        (PLAIN, {"mask": None}),
        (PLAIN, mask("random_mask", "RandomMask", density=0.5)),
        (VOLUME, CONV | mask("l1", "L1Mask")),
    ],
    ids=["2-D", "2-D random mask", "3-D L1 mask"],
)
def test_every_model_learns(name: str, shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    model, inputs = make(name, shape, **settings), batch(name, 4, shape)
    optimizer = model.configure_optimizers()
    losses = []
    for _ in range(3):
        terms = model.terms(**inputs)
        assert all(term.dim() == 0 and term.isfinite() for term in terms.values())
        losses.append(terms["loss"].item())
        optimizer.zero_grad()
        torch.autograd.backward(terms["loss"])
        for weight, parameter in model.named_parameters():
            assert not parameter.requires_grad or (parameter.grad is not None and parameter.grad.isfinite().all()), (
                weight
            )
        optimizer.step()
    assert len(set(losses)) == 3


@every_model
def test_every_model_trains_in_16_bits_with_clipping_and_accumulation(name: str, tmp_path: Path) -> None:
    model, data = make(name), sprites(4, ZOO[name].pairs, steps=4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    settings = {"precision": "bf16-mixed", "gradient_clip_val": 1.0, "accumulate_grad_batches": 2}
    run = trainer(tmp_path, log_every_n_steps=1, **settings)
    run.fit(model, data)
    assert run.global_step == 2
    assert {"train/loss", "train/nll", "train/kl", "val/loss", "val/mse"} <= set(run.callback_metrics)
    assert all(value.isfinite() for value in run.callback_metrics.values())
    for key, value in model.state_dict().items():
        assert value.isfinite().all()
        assert not torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", MEANS)
def test_two_accumulated_batches_equal_a_large_one(name: str) -> None:
    model, inputs = make(name), batch(name, 6)
    group = ZOO[name].group
    halves = [
        {key: value[i * len(value) // 2 : (i + 1) * len(value) // 2] for key, value in inputs.items()} for i in (0, 1)
    ]
    assert len(halves[1]["noise"]) == 3 * group
    whole, first, second = (gradients(model, part) for part in (inputs, *halves))
    for key, gradient in whole.items():
        torch.testing.assert_close((first[key] + second[key]) / 2, gradient, rtol=1e-4, atol=1e-4)


@every_model
def test_extreme_posteriors_stay_finite(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = make(name), batch(name, 4)
    rows = 4 * ZOO[name].group
    low, high = LOGVAR_RANGE
    for far, logvars in product((0.0, 1e4), ((low, high), (low, low), (high, high))):
        mean = (far * (torch.arange(rows * 6).view(rows, 6) % 3 - 1)).requires_grad_()
        logvar = torch.tensor(logvars).repeat(rows * 3).view(6, rows).T.contiguous().requires_grad_()
        q = DiagonalGaussian(mean, logvar)
        monkeypatch.setattr(model, "encode", lambda image, q=q: q)
        found = gradients(model, inputs)
        assert model.terms(**inputs)["loss"].isfinite()
        for gradient in (mean.grad, logvar.grad, *found.values()):
            assert gradient is not None
            assert gradient.isfinite().all()


# Lightning calls jsonargparse by an old name
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@every_model
def test_a_checkpoint_gives_every_model_back(name: str, tmp_path: Path) -> None:
    model, inputs = make(name), batch(name, 5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01)
    origin = {"_class_path": f"{type(model).__module__}.{type(model).__name__}", "_instantiator": INSTANTIATOR}
    state = {"hyper_parameters": config(name) | origin, "state_dict": model.state_dict()}
    torch.save(state | {"pytorch-lightning_version": version}, tmp_path / "model.ckpt")
    restored = load_model(tmp_path / "model.ckpt")
    assert type(restored) is type(model)
    groups, own = (kind.configure_optimizers().param_groups for kind in (restored, model))
    assert [(g["lr"], len(g["params"])) for g in groups] == [(g["lr"], len(g["params"])) for g in own]
    found, expected = restored.terms(**inputs), model.eval().terms(**inputs)
    assert found.keys() == expected.keys()
    for term, value in expected.items():
        assert torch.equal(found[term], value), term


def train_all(folder: Path, processes: int = 1) -> States:
    """Take 3 steps with every model and a global batch of 8 examples, and return all weights."""
    states = {}
    for name, kind in ZOO.items():
        seed_everything(0, verbose=False)
        strategy: dict[str, Any] = {"strategy": "ddp", "devices": processes} if processes > 1 else {}
        model = make(name)
        run = trainer(folder, limit_val_batches=0, callbacks=[ExactResume()], **strategy)
        run.fit(model, sprites(8 // processes, kind.pairs))
        states[name] = {key: value.numpy() for key, value in model.state_dict().items()}
    return states


def train_on_one_rank(rank: int, port: int, folder: Path) -> States:
    warnings.simplefilter("ignore")
    join(rank, port)
    return train_all(folder, processes=2)


def test_two_processes_equal_one_with_the_global_batch(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with ProcessPoolExecutor(2, mp_context=RANKS) as pool:
        ranks = pool.map(train_on_one_rank, (0, 1), (port, port), (tmp_path, tmp_path))
        one = train_all(tmp_path)
    for states in ranks:
        for name, state in one.items():
            for key, value in state.items():
                np.testing.assert_allclose(states[name][key], value, rtol=0, atol=1e-6, err_msg=f"{name}: {key}")
    for name, state in one.items():
        start = make(name).state_dict()
        assert max(np.abs(state[key] - value.numpy()).max() for key, value in start.items()) > 1e-3, name
