"""Alignment of stripped brains to the MNI152 template, each scan on its own, and the test of its success."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, final

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from disentangle_pl.brain.correction import UNSAID, Correction, Placed
from disentangle_pl.brain.foreground import FAINT, Mask, foreground, main_piece, millilitres
from disentangle_pl.brain.nifti import Matrix, Scan
from disentangle_pl.brain.registration import (
    FINEST,
    SPACINGS,
    Fixed,
    Pyramid,
    affine_directions,
    channel,
    coarse,
    correlation_ratio,
    grid,
    images_at,
    orthonormal,
    pyramid,
    registered,
)
from disentangle_pl.brain.template import CENTRE, mni152
from disentangle_pl.errors import InputError

LARGEST_BRAIN = 2100.0
"""Millilitres: stripped scans measured 1,100 to 1,900 with their fluid, heads from 2,200, even those without a neck."""
WIDEST_CUT = 0.05
"""Share of a face of the scan: a neck or a cheek that ends there measured 0.10 to 0.26, a stripped brain 0.001."""
SCALES = (0.5, 3.0)
"""Volumes of the template over those of the scan."""
_HELP = "look at it, check its header, and align it by other means if it is a human brain"
_OVERLAP_HELP = "look at it, check its header, and lower the threshold by --align_overlap if it is a human brain"
AROUND = 12.0
"""Millimetres around the template's brain in which scans are compared with it."""
THINNED = 3
"""Of the finest points every third is enough, 15,000 for twelve numbers."""
MAPS = ("template", "gm_template", "wm_template", "brain_mask")
IMAGE, MASK = 0, 1


class Brain(NamedTuple):
    """A stripped scan, ready to be registered.

    Attributes:
        scan: As it came.
        pyramid: Its brightness, of which 99 % are below 1, and its brain as 0 and 1, holes filled (1, 2, n, n, n).
        middle: (3,) mean RAS mm of the brain.
        spread: Geometric mean of its standard deviations along its axes, mm.
    """

    scan: Scan
    pyramid: Pyramid
    middle: Matrix
    spread: float


class Target(NamedTuple):
    """The template at the spacings of a pyramid.

    Attributes:
        around: What the brain and its surroundings are compared with.
        points: (P, 3) of a grid of the finest spacing, RAS mm.
        mask: (P,) which of them are brain.
        middle: As of `Brain`.
        spread: As of `Brain`.
    """

    around: tuple[Fixed, ...]
    points: Tensor
    mask: Tensor
    middle: Matrix
    spread: float


class Fit(NamedTuple):
    """How well a brain lies on the template.

    Attributes:
        overlap: Dice coefficient of the brain with that of the template, 0 to 1.
        similarity: Multiple correlation of brightness, in the brain and 12 mm around it, with the template and its
            tissues, 0 to 1.
    """

    overlap: float
    similarity: float


LEAST = Fit(overlap=0.935, similarity=0.8)
"""The least of whole human brains (T1, T2, FLAIR, echo-planar with fields lost to air) were 0.952 and 0.84. The most
overlap had, of what is none: a brain turned by 180 degrees about the left-right or the front-back axis 0.86, a ball
0.91, a brain shaped like a monkey's 0.93; a map of white matter 0.69."""
SURE, BETTER = 0.92, 0.02
"""A brain turned back to front lies on the template like one (0.94 and 0.89): below the first number it is
tried whether it would be more similar by the second once it is turned."""
PLATEAU = 0.6
"""Share of neighbouring voxels that are equal: in labels of tissue 0.74, in parcellations 0.91, in scans 0.01."""
_TURNED = {"left-right": (1.0, -1.0, -1.0), "front-back": (-1.0, 1.0, -1.0), "up-down": (-1.0, -1.0, 1.0)}


class Engine(ABC):
    """A way to register; its parameters are dataclass fields."""

    @abstractmethod
    def __call__(self, brain: Brain) -> Matrix:
        """Return the linear map (4, 4) from RAS mm of the template to those of a scan.

        Raises:
            InputError: If there is none; the sentence begins with a verb.
        """


@final
@dataclass(frozen=True)
class GaussNewton(Engine):
    """Climb the correlation ratio from centre and size of the brain on, see `registered`.

    Args:
        steps: At 16, 8 and 4 mm.
        pitches: Degrees about the left-right axis of the starts, by which heads differ most from what headers tell.
    """

    steps: tuple[int, int, int] = (20, 8, 4)
    pitches: tuple[float, ...] = (0.0, -25.0, 25.0)

    def __call__(self, brain: Brain) -> Matrix:
        """Find the map with 12 degrees of freedom."""
        starts = torch.from_numpy(np.stack([_start(brain, _pitched(pitch)) for pitch in self.pitches]))[None]
        image = channel(brain.pyramid, IMAGE)
        maps = registered(image, target().around, starts, affine_directions(), self.steps)
        return maps[0].numpy()


GAUSS_NEWTON = GaussNewton()


