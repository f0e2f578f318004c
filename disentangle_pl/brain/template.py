"""The MNI152 template as an anatomy: no download, no data of anybody.

The average of 152 heads has shallow sulci and a hippocampus without a temporal horn, so the tissue probabilities are
sharpened towards the likeliest one, and the horns are carved where they are in most people.

Source: Fonov et al. 2011, Unbiased average age-appropriate atlases for pediatric studies, NeuroImage 54 (ICBM 2009a
nonlinear symmetric, as shipped with nilearn).
"""

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from disentangle_pl.brain import anatomy as a
from disentangle_pl.brain.anatomy import Anatomy, Array, Matrix
from disentangle_pl.brain.atrophy import nominal_fields
from disentangle_pl.brain.deformation import exponential, warp

FIELD = 192.0  # mm along every axis
CENTRE = (0.0, -18.0, 8.0)  # MNI mm
FINE = 128  # voxels along every axis of the grid on which structures are told apart
SHARPNESS, CSF_WEIGHT = 2.0, 8.0  # exponent of the probabilities; odds of fluid, which the average has blurred away
RIM = 2.0  # mm of fluid around the brain
WIDER, THINNER = 0.5, 0.1  # nominal log volumes of ventricles gained and cortex lost with age
HORN = 0.8  # fraction of fluid in the middle of a carved horn

Mask = npt.NDArray[np.bool_]


@lru_cache(maxsize=1)
def mni_anatomy(size: int) -> Anatomy:
    """Make the anatomy of the MNI152 template; the last one is kept, so it must not be written to.

    Args:
        size: Voxels along every axis of a cube of 192 mm.
    """
    affine = _affine(FINE)
    t1, grey, white, brain = (_sampled(image, affine) for image in _templates())
    x, y, z = _millimetres(affine)
    skull = _soft(ndimage.distance_transform_edt(brain < 0.5) * affine[0, 0] <= RIM, 0.7)
    tissues = np.stack([grey, white, np.clip(brain - grey - white, 0, 1)])
    detail = _detail(t1, tissues)
    horns = HORN * np.clip(sum(_horn(x, y, z, side) for side in (-1, 1)), 0, 1)
    grey, white, _ = _sharpened(tissues) * np.minimum(brain, skull) * (1 - horns)
    fluid = np.clip(skull - grey - white, 0, 1)
    fractions = np.zeros((len(a.TISSUES), *t1.shape), dtype=np.float32)
    ventricles = np.maximum(_ventricles(fluid, brain > 0.5, (x, y, z)), np.minimum(horns * 2, 1))
    fractions[a.VENTRICLES], fractions[a.CSF] = fluid * ventricles, fluid * (1 - ventricles)
    hippocampus = np.clip(sum(_hippocampus(x, y, z, side) for side in (-1, 1)), 0, 1)
    below = _soft(((z < -16) & (y < -38)) | ((np.abs(x) < 14) & (z < -18)), 1.3) * (1 - hippocampus)
    depth = ndimage.distance_transform_edt(brain > 0.5) * affine[0, 0]
    core = (np.abs(x) < 34) & (y > -34) & (y < 22) & (z > -10) & (z < 20) & (depth > 20)
    deep = _soft(core, 1.3) * (1 - hippocampus) * (1 - below)
    fractions[a.HIPPOCAMPUS], fractions[a.CEREBELLAR_CORTEX] = grey * hippocampus, grey * below
    fractions[a.THALAMUS], fractions[a.CORTEX] = grey * deep, grey * (1 - hippocampus - below - deep)
    fractions[a.WHITE], fractions[a.CEREBELLAR_WHITE] = white * (1 - below), white * below
    return aged(_resized(fractions.clip(0), np.asarray(detail * (1 - horns), dtype=np.float32), affine, size))


def aged(anatomy: Anatomy) -> Anatomy:
    """Widen the ventricles and sulci of young people to those of old ones."""
    fields = nominal_fields(anatomy)
    displacement = exponential(-WIDER * fields[0] + THINNER * fields[1])
    maps = warp(torch.from_numpy(np.stack([*anatomy.fractions, anatomy.detail])), displacement).numpy()
    return Anatomy(maps[:-1], maps[-1], anatomy.affine)


def mni152(image: str, resolution: int) -> Any:
    """Load an image of the MNI152 template, `template`, `gm_template`, `wm_template` or `brain_mask`.

    Args:
        image: Its name in nilearn.
        resolution: Edge of a voxel in mm.
    """
    # nilearn brings half of scikit-learn along, which no training is to wait for
    return getattr(import_module("nilearn.datasets"), f"load_mni152_{image}")(resolution=resolution)


