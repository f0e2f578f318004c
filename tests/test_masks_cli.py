"""Masks through the real command line: what goes wrong is one sentence, and nothing is lost."""

from pathlib import Path

import pytest
import torch

from tests.command_line import TINY, refused, run

L1, RANDOM = (
    "--model.mask=disentangle_pl.masks.l1.GroupLassoMask",
    "--model.mask=disentangle_pl.masks.random_mask.RandomMask",
)


def test_a_run_does_not_go_on_with_another_kind_of_mask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    run("fit", *TINY, *where, L1, "--trainer.max_epochs=1")
    said = refused(capsys, "fit", *TINY, *where, RANDOM)
    assert "was started with model.mask=disentangle_pl.masks.l1.GroupLassoMask" in said
    assert "cannot go on with disentangle_pl.masks.random_mask.RandomMask" in said
    said = refused(capsys, "fit", *TINY, *where)
    assert "model.mask" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((L1, "--model.mask.strength=-1"), "strength of a mask penalty must not be negative, got -1"),
        ((RANDOM, "--model.mask.density=0"), "density of a random mask must lie in (0, 1], got 0"),
        ((RANDOM, "--model.mask.density=1.5"), "density of a random mask must lie in (0, 1], got 1.5"),
        ((RANDOM, "--model.mask.density=[0.5,0.5]"), "one for each of the 4 masked layers, got 2"),
        ((L1, "--model.placement.encoder=false", "--model.placement.decoder=false"), "neither encoder nor decoder"),
    ],
    ids=str,
)
def test_impossible_masks_are_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "fit", *TINY, f"--runs_dir={tmp_path}", *arguments)
    assert sentence in said
    assert list(tmp_path.iterdir()) == []


def test_a_pruned_network_ends_the_run_and_keeps_the_checkpoint_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [f"--runs_dir={tmp_path}", "--run_id=a"]
    # the proximal step grows with the warm-up: the first epoch of 6 steps cuts next to nothing, a later one all
    harsh = [L1, "--model.mask.strength=2e5", "--model.mask.warm_up=40000", "--trainer.max_epochs=40"]
    said = refused(capsys, "fit", *TINY, *where, *harsh)
    assert "everything is pruned" in said
    assert f"the last good checkpoint is {tmp_path / 'a' / 'checkpoints' / 'last.ckpt'}" in said
    state = torch.load(tmp_path / "a" / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())
    assert state["global_step"] >= 6