@dataclass(frozen=True)
class Alignment(Correction):
    """Turns the affine of a scan so that its brain lies on the template; nothing is resampled here.

    Args:
        engine: What finds the linear map of which `part` is taken.
        overlap: Dice coefficient with the template's brain below which a scan is refused, see `LEAST`; 0 refuses none.

    Raises:
        InputError: If the overlap is not between 0 and 1.
    """

    engine: Engine = GAUSS_NEWTON
    overlap: float = field(default=LEAST.overlap, metadata={UNSAID: True})

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= 1:
            raise InputError(f"the overlap {self.overlap:g} below which scans are refused must lie between 0 and 1")

    @abstractmethod
    def part(self, whole: Matrix) -> Matrix:
        """Return the part of a linear map (4, 4) from the template to the scan that is applied."""

    @final
    def __call__(self, placed: Placed) -> Placed:
        """Place a stripped scan in the millimetres of the template.

        Raises:
            InputError: If the scan is no stripped brain, or does not come to lie on the template.
        """
        with one_torch_thread():
            brain = stripped(placed.scan)
            whole = self.engine(brain)
            fit = checked(brain, whole, self.overlap)
        to_template = np.linalg.inv(self.part(whole))
        moved = placed.scan._replace(affine=to_template @ placed.scan.affine)
        return Placed(moved, CENTRE, float(np.linalg.det(to_template[:3, :3])), *fit)


@final
@dataclass(frozen=True)
class Rigid(Alignment):
    """Turns and shifts (6 degrees of freedom): the size of the head stays in the image."""

    def part(self, whole: Matrix) -> Matrix:
        """Return the nearest rigid map."""
        return rigid_part(whole)


@final
@dataclass(frozen=True)
class Affine(Alignment):
    """All linear maps (12 degrees of freedom): the size of the head stays only as `scale`."""

    def part(self, whole: Matrix) -> Matrix:
        """Return all of it."""
        return whole


def rigid_part(whole: Matrix) -> Matrix:
    """Return the rotation nearest to a linear map (4, 4), about the middle of the template's brain."""
    turned, _, back = np.linalg.svd(whole[:3, :3])
    rigid = np.eye(4)
    rigid[:3, :3] = turned @ back
    middle = target().middle
    rigid[:3, 3] = whole[:3, :3] @ middle + whole[:3, 3] - rigid[:3, :3] @ middle
    return rigid


def stripped(scan: Scan) -> Brain:
    """Find the brain of a scan.

    Raises:
        InputError: If there is none, or more than a brain, or part of one, or labels instead of brightness.
    """
    small = coarse(scan)
    brain = main_piece(foreground(small.voxels))
    _refuse_more_than_a_brain(brain, small)
    at = np.argwhere(brain) @ small.affine[:3, :3].T + small.affine[:3, 3]
    spread = spread_of(at) if len(at) > 3 else 0.0
    if spread < FINEST:
        raise InputError(f"has no brain that could be aligned ({len(at)} connected voxels are not background)")
    bright = float(np.percentile(small.voxels[brain], 99))
    _refuse_labels(scan, FAINT * bright)
    channels = np.stack([small.voxels.clip(0) / bright, ndimage.binary_fill_holes(brain)]).astype(np.float32)
    middle = at.mean(0)
    drawn_at = torch.from_numpy(middle).float()
    return Brain(
        scan, pyramid(torch.from_numpy(channels), torch.from_numpy(small.affine).float(), drawn_at), middle, spread
    )


@lru_cache(maxsize=1)
def target() -> Target:
    """Return the template; it must not be written to."""
    images = [mni152(name, resolution=1) for name in MAPS]
    small = [coarse(Scan(image.get_fdata(dtype=np.float32), image.affine)) for image in images]
    stack = torch.from_numpy(np.stack([scan.voxels for scan in small]))
    centre = torch.tensor(CENTRE)
    levels = pyramid(stack, torch.from_numpy(small[0].affine).float(), centre).levels
    around = [_around(level, centre, spacing) for level, spacing in zip(levels, SPACINGS, strict=True)]
    points, mask = grid(centre, FINEST), levels[-1][0, -1].flatten() > 0.5
    at = points[mask].double().numpy()
    return Target(tuple(around), points, mask, at.mean(0), spread_of(at))


def fit_of(brain: Brain, whole: Matrix) -> Fit:
    """Measure how well a brain lies on the template under a linear map from the template to its scan."""
    template, maps = target(), torch.from_numpy(whole)[None]
    mask = images_at(channel(brain.pyramid, MASK), template.points, maps)[0, 0] > 0.5
    overlap = 2 * (mask & template.mask).sum() / (mask.sum() + template.mask.sum())
    share = correlation_ratio(channel(brain.pyramid, IMAGE), template.around[-1], maps)
    return Fit(float(overlap), float(share.clamp(min=0).sqrt()))


