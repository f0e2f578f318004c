"""Alignment of stripped brains to the MNI152 template, each scan on its own."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
import SimpleITK as sitk

from disentangle_pl.brain.correction import Correction, Placed, one_itk_thread, to_itk, to_ras
from disentangle_pl.brain.foreground import foreground, main_piece, millilitres
from disentangle_pl.brain.nifti import Matrix, Scan
from disentangle_pl.brain.template import CENTRE, mni152
from disentangle_pl.errors import InputError

LARGEST_BRAIN = 2100.0
"""Millilitres: stripped scans measured 1,100 to 1,900 with their fluid, heads from 2,200, even those without a neck."""
WIDEST_CUT = 0.05
"""Share of a face of the scan: a neck or a cheek that ends there measured 0.10 to 0.26, a stripped brain 0.001."""
SCALES = (0.5, 3.0)
_LEVELS = [4, 2]


class Alignment(Correction):
    """Turns the affine of a scan so that its brain lies on the template; nothing is resampled here."""

    @abstractmethod
    def fit(self, template: Any, image: Any) -> Any:
        """Find the transform from millimetres of the template to those of the scan, both LPS."""

    @final
    def __call__(self, placed: Placed) -> Placed:
        """Place a stripped scan in the millimetres of the template.

        Raises:
            InputError: If the scan has a skull, or the template does not come to lie on it.
        """
        scan = placed.scan
        _refuse_skull(scan)
        with one_itk_thread():
            transform = self.fit(_template(), to_itk(scan.voxels.clip(0), scan.affine))
        to_template = np.linalg.inv(to_ras(_matrix(transform)))
        scale = float(np.linalg.det(to_template[:3, :3]))
        if not SCALES[0] < scale < SCALES[1]:
            raise InputError(f"does not fit the MNI152 template (scale {scale:.2f}): align it by other means")
        return Placed(scan._replace(affine=to_template @ scan.affine), CENTRE, scale)


@final
@dataclass(frozen=True)
class Rigid(Alignment):
    """Turns and shifts (6 degrees of freedom): the size of the head stays in the image."""

    def fit(self, template: Any, image: Any) -> Any:
        """Start at the centres of mass and climb the mutual information."""
        start = sitk.CenteredTransformInitializer(
            template, image, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
        )
        return _climb(template, image, sitk.Euler3DTransform(start), step=1.0)


@final
@dataclass(frozen=True)
class Affine(Alignment):
    """All linear maps (12 degrees of freedom), from the rigid one on: the size of the head stays only as `scale`."""

    def fit(self, template: Any, image: Any) -> Any:
        """Start at the rigid transform."""
        rigid = Rigid().fit(template, image)
        affine = sitk.AffineTransform(3)
        affine.SetCenter(rigid.GetCenter())
        affine.SetMatrix(rigid.GetMatrix())
        affine.SetTranslation(rigid.GetTranslation())
        return _climb(template, image, affine, step=0.5)


def _climb(template: Any, image: Any, transform: Any, step: float) -> Any:
    """Maximise Mattes' mutual information; its grid of points is jittered from a fixed seed."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([0.5, 0.2], seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(step, 1e-3, 200, gradientMagnitudeTolerance=1e-5)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(_LEVELS)
    method.SetSmoothingSigmasPerLevel(_LEVELS)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(template, image)
    except RuntimeError as error:
        raise InputError(f"cannot be aligned to the MNI152 template ({str(error).splitlines()[-1].strip()})") from error
    return transform


@lru_cache(maxsize=1)
def _template() -> Any:
    image = mni152("template", resolution=2)
    return to_itk(image.get_fdata(dtype=np.float32), image.affine)


def _refuse_skull(scan: Scan) -> None:
    """Refuse heads: their scalp would be fitted to the edge of the template's brain."""
    head = main_piece(foreground(scan.voxels))
    volume = millilitres(head, scan)
    cut = max(float(np.take(head, end, axis).mean()) for axis in range(3) for end in (0, -1))
    if volume > LARGEST_BRAIN or cut > WIDEST_CUT:
        raise InputError(
            f"seems to have its skull ({volume:.0f} ml are not background, and they fill {cut:.0%} of a face of the "
            "scan): strip it before it is aligned"
        )


def _matrix(transform: Any) -> Matrix:
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre + np.array(transform.GetTranslation()) - linear @ centre
    return matrix
