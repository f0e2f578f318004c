"""Small whole inputs of every kind, for hardship to be done to."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import yaml
from numpy.typing import NDArray

from disentangle_pl.brain.template import mni_anatomy
from disentangle_pl.data import dsprites, shapes3d
from disentangle_pl.genetics.plink import Row, write_plink

MLP = [
    "--model=BetaVAE",
    "--model.latent_dim=4",
    "--model.backbone=disentangle_pl.backbones.MLPBackbone",
    "--model.backbone.encoder_widths=[8]",
    "--model.backbone.decoder_widths=[8]",
]
QUIET = [
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.accelerator=cpu",
    "--disentanglement.sheet=false",
    "--data.batch_size=4",
    "--data.steps_per_epoch=3",
]
SPRITES = {
    "class_path": "disentangle_pl.data.sprites.Sprites",
    "init_args": {"resolution": 16, "orientation_values": [0], "x_values": [0, 16, 31], "y_values": [0, 31]},
}
CONFIG = {
    "seed_everything": 3,
    "trainer": {
        "max_epochs": 2,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "accelerator": "cpu",
    },
    "disentanglement": {"sheet": False},
    "data": {
        "class_path": "SyntheticData",
        "init_args": {"dataset": SPRITES, "batch_size": 4, "eval_size": 40, "steps_per_epoch": 3},
    },
    "model": {
        "class_path": "BetaVAE",
        "init_args": {
            "latent_dim": 4,
            "beta": 2.0,
            "backbone": {
                "class_path": "disentangle_pl.backbones.MLPBackbone",
                "init_args": {"encoder_widths": [8], "decoder_widths": [8]},
            },
        },
    },
}
SWEEP = {
    "method": "grid",
    "metric": {"name": "val/nll", "goal": "minimize"},
    "parameters": {"model.beta": {"values": [0.5, 1.0]}, "seed_everything": {"values": [0, 1]}},
    "command": ["${env}", "${interpreter}", "-m", "disentangle_pl", "fit", "--config=in/config.yaml", "${args}"],
}
MAPPING = {
    "table": "clinic",
    "participant": {"column": "id"},
    "time": {"column": "months", "unit": "months"},
    "traits": {"diagnosis": {"column": "dx", "values": {"1": "CN", "2": "AD"}}},
    "scores": {"mmse": "MMSE"},
}
VISITS = [(person, visit) for person in ("01", "02", "10") for visit in (0, 12)]
DSPRITES = {"shape": 3, "scale": 2, "orientation": 2, "x": 2, "y": 2}
SHAPES3D = {"floor_hue": 2, "wall_hue": 3, "object_hue": 2, "scale": 2, "shape": 2, "orientation": 2}
PEOPLE, VARIANTS = 60, 40


def shrink_grids() -> None:
    """Let dSprites and 3D Shapes be small ones: 48 and 96 images in files of the published form."""
    dsprites.SIZES = DSPRITES
    shapes3d.SIZES = SHAPES3D


def config(folder: Path) -> None:
    """Write the configuration of a run, and a sweep around it."""
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))


def scan(path: Path, seed: int) -> None:
    """Write a small scan: a bright block off the centre in a dark frame."""
    values = np.zeros((12, 12, 12), dtype=np.float32)
    values[2:7, 3:10, 4:10] = 100
    values[1:-1, 1:-1, 1:-1] += np.random.default_rng(seed).uniform(0, 10, (10, 10, 10)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


def scans(folder: Path, suffix: str = ".nii.gz") -> None:
    """Write six scans of three people as BIDS, a table of them, a clinical table, its mapping, and a split."""
    rows = []
    for seed, (person, month) in enumerate(VISITS):
        visit = f"sub-{person}/ses-M{month:03d}"
        path = f"bids/{visit}/anat/sub-{person}_ses-M{month:03d}_T1w{suffix}"
        scan(folder / path, seed)
        rows.append([f"sub-{person}", f"ses-M{month:03d}", path, 70 + seed, "F" if seed % 2 else "M", 25 + seed])
    rows_of(folder / "scans.tsv", "\t", ["participant_id", "session_id", "path", "age", "sex", "score"], rows)
    clinic = [[f"sub-{person}", month, 1 + (person == "10"), 20 + month / 6] for person, month in VISITS]
    rows_of(folder / "clinic.csv", ",", ["id", "months", "dx", "MMSE"], clinic)
    parts = [["sub-01", "train"], ["sub-02", "val"], ["sub-10", "test"]]
    rows_of(folder / "split.tsv", "\t", ["participant_id", "part"], parts)
    (folder / "mapping.yaml").write_text(yaml.safe_dump(MAPPING))


def rows_of(path: Path, separator: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([header, *rows])


def codes(folder: Path) -> None:
    """Write codes of a whole grid of two factors."""
    rng = np.random.default_rng(0)
    factors = np.stack(np.unravel_index(np.arange(240), (6, 40)), 1)
    mixed = factors @ [[1.0, 0.1, 0.0], [0.0, 0.2, 1.0]] + 0.05 * rng.standard_normal((240, 3))
    np.savez(folder / "codes.npz", codes=mixed.astype(np.float32), factors=factors, names=np.array(["a", "b"]))


def heads(folder: Path) -> None:
    """Write one anatomy, the template at 8 mm, as `simulate --anatomies` takes it."""
    anatomy = mni_anatomy(24)
    full = np.concatenate([np.clip(1 - anatomy.fractions.sum(0, keepdims=True), 0, 1), anatomy.fractions])
    np.savez_compressed(folder / "heads.npz", frac=np.rint(255 * full[None]).astype(np.uint8), affine=anatomy.affine)


def grids(folder: Path) -> None:
    """Write dSprites and 3D Shapes, in small."""
    rng = np.random.default_rng(0)
    classes = _grid(DSPRITES)
    images = rng.integers(0, 2, (len(classes), 64, 64)).astype(np.uint8)
    labelled = np.column_stack([np.zeros(len(classes), np.int64), classes])
    np.savez_compressed(
        folder / "dsprites.npz", imgs=images, latents_classes=labelled, latents_values=labelled.astype(np.float64)
    )
    labels = _grid(SHAPES3D).astype(np.float64)
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        colours = rng.integers(0, 256, (len(labels), 64, 64, 3)).astype(np.uint8)
        file.create_dataset("images", data=colours, chunks=(24, 16, 16, 3), compression="gzip")
        file.create_dataset("labels", data=labels)


def _grid(sizes: dict[str, int]) -> NDArray[np.int64]:
    shape = tuple(sizes.values())
    return np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), 1).astype(np.int64)


def genome(folder: Path) -> None:
    """Write a fileset, phenotypes, covariates and the predictions of a first step of regenie."""
    rng = np.random.default_rng(1)
    names = [f"P{i}" for i in range(PEOPLE)]
    calls = rng.binomial(2, rng.uniform(0.2, 0.8, (VARIANTS, 1)), (VARIANTS, PEOPLE)).astype(np.int8)
    variants = [Row(f"rs{i}", 1, 1000 * i, "A", "G") for i in range(1, VARIANTS + 1)]
    write_plink(folder / "cohort", names, [i % 2 == 0 for i in range(PEOPLE)], variants, iter(calls))
    values = rng.standard_normal((PEOPLE, 2)) + calls[:1].T
    people = [[name, name] for name in names]
    _people(folder / "z.txt", ["z0", "z1"], people, values)
    _people(folder / "c.txt", ["age", "pc"], people, rng.standard_normal((PEOPLE, 2)))
    for k in range(2):
        predicted = " ".join(f"{x:.6f}" for x in 0.1 * rng.standard_normal(PEOPLE))
        head = " ".join(["FID_IID", *(f"{name}_{name}" for name in names)])
        (folder / f"step1_{k}.loco").write_text(f"{head}\n1 {predicted}\n")
    (folder / "pred.list").write_text("z0 step1_0.loco\nz1 step1_1.loco\n")


def _people(path: Path, names: list[str], people: list[list[str]], values: NDArray[np.float64]) -> None:
    rows = [[*who, *(f"{x:.6f}" for x in row)] for who, row in zip(people, values, strict=True)]
    rows_of(path, "\t", ["FID", "IID", *names], rows)


def runs(folder: Path) -> None:
    """Write the folders of three finished runs by hand, and the same as exports of W&B."""
    records = []
    for seed in range(3):
        place = folder / "runs" / f"r{seed}"
        place.mkdir(parents=True)
        settings = {**CONFIG, "seed_everything": seed}
        (place / "config.yaml").write_text(yaml.safe_dump(settings))
        rows = [[step, 9 - step, 8 - step, 0.1 * step + 0.01 * seed] for step in range(1, 6)]
        rows_of(place / "metrics.csv", ",", ["step", "train/loss", "val/loss", "disentanglement/mig"], rows)
        told = {"state": "finished", "message": "", "seconds": 12.5, "host": "here", "pid": 1}
        (place / "state.json").write_text(json.dumps(told))
        scores = {"mig": {"value": 0.5 + 0.01 * seed, "floor": 0.1, "rotated": 0.2, "ceiling": 0.9}}
        (place / "scores.json").write_text(json.dumps({"scores": scores}))
        summary = {"val/loss": 3.0 + seed, "disentanglement/mig": 0.5 + 0.01 * seed, "_step": 5}
        records.append({"name": f"r{seed}", "state": "finished", "config": settings, "summary": summary})
    (folder / "runs.json").write_text(json.dumps(records))
    rows = [[f"r{seed}", "finished", seed, 2.0, 0.5 + 0.01 * seed] for seed in range(3)]
    header = ["Name", "State", "seed_everything", "model.beta", "disentanglement/mig"]
    rows_of(folder / "runs.csv", ",", header, rows)


RUN = """
import csv, json, os, sys, time
from pathlib import Path

