import io
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.masks.l1 import L1Mask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.models.vae import VAE
from tests.models.tiny import tiny

MODEL = "disentangle_pl.models.beta_vae.BetaVAE"
BUILT = Path("built")
# Lightning calls jsonargparse by an old name
quiet = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
EVIL = f"""
from pathlib import Path
from disentangle_pl.backbones import MLPBackbone
Path({str(BUILT)!r}).touch()
class Evil(MLPBackbone):
    pass
"""


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (BUILT,)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, downloaded from somewhere, with a checkpoint and code beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "downloaded", raising=False)
    (tmp_path / "downloaded.py").write_text(EVIL)
    (tmp_path / "torch.yaml").write_text("class_path: downloaded.Evil")
    (tmp_path / "backbone").write_text("class_path: downloaded.Evil")
    return tmp_path


def saved(hyper_parameters: object, model: VAE | None = None, **more: object) -> Path:
    """Save a checkpoint in the form of the command line's."""
    path = Path("model.ckpt")
    state = (model or tiny()).state_dict()
    own = {"hyper_parameters": hyper_parameters, "state_dict": state, "pytorch-lightning_version": "2.6.6"}
    torch.save(own | more, path)
    return path


def hparams(**arguments: object) -> dict[str, object]:
    own: dict[str, object] = {"_class_path": MODEL, "_instantiator": "lightning.pytorch.cli.instantiate_module"}
    backbone = {
        "class_path": "disentangle_pl.backbones.ConvBackbone",
        "init_args": {"channels": [4, 8], "hidden": 16},
    }
    return own | {"shape": (1, 16, 16), "latent_dim": 3, "beta": 2.5, "backbone": backbone} | arguments


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(path)
    assert not BUILT.exists()


@quiet
def test_an_honest_checkpoint_gives_the_model_with_its_weights() -> None:
    arguments = {
        "mask": {"class_path": "disentangle_pl.masks.l1.L1Mask", "init_args": {"strength": 0.5}},
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
    }
    original = tiny(mask=L1Mask)
    model = load_model(saved(hparams(**arguments), original))
    assert isinstance(model, BetaVAE)
    assert model.beta == 2.5
    assert [masked.mask.strength for masked in model.masks] == [0.5] * 8
    assert not model.training
    for name, value in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_a_missing_file_is_named() -> None:
    refused(Path("nowhere.ckpt"), r"there is no checkpoint at nowhere\.ckpt")


@pytest.mark.parametrize("content", [b"", b".", b"no checkpoint", b"\x80\x04K\x01", b"\x00" * 64, b"c\x80\n\n", b"PK"])
def test_garbage_is_refused(content: bytes) -> None:
    path = Path("model.ckpt")
    path.write_bytes(content)
    refused(path, "is not a checkpoint that can be read safely|does not say which model it holds")


@pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_checkpoint_is_refused(part: float, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"hyper_parameters": hparams(), "x": torch.rand(99)}, buffer, _use_new_zipfile_serialization=zipped)
    path = Path("model.ckpt")
    path.write_bytes(buffer.getvalue()[: int(part * buffer.tell())])
    refused(path, "is not a checkpoint that can be read safely")


def test_pickled_code_is_refused_and_not_run() -> None:
    path = saved(hparams(beta=Code()))
    refused(path, "is not a checkpoint that can be read safely")
    path.write_bytes(pickle.dumps({"hyper_parameters": Code()}))
    refused(path, "is not a checkpoint that can be read safely")
    torch.load(saved(hparams(beta=Code())), weights_only=False)
    assert BUILT.exists()


@pytest.mark.parametrize(
    "attack",
    [
        "downloaded.Evil",
        {"class_path": "downloaded.Evil"},
        {"class_path": "disentangle_pl.backbones.MLPBackbone", "init_args": {"widths": "downloaded.Evil"}},
        [{"class_path": "downloaded.Evil"}],
        "torch.yaml",
        "backbone",
        '{"class_path": "downloaded\\x2eEvil"}',
    ],
)
def test_code_beside_the_checkpoint_is_refused_and_not_run(attack: object) -> None:
    message = "wants to build .*, which is outside the trusted packages"
    refused(saved(hparams(backbone=attack)), message)
    refused(saved(hparams(), hparams={"backbone": attack}), message)
    refused(saved(hparams(), module_arguments={"backbone": attack}), message)


def test_a_model_outside_the_trusted_packages_is_refused_and_not_run() -> None:
    refused(saved(hparams(_class_path="downloaded.Evil")), r"wants to build downloaded\.Evil, which is outside")


@quiet
def test_a_package_that_the_caller_trusts_may_be_built() -> None:
    path = saved(hparams(backbone={"class_path": "downloaded.Evil", "init_args": {"encoder_widths": [4]}}))
    with pytest.raises(InputError, match="does not fit the BetaVAE"):  # the weights are those of another network
        load_model(path, trusted=("disentangle_pl", "downloaded"))
    assert BUILT.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "does not say which model it holds"),
        (3, "does not say which model it holds"),
        ("torch.nn.Linear", r"holds a torch\.nn\.Linear, which is not a VAE"),
        ("disentangle_pl.models.beta_vae.Nothing", "which is not a VAE"),
        ("disentangle_pl.models.nothing.BetaVAE", "which is not a VAE"),
        ("disentangle_pl", "which is not a VAE"),
    ],
)
def test_what_is_no_vae_is_refused(name: object, message: str) -> None:
    refused(saved(hparams(_class_path=name)), message)


@pytest.mark.parametrize("content", [[1], {"a": 1}, {"hyper_parameters": [1]}, torch.zeros(3)])
def test_files_that_hold_no_model_are_refused(content: object) -> None:
    torch.save(content, "model.ckpt")
    refused(Path("model.ckpt"), "does not say which model it holds")
