"""Registration by SimpleITK, the reference of our own: Mattes' mutual information, gradient descent, one thread."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
import SimpleITK as sitk

from disentangle_pl.brain.alignment import Brain, Engine
from disentangle_pl.brain.correction import one_itk_thread, to_itk, to_ras
from disentangle_pl.brain.nifti import Matrix
from disentangle_pl.brain.template import mni152
from disentangle_pl.errors import InputError

_LEVELS = [4, 2]


@final
@dataclass(frozen=True)
class SimpleItk(Engine):
    """Climb the mutual information, first by turns and shifts, then by all linear maps."""

    def __call__(self, brain: Brain) -> Matrix:
        """Find the map with 12 degrees of freedom."""
        with one_itk_thread():
            image = to_itk(brain.scan.voxels.clip(0), brain.scan.affine)
            start = sitk.CenteredTransformInitializer(
                _template(), image, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
            )
            rigid = _climb(image, sitk.Euler3DTransform(start), step=1.0)
            affine = sitk.AffineTransform(3)
            affine.SetCenter(rigid.GetCenter())
            affine.SetMatrix(rigid.GetMatrix())
            affine.SetTranslation(rigid.GetTranslation())
            return to_ras(_matrix(_climb(image, affine, step=0.5)))


def _climb(image: Any, transform: Any, step: float) -> Any:
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
        method.Execute(_template(), image)
    except RuntimeError as error:
        raise InputError(f"cannot be aligned to the MNI152 template ({str(error).splitlines()[-1].strip()})") from error
    return transform


@lru_cache(maxsize=1)
def _template() -> Any:
    image = mni152("template", resolution=2)
    return to_itk(image.get_fdata(dtype=np.float32), image.affine)


def _matrix(transform: Any) -> Matrix:
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre + np.array(transform.GetTranslation()) - linear @ centre
    return matrix
