"""Small NIfTI files with a known, lopsided content."""

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd

REAL = Path(__file__).parents[3] / "shared" / "data" / "brain"


def anatomy(seed: int = 0, n: int = 12) -> npt.NDArray[np.float32]:
    """A bright block, off the centre on every axis, in a dark frame of zeros; a few voxels of noise."""
    values = np.zeros((n, n, n), dtype=np.float32)
    values[2:7, 3:10, 4:10] = 100
    values[1:-1, 1:-1, 1:-1] += np.random.default_rng(seed).uniform(0, 10, (n - 2,) * 3).astype(np.float32)
    return values


def write(path: Path, values: npt.NDArray[np.generic], affine: npt.NDArray[np.float64] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.eye(4) if affine is None else affine), path)
    return path


def bids(root: Path, visits: dict[str, int]) -> Path:
    """Write a BIDS tree with so many visits a participant; no two scans are alike."""
    seed = 0
    for who, count in visits.items():
        for i in range(1, count + 1):
            name = f"sub-{who}_ses-{i}_T1w.nii.gz"
            seed += 1
            write(root / f"sub-{who}" / f"ses-{i}" / "anat" / name, anatomy(seed))
    return root


def table(rows: list[tuple[str, str, Path]]) -> pd.DataFrame:
    return pd.DataFrame(
        [(who, session, str(path)) for who, session, path in rows],
        columns=["participant_id", "session_id", "path"],
    )


def touch(root: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def keys(visits: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(visits["participant_id"], visits["session_id"], strict=True))
