"""The commands of the README's brain chapter in a row, as they are written there, on few people and few steps."""

import re
import shlex
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from tests.command_line import ROOT, run

CHAPTER = (ROOT / "README.md").read_text().split("## Brain MRI")[1]
COMMANDS = [line.split("   #")[0].strip() for line in CHAPTER.split("```bash\n")[1].split("```")[0].splitlines()]
FEWER = {"--subjects 150": "--subjects 24", "--jobs -1": "--jobs 1", "--align 12 ": ""}
SHORT = (
    "--trainer.max_epochs=1",
    "--data.steps_per_epoch=2",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--disentanglement.only=[mig,modularity]",  # the whole sheet is what `evaluate` makes here
)


def shortened(line: str) -> list[str]:
    """Return the arguments of a command, for few people and few steps."""
    for written, fewer in FEWER.items():
        line = line.replace(written, fewer)
    args = [arg for arg in shlex.split(line)[1:] if not arg.startswith("--trainer.max_epochs")]
    return [*args, *SHORT] if args[0] == "fit" else args


@pytest.mark.any_precision  # one of its two models trains in each, and all that follows reads both
def test_from_nothing_to_a_scan_five_years_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    verbs = [shlex.split(line)[1] for line in COMMANDS]
    assert {"simulate", "scans", "prepare", "fit", "evaluate", "latents", "traverse", "counterfactual"} == set(verbs)
    precisions = iter(("bf16-mixed", "32-true"))
    for line in COMMANDS:
        args = shortened(line)
        if args[0] == "fit":
            monkeypatch.setenv("DISENTANGLE_PL_PRECISION", next(precisions))
        run(*args)

    latents = pd.read_csv("latents/latents.tsv", sep="\t")
    assert set(latents["model"]) == {"beta", "ada"}
    assert {"ratio_ventricles", "gain"} <= set(pd.read_csv("latents/correlations.tsv", sep="\t")["factor"])
    assert {path.suffix for path in Path("traverse").rglob("*") if path.is_file()} >= {".png", ".gif", ".gz"}
    scores = pd.read_csv(next(Path("evaluation").glob("*.tsv")), sep="\t")
    assert {"mig", "dci_disentanglement", "infom"} <= set(scores.columns) | set(scores.get("score", []))
    images = {path.name: nibabel.nifti1.load(path) for path in Path("counterfactual").rglob("*.nii.gz")}
    assert images
    assert all(np.isfinite(image.get_fdata()).all() for image in images.values())
    assert re.search("not for clinical use", CHAPTER)
