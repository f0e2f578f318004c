"""A damaged run folder: one sentence that names the file, and nothing changed."""

import shutil
from pathlib import Path

import pytest
import torch

from disentangle_pl.callbacks.resume import WholeCheckpoints
from disentangle_pl.errors import InputError
from tests.command_line import TINY, refused, run

pytestmark = [
    pytest.mark.any_precision,
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),  # of a copy
]
SHORT = [*TINY, "--trainer.max_epochs=1", "--report=false", "--disentanglement.only=[active]"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one run, which the tests damage copies of."""
    runs = tmp_path_factory.mktemp("runs")
    run("fit", *SHORT, f"--runs_dir={runs}", "--run_id=a")
    return runs / "a"


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
    name: str, content: bytes, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    shutil.copytree(whole, tmp_path / "a")
    (tmp_path / "a" / name).write_bytes(content)
    said = refused(capsys, "fit", *SHORT, "--trainer.max_epochs=2", *where)
    assert f"{tmp_path / 'a' / name}" in said
    assert "damaged" in said
    assert (tmp_path / "a" / name).read_bytes() == content


def test_a_run_whose_damaged_checkpoint_is_removed_starts_anew(whole: Path, tmp_path: Path) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    shutil.copytree(whole, tmp_path / "a")
    before = (tmp_path / "a" / "metrics.csv").read_text()
    (tmp_path / "a" / "checkpoints" / "last.ckpt").unlink()
    run("fit", *SHORT, *where)
    assert (tmp_path / "a" / "metrics.csv").read_text() == before


class Code:
    """What a malicious checkpoint would hold."""

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        return Path, ("somewhere",)


def test_code_in_a_checkpoint_is_not_run(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    shutil.copytree(whole, tmp_path / "a")
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    torch.save(torch.load(last, weights_only=True) | {"code": Code()}, last)
    for verb in ("fit", "validate"):
        assert "--weights_only=false" in refused(capsys, verb, *SHORT, *where)


def test_a_checkpoint_that_lacks_what_a_run_goes_on_from_is_named(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    shutil.copytree(whole, tmp_path / "a")
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    good = torch.load(last, weights_only=True)
    name = next(iter(good["state_dict"]))
    weights = good["state_dict"]
    damages = {
        "a weight is NaN": {**good, "state_dict": weights | {name: weights[name] * torch.nan}},
        "a weight is no tensor": {**good, "state_dict": weights | {name: "x"}},
        "it has no loops": {key: value for key, value in good.items() if key != "loops"},
        "it has no epoch": {**good, "epoch": "x"},
        f"has {name} of shape None": {**good, "state_dict": {key: weights[key] for key in weights if key != name}},
        f"has {name} of shape (1,)": {**good, "state_dict": weights | {name: torch.zeros(1)}},
    }
    for number, (said, damaged) in enumerate(damages.items()):
        copy = tmp_path / f"a{number}"  # the process that was refused still holds the lock of its folder
        shutil.copytree(tmp_path / "a", copy)
        torch.save(damaged, copy / "checkpoints" / "last.ckpt")
        content = (copy / "checkpoints" / "last.ckpt").read_bytes()
        where_it_is = [f"--runs_dir={tmp_path}", f"--run_id={copy.name}"]
        assert said in refused(capsys, "fit", *SHORT, "--trainer.max_epochs=2", *where_it_is)
        assert (copy / "checkpoints" / "last.ckpt").read_bytes() == content
    last.write_bytes(content[:2000] + bytes(200) + content[2200:])
    assert "checkpoint" in refused(capsys, "validate", *SHORT, *where)
    last.unlink()
    last.symlink_to("nowhere")
    assert "there is no checkpoint at" in refused(capsys, "validate", *SHORT, *where)


@pytest.mark.parametrize(
    "flag",
    ["--seed_everything=4294967296", "--data.steps_per_epoch=0", "--data.eval_size=-1", "--trainer.max_epochs=-5"],
)
def test_numbers_out_of_range_are_refused(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "fit", *SHORT, f"--runs_dir={tmp_path}", "--run_id=a", flag)
    assert said.rpartition(": ")[2].startswith(("give a whole number", "change the setting"))
    assert not (tmp_path / "a").exists()


def test_weights_alone_are_enough_to_validate_and_too_little_to_go_on(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(2)}}, tmp_path / "weights.ckpt")
    read = WholeCheckpoints(weights_alone=True).load_checkpoint(tmp_path / "weights.ckpt")
    assert read["state_dict"]["w"].tolist() == [1, 1]
    with pytest.raises(InputError, match="it has no epoch"):
        WholeCheckpoints().load_checkpoint(tmp_path / "weights.ckpt")
