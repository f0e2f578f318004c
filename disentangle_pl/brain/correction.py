"""What may be put right in a scan before it is resampled."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import SimpleITK as sitk

from disentangle_pl.brain.foreground import foreground
from disentangle_pl.brain.nifti import Matrix, Scan, Voxels
from disentangle_pl.errors import InputError

FEWEST = 12
"""Voxels along an axis that N4 keeps to fit the field on."""
UNSAID = "unsaid"
"""Metadata of a field that came after scans had been prepared without it: at its default it is no setting of theirs."""
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Placed(NamedTuple):
    """A scan on its way into a volume.

    Attributes:
        scan: Background 0.
        centre: RAS millimetres of the middle of the volume, whose axes then are those of RAS; None for the middle of
            the scan and its own axes.
        scale: By how much the scan's alignment has enlarged what is in it, as a ratio of volumes; 1 if by nothing.
        overlap: Dice coefficient of its brain with the template's, NaN if it is not aligned.
        similarity: Multiple correlation of its brightness with the template's, NaN if it is not aligned.
    """

    scan: Scan
    centre: tuple[float, float, float] | None = None
    scale: float = 1.0
    overlap: float = math.nan
    similarity: float = math.nan


class Correction(ABC):
    """Changes voxels or affine of a scan, never its grid: all resampling is done once, later.

    Its parameters are dataclass fields.
    """

    @abstractmethod
    def __call__(self, placed: Placed) -> Placed:
        """Correct a scan.

        Raises:
            InputError: If it cannot be corrected; the sentence begins with a verb.
        """


@dataclass(frozen=True)
class N4(Correction):
    """Remove slow changes of brightness that come from the coil.

    Args:
        iterations: At most, at each of three levels.
        spacing: Edge in mm of the voxels on which the field is fitted, about.

    Source: Tustison et al. 2010, N4ITK: improved N3 bias correction, IEEE Transactions on Medical Imaging 29.
    """

    iterations: int = 50
    spacing: float = 4.0

    def __call__(self, placed: Placed) -> Placed:
        """Divide by the field, which has mean 1 in logs over the foreground."""
        scan = placed.scan
        mask = foreground(scan.voxels)
        if not mask.any():
            raise InputError(
                "has nothing brighter than its background, on which N4 could be fitted: prepare it without"
            )
        image, inside = to_itk(scan.voxels, scan.affine), to_itk(mask.astype(np.uint8), scan.affine)
        fitting = zip(image.GetSpacing(), image.GetSize(), strict=True)
        factors = [max(1, min(round(self.spacing / edge), side // FEWEST)) for edge, side in fitting]
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations([self.iterations] * 3)
        try:
            with one_itk_thread():
                n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(inside, factors))
                field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T
        except RuntimeError as error:
            raise InputError(f"cannot be corrected by N4 ({str(error).splitlines()[-1].strip()})") from error
        corrected = scan.voxels / np.exp(field - field[mask].mean())
        return placed._replace(scan=scan._replace(voxels=corrected.astype(np.float32)))


def to_itk(voxels: Voxels | Any, affine: Matrix) -> Any:
    """Make an image of SimpleITK of voxels (X, Y, Z); a shear of the affine is lost."""
    lps = _RAS_TO_LPS @ affine
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(edges.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / edges).ravel().tolist())
    return image


def to_ras(matrix: Matrix) -> Matrix:
    """Write a map (4, 4) of LPS millimetres as one of RAS millimetres, and back."""
    turned: Matrix = _RAS_TO_LPS @ matrix @ _RAS_TO_LPS
    return turned


@contextmanager
def one_itk_thread() -> Iterator[None]:
    """Keep sums in one order, whatever the machine has."""
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
