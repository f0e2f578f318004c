"""One alignment for all scans of a person: rigidly to the middle between them, and from there to the MNI152 template.

No scan is the reference of the others: each starts from its own alignment to the template, and in every round each is
registered to the mean of the others and moved by as much as brings it to the mean of all. All are then resampled once,
through one map to the template, so that they differ by what changed in the head and not by how each was registered.

Source: Reuter et al. 2012, Within-subject template estimation for unbiased longitudinal image analysis, NeuroImage 61.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from disentangle_pl.brain.alignment import (
    IMAGE,
    MASK,
    Alignment,
    Brain,
    checked,
    one_torch_thread,
    rigid_part,
    spread_of,
    stripped,
)
from disentangle_pl.brain.correction import Placed
from disentangle_pl.brain.nifti import Matrix, Scan
from disentangle_pl.brain.registration import (
    FINEST,
    SIDE,
    SPACINGS,
    Fixed,
    Pyramid,
    channel,
    grid,
    images_at,
    orthonormal,
    registered,
    rigid_directions,
    together,
)
from disentangle_pl.brain.template import CENTRE
from disentangle_pl.errors import InputError

RIM = 2
"""Voxels around a person's brain in which the scans are compared."""


@final
@dataclass(frozen=True)
class Midspace:
    """Aligns all scans of a person at once.

    Args:
        alignment: What becomes of their mean.
        rounds: How often the mean is made anew.
        steps: Of Gauss-Newton, a round.
    """

    alignment: Alignment
    rounds: int = 3
    steps: int = 4

    def __call__(self, scans: Sequence[Placed]) -> list[Placed | str]:
        """Place the stripped scans of a person in the millimetres of the template.

        Returns:
            One a scan, in order: the scan as `Alignment` places it, or what is wrong with it, beginning with a verb.
            A scan that cannot be aligned on its own is left out of the mean.
        """
        with one_torch_thread():
            alone = [self._on_its_own(placed.scan) for placed in scans]
            usable = [each for each in alone if not isinstance(each, str)]
            if not usable:
                return [str(each) for each in alone]
            brains, starts = [brain for brain, _ in usable], torch.stack([start for _, start in usable])
            moving = together([brain.pyramid for brain in brains])
            rigid = meeting(moving, starts, self.rounds, self.steps)
            done = iter(
                self._placed(
                    [p for p, a in zip(scans, alone, strict=True) if not isinstance(a, str)], brains, moving, rigid
                )
            )
            return [each if isinstance(each, str) else next(done) for each in alone]

    def _on_its_own(self, scan: Scan) -> tuple[Brain, Tensor] | str:
        try:
            brain = stripped(scan)
            whole = self.alignment.engine(brain)
            checked(brain, whole, self.alignment.overlap)
        except InputError as error:
            return str(error)
        return brain, torch.from_numpy(rigid_part(whole))

    def _placed(
        self, scans: Sequence[Placed], brains: Sequence[Brain], moving: Pyramid, rigid: Tensor
    ) -> list[Placed | str]:
        try:
            whole = self.alignment.engine(_mean(moving, rigid))
        except InputError as error:
            return [str(error)] * len(scans)
        part = self.alignment.part(whole)
        scale = float(1 / np.linalg.det(part[:3, :3]))
        placed: list[Placed | str] = []
        for each, brain, turn in zip(scans, brains, rigid.numpy(), strict=True):
            try:
                fit = checked(brain, turn @ whole, self.alignment.overlap)
            except InputError as error:
                placed.append(str(error))
                continue
            affine = np.linalg.inv(turn @ part) @ each.scan.affine
            placed.append(Placed(each.scan._replace(affine=affine), CENTRE, scale, *fit))
        return placed


def meeting(moving: Pyramid, starts: Tensor, rounds: int, steps: int) -> Tensor:
    """Find the rigid maps from the middle between N scans to each of them.

    Args:
        moving: N images with the channels of `Brain.pyramid`.
        starts: (N, 4, 4) rigid maps from one space to the scans, each made without a look at the others.
        rounds: How often all move.
        steps: Of Gauss-Newton, a round.

    Returns:
        (N, 4, 4) float64; `starts`, if N is 1.
    """
    many, maps = len(starts), starts.double()
    if many == 1:
        return maps
    points = grid(torch.tensor(CENTRE, device=maps.device), FINEST)
    images = channel(moving, IMAGE)
    for _ in range(rounds):
        masks = images_at(channel(moving, MASK), points, maps)[:, 0].mean(0) > 0.5
        near = ndimage.binary_dilation(masks.reshape((SIDE,) * 3).cpu().numpy(), iterations=RIM)
        inside = points[torch.from_numpy(near.ravel()).to(points.device)]
        values = images_at(images, inside, maps)[:, 0]
        values = values / values.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        means = orthonormal((values.sum(0) - values)[..., None])
        fixed = [Fixed(inside, means)] * len(SPACINGS)
        aligned = registered(images, fixed, maps[:, None], rigid_directions(), (0, 0, steps))
        maps = maps @ _shares(torch.linalg.inv(maps) @ aligned, (many - 1) / many)
    return maps


def _shares(moves: Tensor, share: float) -> Tensor:
    """Take a share of small rigid moves (N, 4, 4), less the mean of all, so that the middle stays where it is."""
    steps = moves.cpu().numpy()
    turns = Rotation.from_matrix(steps[:, :3, :3]).as_rotvec()
    shifts = steps[:, :3, 3]
    small = np.tile(np.eye(4), (len(steps), 1, 1))
    small[:, :3, :3] = Rotation.from_rotvec(share * (turns - turns.mean(0))).as_matrix()
    small[:, :3, 3] = share * (shifts - shifts.mean(0))
    return torch.from_numpy(small).to(moves)


def _mean(moving: Pyramid, maps: Tensor) -> Brain:
    """Return the mean of a person's scans in the middle between them."""
    centre = torch.tensor(CENTRE)
    points = grid(centre, FINEST)
    image, mask = images_at(moving, points, maps).mean(0)
    mask = (mask > 0.5).to(image)
    level = torch.stack([image, mask]).reshape(1, 2, SIDE, SIDE, SIDE)
    levels = [F.avg_pool3d(level, round(spacing / FINEST)) for spacing in SPACINGS]
    affine: Matrix = np.diag([FINEST, FINEST, FINEST, 1.0])
    affine[:3, 3] = points[0].numpy()
    at = points[mask > 0.5].double().numpy()
    scan = Scan(level[0, 0].numpy(), affine)
    return Brain(scan, Pyramid(tuple(levels), centre[None]), at.mean(0), spread_of(at))
