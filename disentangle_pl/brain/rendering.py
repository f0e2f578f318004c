"""From an anatomy and its changes to a T1-weighted signal and the millilitres of every tissue in it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from disentangle_pl.brain import anatomy as a
from disentangle_pl.brain.anatomy import MEANS, TISSUES, Anatomy, Matrix
from disentangle_pl.brain.atrophy import nearness
from disentangle_pl.brain.deformation import compose, exponential, similarity, smooth_noise, warp
from disentangle_pl.brain.scanner import Acquisition

GRAIN = np.array([45, 30, 20, 20, 40, 40, 40, 45, 40, 40], dtype=np.float32) / 1000
"""How much the intensity of a tissue varies from place to place, white matter at 1."""
FINE, PATCH, COARSE = 1.6, 4.0, (18.0, 7.0)  # mm: texture; hyperintensities; a person's own shape at two scales
SHAPE, SMALL_SHARE = 1.2, 0.35  # mm root mean square; of it at the smaller scale
SYMMETRIC, FREE = 0.9, 0.3  # weights of the mirror-symmetric part and of all
PERIVENTRICULAR = 10.0  # mm over which white matter becomes safe from hyperintensities
HYPERINTENSITY = 0.22  # signal lost
WHITE_LEVEL = 0.75  # of the signal
TISSUE, DETAIL, TEXTURE, PATCHES, AROUND = slice(0, 10), 10, 11, 12, 13


class Head(NamedTuple):
    """One person's head before any change.

    Attributes:
        maps: (14, n, n, n) fractions of `TISSUES`, detail, texture, patches where hyperintensities begin, and
            closeness to the ventricles.
        fields: (4, 3, n, n, n) velocity of a change by 1 log unit each, calibrated.
        shape: (3, n, n, n) velocity that makes the person look like nobody else.
        spacing: Edge of a voxel in mm.
    """

    maps: Tensor
    fields: Tensor
    shape: Tensor
    spacing: float


class Change(NamedTuple):
    """How a head differs from its anatomy at one visit.

    Attributes:
        amounts: (4,) of the fields of ventricles, cortex, hippocampus and white matter; near 0, changes of log volumes.
        log_scale: Of the lengths of the whole head.
        hyperintensity: Load of white-matter hyperintensities; about -1 is little, 1 much.
        white: Share by which white matter is brighter.
    """

    amounts: Matrix
    log_scale: float
    hyperintensity: float
    white: float


class Rendered(NamedTuple):
    """A signal (n, n, n) with white matter at 0.75, its mask (n, n, n), and what is in it in millilitres."""

    signal: Tensor
    mask: Tensor
    millilitres: dict[str, float]


def make_head(anatomy: Anatomy, fields: Tensor, rng: np.random.Generator) -> Head:
    """Give an anatomy a person's own shape and texture, which stay the same at all visits."""
    n, spacing = anatomy.size, anatomy.spacing
    shape = sum(
        smooth_noise(rng, 3, n, length / spacing) * share * SHAPE / spacing
        for length, share in zip(COARSE, (1, SMALL_SHARE), strict=True)
    )
    mirrored = torch.stack([-shape[0], shape[1], shape[2]]).flip(1)  # type: ignore[index]
    own = SYMMETRIC * (shape + mirrored) / 2 + FREE * shape
    around = anatomy.fractions[a.WHITE] * nearness(anatomy.fractions[a.VENTRICLES], spacing, PERIVENTRICULAR)
    fixed = torch.from_numpy(np.stack([*anatomy.fractions, anatomy.detail]))
    texture, patches = (smooth_noise(rng, 1, n, length / spacing) for length in (FINE, PATCH))
    return Head(torch.cat([fixed, texture, patches, torch.from_numpy(around)[None]]), fields, own, spacing)


def pull_back(head: Head, change: Change, settings: Acquisition) -> Tensor:
    """Return the displacement (3, n, n, n) through which all maps are drawn, once."""
    amounts = torch.from_numpy(change.amounts.astype(np.float32))
    inner = exponential(-torch.einsum("k,kcxyz->cxyz", amounts, head.fields) - head.shape)
    pose = similarity(head.maps.shape[-1], change.log_scale, settings.turn, settings.shift / head.spacing)
    return compose(inner, pose)


def render(head: Head, change: Change, settings: Acquisition) -> Rendered:
    """Draw the head as it is at one visit, without the scanner's part beyond the pose."""
    maps = warp(head.maps, pull_back(head, change, settings))
    tissue = maps[TISSUE]
    means = torch.from_numpy(MEANS).clone()
    means[a.WHITE] *= 1 + change.white
    signal = torch.einsum("c,cxyz->xyz", means, tissue) + maps[DETAIL]
    signal += torch.einsum("c,cxyz->xyz", torch.from_numpy(GRAIN), tissue) * maps[TEXTURE]
    burden = maps[PATCHES] + 4 * maps[AROUND] - 4.2 + 2.2 * change.hyperintensity
    bright = torch.sigmoid(3 * burden) * tissue[a.WHITE] * (maps[AROUND] > 0.02)
    signal -= HYPERINTENSITY * bright
    inside = tissue.sum(0)
    sums = {**dict(zip(TISSUES, tissue.sum((1, 2, 3)), strict=True)), "icv": inside.sum(), "wmh": bright.sum()}
    ml = head.spacing**3 / 1000
    return Rendered(signal * WHITE_LEVEL, inside > 0.5, {name: float(total) * ml for name, total in sums.items()})
