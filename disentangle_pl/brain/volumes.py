"""From a NIfTI file of any orientation, size and scale to one array that a network can take."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disentangle_pl.brain.correction import UNSAID, Correction, Placed
from disentangle_pl.brain.foreground import background, foreground
from disentangle_pl.brain.intensity import Intensity, Percentiles
from disentangle_pl.brain.midspace import Midspace
from disentangle_pl.brain.nifti import Scan, Voxels, read_scan, shear_degrees
from disentangle_pl.brain.quality import CENTRE, Facts, facts_of, share_outside
from disentangle_pl.brain.resampling import Resampled, resampled
from disentangle_pl.errors import InputError

Volume = npt.NDArray[np.float16]

RECIPE = 4
"""Counts changes of `Preparation` that alter its result, so that nothing older is taken for it."""


class Prepared(NamedTuple):
    """A volume (D, H, W), and what is known of the scan that it comes from."""

    volume: Volume
    facts: Facts


USUAL = Percentiles()
SHEAR = 0.1
"""Degrees off right angles from which the axes of a scan are not kept."""
LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Preparation:
    """The deterministic part of what happens to a scan before training.

    Correct, reorient to RAS+, low-pass filter and resample, crop or pad about the centre, and map intensities. What is
    outside the scan gets its background, the median of its faces. A scan keeps its own axes, unless they are sheared:
    then it is resampled along those of the scanner.

    Args:
        size: Voxels along left-right, posterior-anterior and inferior-superior.
        spacing: Edge of the cubic voxels in mm.
        intensity: What happens to the values of the volume.
        corrections: What happens before the one resampling, in order.
        nan_as_background: Take voxels that are NaN as background (see `read_scan`); otherwise such scans are refused.
        midspace: Aligns all scans of a person together, after the corrections; None for each on its own.

    Raises:
        InputError: If a size or the spacing is not positive.
    """

    size: tuple[int, int, int]
    spacing: float
    intensity: Intensity = USUAL
    corrections: tuple[Correction, ...] = ()
    nan_as_background: bool = False
    midspace: Midspace | None = None

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.spacing <= 0:
            raise InputError(f"size {self.size} and spacing {self.spacing} must be positive")

    @property
    def settings(self) -> dict[str, Any]:
        """All that changes the result, for a JSON file."""
        return {
            "size": list(self.size),
            "spacing": float(self.spacing),
            "intensity": _described(self.intensity),
            "corrections": [_described(correction) for correction in self.corrections],
            "nan_as_background": self.nan_as_background,
            **({"midspace": _described(self.midspace)} if self.midspace else {}),
        }

    @property
    def key(self) -> str:
        """A hash that changes with every setting that changes the result."""
        return hashlib.sha256(json.dumps([RECIPE, self.settings], sort_keys=True).encode()).hexdigest()

    def __call__(self, path: Path) -> Volume:
        """Prepare one scan.

        Returns:
            (D, H, W) = `size`, float16, axes towards right, anterior and superior.

        Raises:
            InputError: As `read_scan`; also if it cannot be corrected, nothing of it is inside the crop, or a voxel of
                the result is no number that float16 holds.
        """
        return self.examine(path).volume

    def examine(self, path: Path) -> Prepared:
        """Prepare one scan, and measure it on the way.

        Raises:
            InputError: As `__call__`.
        """
        result = self.examine_person([path])[0]
        if isinstance(result, str):
            raise InputError(f"{path} {result}")
        return result

    def examine_person(self, paths: Sequence[Path]) -> list[Prepared | str]:
        """Prepare the scans of a person.

        Returns:
            One a scan, in order: the result, or what is wrong with the scan, without its path.
        """
        corrected = [self._corrected(path) for path in paths]
        if self.midspace:
            corrected = _together(self.midspace, corrected)
        return [each if isinstance(each, str) else self._finished(*each) for each in corrected]

    def _corrected(self, path: Path) -> tuple[Scan, Placed] | str:
        try:
            scan = read_scan(path, self.nan_as_background)
            centred = scan._replace(voxels=scan.voxels - background(scan.voxels))
            return scan, reduce(lambda done, correct: correct(done), self.corrections, Placed(centred))
        except InputError as error:
            return str(error).removeprefix(f"{path} ")

    def _finished(self, scan: Scan, placed: Placed) -> Prepared | str:
        try:
            grid = self._resampled(_on_right_angles(placed))
            volume = _stored(self.intensity(_finite(grid.values)))
        except InputError as error:
            return str(error)
        inside = foreground(placed.scan.voxels)
        cut_off = share_outside(inside, np.linalg.inv(grid.affine) @ placed.scan.affine, self.size)
        middle = grid.affine[:3, :3] @ ((np.array(self.size) - 1) / 2) + grid.affine[:3, 3]
        where = dict(zip(CENTRE, middle.tolist(), strict=True))
        fit = {"scale": placed.scale, "overlap": placed.overlap, "similarity": placed.similarity}
        return Prepared(volume, {**facts_of(scan, inside), "cut_off": cut_off, **fit, **where})

    def unscaled(self, path: Path) -> Voxels:
        """Return one scan (D, H, W) = `size` as it is before intensities are mapped, background 0.

        Raises:
            InputError: As `__call__`.
        """
        corrected = self._corrected(path)
        if isinstance(corrected, str):
            raise InputError(f"{path} {corrected}")
        try:
            return self._resampled(_on_right_angles(corrected[1])).values
        except InputError as error:
            raise InputError(f"{path} {error}") from error

    def _resampled(self, placed: Placed) -> Resampled:
        try:
            return resampled(placed, self.size, self.spacing)
        except RuntimeError as error:
            raise InputError(f"cannot be resampled to {self.spacing} mm ({error})") from error


def _on_right_angles(placed: Placed) -> Placed:
    """Give a scan with sheared axes those of RAS, around its own middle."""
    affine = placed.scan.affine
    if placed.centre is not None or shear_degrees(affine) < SHEAR:
        return placed
    x, y, z = affine[:3, :3] @ ((np.array(placed.scan.voxels.shape) - 1) / 2) + affine[:3, 3]
    return placed._replace(centre=(float(x), float(y), float(z)))


def _finite(values: Voxels) -> Voxels:
    odd = int((~np.isfinite(values)).sum())
    if odd:
        raise InputError(
            f"has {odd} voxels that are NaN or infinite after its corrections: leave it out, or correct less"
        )
    return values


def _stored(values: Voxels) -> Volume:
    largest = float(np.abs(_finite(values)).max())
    if largest > LARGEST:
        raise InputError(
            f"reaches {largest:.3g} once prepared, and float16 holds {LARGEST:g} at most: give --percentiles or "
            "--zscore, or a wider --window"
        )
    return values.astype(np.float16)


def attempts(paths: Sequence[Path], preparation: Preparation) -> list[Prepared | str]:
    """Prepare scans in a worker process: those of a person, if they are aligned together.

    Returns:
        One a scan, in order: the result, or what is wrong with the scan, without its path.
    """
    return (
        preparation.examine_person(paths) if preparation.midspace else [_attempt(path, preparation) for path in paths]
    )


def _attempt(path: Path, preparation: Preparation) -> Prepared | str:
    try:
        return preparation.examine(path)
    except InputError as error:
        return str(error).removeprefix(f"{path} ")


def _together(midspace: Midspace, corrected: list[tuple[Scan, Placed] | str]) -> list[tuple[Scan, Placed] | str]:
    placed = iter(midspace([each[1] for each in corrected if not isinstance(each, str)]))
    done: list[tuple[Scan, Placed] | str] = []
    for each in corrected:
        if not isinstance(each, str):
            location = next(placed)
            each = location if isinstance(location, str) else (each[0], location)
        done.append(each)
    return done


def _described(part: Any) -> dict[str, Any]:
    """Write a part as its class and its fields, less those that are unsaid at their default."""
    values = {
        field.name: value
        for field in dataclasses.fields(part)
        if (value := getattr(part, field.name)) != field.default or UNSAID not in field.metadata
    }
    return {"class": type(part).__name__, **{name: _plain(value) for name, value in values.items()}}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _described(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
