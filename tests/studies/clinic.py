"""A small clinic as a folder of prepared scans: images whose parts say how ill, how old and who somebody is."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from disentangle_pl.brain.prepared import ABOUT, INDEX, VOLUMES
from disentangle_pl.brain.quality import CENTRE
from disentangle_pl.brain.split_file import write_split
from disentangle_pl.metrics.prediction import ProbeTarget
from disentangle_pl.metrics.prediction_folds import person_weights
from disentangle_pl.metrics.score import Values
from disentangle_pl.studies.clinical_probe import ALL, Question
from tests.command_line import run

SIDE, PEOPLE, MONTHS = 4, 60, (0, 12, 24)
TRAIN = 20
KNOWS = 8  # first voxels of an image, which the encoder reads


class Clinic(NamedTuple):
    """Where all is.

    Attributes:
        root: Prepared scans.
        split: The split.
        truth: Volumes.
        good: Checkpoints of two seeds of a model that reads illness.
        blind: Of one that does not.
    """

    root: Path
    split: Path
    truth: Path
    good: tuple[Path, Path]
    blind: Path


def visits_of(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Return a table of scans with scores, and what (N, 8) the images say of each."""
    rng = np.random.default_rng(seed)
    rows, signals = [], []
    for person in range(PEOPLE):
        stage, speed, who = person % 3, rng.uniform(0.2, 0.4) * (person % 3), rng.normal(size=3)
        age, sex, education, apoe4 = rng.uniform(60, 85), person // 3 % 2, rng.integers(8, 20), rng.integers(0, 3)
        for month in MONTHS:
            ill = stage + speed * month / 12 + 0.2 * rng.normal()
            runs = ("", "_run-2") if month == 0 and person % 2 else ("",)
            for again in runs:
                signal = np.array([ill, (age + month / 12 - 70) / 10, sex, *who, *rng.normal(size=2)])
                signals.append(signal + 0.05 * rng.normal(size=KNOWS))
                rows.append(
                    {
                        "participant_id": f"sub-{person:03d}",
                        "session_id": f"ses-M{month:03d}{again}",
                        "path": f"/nowhere/sub-{person:03d}_{month}{again}.nii.gz",
                        "age": age + month / 12,
                        "years": month / 12,
                        "entry_years": month / 12,
                        "sex": "FM"[sex],
                        "site": "ABC"[person // 6 % 3],
                        "diagnosis": ["CN", "MCI", "Dementia"][min(2, round(stage + speed * month / 12))],
                        "mmse": 29.5 - 3 * ill + 0.5 * rng.normal(),
                        "cdr_sb": max(0.0, 2 * ill + 0.3 * rng.normal()),
                        "education_level": float(education),
                        "apoe4": float(apoe4),
                    }
                )
    return pd.DataFrame(rows), np.array(signals)


def small_question() -> tuple[Question, Values]:
    """Return a question about 20 people, and codes (40, 3) of which the first is the answer."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(20), 2)
    codes = rng.normal(size=(40, 3))
    targets = ProbeTarget(codes[:, 0], False, who, person_weights(who))
    return Question("x", ALL, np.arange(40), targets, np.empty(0, np.intp), np.arange(40)), codes


def make_clinic(folder: Path) -> Clinic:
    """Write the clinic, and models whose weights are set by hand after one step."""
    visits, signals = visits_of()
    root = folder / "prepared"
    root.mkdir()
    images = 0.1 * np.random.default_rng(1).normal(size=(len(visits), SIDE**3))
    images[:, :KNOWS] = signals
    np.save(root / VOLUMES, images.reshape(-1, SIDE, SIDE, SIDE).astype(np.float16))
    named = visits.assign(sha256=[str(i) for i in range(len(visits))], row=range(len(visits)))
    named.assign(**dict.fromkeys(CENTRE, 0.0)).to_parquet(root / INDEX)
    about = {"shape": [len(visits), SIDE, SIDE, SIDE], "settings": {"size": [SIDE] * 3, "spacing": 2.0}}
    (root / ABOUT).write_text(json.dumps(about))
    parts = ["train"] * TRAIN + ["val"] * 10 + ["test"] * (PEOPLE - TRAIN - 10)
    write_split(folder / "split.tsv", pd.Series(parts, index=visits["participant_id"].unique()), "by hand")
    ill = signals[:, 0]
    truth = visits[["participant_id", "session_id"]].assign(ml_ventricles=20 + 5 * ill, ml_icv=1400.0 + ill * 0)
    truth.to_csv(folder / "truth.tsv", sep="\t", index=False)
    first, second = (_model(folder, f"good{seed}", seed, "AdaGVAE", slice(0, KNOWS)) for seed in (0, 1))
    blind = _model(folder, "blind", 0, None, slice(40, 48))
    return Clinic(root, folder / "split.tsv", folder / "truth.tsv", (first, second), blind)


def _model(folder: Path, name: str, seed: int, aggregation: str | None, reads: slice) -> Path:
    flags = [
        "--data=LongitudinalData",
        f"--data.root={folder / 'prepared'}",
        f"--data.split_file={folder / 'split.tsv'}",
    ]
    flags += ["--data.steps_per_epoch=1", "--data.batch_size=2", "--model=BetaVAE", f"--model.latent_dim={KNOWS}"]
    flags += ["--model.backbone=disentangle_pl.backbones.MLPBackbone", "--model.backbone.encoder_widths=[]"]
    flags += ["--model.likelihood=disentangle_pl.likelihoods.Gaussian"]
    flags += ["--model.backbone.decoder_widths=[]", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    flags += [
        "--trainer.enable_progress_bar=false",
        "--trainer.log_every_n_steps=1",
        f"--runs_dir={folder / 'runs'}",
        f"--run_id={name}",
    ]
    flags += [f"--model.aggregation=disentangle_pl.aggregation.{aggregation}"] if aggregation else []
    run("fit", *flags, f"--seed_everything={seed}")
    path = folder / "runs" / name / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    key = next(key for key in checkpoint["state_dict"] if key.endswith("encoder.1.weight"))
    weight = torch.zeros_like(checkpoint["state_dict"][key])
    mix = torch.linalg.qr(torch.randn(KNOWS, KNOWS, generator=torch.Generator().manual_seed(seed))).Q
    weight[:KNOWS, reads] = mix
    checkpoint["state_dict"][key] = weight
    torch.save(checkpoint, path)
    return path