def _templates() -> list[Any]:
    return [mni152(image, resolution=1) for image in ("template", "gm_template", "wm_template", "brain_mask")]


def _affine(size: int) -> Matrix:
    spacing = FIELD / size
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = np.array(CENTRE) - spacing * (size - 1) / 2
    return affine


def _millimetres(affine: Matrix) -> list[Array]:
    axes = [(affine[i, i] * np.arange(FINE) + affine[i, 3]).astype(np.float32) for i in range(3)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def _sampled(image: Any, affine: Matrix) -> Array:
    """Low-pass filter an image of 1 mm and draw it on the fine grid."""
    values = ndimage.gaussian_filter(image.get_fdata(dtype=np.float32), 0.42 * affine[0, 0])
    to_voxels = np.linalg.inv(image.affine) @ affine
    sampled: Array = ndimage.affine_transform(
        values, to_voxels[:3, :3], to_voxels[:3, 3], output_shape=(FINE,) * 3, order=1
    )
    return sampled


def _detail(t1: Array, tissues: Array) -> Array:
    """Return what the template has beyond a mixture of three intensities, in units of white matter."""
    inside = tissues.sum(0) > 0.9
    levels = np.linalg.lstsq(tissues[:, inside].T, t1[inside], rcond=None)[0]
    residual = (t1 - np.einsum("c,cxyz->xyz", levels, tissues)) / levels[1]
    smooth: Array = (np.clip(residual, -0.15, 0.15) * _soft(inside, 1.0)).astype(np.float32)
    return smooth


def _sharpened(tissues: Array) -> Array:
    odds = np.clip(tissues, 0, 1) ** SHARPNESS * np.array([1, 1, CSF_WEIGHT], dtype=np.float32)[:, None, None, None]
    shares: Array = odds / np.maximum(odds.sum(0), 1e-3)
    return shares


def _ventricles(fluid: Array, brain: Mask, at: tuple[Array, Array, Array]) -> Array:
    x, y, z = at
    box = (np.abs(x) < 38) & (y > -58) & (y < 42) & (z > -6) & (z < 36) & ((np.abs(x) > 4) | (z > 10))
    depth = ndimage.distance_transform_edt(brain) * FIELD / FINE
    pieces, _ = ndimage.label((fluid > 0.45) & box & (depth > 12))
    bodies = np.zeros(fluid.shape, dtype=bool)
    for side in (-1, 1):
        far = (x - side * 10) ** 2 + (y - 8) ** 2 + (z - 14) ** 2
        bodies |= pieces == pieces.flat[np.argmin(np.where(pieces > 0, far, np.inf))]
    return np.clip(_soft(ndimage.binary_dilation(bodies, iterations=2), 0.7), 0, 1)


def _hippocampus(x: Array, y: Array, z: Array, side: int) -> Array:
    """An ellipsoid with a soft rim along the floor of the temporal horn, lower in front."""
    along, across = 0.94 * (y + 21) + 0.34 * (z + 13), -0.34 * (y + 21) + 0.94 * (z + 13)
    outward = x - side * (27 - 0.10 * (y + 21))
    shape: Array = np.exp(-(((outward / 8) ** 2 + (along / 18) ** 2 + (across / 7.5) ** 2) ** 2))
    return shape


def _horn(x: Array, y: Array, z: Array, side: int) -> Array:
    """A thin ellipsoid above and outside the hippocampus."""
    along, across = 0.94 * (y + 21) + 0.34 * (z + 9), -0.34 * (y + 21) + 0.94 * (z + 9)
    outward = x - side * (33 - 0.12 * (y + 21))
    shape: Array = np.exp(-(((outward / 3.2) ** 2 + (along / 16) ** 2 + (across / 2.8) ** 2) ** 2))
    return shape


def _soft(mask: Mask, sigma: float) -> Array:
    blurred: Array = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    return blurred


def _resized(fractions: Array, detail: Array, affine: Matrix, size: int) -> Anatomy:
    resized = _affine(size)
    ratio = resized[0, 0] / affine[0, 0]
    offset = np.full(3, (ratio - 1) / 2)
    sigma = 0.42 * ratio if ratio > 1 else 0.0

    def resize(values: Array) -> Array:
        smooth = ndimage.gaussian_filter(values, sigma) if sigma else values
        image: Array = ndimage.affine_transform(
            smooth, np.full(3, ratio), offset, output_shape=(size,) * 3, order=1, mode="nearest"
        )
        return image

    return Anatomy(np.stack([resize(part) for part in fractions]), resize(detail), resized)
