"""Volumes of the prepared grid as NIfTI files, to open in any viewer."""

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray


def write_nifti(path: Path, voxels: NDArray[np.float32], spacing: float) -> None:
    """Write a volume (D, H, W) or a series (D, H, W, T) with axes towards right, anterior and superior.

    Args:
        path: A .nii.gz file, replaced in one step if it is there.
        voxels: The values.
        spacing: Edge of the voxels in mm. The middle of the grid is the origin.
    """
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -spacing * (np.array(voxels.shape[:3]) - 1) / 2
    partial = path.with_name(f".{path.name}")
    nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), partial)
    partial.replace(path)
