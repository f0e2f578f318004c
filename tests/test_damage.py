"""A damaged run folder: one sentence that names the file, and nothing changed."""

from pathlib import Path

import pytest
import torch

from tests.command_line import TINY, refused, run

SHORT = [*TINY, "--trainer.max_epochs=1"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("checkpoints/last.ckpt", b"half a checkpoint"),
        ("checkpoints/last.ckpt", b""),
        ("config.yaml", b"model: [\n"),
        ("config.yaml", b"\xff\xfe"),
        ("config.yaml", b""),
        ("metrics.csv", b"step,train/loss\nsix,1.0\n"),
        ("metrics.csv", b"\x00\xff\xfe\n\x00\n"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_damage_is_named_and_nothing_is_touched(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    run("fit", *SHORT, *where)
    (tmp_path / "a" / name).write_bytes(content)
    said = refused(capsys, "fit", *SHORT, "--trainer.max_epochs=2", *where)
    assert f"{tmp_path / 'a' / name}" in said
    assert "damaged" in said
    assert (tmp_path / "a" / name).read_bytes() == content


def test_a_run_whose_damaged_checkpoint_is_removed_starts_anew(tmp_path: Path) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    run("fit", *SHORT, *where)
    before = (tmp_path / "a" / "metrics.csv").read_text()
    (tmp_path / "a" / "checkpoints" / "last.ckpt").unlink()
    run("fit", *SHORT, *where)
    assert (tmp_path / "a" / "metrics.csv").read_text() == before


class Code:
    """What a malicious checkpoint would hold."""

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        return Path, ("somewhere",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    run("fit", *SHORT, *where)
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    torch.save(torch.load(last, weights_only=True) | {"code": Code()}, last)
    for verb in ("fit", "validate"):
        assert "--weights_only=false" in refused(capsys, verb, *SHORT, *where)
