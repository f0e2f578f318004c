"""A small anatomy that is made once: the template at 6 mm."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.brain.anatomy import Anatomy, Array
from disentangle_pl.brain.atrophy import Calibration, calibrate, calibrated_fields
from disentangle_pl.brain.deformation import exponential, warp
from disentangle_pl.brain.template import mni_anatomy

SIZE = 32


@lru_cache(maxsize=1)
def prepared() -> tuple[Anatomy, Calibration, Tensor]:
    """The anatomy, its calibration and its fields."""
    anatomy = mni_anatomy(SIZE)
    calibration = calibrate(anatomy)
    return anatomy, calibration, calibrated_fields(anatomy, calibration)


def changed(*log_volumes: float) -> Tensor:
    """The fractions (10, n, n, n) after changes of ventricles, cortex, hippocampus and white matter."""
    anatomy, _, fields = prepared()
    velocity = torch.einsum("k,kcxyz->cxyz", torch.tensor([float(x) for x in log_volumes]), fields)
    return warp(torch.from_numpy(anatomy.fractions), exponential(-velocity))


def write_anatomies(path: Path, heads: list[Array], **more: object) -> Path:
    """Write fractions (10, n, n, n) as a file of anatomies, with a background."""
    full = [np.concatenate([np.clip(1 - head.sum(0, keepdims=True), 0, 1), head]) for head in heads]
    arrays: dict[str, object] = {"frac": np.rint(255 * np.stack(full)).astype(np.uint8), "affine": prepared()[0].affine}
    np.savez_compressed(path, **{**arrays, **more})  # type: ignore[arg-type]
    return path
