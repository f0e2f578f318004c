"""Small whole inputs of every kind, for hardship to be done to."""

from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.hardship_runs import prepare_sweep, runs
from benchmarks.hardship_settings import CONFIG, SWEEP, rows_of
from disentangle_pl.brain.template import mni_anatomy
from disentangle_pl.data import dsprites, shapes3d
from disentangle_pl.genetics.plink import Row, write_plink

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
