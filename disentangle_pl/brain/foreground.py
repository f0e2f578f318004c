"""What of a scan is not background."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from disentangle_pl.brain.nifti import Scan, Voxels

Number = TypeVar("Number", bound=np.number)
Mask = npt.NDArray[np.bool_]

FAINT = 0.1
"""Foreground is brighter than this share of the bright end: noise is below it, and the fluid of a T1 scan above."""


def background(voxels: Voxels) -> np.float32:
    """Return the median of the faces of a volume (X, Y, Z)."""
    faces = [np.take(voxels, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    return np.float32(np.median(np.concatenate(faces)))


def foreground(voxels: npt.NDArray[np.floating]) -> Mask:
    """Tell the foreground of a volume whose background is 0.

    Args:
        voxels: (X, Y, Z); negative values are background.

    Returns:
        (X, Y, Z), True where a voxel is above a tenth of the 99th percentile of the positive ones.
    """
    positive = voxels[voxels > 0]
    threshold = FAINT * np.percentile(thinned(positive), 99) if len(positive) else 0
    mask: Mask = voxels > threshold
    return mask


def main_piece(mask: Mask) -> Mask:
    """Return the largest connected piece of a mask (X, Y, Z), all False if it is empty."""
    pieces, count = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel(), minlength=2)
    largest: Mask = pieces == 1 + np.argmax(sizes[1:]) if count else mask
    return largest


def millilitres(mask: Mask, scan: Scan) -> float:
    """Return the volume of a mask of a scan."""
    return float(mask.sum()) * voxel_millilitres(scan)


def voxel_millilitres(scan: Scan) -> float:
    """Return the volume of one voxel."""
    return float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000


def thinned(values: npt.NDArray[Number], most: int = 1_000_000) -> npt.NDArray[Number]:
    """Return every k-th of many values, about `most` at least: enough for percentiles."""
    flat = values.ravel()
    return flat[:: max(1, len(flat) // most)]
