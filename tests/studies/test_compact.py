"""`disentangle-pl compact` on a run of the real command line."""

import json
from pathlib import Path

import pytest
import torch

from disentangle_pl.errors import InputError
from disentangle_pl.masks.channel_mask import masked_layers
from disentangle_pl.models.checkpoint import load_model
from disentangle_pl.studies.compact import largest_difference, narrow_model
from tests.command_line import PAIRS, TINY, refused, run
from tests.models.tiny import tiny

MASK = [
    "--model.mask=disentangle_pl.masks.random_mask.RandomMask",
    "--model.mask.density=0.1",
    "--model.placement.pixels=false",
]
CONV = ["--model.backbone=ConvBackbone", "--model.backbone.channels=[8,16]", "--model.backbone.hidden=32"]


@pytest.mark.parametrize("backbone", [[], CONV], ids=["mlp", "conv"])
def test_a_compact_checkpoint_computes_the_same_and_is_smaller(
    backbone: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("fit", *TINY, *backbone, *MASK, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=1")
    checkpoint = tmp_path / "a" / "checkpoints" / "last.ckpt"
    run("compact", str(checkpoint), "--batch_size=4", "--repeats=2", "--onnx=false")
    whole, small = load_model(checkpoint), load_model(checkpoint.with_name("compact.ckpt"))
    assert not list(masked_layers(small))
    assert largest_difference(whole, small, torch.rand(5, 1, 16, 16), torch.randn(5, 6)) < 1e-5
    report = json.loads(checkpoint.with_name("compact.json").read_text())
    assert report["compact"]["parameters"] < report["dense"]["parameters"]
    assert report["compact"]["flops"] < report["dense"]["flops"]
    assert report["compact"]["parameters"] == sum(p.numel() for p in small.backbone.parameters())
    assert 0.1 < report["density"] < 1
    said = capsys.readouterr().out
    assert report["onnx"] is None
    assert not list(checkpoint.parent.glob("*.onnx"))
    assert "dense / compact" in said
    assert "compact.ckpt" in said


def test_a_compact_checkpoint_is_a_model_like_any_other(tmp_path: Path) -> None:
    run("fit", *TINY, *PAIRS, *MASK, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=1")
    checkpoint = tmp_path / "a" / "checkpoints" / "last.ckpt"
    run("compact", str(checkpoint), f"--out={tmp_path / 'small.ckpt'}", "--repeats=1", "--batch_size=1", "--onnx=false")
    again = tmp_path / "again.ckpt"
    run("compact", str(tmp_path / "small.ckpt"), f"--out={again}", "--repeats=1", "--batch_size=1", "--onnx=false")
    first, second = (sum(p.numel() for p in load_model(path).parameters()) for path in (tmp_path / "small.ckpt", again))
    assert second <= first


def test_a_dense_model_stays_as_it_is() -> None:
    model = tiny()
    before = [parameter.clone() for parameter in model.parameters()]
    settings = narrow_model(model)
    assert settings == {"channels": [4, 8], "hidden": 16, "decoder_channels": [4, 8], "decoder_hidden": 16}
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


def test_what_is_no_chain_is_refused() -> None:
    model = tiny()
    model.backbone.encoder = torch.nn.ModuleList(model.backbone.encoder.children())
    with pytest.raises(InputError, match="no chain"):
        narrow_model(model)


def test_a_missing_checkpoint_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.ckpt" in refused(capsys, "compact", str(tmp_path / "nowhere.ckpt"))
