"""A small cohort with truth and rescans, and two models of it that have hardly been trained."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from disentangle_pl.brain.split_file import write_split
from disentangle_pl.brain.visits import find_visits
from tests.brain.scans import anatomy, write
from tests.command_line import run

PEOPLE, MONTHS = 14, (0, 12, 24)
HELD_OUT = 8
FACTORS = ["ml_ventricles", "gain", "age", "years"]


class Runs(NamedTuple):
    """Where all is.

    Attributes:
        scans: The table of scans, rescans too.
        truth: The table of truth.
        shared: Checkpoint of a model with aggregation.
        plain: Checkpoint of one without.
    """

    scans: Path
    truth: Path
    shared: Path
    plain: Path


def cohort(root: Path) -> Path:
    """Write scans whose block grows with `ml_ventricles`, and truth.tsv; every second person has a rescan."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for person in range(PEOPLE):
        size = rng.normal(20, 5)
        for month in MONTHS:
            for run_of_day in ("_run-1", "_run-2") if person % 2 and not month else ("",):
                gain, volume = rng.normal(), size + month / 12
                values = anatomy(len(rows))
                values[3:6, 4:9, 5:9] += 4 * volume + 10 * gain
                visit = (
                    f"sub-{person:03d}/ses-M{month:03d}/anat/sub-{person:03d}_ses-M{month:03d}{run_of_day}_T1w.nii.gz"
                )
                write(root / visit, values)
                rows.append({"scan": visit, "ml_ventricles": volume, "gain": gain, "constant": 3, "scanner": "a"})
    pd.DataFrame(rows).to_csv(root / "truth.tsv", sep="\t", index=False)
    people = "\n".join(f"sub-{person:03d}\t{60 + person}" for person in range(PEOPLE))
    (root / "participants.tsv").write_text(f"participant_id\tage\n{people}\n")
    for person in range(PEOPLE):
        name = f"sub-{person:03d}"
        ages = "\n".join(f"ses-M{month:03d}\t{60 + person + month / 12}" for month in MONTHS)
        (root / name / f"{name}_sessions.tsv").write_text(f"session_id\tage\n{ages}\n")
    return root / "truth.tsv"


def make_runs(folder: Path) -> Runs:
    """Make the cohort and fit both models for three steps."""
    root = folder / "cohort"
    truth = cohort(root)
    visits = find_visits(root, rescans=True).visits
    table = folder / "scans.tsv"
    visits.to_csv(table, sep="\t", index=False, na_rep="n/a")
    parts = ["train"] * (PEOPLE - HELD_OUT - 1) + ["val"] + ["test"] * HELD_OUT
    write_split(folder / "split.tsv", pd.Series(parts, index=visits["participant_id"].unique()), "by hand")
    data = {"root": table, "size": "[8,8,8]", "spacing": 1.5, "batch_size": 4, "steps_per_epoch": 3}
    data |= {"cache": folder / "cache", "split_file": folder / "split.tsv"}
    flags = ["--data=LongitudinalData", *(f"--data.{name}={value}" for name, value in data.items())]
    flags += ["--model=BetaVAE", "--model.latent_dim=4", "--model.backbone=disentangle_pl.backbones.MLPBackbone"]
    flags += [
        "--model.backbone.encoder_widths=[8]",
        "--model.backbone.decoder_widths=[8]",
        "--trainer.max_epochs=1",
        "--trainer.log_every_n_steps=1",
        "--traversals.rows=1",
        "--reconstructions.images=2",
        "--report=false",
    ]
    flags += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", f"--runs_dir={folder / 'runs'}"]
    run("fit", *flags, "--run_id=shared", "--model.aggregation=disentangle_pl.aggregation.AdaGVAE")
    run("fit", *flags, "--run_id=plain")
    shared, plain = (folder / "runs" / name / "checkpoints" / "last.ckpt" for name in ("shared", "plain"))
    return Runs(table, truth, shared, plain)