flags = dict(flag[2:].split("=", 1) for flag in sys.argv[1:])
folder = Path(os.environ["DISENTANGLE_PL_RUNS_DIR"]) / os.environ["WANDB_RUN_ID"]
folder.mkdir(parents=True, exist_ok=True)
(folder / "config.yaml").write_text("seed_everything: 0")
table = folder / "metrics.csv"
done = table.read_bytes() if table.exists() else b""
done = done[: done.rfind(b"\\n") + 1] or b"step,val/score\\n"
for step in range(done.count(b"\\n") - 1, 6):
    done += f"{step},{float(flags['slope']) * (step + 1) + float(flags['seed'])}\\n".encode()
    draft = folder / "metrics.tmp"
    draft.write_bytes(done)
    draft.replace(table)
    time.sleep(0.05)
(folder / "state.json").write_text(json.dumps({"state": "finished"}))
"""


def prepare_sweep(folder: Path) -> None:
    """Write a sweep of eight runs that start in no time and go on after the rows that they find."""
    (folder / "run.py").write_text(RUN)
    parameters = {"slope": {"values": [0.5, 1.0, 2.0, 4.0]}, "seed": {"values": [0, 1]}}
    command = ["${env}", "${interpreter}", "in/run.py", "${args}"]
    whole = {"method": "grid", "metric": {"name": "val/score", "goal": "maximize"}, "parameters": parameters}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**whole, "command": command}))


FOLDERS = ("in", "out", "aside", "tmp", "home", "cache")
MAKERS: dict[str, Callable[[Path], None]] = {
    "config": config,
    "scans": scans,
    "plain scans": lambda folder: scans(folder, ".nii"),
    "codes": codes,
    "heads": heads,
    "grids": grids,
    "genome": genome,
    "runs": runs,
    "sweep": prepare_sweep,
}
