"""The tutorials as they are written, command by command in an empty folder, with fewer steps and people."""

import re
import runpy
import shlex
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from tests import test_brain_chapter
from tests.command_line import ROOT, run

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(bash|python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEWER = {"--subjects 150": "--subjects 24", "--snps 200": "--snps 50", "--size 32": "--size 24"}
SHORT = (
    "--trainer.max_epochs=1",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--data.steps_per_epoch=2",
    "--data.batch_size=4",
    "--data.eval_size=90",
    "--disentanglement.only=[mig,modularity]",
    "--traversals.rows=1",
    "--reconstructions.images=2",
)
SMALL = ("--data.dataset.x_values=[0,8,16,24,31]", "--data.dataset.y_values=[0,16,31]")
LEFT = {
    "tutorials/1-first-run": ["runs/first/report.html", "traverse/traverse.png", "evaluation"],
    "tutorials/2-your-own-codes": ["codes/straight/scores.tsv", "codes/turned/scores.tsv"],
    "tutorials/3-sparsity-masks": ["runs/sparse/checkpoints/compact.ckpt", "runs-table/runs.tsv"],
    "tutorials/4-pairs": ["runs/pairs/scores.tsv", "runs/single/scores.tsv", "runs-table/runs.tsv"],
    "tutorials/6-genome": ["genome/findings.md", "genome/associations.parquet"],
    "tutorials/7-variance": ["squares/variance.tsv", "equal/variance.tsv", "impossibility/impossibility.html"],
    "tutorials/8-sweeps-and-clusters": ["quick.yaml"],
    "own": ["runs/bars/scores.tsv", "runs/free", "runs/scored/scores.tsv", "runs/masked"],
}
# Every second page trains in each precision, and what a reader writes in both
PAGES = [
    (name, None) if name == "own" else pytest.param(name, precision, marks=pytest.mark.any_precision)
    for name, precision in zip(LEFT, cycle(("bf16-mixed", "32-true")), strict=False)
]


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and text of what a page asks its reader to run or to save."""
    return BLOCK.findall((DOCS / f"{page}.md").read_text())


def shortened(line: str) -> list[str]:
    """Return the arguments of a command, for few people and few steps."""
    for written, fewer in FEWER.items():
        line = line.replace(written, fewer)
    program, *args = shlex.split(line, comments=True)
    assert program == "disentangle-pl", f"{line}: a tutorial runs this package alone"
    if args[0] == "compact":
        return [*args, "--repeats=2", "--batch_size=4"]
    if args[0] != "fit":
        return args
    return [*args, *SHORT, *(SMALL if "sprites" in line else ())]


def ran(*args: str) -> None:
    """Run a command that may leave by an exit code, which must be 0."""
    try:
        run(*args)
    except SystemExit as end:
        if end.code:
            raise


def follow(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a page says, in its order."""
    names: dict[str, Any] = {}
    for language, text in blocks(page):
        saved = re.match(r"# (\w+\.(?:py|yaml))\n", text)
        if saved:
            (folder / saved[1]).write_text(text)
        elif language == "python":
            (folder / "block.py").write_text(text)
            names = runpy.run_path("block.py", init_globals=names)
        else:
            for line in text.splitlines():
                if line == "export PYTHONPATH=.":
                    monkeypatch.syspath_prepend(folder)
                else:
                    ran(*shortened(line))


def test_every_tutorial_is_followed_here() -> None:
    written = {f"tutorials/{path.stem}" for path in (DOCS / "tutorials").glob("*.md")}
    assert written == {page for page in LEFT if page != "own"} | {"tutorials/5-brain-mri"}


@pytest.mark.parametrize(("page", "precision"), PAGES)
def test_a_tutorial_does_what_it_says(
    page: str,
    precision: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("configs", "sweeps"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    if precision:
        monkeypatch.setenv("DISENTANGLE_PL_PRECISION", precision)
    follow(page, tmp_path, monkeypatch)
    plt.close("all")
    assert not [name for name in LEFT[page] if not Path(name).exists()], sorted(map(str, tmp_path.rglob("*")))


def test_the_brain_tutorial_has_the_commands_of_the_readme() -> None:
    (_, commands), *_ = blocks("tutorials/5-brain-mri")
    assert [line.split("   #")[0].strip() for line in commands.splitlines()] == test_brain_chapter.COMMANDS