def checked(brain: Brain, whole: Matrix, overlap: float = LEAST.overlap) -> Fit:
    """Return how well a brain lies on the template under a linear map from the template to its scan.

    Args:
        brain: Of `stripped`.
        whole: (4, 4) linear map from the template to its scan.
        overlap: The least Dice coefficient with the template's brain.

    Raises:
        InputError: If so badly that it cannot be a human brain in the position that its header tells.
    """
    size = float(np.linalg.det(whole[:3, :3]))
    scale = 1 / size if size > 0 else np.inf
    if not SCALES[0] < scale < SCALES[1]:
        raise InputError(
            f"does not fit the MNI152 template (it would have to become {scale:.3g} times as large): {_HELP}"
        )
    fit = fit_of(brain, whole)
    if not fit.overlap >= overlap:
        below = np.floor(1000 * fit.overlap) / 1000  # 0.9348 is not to be read as the threshold
        raise InputError(
            f"does not fit the MNI152 template (overlap {below:.3f} is below {overlap:g}): {_OVERLAP_HELP}"
        )
    if not fit.similarity >= LEAST.similarity:
        raise InputError(
            f"does not resemble the MNI152 template (similarity {fit.similarity:.3f}, at least "
            f"{LEAST.similarity:g}): {_HELP}"
        )
    if fit.similarity < SURE:
        _refuse_wrong_header(brain, whole)
    return fit


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep sums in one order, whatever the machine has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _around(level: Tensor, centre: Tensor, spacing: float) -> Fixed:
    outside = level[0, -1].numpy() < 0.5
    near = torch.from_numpy((ndimage.distance_transform_edt(outside) * spacing <= AROUND).ravel())
    near &= torch.arange(len(near)) % (THINNED if spacing == FINEST else 1) == 0
    first = -1 if spacing == SPACINGS[0] else 0  # the outline alone leads astray no contrast and no coil
    return Fixed(grid(centre, spacing)[near], orthonormal(level[0, first:].flatten(1).T[near]))


def _start(brain: Brain, turn: Matrix) -> Matrix:
    """Turn the template (3, 3), and give it size and place of the brain."""
    template = target()
    start = np.eye(4)
    start[:3, :3] = turn * brain.spread / template.spread
    start[:3, 3] = brain.middle - start[:3, :3] @ template.middle
    return start


def _pitched(degrees: float) -> Matrix:
    turn: Matrix = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    return turn


def spread_of(at: Matrix) -> float:
    """Return the geometric mean of the standard deviations of points (N, 3) along their axes."""
    return float(max(np.linalg.det(np.cov(at.T)), 0) ** (1 / 6))


def _refuse_wrong_header(brain: Brain, whole: Matrix) -> None:
    """Refuse a brain that resembles the template more if it is turned by 180 degrees."""
    image, around = channel(brain.pyramid, IMAGE), target().around
    turns = [np.diag(signs) @ _pitched(pitch) for signs in _TURNED.values() for pitch in GAUSS_NEWTON.pitches]
    starts = torch.from_numpy(np.stack([_start(brain, turn) for turn in turns]))[None]
    turned = registered(image, around, starts, affine_directions(), (20, 10, 0))
    pair = torch.cat([turned, torch.from_numpy(whole)[None]])
    better, now = (float(correlation_ratio(image, around[1], maps[None], 1).sqrt()) for maps in pair)
    if better > now + BETTER:
        between = rigid_part(whole)[:3, :3].T @ rigid_part(turned[0].numpy())[:3, :3]
        axis = max(_TURNED, key=lambda name: float(np.trace(np.diag(_TURNED[name]) @ between)))
        raise InputError(
            f"resembles the MNI152 template more if it is turned by 180 degrees about its {axis} axis (similarity "
            f"{better:.2f}, now {now:.2f}): its header is wrong, correct it"
        )


def _refuse_labels(scan: Scan, faintest: float) -> None:
    """Refuse masks and atlases: most neighbouring voxels of them are equal."""
    pairs, equal = 0, 0
    for axis in range(3):
        rows = np.moveaxis(scan.voxels, axis, 0)[:, ::2, ::2]
        inside = (rows[1:] > faintest) & (rows[:-1] > faintest)
        pairs, equal = pairs + int(inside.sum()), equal + int(((rows[1:] == rows[:-1]) & inside).sum())
    if equal > PLATEAU * pairs:
        raise InputError(
            f"seems to be a mask or an atlas ({equal / pairs:.0%} of its neighbouring voxels are equal): give the scan"
        )


def _refuse_more_than_a_brain(brain: Mask, scan: Scan) -> None:
    """Refuse heads: their scalp would be fitted to the edge of the template's brain."""
    volume = millilitres(brain, scan)
    cut = max(float(np.take(brain, end, axis).mean()) for axis in range(3) for end in (0, -1))
    if volume > LARGEST_BRAIN:
        raise InputError(
            f"seems to be a whole head ({volume:.0f} ml are not background): strip it before it is aligned"
        )
    if cut > WIDEST_CUT:
        raise InputError(
            f"is cut off by a face of the scan ({cut:.0%} of it are not background): strip it if a neck goes on there, "
            "and leave it out if a part of the brain is missing"
        )
