"""Simulated scans as BIDS files: the image, and beside it how it was taken and what is true of it."""

import gzip
import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from disentangle_pl.brain.phantom import Cohort, Picture, Shot

UNITS = 1000
"""Stored value of an intensity of 1; white matter has about 750."""


def scan_path(root: Path, shot: Shot, cohort: Cohort) -> Path:
    """Return where a scan lies; only a day with several scans names the run."""
    person, visit, run = shot
    runs = f"_run-{run}" if visit.month == 0 and cohort.is_rescanned(person) else ""
    return root / person.label / visit.label / "anat" / f"{person.label}_{visit.label}{runs}_T1w.nii.gz"


def sidecar(path: Path) -> Path:
    """Return the .json beside a .nii.gz."""
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")


def is_written(path: Path) -> bool:
    """Say whether a scan is there; its sidecar comes last."""
    return path.is_file() and sidecar(path).is_file()


def write_scan(path: Path, picture: Picture) -> None:
    """Write a scan and its sidecar, each in one step; the same picture gives the same bytes."""
    stored = np.rint(picture.image * UNITS).clip(0, np.iinfo(np.int16).max).astype(np.int16)
    image = nib.Nifti1Image(stored, picture.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(picture.affine, code="aligned")
    about = {
        "Modality": "MR",
        "Manufacturer": "Simulated",
        "ManufacturersModelName": f"scanner-{picture.truth['scanner']}",
        "MagneticFieldStrength": picture.truth["tesla"],
        "SkullStripped": True,
        "Truth": picture.truth,
    }
    write_bytes(path, gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))
    write_bytes(sidecar(path), (json.dumps(about, indent=1) + "\n").encode())


def read_truth(path: Path) -> dict[str, Any]:
    """Read what is true of a written scan."""
    truth: dict[str, Any] = json.loads(sidecar(path).read_text())["Truth"]
    return truth


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step: it is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
