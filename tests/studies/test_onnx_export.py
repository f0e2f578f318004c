"""ONNX files are what the model is, in another runtime, for any batch."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from disentangle_pl.backbones import MLPBackbone
from disentangle_pl.errors import InputError
from disentangle_pl.likelihoods import Gaussian
from disentangle_pl.masks.random_mask import RandomMask
from disentangle_pl.models.beta_vae import BetaVAE
from disentangle_pl.studies import onnx_export
from disentangle_pl.studies.compact import narrow_model
from disentangle_pl.studies.onnx_export import NEEDED, export_onnx, missing_packages
from tests.command_line import TINY, run
from tests.models.tiny import tiny

needs_onnx = pytest.mark.skipif(
    bool(missing_packages()), reason="needs onnx, onnxruntime and onnxscript: pip install .[onnx]"
)
MODELS: dict[str, dict[str, Any]] = {
    "2-D": {},
    "3-D": {"shape": (2, 8, 8, 8), "likelihood": Gaussian(0.1)},
    "mlp": {"backbone": lambda shape, d: MLPBackbone(shape, d, (16,), (16,))},
}


def sparse(name: str) -> BetaVAE:
    """Make a compact model whose biases speak."""
    torch.manual_seed(0)
    model = tiny(**MODELS[name], mask=lambda pairs: RandomMask(pairs, 0.5))
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("bias"):
                value.normal_()
    narrow_model(model)
    return model


def answers(file: Path, x: Tensor) -> tuple[list[str], list[Tensor]]:
    """Return the names and values of what onnxruntime makes of a file."""
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install .[onnx]")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (only,) = session.get_inputs()
    found = session.run(None, {only.name: x.numpy()})
    names = [only.name, *(output.name for output in session.get_outputs())]
    return names, [torch.from_numpy(value) for value in found]


@needs_onnx
@pytest.mark.parametrize("name", MODELS)
def test_encoder_and_decoder_are_the_models_for_any_batch(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = sparse(name)
    made = export_onnx(model, tmp_path / "a.ckpt", torch.rand(4, *model.backbone.shape), torch.randn(4, 3))
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert made.largest_difference <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.decoder.onnx", "a.encoder.onnx"]
    for rows in (1, 7):
        images, latents = torch.rand(rows, *model.backbone.shape), torch.randn(rows, 3)
        with torch.no_grad():
            posterior, decoded = model.encode(images), model.decode(latents)
        names, found = answers(made.encoder, images)
        assert names == ["image", "mean", "logvar"]
        torch.testing.assert_close(found, list(posterior), atol=1e-5, rtol=0)
        names, found = answers(made.decoder, latents)
        assert names == ["z", "image"]
        torch.testing.assert_close(found, [decoded], atol=1e-5, rtol=0)
    assert str(Path.cwd()).encode() not in made.encoder.read_bytes()


@needs_onnx
def test_a_file_that_differs_never_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    model = sparse("mlp")
    with pytest.raises(RuntimeError, match="fault of ours"):
        export_onnx(model, tmp_path / "a.ckpt", torch.rand(1, 1, 16, 16), torch.randn(1, 3))
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]


@needs_onnx
def test_a_layer_without_translation_is_one_sentence(tmp_path: Path) -> None:
    class Exponential(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            grown: Tensor = torch.linalg.matrix_exp(x[:, :3, None] * x[:, None, 3:])
            return grown.flatten(1)[:, :6]

    model = sparse("mlp")
    model.backbone.encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 6), Exponential())
    with pytest.raises(InputError, match=r"a.encoder.onnx.*--onnx=false"):
        export_onnx(model, tmp_path / "a.ckpt", torch.rand(2, 1, 16, 16), torch.randn(2, 3))
    assert not list(tmp_path.iterdir())


def test_quiet_is_over_afterwards() -> None:
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    with onnx_export._quiet():
        warnings.warn("unheard", UserWarning, stacklevel=1)
        assert logger.level == logging.ERROR
    assert logger.level == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


@pytest.mark.parametrize("installed", [pytest.param(True, marks=needs_onnx), False])
def test_compact_writes_onnx_if_it_can_and_says_how_if_not(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not installed:
        monkeypatch.setattr(onnx_export, "NEEDED", ("json", "no_such_package"))
    run("fit", *TINY, f"--runs_dir={tmp_path}", "--run_id=a", "--trainer.max_epochs=1")
    checkpoint = tmp_path / "a" / "checkpoints" / "last.ckpt"
    out = tmp_path / "small.ckpt"
    capsys.readouterr()
    run("compact", str(checkpoint), f"--out={out}", "--repeats=1", "--batch_size=1")
    report, said = json.loads(out.with_suffix(".json").read_text())["onnx"], capsys.readouterr().out
    assert out.is_file()
    if installed:
        assert report["encoder"] == str(tmp_path / "small.encoder.onnx")
        assert report["largest_difference"] <= 1e-5
        assert Path(report["decoder"]).is_file()
        assert "small.encoder.onnx" in said
    else:
        assert report == {"missing": ["no_such_package"]}
        assert "for want of no_such_package: pip install 'disentangle_pl[onnx]'" in said
        assert not list(tmp_path.glob("*.onnx"))
    assert NEEDED == ("onnx", "onnxruntime", "onnxscript")
