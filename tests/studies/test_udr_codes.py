"""Codes of many checkpoints for UDR."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from disentangle_pl.errors import InputError
from disentangle_pl.posterior import DiagonalGaussian
from disentangle_pl.studies.udr_codes import Encoder, data_settings, encode_first, make_data
from tests.models.tiny import sprites, tiny

quiet = pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")  # Lightning
DATA: dict[str, Any] = {
    "class_path": "disentangle_pl.data.synthetic.SyntheticData",
    "init_args": {
        "dataset": {
            "class_path": "disentangle_pl.data.sprites.Sprites",
            "init_args": {"resolution": 16, "orientation_values": [0], "x_values": [0, 9, 31], "y_values": [0, 31]},
        },
        "batch_size": 4,
        "eval_size": 50,
        "eval_batch_size": 16,
    },
}


def save(folder: Path, seed: int, *, broken: bool = False) -> Path:
    """Write a run folder with an untrained model."""
    torch.manual_seed(seed)
    weights = tiny().state_dict()
    if broken:
        weights = {name: torch.full_like(value, torch.nan) for name, value in weights.items()}
    kind = "disentangle_pl.models.beta_vae.BetaVAE"
    own = {"_class_path": kind, "_instantiator": "lightning.pytorch.cli.instantiate_module", "shape": (1, 16, 16)}
    backbone = {"class_path": "disentangle_pl.backbones.ConvBackbone", "init_args": {"channels": [4, 8], "hidden": 16}}
    model = own | {"latent_dim": 3, "backbone": backbone}
    (folder / "checkpoints").mkdir(parents=True)
    checkpoint = {"hyper_parameters": model, "state_dict": weights, "pytorch-lightning_version": "2.6.6"}
    torch.save(checkpoint, folder / "checkpoints" / "last.ckpt")
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": DATA}))
    return folder


def test_the_first_images_are_encoded_with_their_divergence() -> None:
    model, data = tiny().eval(), sprites(4)
    latents = encode_first(model, data, 20)
    batch = next(iter(data.val_dataloader()))
    with torch.no_grad():
        q = model.encode(data.on_after_batch_transfer(tuple(batch), 0).image)
    assert latents.codes.shape == (20, 3)
    assert latents.codes[:16] == pytest.approx(q.mean.numpy(), abs=1e-5)
    few = encode_first(model, data, 7)
    kl = DiagonalGaussian(q.mean, q.logvar).kl()[:7].mean(0)
    assert few.codes.shape == (7, 3)
    assert few.kl == pytest.approx(kl.numpy(), rel=1e-4)
    assert encode_first(model, data, 9999).codes.shape == (32, 3)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 8, 8\), but the data have \(1, 16, 16\)"):
        encode_first(tiny((1, 8, 8)), sprites(4), 9)


def encoded(cache: Path, folders: list[Path]) -> int:
    """Count the checkpoints that had to be encoded."""
    encoder = Encoder(cache, 30)
    latents, _ = encoder(folders)
    assert [len(code.codes) for code in latents.values()] == [30, 30]
    return encoder.encoded


@quiet
def test_codes_are_remembered_until_the_checkpoint_changes(tmp_path: Path) -> None:
    folders = [save(tmp_path / name, seed) for seed, name in enumerate("ab")]
    first = Encoder(tmp_path / "cache", 30)
    latents, refused = first(folders)
    assert (first.encoded, refused) == (2, {})
    assert [code.codes.shape for code in latents.values()] == [(30, 3), (30, 3)]
    second = Encoder(tmp_path / "cache", 30)
    again, _ = second(folders)
    assert second.encoded == 0
    assert all(np.array_equal(again[folder].codes, latents[folder].codes) for folder in folders)
    assert all(np.array_equal(again[folder].kl, latents[folder].kl) for folder in folders)
    os.utime(folders[0] / "checkpoints" / "last.ckpt", (1, 1))
    assert encoded(tmp_path / "cache", folders) == 1
    for kept in (tmp_path / "cache").iterdir():
        kept.write_bytes(b"broken")
    assert encoded(tmp_path / "cache", folders) == 2
    other = {"data": {**DATA, "init_args": {**DATA["init_args"], "eval_size": 40}}}
    (folders[0] / "config.yaml").write_text(yaml.safe_dump(other))
    assert encoded(tmp_path / "cache", folders) == 2
    fewer = Encoder(tmp_path / "cache", 20)
    assert len(fewer(folders)[0][folders[0]].codes) == 20
    assert fewer.encoded == 2


@quiet
def test_what_cannot_be_encoded_is_refused_with_a_reason(tmp_path: Path) -> None:
    whole, cut, lost = (save(tmp_path / name, 0, broken=name == "lost") for name in ("whole", "cut", "lost"))
    checkpoint = cut / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    latents, refused = Encoder(tmp_path / "cache")([whole, cut, lost, tmp_path / "none"])
    assert list(latents) == [whole]
    assert "not a checkpoint that can be read" in refused[cut]
    assert "NaN or infinite" in refused[lost]
    assert "there is no checkpoint" in refused[tmp_path / "none"]


@pytest.mark.parametrize("text", ["", "data: null", "model: 1", "[1]", "a: [", "\x00", "data: text"])
def test_a_run_must_say_which_data_it_had(text: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "a", 0)
    (folder / "config.yaml").write_text(text)
    assert "does not say which data" in Encoder(tmp_path)([folder])[1][folder]
    with pytest.raises(InputError, match="does not say which data"):
        data_settings(tmp_path / "nowhere")


def test_data_of_another_version_are_refused() -> None:
    assert make_data(DATA).shape == (1, 16, 16)
    for wrong in (
        {"class_path": "disentangle_pl.backbones.ConvBackbone"},
        {"class_path": "nope.Data"},
        {**DATA, "init_args": {"nope": 1}},
    ):
        with pytest.raises(InputError, match="cannot be made any more"):
            make_data(wrong)
