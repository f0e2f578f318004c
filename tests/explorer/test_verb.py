import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from disentangle_pl import verbs_explore
from tests.command_line import refused, run
from tests.models.tiny import tiny


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "data.yaml"
    path.write_text(
        "data:\n  class_path: SyntheticData\n  init_args:\n    dataset:\n      class_path: "
        "disentangle_pl.data.sprites.Sprites\n      init_args: {resolution: 16, orientation_values: [0], "
        "x_values: [0, 31], y_values: [0, 31]}\n"
    )
    return f"--config={path}"


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.ckpt"
    assert "there is no checkpoint at" in refused(capsys, "explore", str(path), config)
    torch.save({"code": tiny}, path)
    assert "not a checkpoint that can be read safely" in refused(capsys, "explore", str(path), config, "--port=0")
    torch.save({"hyper_parameters": {"_class_path": "disentangle_pl.models.beta_vae.NoSuchVAE"}}, path)
    assert "which is not a VAE of this package" in refused(capsys, "explore", str(path), config, "--port=0")
    assert "no config.yaml beside it" in refused(capsys, "explore", str(path))


@pytest.mark.parametrize("raises", [True, False], ids=["in a terminal", "started in the background by a shell"])
def test_the_end_is_said_however_the_server_ends(
    raises: bool, tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(*_: object) -> None:
        if raises:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "last.ckpt"
    checkpoint.touch()
    monkeypatch.setattr(verbs_explore, "explored", lambda *_: None)
    monkeypatch.setitem(sys.modules, "disentangle_pl.explorer.serve", SimpleNamespace(serve=serve))
    run("explore", str(checkpoint), config, "--port=0")
    assert capsys.readouterr().out == "ended\n"
