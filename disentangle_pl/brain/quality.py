"""Is a scan what it should be? Numbers of each, and how each resembles the others."""

from collections.abc import Callable, Iterator
from functools import reduce

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pandas as pd
from nibabel.affines import voxel_sizes

from disentangle_pl.brain.foreground import Mask, thinned, voxel_millilitres
from disentangle_pl.brain.nifti import Matrix, Scan, shear_degrees

CENTRE = ("centre_x", "centre_y", "centre_z")
"""Where the middle of the prepared volume lies, in RAS mm of the scan, or of the template once aligned."""

Facts = dict[str, str | float]
Numbers = npt.NDArray[np.float64]

FAR = 3.5
"""Robust z below which a scan resembles the others too little to be of the same kind.

Source: Iglewicz and Hoaglin 1993, How to detect and handle outliers, ASQC.
"""
FEWEST = 5
"""Scans without which nobody is an outlier."""


def facts_of(scan: Scan, inside: Mask) -> Facts:
    """Describe a scan as it is stored.

    Args:
        scan: As read.
        inside: (X, Y, Z) its foreground.

    Returns:
        shape, zooms (mm), orientation (from the affine: towards where the axes of the file run), shear (degrees, see
        `shear_degrees`), qform_mm (see `Scan`), dtype, min, max, p1, p50 and p99 of all voxels, nan (share of voxels),
        foreground (voxels) and foreground_ml.
    """
    voxels = scan.voxels
    p1, p50, p99 = np.percentile(thinned(voxels), (1, 50, 99)).tolist()
    count = int(inside.sum())
    return {
        "shape": "x".join(map(str, voxels.shape)),
        "zooms": "x".join(f"{edge:.4g}" for edge in voxel_sizes(scan.affine)),
        "orientation": "".join(nib.aff2axcodes(scan.affine)),
        "shear": round(shear_degrees(scan.affine), 3),
        "qform_mm": scan.qform_mm,
        "dtype": scan.stored_as,
        "min": float(voxels.min()),
        "max": float(voxels.max()),
        "p1": p1,
        "p50": p50,
        "p99": p99,
        "nan": scan.nan,
        "foreground": count,
        "foreground_ml": count * voxel_millilitres(scan),
    }


def share_outside(inside: Mask, to_volume: Matrix, size: tuple[int, int, int]) -> float:
    """Return the share of the foreground that a volume does not hold.

    Args:
        inside: (X, Y, Z) foreground of a scan; of a large one every k-th voxel is looked at.
        to_volume: (4, 4) from voxels of the scan to those of the volume.
        size: Voxels of the volume.
    """
    flat = thinned(np.flatnonzero(inside))
    if not len(flat):
        return 0.0
    at = np.stack(np.unravel_index(flat, inside.shape)).astype(np.float64)
    positions = to_volume[:3, :3] @ at + to_volume[:3, 3:]
    lost = (positions < -0.5) | (positions > np.array(size)[:, None] - 0.5)
    return float(lost.any(0).mean())


def likeness(volumes: Callable[[], Iterator[npt.NDArray[np.float16]]]) -> Numbers:
    """Correlate every volume with the mean of all, each in units of its own standard deviation.

    So a volume of large numbers weighs no more than any other.

    Args:
        volumes: Gives N >= 1 volumes (D, H, W) one by one, as often as it is called.

    Returns:
        (N,) Pearson correlations over voxels; 0 for a volume that is constant or has a voxel which is no finite number,
        and which the mean then leaves out.
    """
    mean = _standard(reduce(np.add, map(_standard, volumes())))
    return np.array([float((_standard(volume) * mean).mean()) for volume in volumes()])


def robust_z(values: Numbers) -> Numbers:
    """Return how far each of (N,) values is from their median, in standard deviations estimated by the median distance.

    With fewer than five values, or if more than half are equal, all are 0. Values that are no numbers count for
    nothing, and are infinitely far below the others.
    """
    finite = values[np.isfinite(values)]
    if len(finite) < FEWEST:
        return np.zeros(len(values))
    distance = np.where(np.isfinite(values), values - np.median(finite), -np.inf)
    spread = np.median(np.abs(finite - np.median(finite))) / 0.6745
    return distance / spread if spread > 0 else np.zeros(len(values))


def quality_table(facts: pd.DataFrame, correlations: Numbers) -> pd.DataFrame:
    """Add to the facts of N scans how each resembles the others.

    Returns:
        The facts, and the columns correlation (with the mean of all), z (robust, of Fisher's transform of the
        correlation) and outlier (bool): z below -3.5.
    """
    z = robust_z(np.arctanh(correlations.clip(-1 + 1e-7, 1 - 1e-7)))
    return facts.assign(correlation=correlations, z=z, outlier=z < -FAR)


def _standard(volume: npt.NDArray[np.floating]) -> Numbers:
    values = volume.astype(np.float64)
    spread = values.std() if np.isfinite(values).all() else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
